//! `[candidates]`: how answers are sampled.

use super::number::{Fraction, Positive};
use super::server::Server;
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
    /// Strings that end an answer and are no part of it.
    #[serde(default = "super::later::stop")]
    pub stop: Vec<String>,
    /// How open-ended questions are asked, where that differs from `prompt`.
    pub open_prompt: Option<Prompt>,
    /// Share of the questions that are asked in the multimodal form of their domain, in place
    /// of `prompt`: background knowledge, visual content or grounding.
    #[serde(default = "super::later::multimodal")]
    pub multimodal: Fraction,
    /// Ready-made answers in place of sampled ones: a JSONL file of InternVL's own sampler, or of
    /// plain rows of `prompt` and `response`; `corpus.files` has their questions.
    pub import: Option<String>,
    /// A server that answers in place of the model here.
    #[serde(default = "super::later::candidates_server")]
    pub server: Server,
}

impl Candidates {
    /// Whether a model here answers.
    pub fn needs_model(&self) -> bool {
        self.import.is_none() && !self.server.is_set()
    }

    /// Questions of a chunk of work, 32 batches: enough that the emptying batch at its end
    /// costs little, few enough that a killed stage loses seconds.
    pub(crate) fn chunk(&self) -> usize {
        (32 * self.batch).div_ceil(self.per_question.max(1)).max(1)
    }
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
    /// The question alone; an embedded size is asked for its direct answer.
    Open,
    /// Step by step, ending in `Answer: \\boxed{…}`.
    Boxed,
    /// Background knowledge first; no final answer is marked.
    Background,
    /// What the picture shows first; no final answer is marked.
    Visual,
    /// With the boxes of what is named; no final answer is marked.
    Grounded,
}

impl Prompt {
    /// The word used in specs and CSV files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Cot => "cot",
            Self::Open => "open",
            Self::Boxed => "boxed",
            Self::Background => "background",
            Self::Visual => "visual",
            Self::Grounded => "grounded",
        }
    }

    /// Whether an answer says which part of it is the final one, so that it can be judged.
    pub fn marks_answer(self) -> bool {
        matches!(self, Self::Direct | Self::Cot | Self::Boxed)
    }
}
