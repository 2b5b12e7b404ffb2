//! `[corpus]`: where questions and pictures come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[corpus]` table.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Corpus {
    /// Seed of the generated questions.
    pub seed: u64,
    /// Questions that teach the embedded base model.
    pub base: usize,
    /// Questions that preference pairs are built from.
    pub train: usize,
    /// Questions on which settings are chosen.
    pub validation: usize,
    /// Questions on which results are reported.
    pub test: usize,
    /// Generated families, of `prefab show tasks`; ignored where `files` is given.
    pub tasks: Vec<String>,
    /// Questions on disk, in place of generated ones.
    pub files: Option<Files>,
}

/// JSONL files of `{ "image", "question", "answer", … }`, one a split.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Folder that image paths are relative to, and cannot leave.
    pub root: String,
    /// JSONL that teaches the base.
    pub base: Option<String>,
    /// JSONL that pairs are built from.
    pub train: String,
    /// JSONL on which settings are chosen.
    pub validation: Option<String>,
    /// JSONL on which results are reported.
    pub test: String,
}
