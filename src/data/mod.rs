//! Records, files, images, tokenizer and chat templates.
//!
//! | file | what it reads or makes |
//! |---|---|
//! | [`record`] | the records that flow between stages |
//! | [`questions`] | JSONL of questions: a corpus artifact's, or a user's own |
//! | [`benchmark`] | benchmark files as their publishers write them |
//! | [`pairs`] | MMPR's preference pairs and meta.json |
//! | [`rows`] | the rows of a JSONL file by number, however many |
//! | [`forms`] | pairs as others write them |
//! | [`mmpr`] | one data set of a meta.json, row by row |
//! | [`image`] | pictures as normalised pixels |
//! | [`tokenizer`] | text to token ids and back, exactly |
//! | [`template`] | how a question is put to a model |
//! | [`lines`] | JSONL: one record a line |
//! | [`labels`] | which tokens of a conversation InternVL's trainer learns |

pub mod benchmark;
pub mod forms;
pub mod image;
pub mod labels;
pub mod lines;
pub mod mmpr;
pub mod pairs;
pub mod questions;
pub mod record;
pub mod rows;
pub mod template;
pub mod tokenizer;
