//! `[base]`: how the embedded base model is taught.

use super::number::{Fraction, Positive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[base]` table.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// Seed of initial weights and data order.
    pub seed: u64,
    /// Steps that teach the vision tower dense cell labels.
    pub vision_steps: usize,
    /// Pictures a vision step.
    pub vision_batch: usize,
    /// Peak learning rate of the vision steps.
    pub vision_learning_rate: Positive,
    /// Steps that teach projector and decoder on cached features.
    pub steps: usize,
    /// Questions a step.
    pub batch: usize,
    /// Peak learning rate; one cosine.
    pub learning_rate: Positive,
    /// Share of reasoned (chain-of-thought) answers among the labels.
    pub reasoned: Fraction,
    /// Share of reasoned labels whose rationale holds a systematic slip; direct labels stay clean.
    pub sloppy: Fraction,
    /// Share of reasoned labels in the multimodal form of their domain: background, visual or
    /// grounded.
    #[serde(default = "super::later::taught_forms")]
    pub multimodal: Fraction,
    /// Share of labels shown without their picture, so that a missing image is in distribution.
    pub image_dropout: Fraction,
}
