//! The embedded sizes. `prefab show sizes` prints this table; a new size is a
//! new row and a name in [`spec::model::Size`](crate::spec::model::Size).

use crate::spec::model::{Dims, Size};

/// One named set of dimensions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Its name in a spec.
    pub size: Size,
    /// What it is for.
    pub note: &'static str,
    /// Pixels along an edge of a tile.
    pub image_side: usize,
    /// Pixels along an edge of a patch.
    pub patch_side: usize,
    /// Width of the vision tower.
    pub vision_width: usize,
    /// Layers of the vision tower.
    pub vision_layers: usize,
    /// Attention heads of the vision tower.
    pub vision_heads: usize,
    /// MLP width of the vision tower.
    pub vision_mlp: usize,
    /// Width of the decoder.
    pub width: usize,
    /// Layers of the decoder.
    pub layers: usize,
    /// Query heads of the decoder.
    pub heads: usize,
    /// Key-value heads of the decoder.
    pub kv_heads: usize,
    /// MLP width of the decoder.
    pub mlp: usize,
    /// Whether the decoder's q, k and v projections have a bias.
    pub qkv_bias: bool,
    /// Base of the rotary angles.
    pub rope_theta: f64,
}

/// All embedded sizes, smallest first.
pub const SIZES: &[Row] = &[
    Row {
        size: Size::Tiny,
        note: "about 1.2 M parameters: two CPU cores are enough",
        image_side: 64,
        patch_side: 8,
        vision_width: 96,
        vision_layers: 3,
        vision_heads: 3,
        vision_mlp: 384,
        width: 128,
        layers: 4,
        heads: 4,
        kv_heads: 4,
        // Two thirds of 4·width, as three matrices replace two, rounded up to 8.
        mlp: 344,
        qkv_bias: true,
        rope_theta: 1e4,
    },
    Row {
        size: Size::Small,
        note: "about 5.5 M parameters: the dimensions of benchmark W1",
        image_side: 64,
        patch_side: 8,
        vision_width: 128,
        vision_layers: 4,
        vision_heads: 4,
        vision_mlp: 512,
        width: 256,
        layers: 4,
        heads: 4,
        kv_heads: 4,
        mlp: 1024,
        qkv_bias: true,
        rope_theta: 1e4,
    },
];

/// The row of a size, with the explicit dimensions put in.
pub fn row(size: Size, dims: &Dims) -> Row {
    let row = SIZES.iter().find(|row| row.size == size).expect("every size has a row");
    Row {
        image_side: dims.image_side.unwrap_or(row.image_side),
        patch_side: dims.patch_side.unwrap_or(row.patch_side),
        vision_width: dims.vision_width.unwrap_or(row.vision_width),
        vision_layers: dims.vision_layers.unwrap_or(row.vision_layers),
        vision_heads: dims.vision_heads.unwrap_or(row.vision_heads),
        vision_mlp: dims.vision_mlp.unwrap_or(row.vision_mlp),
        width: dims.width.unwrap_or(row.width),
        layers: dims.layers.unwrap_or(row.layers),
        heads: dims.heads.unwrap_or(row.heads),
        kv_heads: dims.kv_heads.unwrap_or(row.kv_heads),
        mlp: dims.mlp.unwrap_or(row.mlp),
        qkv_bias: dims.qkv_bias.unwrap_or(row.qkv_bias),
        ..*row
    }
}
