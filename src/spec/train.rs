//! `[train]`: how the policy is trained.

use super::number::{Fraction, NonNegative, Positive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[train]` table.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// Seed of the data order; set by the spec's `seeds`.
    pub seed: u64,
    /// Pairs a step: what a loss is defined on.
    pub pairs_per_step: usize,
    /// Pairs a forward pass; never changes a loss, only memory.
    pub micro_batch: usize,
    /// Passes over the pairs.
    pub epochs: Positive,
    /// Peak learning rate.
    pub learning_rate: Positive,
    /// Shape of the learning rate after warm-up.
    pub schedule: Schedule,
    /// Share of steps with rising learning rate.
    pub warmup: Fraction,
    /// Largest gradient norm.
    pub max_grad_norm: Positive,
    /// Decoupled weight decay.
    pub weight_decay: NonNegative,
    /// AdamW's decay of the gradient mean.
    pub adam_beta1: Fraction,
    /// AdamW's decay of the squared gradient mean.
    pub adam_beta2: Fraction,
    /// AdamW's epsilon.
    pub adam_epsilon: Positive,
    /// Arithmetic of the forward and backward pass; masters are fp32.
    pub precision: Precision,
    /// Keep each layer's input alone and compute the layer again in the backward pass: the
    /// same numbers, a third slower, in a fraction of the memory.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gradient_checkpointing: bool,
    /// Number type of the gradients of matrices (needs `precision = "bf16"`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub gradients: Gradients,
    /// Number type of AdamW's moments.
    #[serde(default, skip_serializing_if = "is_default")]
    pub moments: Moments,
    /// DropPath's share at the last layer of a vision tower that trains; default: the
    /// checkpoint's own.
    #[serde(default)]
    pub drop_path: Option<Fraction>,
    /// Longest prompt with one answer, in tokens: a longer pair is refused, never cut.
    #[serde(default = "super::later::max_train_tokens")]
    pub max_tokens: usize,
    /// Which weights stay.
    pub keep: Keep,
    /// Steps between two checkpoints.
    pub checkpoint_every: usize,
}

impl Train {
    /// Tokens of one forward pass of the reference: a constant, so that no setting but precision
    /// changes a bit.
    pub(crate) const REFERENCE_TOKENS: usize = 8192;
}

/// Whether a setting is left as it was before it could be set: it then enters no key.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Number type of gradients.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gradients {
    /// 32-bit floats.
    #[default]
    Fp32,
    /// bf16 for matrices, which are then held in bf16 beside their fp32 masters.
    Bf16,
}

/// Number type of AdamW's moments.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Moments {
    /// 32-bit floats.
    #[default]
    Fp32,
    /// bf16, rounded up or down at random so that small changes add up.
    Bf16,
}

/// Shape of the learning rate after warm-up.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Half a cosine down to zero.
    Cosine,
    /// A straight line down to zero.
    Linear,
    /// No decay.
    Constant,
}

/// Arithmetic of the forward and backward pass.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32-bit floats throughout.
    Fp32,
    /// bf16 matrix products; fp32 masters, norms, softmax and log-softmax.
    Bf16,
}

/// Which weights stay after training.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Those of the last step.
    Last,
    /// Those with the best validation accuracy (needs `eval.every`).
    Best,
    /// None once everything that reads them exists: answers, and a later round. Whatever needs
    /// them after that trains again, to the same bytes.
    None,
}
