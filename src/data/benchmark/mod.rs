//! Benchmark files as their publishers and evaluators write them: VLMEvalKit's TSV, the
//! JSON and JSONL of InternVL's scripts and of the data sets' own releases, and the Hub's Parquet.
//!
//! | file | what it does |
//! |---|---|
//! | [`tsv`] | a row a question, pictures in base64, once each or by another row's index |
//! | [`json`] | lists, lines, objects by id; pictures in base64 or as paths |
//! | [`parquet`] | the Hub's tables, pictures embedded or as paths; a cargo feature, on by default |
//! | [`folder`] | which files of a folder are the benchmark's |
//! | [`join`] | fields of one file beside those of another: captions, reference answers |
//! | [`picture`] | pictures out of a file into a folder, one at a time |
//! | [`list`] | lists as Python prints them |
//!
//! A file is read row by row and its pictures are written as they come, so that memory
//! holds the texts and one row's pictures. What is wrong with rows is collected: an error names
//! the first of them by row and counts the rest.

pub mod folder;
pub mod join;
pub mod json;
pub mod list;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod picture;
pub mod record;
pub mod tsv;

pub use join::{Format, Join, beside, read};
pub use picture::Pictures;
pub use record::{Faults, Record};
