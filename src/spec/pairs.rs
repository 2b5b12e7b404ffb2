//! `[pairs]`: how preference pairs are built.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[pairs]` table.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pairs {
    /// Seed of which pairs are kept.
    pub seed: u64,
    /// Ready-made pairs, in place of sampled ones: an MMPR meta.json.
    pub import: Option<String>,
    /// At most this many pairs in all.
    pub max: Option<usize>,
    /// Right answers against wrong ones.
    pub correctness: Correctness,
}

/// The `[pairs.correctness]` table.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Correctness {
    /// At most this many pairs a question.
    pub max_per_question: usize,
    /// Whether unparsable answers serve as rejected ones too.
    pub format_negatives: bool,
    /// Task families left out.
    pub exclude: Vec<String>,
}
