//! `[candidates]`: how answers are sampled.

use super::number::{Fraction, Positive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[candidates]` table.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Candidates {
    /// Seed of the sampled tokens.
    pub seed: u64,
    /// Answers sampled for each question.
    pub per_question: usize,
    /// Softmax temperature.
    pub temperature: Positive,
    /// Keep the k likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the smallest set of tokens whose probability reaches this.
    pub top_p: Fraction,
    /// Longest answer, in tokens.
    pub max_tokens: usize,
    /// How answers are asked for.
    pub prompt: Prompt,
    /// Rows (question × sample) decoded together; part of the key, since it decides batches.
    pub batch: usize,
}

/// How an answer is asked for.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Hash, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// The answer alone.
    Direct,
    /// Step by step, ending in `Final answer: …`.
    Cot,
}

impl Prompt {
    /// The word used in specs and CSV files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Cot => "cot",
        }
    }
}
