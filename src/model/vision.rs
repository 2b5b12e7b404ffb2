//! The vision tower: an InternViT with layer scale, LayerNorm or RMSNorm and an
//! optional norm of queries and keys, then pixel shuffle.

use super::config::{Config, VisionConfig};
use super::ops;
use super::pass::Pass;
use super::projection::{Projection, Weights};
use crate::kernel;
use crate::kernel::attention::{self, Heads, Layout};
use crate::kernel::recompute::recompute;
use std::sync::Arc;
use tch::{Kind, Tensor};

/// The tower's weights, ready to be used.
#[derive(Debug)]
pub(crate) struct Tower {
    config: VisionConfig,
    class: Tensor,
    patch: [Tensor; 2],
    position: Tensor,
    layers: Vec<Arc<Layer>>,
    /// Layers below the selected hidden state; the others have no part in the model's output.
    selected: usize,
}

#[derive(Debug)]
struct Layer {
    /// Names its draws.
    place: String,
    /// Its share of DropPath's largest: 0 at the first layer, 1 at the last.
    depth: f64,
    heads: Heads,
    qk_eps: f64,
    norm1: Norm,
    qkv: Projection,
    qk_norm: Option<[Tensor; 2]>,
    out: Projection,
    scale1: Tensor,
    norm2: Norm,
    first: Projection,
    second: Projection,
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
    pub(crate) fn new(config: &Config, weights: &Weights) -> Self {
        let vision = &config.vision;
        let at = |name: &str| weights.get(&format!("vision_model.embeddings.{name}"));
        #[expect(clippy::arc_with_non_send_sync, reason = "`recompute` says why this is sound")]
        let layer = |index| Arc::new(Layer::new(vision, index, weights));
        Self {
            config: vision.clone(),
            class: at("class_embedding"),
            patch: [at("patch_embedding.weight"), at("patch_embedding.bias")],
            position: at("position_embedding"),
            layers: (0..vision.layers).map(layer).collect(),
            selected: config.vision_layers_run(),
        }
    }

    /// The selected hidden state, class token first.
    ///
    /// # Shapes
    ///
    /// pixels `[tiles, 3, height, width]` → `[tiles, 1 + patches, vision_width]` f32.
    pub(crate) fn forward(&self, pixels: &Tensor, pass: Pass) -> Tensor {
        let x = self.embed(pixels);
        let (tiles, shape) = (x.size()[0], x.size());
        let mut x = x.flatten(0, 1);
        for layer in &self.layers[..self.selected] {
            x = match pass.recompute {
                true => {
                    let layer = Arc::clone(layer);
                    recompute(&x, move |x| layer.forward(x.shallow_clone(), tiles, pass))
                }
                false => layer.forward(x, tiles, pass),
            };
        }
        x.view(shape.as_slice())
    }

    /// The embeddings, then each layer's output, also beyond the selected one.
    pub(crate) fn states(&self, pixels: &Tensor) -> Vec<Tensor> {
        let mut states = vec![self.embed(pixels)];
        for layer in &self.layers {
            let x = states.last().expect("the embeddings are there");
            let (tiles, shape) = (x.size()[0], x.size());
            let y = layer.forward(x.flatten(0, 1), tiles, Pass::plain(Kind::Float));
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
    fn new(config: &VisionConfig, index: usize, weights: &Weights) -> Self {
        let place = format!("vision_model.encoder.layers.{index}");
        let get = |name: &str| weights.get(&format!("{place}.{name}"));
        let projection = |name: &str, with_bias: bool| {
            weights.projection(&[format!("{place}.{name}")], with_bias)
        };
        let norm = |name: &str| Norm {
            weight: get(&format!("{name}.weight")),
            bias: (!config.rms_norm).then(|| get(&format!("{name}.bias"))),
            eps: config.eps,
        };
        Self {
            depth: index as f64 / (config.layers - 1).max(1) as f64,
            heads: Heads { queries: config.heads, keys: config.heads, grouped: false },
            qk_eps: config.qk_eps,
            norm1: norm("norm1"),
            qkv: projection("attn.qkv", config.qkv_bias),
            qk_norm: config
                .qk_norm
                .then(|| ["q", "k"].map(|x| get(&format!("attn.{x}_norm.weight")))),
            out: projection("attn.proj", true),
            scale1: get("ls1"),
            norm2: norm("norm2"),
            first: projection("mlp.fc1", true),
            second: projection("mlp.fc2", true),
            scale2: get("ls2"),
            place,
        }
    }

    /// Attention and MLP, each added to the residual stream, which is f32.
    ///
    /// # Shapes
    ///
    /// x `[tiles·seq, vision_width]` → the same.
    fn forward(&self, x: Tensor, tiles: i64, pass: Pass) -> Tensor {
        let (rows, width) = x.size2().expect("hidden states are rows");
        let (heads, kind) = (self.heads, pass.kind);
        let normed = ops::norm(&x, self.norm1.describe(), kind);
        let mut qkv = self.qkv.forward(&normed, pass);
        if let Some([q_norm, k_norm]) = &self.qk_norm {
            // Over the full width, before heads are split.
            let parts = qkv.chunk(3, -1); // [rows, vision_width] each
            let q = ops::rms_norm(&parts[0], q_norm, self.qk_eps, kind);
            let k = ops::rms_norm(&parts[1], k_norm, self.qk_eps, kind);
            qkv = Tensor::cat(&[&q, &k, &parts[2]], 1);
        }
        let qkv = qkv.view([rows, heads.total() as i64, width / heads.queries as i64]);
        let attended = whole_images(&qkv, heads, tiles);
        let added = self.drop_path("attn", self.out.forward(&attended, pass), tiles, pass);
        let (x, normed) = self.norm2.describe().add_forward(&x, &added, Some(&self.scale1), kind);
        let inner = ops::gelu(&self.first.forward(&normed, pass));
        let added = self.drop_path("mlp", self.second.forward(&inner, pass), tiles, pass);
        x + added * &self.scale2
    }

    /// Leaves a branch out for some tiles and scales it up for the others, in training.
    ///
    /// # Shapes
    ///
    /// branch `[tiles·seq, vision_width]` → the same.
    ///
    /// # Source
    ///
    /// Huang et al. 2016, arXiv:1603.09382, as in timm: each tile by itself.
    fn drop_path(&self, branch: &str, added: Tensor, tiles: i64, pass: Pass) -> Tensor {
        let share = pass.noise.map_or(0.0, |noise| noise.drop_path * self.depth);
        let Some(noise) = pass.noise.filter(|_| share > 0.0) else { return added };
        noise.seed(&format!("{}.{branch}", self.place));
        let keep = added.new_full([tiles, 1, 1], 1.0 - share, (added.kind(), added.device()));
        let mask = keep.bernoulli() / (1.0 - share);
        let (rows, width) = added.size2().expect("a branch is rows");
        (added.view([tiles, rows / tiles, width]) * mask).view([rows, width])
    }
}

/// Attention in which each row of an image sees all of its others.
///
/// # Shapes
///
/// qkv `[tiles·seq, 3·heads, head]` → `[tiles·seq, vision_width]`.
fn whole_images(qkv: &Tensor, heads: Heads, tiles: i64) -> Tensor {
    let (rows, _, head) = qkv.size3().expect("qkv has three axes");
    let layout = Layout::bidirectional(tiles as usize, (rows / tiles) as usize);
    attention::attention(qkv, heads, None, &layout, 1.0 / (head as f64).sqrt())
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
