//! Records, files, images, tokenizer and chat templates.

pub mod record;
