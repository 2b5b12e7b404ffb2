//! The vision tower: an InternViT with layer scale, LayerNorm or RMSNorm and an
//! optional norm of queries and keys, then pixel shuffle.
//!
//! DropPath, which the published pre-training used, is off: MPO trains without it.

use super::config::{Config, VisionConfig};
use super::language::Lookup;
use super::ops::{self, Visible};
use crate::kernel;
use crate::kernel::attention::{self, Heads, Layout};
use tch::{Device, Kind, Tensor};

/// The tower's weights, ready to be used.
#[derive(Debug)]
pub(crate) struct Tower {
    config: VisionConfig,
    class: Tensor,
    patch: [Tensor; 2],
    position: Tensor,
    layers: Vec<Layer>,
    /// Layers below the selected hidden state; the others have no part in the model's output.
    selected: usize,
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
    fn describe(&self) -> kernel::norm::Norm<'_> {
        kernel::norm::Norm {
            gain: &self.weight,
            bias: self.bias.as_ref(),
            centered: self.bias.is_some(),
            epsilon: self.eps,
        }
    }
}

impl Tower {
    pub(crate) fn new(config: &Config, tensor: Lookup) -> Self {
        let vision = &config.vision;
        let at = |name: &str| tensor(&format!("vision_model.embeddings.{name}"));
        Self {
            config: vision.clone(),
            class: at("class_embedding"),
            patch: [at("patch_embedding.weight"), at("patch_embedding.bias")],
            position: at("position_embedding"),
            layers: (0..vision.layers).map(|layer| Layer::new(vision, layer, tensor)).collect(),
            selected: config.vision_layers_run(),
        }
    }

    /// The selected hidden state, class token first.
    ///
    /// # Shapes
    ///
    /// pixels `[tiles, 3, height, width]` → `[tiles, 1 + patches, vision_width]` f32.
    pub(crate) fn forward(&self, pixels: &Tensor, kind: Kind) -> Tensor {
        let x = self.embed(pixels);
        let (tiles, shape) = (x.size()[0], x.size());
        let mut x = x.flatten(0, 1);
        for layer in &self.layers[..self.selected] {
            x = layer.forward(&self.config, x, tiles, kind);
        }
        x.view(shape.as_slice())
    }

    /// The embeddings, then each layer's output, also beyond the selected one.
    pub(crate) fn states(&self, pixels: &Tensor, kind: Kind) -> Vec<Tensor> {
        let mut states = vec![self.embed(pixels)];
        for layer in &self.layers {
            let x = states.last().expect("the embeddings are there");
            let (tiles, shape) = (x.size()[0], x.size());
            let y = layer.forward(&self.config, x.flatten(0, 1), tiles, kind);
            states.push(y.view(shape.as_slice()));
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

    /// Attention and MLP, each added to the residual stream, which is f32.
    ///
    /// # Shapes
    ///
    /// x `[tiles·seq, vision_width]` → the same.
    fn forward(&self, config: &VisionConfig, x: Tensor, tiles: i64, kind: Kind) -> Tensor {
        let (rows, width) = x.size2().expect("hidden states are rows");
        let heads = Heads { queries: config.heads, keys: config.heads, grouped: false };
        let head = (config.width / config.heads) as i64;
        let normed = ops::norm(&x, self.norm1.describe(), kind);
        let mut qkv = ops::linear(&normed, &self.qkv, self.qkv_bias.as_ref(), kind);
        if let Some([q_norm, k_norm]) = &self.qk_norm {
            // Over the full width, before heads are split.
            let parts = qkv.chunk(3, -1); // [rows, vision_width] each
            let q = ops::rms_norm(&parts[0], q_norm, config.qk_eps, kind);
            let k = ops::rms_norm(&parts[1], k_norm, config.qk_eps, kind);
            qkv = Tensor::cat(&[&q, &k, &parts[2]], 1);
        }
        let qkv = qkv.view([rows, heads.total() as i64, head]);
        let attended = whole_images(&qkv, heads, tiles, width);
        let [weight, bias] = &self.out;
        let added = ops::linear(&attended, weight, Some(bias), kind);
        let (x, normed) = self.norm2.describe().add_forward(&x, &added, Some(&self.scale1), kind);
        let [weight, bias] = &self.first;
        let inner = ops::gelu(&ops::linear(&normed, weight, Some(bias), kind));
        let [weight, bias] = &self.second;
        x + ops::linear(&inner, weight, Some(bias), kind) * &self.scale2
    }
}

/// Attention in which each row of an image sees all of its others.
///
/// # Shapes
///
/// qkv `[tiles·seq, 3·heads, head]` → `[tiles·seq, vision_width]`.
fn whole_images(qkv: &Tensor, heads: Heads, tiles: i64, width: i64) -> Tensor {
    let (rows, _, head) = qkv.size3().expect("qkv has three axes");
    if qkv.device() == Device::Cpu {
        let layout = Layout::bidirectional(tiles as usize, (rows / tiles) as usize);
        return attention::attention(qkv, heads, None, &layout, 1.0 / (head as f64).sqrt());
    }
    let (q, k, v) = heads.split(qkv);
    let image =
        |x: Tensor| x.reshape([tiles, rows / tiles, heads.queries as i64, head]).transpose(1, 2);
    let attended = ops::attention(&image(q), &image(k), &image(v), &Visible::All);
    attended.transpose(1, 2).reshape([rows, width])
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
