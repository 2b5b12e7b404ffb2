//! The two-layer MLP between vision and language.

use super::ops;
use super::projection::Weights;
use tch::{Kind, Tensor};

/// Its norm has the default epsilon, not the tower's.
const EPS: f64 = 1e-5;

/// LayerNorm, Linear, GELU, Linear.
#[derive(Debug)]
pub(crate) struct Projector {
    norm: [Tensor; 2],
    first: [Tensor; 2],
    second: [Tensor; 2],
}

impl Projector {
    pub(crate) fn new(weights: &Weights) -> Self {
        let pair = |index: usize| {
            ["weight", "bias"].map(|part| weights.get(&format!("mlp1.{index}.{part}")))
        };
        Self { norm: pair(0), first: pair(1), second: pair(3) }
    }

    /// `[tiles, image_tokens, 4·vision_width]` → `[tiles, image_tokens, width]` f32.
    pub(crate) fn forward(&self, features: &Tensor, kind: Kind) -> Tensor {
        let x = ops::layer_norm(features, &self.norm[0], &self.norm[1], EPS, kind);
        let x = ops::gelu(&ops::linear(&x, &self.first[0], Some(&self.first[1]), kind));
        ops::linear(&x, &self.second[0], Some(&self.second[1]), kind).to_kind(Kind::Float)
    }
}
