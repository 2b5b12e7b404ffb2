//! The sizes that have a name: the embedded ones and the released families, which are
//! counted and can be trained from random weights. `prefab show sizes` prints this table; a
//! new size is a new row and a name in [`Size`].
//!
//! Sources: the released configs and the papers' model cards (arXiv:2404.16821,
//! 2412.05271, 2504.10479). Vocabularies of 40B, 76B and of the InternVL3 rows, and
//! Phi-3's and Yi's rotary bases, are inferred; the cards' parameter counts agree.

use super::config::Architecture::{self, InternLm2, Llama, Phi3, Qwen2};
use crate::spec::model::{Dims, Size};

/// One named set of dimensions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Its name in a spec.
    pub size: Size,
    /// What it is made of, or for.
    pub note: &'static str,
    /// Pixels along an edge of a tile.
    pub image_side: usize,
    /// The vision tower.
    pub tower: Tower,
    /// The decoder.
    pub decoder: Decoder,
}

/// Dimensions of a vision tower.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tower {
    /// Pixels along an edge of a patch.
    pub patch: usize,
    /// Width.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// MLP width.
    pub mlp: usize,
    /// InternViT-6B's form: RMSNorm, norms of queries and keys, no bias on them.
    pub is_6b: bool,
}

/// Dimensions of a decoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decoder {
    /// Its family.
    pub architecture: Architecture,
    /// Width.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key-value heads.
    pub kv_heads: usize,
    /// MLP width.
    pub mlp: usize,
    /// Whether the q, k and v projections have a bias.
    pub qkv_bias: bool,
    /// Rows of embedding and head; none where the corpus' own tokenizer says it.
    pub vocabulary: Option<usize>,
    /// Base of the rotary angles.
    pub rope_theta: f64,
    /// Added to the mean square in norms.
    pub eps: f64,
    /// Trained length in positions.
    pub positions: usize,
}

/// InternViT-300M-448px.
const VIT_300M: Tower =
    Tower { patch: 14, width: 1024, layers: 24, heads: 16, mlp: 4096, is_6b: false };
/// InternViT-6B-448px, cut to 45 layers.
const VIT_6B: Tower =
    Tower { patch: 14, width: 3200, layers: 45, heads: 25, mlp: 12800, is_6b: true };

/// A decoder by family, then width, layers, heads, key-value heads, MLP width, vocabulary.
const fn decoder(architecture: Architecture, dims: [usize; 5], vocabulary: usize) -> Decoder {
    let [width, layers, heads, kv_heads, mlp] = dims;
    let (rope_theta, eps, positions) = match architecture {
        InternLm2 => (1e6, 1e-5, 32768),
        Qwen2 => (1e6, 1e-6, 32768),
        Llama => (5e6, 1e-5, 4096),
        Phi3 => (1e4, 1e-5, 131_072),
    };
    Decoder {
        architecture,
        width,
        layers,
        heads,
        kv_heads,
        mlp,
        qkv_bias: matches!(architecture, Qwen2),
        vocabulary: Some(vocabulary),
        rope_theta,
        eps,
        positions,
    }
}

/// A released size.
const fn row(size: Size, tower: Tower, decoder: Decoder, note: &'static str) -> Row {
    Row { size, note, image_side: 448, tower, decoder }
}

/// Rows of InternLM2's embedding, with the nine added tokens.
const INTERNLM2: usize = 92_553;
/// Of Qwen2.5's in InternVL2.5 and 3.
const QWEN2_5: usize = 151_674;

const INTERNLM2_1_8B: Decoder = decoder(InternLm2, [2048, 24, 16, 8, 8192], INTERNLM2);
const INTERNLM2_7B: Decoder = decoder(InternLm2, [4096, 32, 32, 8, 14336], INTERNLM2);
const INTERNLM2_20B: Decoder = decoder(InternLm2, [6144, 48, 48, 8, 16384], INTERNLM2);
const QWEN_0_5B: Decoder = decoder(Qwen2, [896, 24, 14, 2, 4864], QWEN2_5);
const QWEN_1_5B: Decoder = decoder(Qwen2, [1536, 28, 12, 2, 8960], QWEN2_5);
const QWEN_3B: Decoder = decoder(Qwen2, [2048, 36, 16, 2, 11008], QWEN2_5);
const QWEN_7B: Decoder = decoder(Qwen2, [3584, 28, 28, 4, 18944], QWEN2_5);
const QWEN_14B: Decoder = decoder(Qwen2, [5120, 48, 40, 8, 13824], QWEN2_5);
const QWEN_32B: Decoder = decoder(Qwen2, [5120, 64, 40, 8, 27648], QWEN2_5);
const QWEN_72B: Decoder = decoder(Qwen2, [8192, 80, 64, 8, 29568], QWEN2_5);
const YI_34B: Decoder = decoder(Llama, [7168, 60, 56, 8, 20480], 64_007);
const LLAMA3_70B: Decoder = Decoder {
    rope_theta: 5e5,
    positions: 8192,
    ..decoder(Llama, [8192, 80, 64, 8, 28672], 128_265)
};

/// What the embedded decoders share.
const EMBEDDED: Decoder = Decoder {
    qkv_bias: true,
    vocabulary: None,
    rope_theta: 1e4,
    positions: 4096,
    ..decoder(Qwen2, [128, 4, 4, 4, 344], 0)
};

/// All sizes, smallest first within a family.
pub const SIZES: &[Row] = &[
    Row {
        size: Size::Tiny,
        note: "embedded: about 1.2 M parameters, two CPU cores are enough",
        image_side: 64,
        tower: Tower { patch: 8, width: 96, layers: 3, heads: 3, mlp: 384, is_6b: false },
        // MLP: two thirds of 4·width, as three matrices replace two, rounded up to 8.
        decoder: EMBEDDED,
    },
    Row {
        size: Size::Small,
        note: "embedded: about 5.5 M parameters, the dimensions of benchmark W1",
        image_side: 64,
        tower: Tower { patch: 8, width: 128, layers: 4, heads: 4, mlp: 512, is_6b: false },
        decoder: Decoder { width: 256, mlp: 1024, ..EMBEDDED },
    },
    row(
        Size::V2_1B,
        VIT_300M,
        Decoder { vocabulary: Some(151_655), ..QWEN_0_5B },
        "InternVL2: InternViT-300M, Qwen2-0.5B",
    ),
    row(Size::V2_2B, VIT_300M, INTERNLM2_1_8B, "InternVL2: InternViT-300M, InternLM2-1.8B"),
    row(
        Size::V2_4B,
        VIT_300M,
        decoder(Phi3, [3072, 32, 32, 32, 8192], 32_020),
        "InternVL2: InternViT-300M, Phi-3-mini-128k",
    ),
    row(Size::V2_8B, VIT_300M, INTERNLM2_7B, "InternVL2: InternViT-300M, InternLM2.5-7B"),
    row(Size::V2_26B, VIT_6B, INTERNLM2_20B, "InternVL2: InternViT-6B, InternLM2-20B"),
    row(Size::V2_40B, VIT_6B, YI_34B, "InternVL2: InternViT-6B, Nous-Hermes-2-Yi-34B"),
    row(Size::V2_76B, VIT_6B, LLAMA3_70B, "InternVL2: InternViT-6B, Hermes-2-Theta-Llama-3-70B"),
    row(Size::V2_5_1B, VIT_300M, QWEN_0_5B, "InternVL2.5: InternViT-300M, Qwen2.5-0.5B"),
    row(Size::V2_5_2B, VIT_300M, INTERNLM2_1_8B, "InternVL2.5: InternViT-300M, InternLM2.5-1.8B"),
    row(Size::V2_5_4B, VIT_300M, QWEN_3B, "InternVL2.5: InternViT-300M, Qwen2.5-3B"),
    row(Size::V2_5_8B, VIT_300M, INTERNLM2_7B, "InternVL2.5: InternViT-300M, InternLM2.5-7B"),
    row(Size::V2_5_26B, VIT_6B, INTERNLM2_20B, "InternVL2.5: InternViT-6B, InternLM2.5-20B"),
    row(Size::V2_5_38B, VIT_6B, QWEN_32B, "InternVL2.5: InternViT-6B, Qwen2.5-32B"),
    row(Size::V2_5_78B, VIT_6B, QWEN_72B, "InternVL2.5: InternViT-6B, Qwen2.5-72B"),
    row(Size::V3_1B, VIT_300M, QWEN_0_5B, "InternVL3: InternViT-300M, Qwen2.5-0.5B"),
    row(Size::V3_2B, VIT_300M, QWEN_1_5B, "InternVL3: InternViT-300M, Qwen2.5-1.5B"),
    row(Size::V3_8B, VIT_300M, QWEN_7B, "InternVL3: InternViT-300M, Qwen2.5-7B"),
    row(Size::V3_14B, VIT_300M, QWEN_14B, "InternVL3: InternViT-300M, Qwen2.5-14B"),
    row(Size::V3_38B, VIT_6B, QWEN_32B, "InternVL3: InternViT-6B, Qwen2.5-32B"),
    row(Size::V3_78B, VIT_6B, QWEN_72B, "InternVL3: InternViT-6B, Qwen2.5-72B"),
];

/// Named in a model card, with nothing that a config needs.
pub const UNRELEASED: &[(&str, &str)] =
    &[("108B", "InternVL2-Pro: 108.70 B in the model card; its dimensions were never released")];

impl Row {
    /// Chat template that a released checkpoint of this size was trained with.
    pub fn template(&self) -> &'static str {
        match self.size {
            Size::Tiny | Size::Small => "plain",
            Size::V2_1B | Size::V2_40B => "Hermes-2",
            Size::V2_2B | Size::V2_8B | Size::V2_26B | Size::V2_76B => "internlm2-chat",
            Size::V2_4B => "phi3-chat",
            _ => "internvl2_5",
        }
    }

    /// The row of a size, with explicit dimensions put in.
    pub fn of(size: Size, dims: &Dims) -> Self {
        let row = SIZES.iter().find(|row| row.size == size).expect("every size has a row");
        let (tower, decoder) = (row.tower, row.decoder);
        Self {
            image_side: dims.image_side.unwrap_or(row.image_side),
            tower: Tower {
                patch: dims.patch_side.unwrap_or(tower.patch),
                width: dims.vision_width.unwrap_or(tower.width),
                layers: dims.vision_layers.unwrap_or(tower.layers),
                heads: dims.vision_heads.unwrap_or(tower.heads),
                mlp: dims.vision_mlp.unwrap_or(tower.mlp),
                ..tower
            },
            decoder: Decoder {
                width: dims.width.unwrap_or(decoder.width),
                layers: dims.layers.unwrap_or(decoder.layers),
                heads: dims.heads.unwrap_or(decoder.heads),
                kv_heads: dims.kv_heads.unwrap_or(decoder.kv_heads),
                mlp: dims.mlp.unwrap_or(decoder.mlp),
                qkv_bias: dims.qkv_bias.unwrap_or(decoder.qkv_bias),
                vocabulary: dims.vocabulary.or(decoder.vocabulary),
                ..decoder
            },
            ..*row
        }
    }
}
