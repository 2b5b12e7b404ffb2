//! `[eval]`: what is measured.

use super::candidates::Prompt;
use super::number::NonNegative;
use super::server::Server;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The `[eval]` table.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Eval {
    /// How answers are asked for.
    pub prompts: Vec<Prompt>,
    /// Rows of `prefab show benchmarks`.
    pub benchmarks: Vec<String>,
    /// Which questions: settings are chosen on validation, results reported on test.
    pub split: Split,
    /// Longest answer, in tokens.
    pub max_tokens: usize,
    /// Rows decoded together.
    pub batch: usize,
    /// Steps between two looks at a slice of the validation split; 0 is never.
    pub every: usize,
    /// Validation questions in such a slice.
    pub slice: usize,
    /// Files of benchmarks, by name: VLMEvalKit's TSV, or the JSON of their own release. Without
    /// one, generated questions stand in.
    #[serde(default = "super::later::eval_files")]
    pub files: BTreeMap<String, String>,
    /// A server that answers in place of the model here.
    #[serde(default = "super::later::eval_server")]
    pub server: Server,
    /// Who grades the answers to open questions of files.
    #[serde(default = "super::later::eval_judge")]
    pub judge: Judge,
}

impl Eval {
    /// Questions of a chunk of work, eight batches: enough that the last rows of a batch seldom
    /// idle, few enough that little is lost when the stage is killed.
    pub(crate) fn chunk(&self) -> usize {
        8 * self.batch.max(1)
    }
}

/// The `[eval.judge]` table: a checkpoint or a server; by default nobody.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EvalJudge")]
pub struct Judge {
    /// A Hub-style directory, run here.
    pub checkpoint: Option<String>,
    /// Answers graded together by a checkpoint; part of the key, since it decides batches.
    pub batch: usize,
    /// Longest grading, in tokens.
    pub max_tokens: usize,
    /// A server.
    pub server: Server,
    /// What a million tokens read cost, in any currency.
    pub price_read: NonNegative,
    /// What a million tokens written cost.
    pub price_written: NonNegative,
}

impl Judge {
    /// Whether there is a judge.
    pub fn is_set(&self) -> bool {
        self.checkpoint.is_some() || self.server.is_set()
    }
}

/// A split of the corpus.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Hash, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Teaches the embedded base.
    Base,
    /// Preference pairs come from here.
    Train,
    /// Settings are chosen here.
    Validation,
    /// Results are reported here.
    Test,
}

impl Split {
    /// All of them, in pipeline order.
    pub const ALL: [Self; 4] = [Self::Base, Self::Train, Self::Validation, Self::Test];

    /// The word used in specs, file names and CSV files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}
