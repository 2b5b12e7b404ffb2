//! `[model]`: size or checkpoint, and which parts train.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[model]` table.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// A row of `prefab show sizes`. Ignored where `checkpoint` is given.
    pub size: Size,
    /// Hub-style directory to start from, in place of an embedded size.
    pub checkpoint: Option<String>,
    /// Single dimensions that replace the size's own.
    #[serde(default)]
    pub dims: Dims,
    /// Modules that the policy stage trains.
    pub train: Vec<Module>,
}

/// A named set of dimensions.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
pub enum Size {
    /// About 1.2 M parameters, 64×64 pixels: two CPU cores are enough.
    #[serde(rename = "tiny")]
    Tiny,
    /// About 5 M parameters.
    #[serde(rename = "small")]
    Small,
}

/// A part of the model that can train.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Module {
    /// The vision tower.
    Vision,
    /// The two-layer MLP between vision and language.
    Projector,
    /// The decoder with its embeddings and head.
    Language,
}

/// Explicit dimensions; an absent one is the size's.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dims {
    /// Image side in pixels.
    pub image_side: Option<usize>,
    /// Patch side in pixels.
    pub patch_side: Option<usize>,
    /// Vision width.
    pub vision_width: Option<usize>,
    /// Vision layers.
    pub vision_layers: Option<usize>,
    /// Vision attention heads.
    pub vision_heads: Option<usize>,
    /// Vision MLP width.
    pub vision_mlp: Option<usize>,
    /// Decoder width.
    pub width: Option<usize>,
    /// Decoder layers.
    pub layers: Option<usize>,
    /// Decoder query heads.
    pub heads: Option<usize>,
    /// Decoder key-value heads.
    pub kv_heads: Option<usize>,
    /// Decoder MLP width.
    pub mlp: Option<usize>,
    /// Bias on the decoder's q, k and v projections.
    pub qkv_bias: Option<bool>,
    /// Vocabulary rows; at least the tokenizer's.
    pub vocabulary: Option<usize>,
}
