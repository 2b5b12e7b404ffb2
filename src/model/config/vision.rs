//! The tower's part of `config.json`.

use super::Layout;
use crate::model::json::Table;
use crate::{Error, Result};

/// The vision tower, an InternViT.
#[derive(Clone, Debug, PartialEq)]
pub struct VisionConfig {
    /// Width.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// MLP width.
    pub mlp: usize,
    /// Pixels along an edge of a patch.
    pub patch: usize,
    /// Pixels along an edge of the pictures that the position embedding was made for.
    pub side: usize,
    /// RMSNorm in place of LayerNorm.
    pub rms_norm: bool,
    /// Added to the variance in norms.
    pub eps: f64,
    /// Bias of the fused q, k, v projection.
    pub qkv_bias: bool,
    /// RMSNorm of queries and keys over the full width, before heads are split.
    pub qk_norm: bool,
    /// The same, in the layout's own epsilon.
    pub qk_eps: f64,
    /// Share of a training tile's last branch that is left out (DropPath); it grows
    /// linearly from 0 at the first layer.
    pub drop_path: f64,
}

impl VisionConfig {
    pub(super) fn parse(table: &Table, layout: Layout) -> Result<Self> {
        let eps = table.positive("layer_norm_eps", Some(1e-6))?;
        let native = layout == Layout::Native;
        table.only("hidden_act", "gelu")?;
        if table.usize("num_channels", Some(3))? != 3 {
            return Err(table.error("num_channels", "3"));
        }
        let drop_path = table.f64("drop_path_rate", Some(0.0))?;
        if !(0.0..1.0).contains(&drop_path) {
            return Err(Error::new(format!("`drop_path_rate` is {drop_path}, not in [0, 1)")));
        }
        // Where a key is absent, each layout's own class has its default.
        let rms_norm =
            match table.str("norm_type", if native { "layer_norm" } else { "rms_norm" })? {
                "rms_norm" => true,
                "layer_norm" => false,
                other => {
                    return Err(Error::new(format!("the norm `{other}` is unknown"))
                        .hint("known ones: layer_norm, rms_norm"));
                }
            };
        Ok(Self {
            width: table.usize("hidden_size", None)?,
            layers: table.usize("num_hidden_layers", None)?,
            heads: table.usize("num_attention_heads", None)?,
            mlp: table.usize("intermediate_size", None)?,
            patch: table.side("patch_size")?,
            side: table.side("image_size")?,
            rms_norm,
            eps,
            qkv_bias: table.bool(if native { "attention_bias" } else { "qkv_bias" }, false)?,
            qk_norm: match native {
                true => table.bool("use_qk_norm", false)?,
                false => table.bool("qk_normalization", true)?,
            },
            qk_eps: if native { 1e-6 } else { eps },
            drop_path,
        })
    }
}
