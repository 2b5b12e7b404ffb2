//! The vision tower: an InternViT with layer scale, LayerNorm or RMSNorm and an
//! optional norm of queries and keys, then pixel shuffle.
//!
//! DropPath, which the published pre-training used, is off: MPO trains without it.

use super::config::{Config, VisionConfig};
use super::language::Lookup;
use super::ops::{self, Visible};
use tch::{Kind, Tensor};

/// The tower's weights, ready to be used.
#[derive(Debug)]
pub(crate) struct Tower {
    config: VisionConfig,
    class: Tensor,
    patch: [Tensor; 2],
    position: Tensor,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    norm1: Norm,
    qkv: Tensor,
    qkv_bias: Option<Tensor>,
    qk_norm: Option<[Tensor; 2]>,
    out: [Tensor; 2],
    scale1: Tensor,
    norm2: Norm,
    first: [Tensor; 2],
    second: [Tensor; 2],
    scale2: Tensor,
}

#[derive(Debug)]
struct Norm {
    weight: Tensor,
    /// LayerNorm has one, RMSNorm has not.
    bias: Option<Tensor>,
    eps: f64,
}

impl Norm {
    fn forward(&self, x: &Tensor, kind: Kind) -> Tensor {
        match &self.bias {
            Some(bias) => ops::layer_norm(x, &self.weight, bias, self.eps, kind),
            None => ops::rms_norm(x, &self.weight, self.eps, kind),
        }
    }
}

impl Tower {
    pub(crate) fn new(config: &Config, tensor: Lookup) -> Self {
        let vision = &config.vision;
        let at = |name: &str| tensor(&format!("vision_model.embeddings.{name}"));
        let layers = 0..config.vision_layers_run();
        Self {
            config: vision.clone(),
            class: at("class_embedding"),
            patch: [at("patch_embedding.weight"), at("patch_embedding.bias")],
            position: at("position_embedding"),
            layers: layers.map(|layer| Layer::new(vision, layer, tensor)).collect(),
        }
    }

    /// The selected hidden state, class token first.
    ///
    /// # Shapes
    ///
    /// pixels `[tiles, 3, height, width]` → `[tiles, 1 + patches, vision_width]` f32.
    pub(crate) fn forward(&self, pixels: &Tensor, kind: Kind) -> Tensor {
        let mut x = self.embed(pixels);
        for layer in &self.layers {
            x = layer.forward(&self.config, x, kind);
        }
        x
    }

    /// The embeddings, then each layer's output.
    pub(crate) fn states(&self, pixels: &Tensor, kind: Kind) -> Vec<Tensor> {
        let mut states = vec![self.embed(pixels)];
        for layer in &self.layers {
            let x = states.last().expect("the embeddings are there").shallow_clone();
            states.push(layer.forward(&self.config, x, kind));
        }
        states
    }

    /// Patches, class token and positions, in f32.
    fn embed(&self, pixels: &Tensor) -> Tensor {
        let patch = self.config.patch as i64;
        let [weight, bias] = &self.patch;
        let patches = pixels.conv2d(weight, Some(bias), [patch, patch], [0, 0], [1, 1], 1);
        let (tiles, width, rows, columns) = patches.size4().expect("a convolution has four axes");
        let patches = patches.flatten(2, 3).transpose(1, 2); // [tiles, patches, vision_width]
        let class = self.class.expand([tiles, 1, width], false);
        Tensor::cat(&[class, patches], 1) + self.positions(rows, columns)
    }

    /// The position embedding for a grid: its own, or bicubically interpolated in f32.
    /// The class token's is never interpolated.
    fn positions(&self, rows: i64, columns: i64) -> Tensor {
        let side = (self.config.side / self.config.patch) as i64;
        if (rows, columns) == (side, side) {
            return self.position.shallow_clone();
        }
        let width = self.config.width as i64;
        let class = self.position.narrow(1, 0, 1);
        let grid = self.position.narrow(1, 1, side * side).view([1, side, side, width]);
        let grid = grid
            .permute([0, 3, 1, 2])
            .upsample_bicubic2d([rows, columns], false, None::<f64>, None::<f64>)
            .permute([0, 2, 3, 1])
            .reshape([1, rows * columns, width]);
        Tensor::cat(&[class, grid], 1)
    }
}

impl Layer {
    fn new(config: &VisionConfig, index: usize, tensor: Lookup) -> Self {
        let get = |name: &str| tensor(&format!("vision_model.encoder.layers.{index}.{name}"));
        let pair = |name: &str| ["weight", "bias"].map(|part| get(&format!("{name}.{part}")));
        let norm = |name: &str| Norm {
            weight: get(&format!("{name}.weight")),
            bias: (!config.rms_norm).then(|| get(&format!("{name}.bias"))),
            eps: config.eps,
        };
        Self {
            norm1: norm("norm1"),
            qkv: get("attn.qkv.weight"),
            qkv_bias: config.qkv_bias.then(|| get("attn.qkv.bias")),
            qk_norm: config
                .qk_norm
                .then(|| ["q", "k"].map(|x| get(&format!("attn.{x}_norm.weight")))),
            out: pair("attn.proj"),
            scale1: get("ls1"),
            norm2: norm("norm2"),
            first: pair("mlp.fc1"),
            second: pair("mlp.fc2"),
            scale2: get("ls2"),
        }
    }

    fn forward(&self, config: &VisionConfig, x: Tensor, kind: Kind) -> Tensor {
        let (tiles, seq, width) = x.size3().expect("hidden states have three axes");
        let (heads, head) = (config.heads as i64, (config.width / config.heads) as i64);
        let normed = self.norm1.forward(&x, kind);
        let qkv = ops::linear(&normed, &self.qkv, self.qkv_bias.as_ref(), kind);
        let mut qkv = qkv.chunk(3, -1); // [tiles, seq, vision_width] each
        if let Some(weights) = &self.qk_norm {
            // Over the full width, before heads are split.
            for (x, weight) in qkv.iter_mut().zip(weights) {
                *x = ops::rms_norm(x, weight, config.qk_eps, kind);
            }
        }
        let [q, k, v] = [0, 1, 2]
            .map(|which: usize| qkv[which].reshape([tiles, seq, heads, head]).transpose(1, 2));
        let attended = ops::attention(&q, &k, &v, &Visible::All);
        let attended = attended.transpose(1, 2).reshape([tiles, seq, width]);
        let [weight, bias] = &self.out;
        let x = x + ops::linear(&attended, weight, Some(bias), kind) * &self.scale1;
        let normed = self.norm2.forward(&x, kind);
        let [weight, bias] = &self.first;
        let inner = ops::gelu(&ops::linear(&normed, weight, Some(bias), kind));
        let [weight, bias] = &self.second;
        x + ops::linear(&inner, weight, Some(bias), kind) * &self.scale2
    }
}

/// Merges `shuffle`×`shuffle` patches into one image token.
///
/// # Shapes
///
/// `[tiles, patches, vision_width]`, patches row-major in a square of `side` →
/// `[tiles, patches / shuffle², vision_width·shuffle²]`.
///
/// # Source
///
/// InternVL's `pixel_shuffle`; its first version leaves rows and columns swapped,
/// its second (`swaps_back`) does not.
pub(crate) fn pixel_shuffle(patches: &Tensor, side: i64, shuffle: i64, swaps_back: bool) -> Tensor {
    let (tiles, _, width) = patches.size3().expect("hidden states have three axes");
    let small = side / shuffle;
    let x = patches.reshape([tiles, side, small, width * shuffle]).permute([0, 2, 1, 3]).reshape([
        tiles,
        small,
        small,
        width * shuffle * shuffle,
    ]);
    let x = if swaps_back { x.permute([0, 2, 1, 3]) } else { x };
    x.reshape([tiles, small * small, width * shuffle * shuffle])
}
