//! `[loss]`: the algorithm, its weights and its settings.

use super::number::{FlipRate, Fraction, NonNegative, Positive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[loss]` table: `L = w_p · L_p[algorithm] + w_q · L_q + w_g · L_g`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// A row of `prefab show losses`: the preference term and the default weights.
    pub algorithm: String,
    /// Weight of the preference term; default: the algorithm's.
    pub w_p: Option<NonNegative>,
    /// Weight of the quality term (BCO); default: the algorithm's.
    pub w_q: Option<NonNegative>,
    /// Weight of the generation term (SFT); default: the algorithm's. "X+" is 1.
    pub w_g: Option<NonNegative>,
    /// How tightly the policy is held to the reference; default: the algorithm's under `hyper`.
    pub beta: Option<Positive>,
    /// Where an algorithm's own defaults come from.
    pub hyper: Hyper,
    /// Reward shift of the quality term.
    pub delta: Delta,
    /// How the generation term averages.
    pub generation: Generation,
    /// A peer's version of every option above that is not set.
    #[serde(rename = "as")]
    pub as_peer: Option<Peer>,
    /// Settings of cdpo.
    pub cdpo: Smoothing,
    /// Settings of robust_dpo.
    pub robust_dpo: Smoothing,
    /// Settings of ipo.
    pub ipo: Ipo,
    /// Settings of aot.
    pub aot: Aot,
    /// Settings of tr_dpo.
    pub tr_dpo: TrDpo,
    /// Settings of exo.
    pub exo: Smoothing,
    /// Settings of discopop.
    pub discopop: Discopop,
}
// Submodule types follow in the loss helper's hand: see `Delta`, `Generation`, …

/// Where an algorithm's own defaults come from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hyper {
    /// Its paper.
    Paper,
    /// What was chosen on the validation split of the embedded tasks.
    Embedded,
}

/// Reward shift δ of the quality term.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delta {
    /// No shift.
    None,
    /// The mean of all rewards so far, this step's included.
    Running,
}

/// How the generation term averages.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Generation {
    /// Over all answer tokens of the step.
    Token,
    /// Over the tokens of each answer, then over answers.
    Answer,
}

/// A peer whose version of a loss is wanted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// InternVL's trainer on TRL 0.10.
    Internvl,
    /// TRL 1.x.
    Trl,
    /// LLaMA-Factory.
    LlamaFactory,
    /// The MPO paper's text.
    Paper,
}

/// Label smoothing.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Smoothing {
    /// Share of labels believed to be the wrong way round.
    pub label_smoothing: FlipRate,
}

/// Settings of ipo.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ipo {
    /// Whether log-probabilities are averaged over tokens (TRL, the authors) or summed (OpenRLHF).
    pub average: bool,
}

/// Settings of aot.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aot {
    /// Whether margins are sorted (paired) or rewards are (unpaired).
    pub paired: bool,
    /// Share of labels believed to be the wrong way round.
    pub label_smoothing: FlipRate,
}

/// Settings of tr_dpo.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrDpo {
    /// Share of the policy in the new reference.
    pub alpha: Option<Fraction>,
    /// Optimizer steps between two syncs.
    pub every: Option<usize>,
}

/// Settings of discopop.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discopop {
    /// Temperature of the modulation.
    pub temperature: Positive,
}
