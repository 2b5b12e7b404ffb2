//! `[model]`: size or checkpoint, and which parts train.

use super::number::{Fraction, Positive};
use super::train::Precision;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// The `[model]` table.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// A row of `prefab show sizes`. Ignored where `checkpoint` is given.
    pub size: Size,
    /// Hub-style directory to start from, in place of an embedded size.
    pub checkpoint: Option<String>,
    /// Most tiles that a picture is cut into, its thumbnail not counted; default: the
    /// checkpoint's `max_dynamic_patch`, 1 for a size that is made here. Of several pictures
    /// each has its share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tiles: Option<NonZeroUsize>,
    /// Chat template of a checkpoint whose config.json names none, or another one than it was
    /// trained with; default: config.json's `template`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Number type of weights and products where the model answers; default: config.json's
    /// `torch_dtype` (16-bit ones run in bf16), fp32 for a size that is made here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// Single dimensions that replace the size's own.
    #[serde(default)]
    pub dims: Dims,
    /// Modules that the policy stage trains.
    pub train: Vec<Module>,
    /// Low-rank adapters beside the frozen matrices of tower and decoder, in place of
    /// training them in full. The projector trains in full if it is in `train`.
    #[serde(default)]
    pub lora: Option<Lora>,
}

/// Low-rank adapters: W + alpha / rank · B·A.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lora {
    /// Columns of B, rows of A.
    pub rank: NonZeroUsize,
    /// Scale times rank; default: twice the rank, as InternVL's scripts have it.
    pub alpha: Option<Positive>,
    /// Share of an adapter's inputs left out in training.
    pub dropout: Fraction,
    /// Which projections have one.
    pub targets: Vec<Target>,
}

impl Default for Lora {
    fn default() -> Self {
        Self {
            rank: NonZeroUsize::new(16).expect("16 is not 0"),
            alpha: None,
            dropout: Fraction::try_from(0.05).expect("it is a share"),
            targets: Target::ALL.into(),
        }
    }
}

/// The projections of a layer, whatever its architecture calls them.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Queries, keys and values.
    Qkv,
    /// The attention's output.
    Out,
    /// The MLP's first product: gate and up.
    Up,
    /// The MLP's second product.
    Down,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Qkv, Self::Out, Self::Up, Self::Down];
}

/// A named set of dimensions.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "`prefab show sizes` says what each is")]
pub enum Size {
    #[serde(rename = "tiny")]
    Tiny,
    #[serde(rename = "small")]
    Small,
    #[serde(rename = "1B")]
    V2_1B,
    #[serde(rename = "2B")]
    V2_2B,
    #[serde(rename = "4B")]
    V2_4B,
    #[serde(rename = "8B")]
    V2_8B,
    #[serde(rename = "26B")]
    V2_26B,
    #[serde(rename = "40B")]
    V2_40B,
    #[serde(rename = "76B")]
    V2_76B,
    #[serde(rename = "2.5-1B")]
    V2_5_1B,
    #[serde(rename = "2.5-2B")]
    V2_5_2B,
    #[serde(rename = "2.5-4B")]
    V2_5_4B,
    #[serde(rename = "2.5-8B")]
    V2_5_8B,
    #[serde(rename = "2.5-26B")]
    V2_5_26B,
    #[serde(rename = "2.5-38B")]
    V2_5_38B,
    #[serde(rename = "2.5-78B")]
    V2_5_78B,
    #[serde(rename = "3-1B")]
    V3_1B,
    #[serde(rename = "3-2B")]
    V3_2B,
    #[serde(rename = "3-8B")]
    V3_8B,
    #[serde(rename = "3-14B")]
    V3_14B,
    #[serde(rename = "3-38B")]
    V3_38B,
    #[serde(rename = "3-78B")]
    V3_78B,
}

impl Size {
    /// Whether it is one of those that are taught here, not a released one.
    pub const fn is_embedded(self) -> bool {
        matches!(self, Self::Tiny | Self::Small)
    }

    /// Its name in a spec.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::V2_1B => "1B",
            Self::V2_2B => "2B",
            Self::V2_4B => "4B",
            Self::V2_8B => "8B",
            Self::V2_26B => "26B",
            Self::V2_40B => "40B",
            Self::V2_76B => "76B",
            Self::V2_5_1B => "2.5-1B",
            Self::V2_5_2B => "2.5-2B",
            Self::V2_5_4B => "2.5-4B",
            Self::V2_5_8B => "2.5-8B",
            Self::V2_5_26B => "2.5-26B",
            Self::V2_5_38B => "2.5-38B",
            Self::V2_5_78B => "2.5-78B",
            Self::V3_1B => "3-1B",
            Self::V3_2B => "3-2B",
            Self::V3_8B => "3-8B",
            Self::V3_14B => "3-14B",
            Self::V3_38B => "3-38B",
            Self::V3_78B => "3-78B",
        }
    }
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
