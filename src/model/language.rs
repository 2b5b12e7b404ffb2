//! The decoder: one for InternLM2, Qwen2, Llama and Phi-3, options from `config.json`.

use super::config::{Architecture, LanguageConfig};
use super::ops;
use super::packing::Packing;
use super::pass::Pass;
use super::projection::{Projection, Weights};
use super::rope::Angles;
use crate::kernel::attention::Heads;
use crate::kernel::norm::Norm;
use crate::kernel::packed::Packed;
use crate::kernel::recompute::recompute;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// Takes a layer's input, keys and values.
type Keep<'a> = &'a mut dyn FnMut(&Tensor, Tensor, Tensor);

/// The decoder's weights, ready to be used.
#[derive(Debug)]
pub struct Decoder {
    config: LanguageConfig,
    /// Embedding of each token, `[vocabulary, width]`.
    pub embedding: Tensor,
    /// The layers, in order; shared with the backward passes that compute them again.
    pub layers: Vec<Arc<Layer>>,
    norm: Tensor,
    /// The head, `[vocabulary, width]`; the embedding itself in a tied model.
    pub head: Tensor,
    /// The same, where that is faster, in one that is [`Self::prepared`].
    packed_head: Option<Packed>,
}

/// Weights of one layer.
#[derive(Debug)]
pub struct Layer {
    heads: Heads,
    /// Width of one head.
    head: i64,
    /// Added to the mean square in norms.
    eps: f64,
    attention_norm: Tensor,
    qkv: Projection,
    out: Projection,
    mlp_norm: Tensor,
    /// Gate and up, along the first axis.
    gate_up: Projection,
    down: Projection,
}

impl Decoder {
    pub(crate) fn new(config: &LanguageConfig, weights: &Weights) -> Self {
        let internlm2 = config.architecture == Architecture::InternLm2;
        let embedding = if internlm2 { "tok_embeddings" } else { "embed_tokens" };
        let embedding = weights.get(&format!("language_model.model.{embedding}.weight"));
        let head = match config.tied {
            true => embedding.shallow_clone(),
            false => weights.get(super::parameters::head_name(config)),
        };
        let layers = 0..config.layers;
        Self {
            config: config.clone(),
            embedding,
            layers: layers.map(|index| shared(Layer::new(config, index, weights))).collect(),
            norm: weights.get("language_model.model.norm.weight"),
            head,
            packed_head: None,
        }
    }

    /// A copy without gradients whose matrices are fused, have their adapters added and
    /// are in `kind`: what a generation, which runs them a hundred times, starts from.
    pub fn prepared(&self, kind: Kind) -> Self {
        let _no_grad = tch::no_grad_guard();
        let layer = |layer: &Arc<Layer>| {
            shared(Layer {
                attention_norm: layer.attention_norm.detach(),
                qkv: layer.qkv.prepared(kind),
                out: layer.out.prepared(kind),
                mlp_norm: layer.mlp_norm.detach(),
                gate_up: layer.gate_up.prepared(kind),
                down: layer.down.prepared(kind),
                ..**layer
            })
        };
        let head = self.head.detach().to_kind(kind);
        Self {
            config: self.config.clone(),
            embedding: self.embedding.detach(),
            layers: self.layers.iter().map(layer).collect(),
            norm: self.norm.detach(),
            packed_head: Packed::new(&head, None),
            head,
        }
    }

    /// Its configuration.
    pub fn config(&self) -> &LanguageConfig {
        &self.config
    }

    /// Hidden states that predict, after the final norm.
    ///
    /// `keep` is given each layer's input, `[tokens, width]`, its keys and its values,
    /// `[tokens, kv_heads, head]`.
    ///
    /// # Shapes
    ///
    /// embedded `[tokens, width]` f32 → `[predictions, width]` of `kind`.
    pub fn forward(&self, embedded: Tensor, packing: &Packing, kind: Kind, keep: Keep) -> Tensor {
        self.run(embedded, packing, Pass::plain(kind), Some(keep))
    }

    /// [`Self::forward`] where nobody wants what is between: rotated queries and keys
    /// are then never written down.
    pub fn predict(&self, embedded: Tensor, packing: Packing, pass: Pass) -> Tensor {
        match pass.recompute {
            true => self.run_recomputed(embedded, packing, pass),
            false => self.run(embedded, &packing, pass, None),
        }
    }

    fn run(
        &self,
        embedded: Tensor,
        packing: &Packing,
        pass: Pass,
        mut keep: Option<Keep>,
    ) -> Tensor {
        let (positions, lengths) = packing.positions();
        let angles = self.angles(&positions, &lengths, embedded.device());
        self.through(embedded, pass, &mut |index, x, qkv| {
            let attended = packing.attend(qkv, self.layers[index].heads, Some(&angles));
            if let Some(keep) = &mut keep {
                let (_, k, v) = self.layers[index].heads.split(qkv);
                keep(&x, angles.turn(&k), v);
            }
            match index + 1 == self.layers.len() {
                // Nothing looks at the last layer's other rows.
                true => (packing.predicting(&x), packing.predicting(&attended)),
                false => (x, attended),
            }
        })
    }

    /// Embeddings of tokens, in f32 whatever they are stored in.
    ///
    /// # Shapes
    ///
    /// ids `[tokens]` → `[tokens, width]` f32.
    pub(crate) fn embed(&self, ids: &Tensor) -> Tensor {
        Tensor::embedding(&self.embedding, ids, -1, false, false).to_kind(Kind::Float)
    }

    /// One token a row, against caches that `attend` keeps: hidden states after the final
    /// norm. It is given the index of a layer and its fused projection,
    /// `[rows, heads + 2·kv_heads, head]`, and gives what each row attended to,
    /// `[rows, heads·head]`.
    ///
    /// # Shapes
    ///
    /// ids `[rows]` → `[rows, width]` of `kind`.
    pub fn step(
        &self,
        ids: &Tensor,
        kind: Kind,
        attend: &mut dyn FnMut(usize, &Tensor) -> Tensor,
    ) -> Tensor {
        let x = self.embed(ids);
        self.through(x, Pass::plain(kind), &mut |index, x, qkv| (x, attend(index, qkv)))
    }

    /// Of each token to come next, in f32.
    ///
    /// # Shapes
    ///
    /// hidden `[rows, width]` of `kind` → `[rows, vocabulary]`.
    pub fn logits(&self, hidden: &Tensor, kind: Kind) -> Tensor {
        match &self.packed_head {
            Some(packed) => packed.forward(hidden),
            None => ops::linear(hidden, &self.head, None, kind).to_kind(Kind::Float),
        }
    }

    /// All layers and the final norm. `attend` is given a layer's index, its input and its
    /// fused projection, and gives the rows that go on: of the input, and what they attended to.
    fn through(
        &self,
        mut x: Tensor,
        pass: Pass,
        attend: &mut dyn FnMut(usize, Tensor, &Tensor) -> (Tensor, Tensor),
    ) -> Tensor {
        let mut normed = ops::norm(&x, self.gain(0), pass.kind);
        for (index, layer) in self.layers.iter().enumerate() {
            let qkv = layer.project(&normed, pass);
            let (rows, attended) = attend(index, x, &qkv);
            let (sum, inner) = layer.attended(&rows, &attended, pass);
            let added = layer.mlp(&inner, pass);
            (x, normed) = self.gain(index + 1).add_forward(&sum, &added, None, pass.kind);
        }
        normed
    }

    /// The norm in front of a layer, or of the head. Each sum into the residual stream is
    /// normalized in the same pass, with the gain of whatever comes next.
    fn gain(&self, index: usize) -> Norm<'_> {
        match self.layers.get(index) {
            Some(layer) => ops::rms(&layer.attention_norm, self.config.eps),
            None => ops::rms(&self.norm, self.config.eps),
        }
    }

    /// The same numbers, with each layer's input kept alone and the layer computed again in
    /// the backward pass.
    fn run_recomputed(&self, embedded: Tensor, packing: Packing, pass: Pass) -> Tensor {
        let (positions, lengths) = packing.positions();
        let angles = shared(self.angles(&positions, &lengths, embedded.device()));
        let packing = shared(packing);
        let mut x = embedded;
        for (index, layer) in self.layers.iter().enumerate() {
            let (layer, packing) = (Arc::clone(layer), Arc::clone(&packing));
            let angles = Arc::clone(&angles);
            let (is_first, is_last) = (index == 0, index + 1 == self.layers.len());
            x = recompute(&x, move |x| layer.block(x, &packing, &angles, pass, is_first, is_last));
        }
        // As in `Layer::block`: the sum that a norm follows is part of its pass.
        let norm = ops::rms(&self.norm, self.config.eps);
        match self.layers.is_empty() {
            true => ops::norm(&x, norm, pass.kind),
            false => norm.add_forward(&x, &x.zeros_like(), None, pass.kind).1,
        }
    }

    /// Rotary angles, in f32, for sequences of these whole lengths.
    pub fn angles(&self, positions: &[i64], lengths: &[i64], device: Device) -> Angles {
        Angles::new(&self.config, positions, lengths, device)
    }
}

impl Layer {
    fn new(config: &LanguageConfig, index: usize, weights: &Weights) -> Self {
        let at = |name: &str| format!("language_model.model.layers.{index}.{name}");
        let norm = |name: &str| weights.get(&at(&format!("{name}.weight")));
        let projection = |names: &[&str], with_bias: bool| {
            let names: Vec<String> = names.iter().map(|name| at(name)).collect();
            weights.projection(&names, with_bias)
        };
        let bias = config.qkv_bias;
        let out_bias = bias && config.architecture.has_out_bias();
        let (norms, qkv, out, gate_up, down): ([&str; 2], &[&str], &str, &[&str], &str) =
            match config.architecture {
                Architecture::InternLm2 => (
                    ["attention_norm", "ffn_norm"],
                    &["attention.wqkv"],
                    "attention.wo",
                    &["feed_forward.w1", "feed_forward.w3"],
                    "feed_forward.w2",
                ),
                Architecture::Qwen2 | Architecture::Llama => (
                    ["input_layernorm", "post_attention_layernorm"],
                    &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
                    "self_attn.o_proj",
                    &["mlp.gate_proj", "mlp.up_proj"],
                    "mlp.down_proj",
                ),
                Architecture::Phi3 => (
                    ["input_layernorm", "post_attention_layernorm"],
                    &["self_attn.qkv_proj"],
                    "self_attn.o_proj",
                    &["mlp.gate_up_proj"],
                    "mlp.down_proj",
                ),
            };
        Self {
            heads: config.attention_heads(),
            head: config.head as i64,
            eps: config.eps,
            attention_norm: norm(norms[0]),
            qkv: projection(qkv, bias),
            out: projection(&[out], out_bias),
            mlp_norm: norm(norms[1]),
            gate_up: projection(gate_up, false),
            down: projection(&[down], false),
        }
    }

    /// The whole layer from the residual stream to the residual stream.
    ///
    /// # Shapes
    ///
    /// x `[tokens, width]` f32 → `[tokens, width]`, of the last layer `[predictions, width]`.
    fn block(
        &self,
        x: &Tensor,
        packing: &Packing,
        angles: &Angles,
        pass: Pass,
        is_first: bool,
        is_last: bool,
    ) -> Tensor {
        let norm = ops::rms(&self.attention_norm, self.eps);
        // Behind a layer the norm is one pass with the sum before it. Adding nothing here
        // keeps its backward pass the same, to the last bit.
        let (x, normed) = match is_first {
            true => (x.shallow_clone(), ops::norm(x, norm, pass.kind)),
            false => norm.add_forward(x, &x.zeros_like(), None, pass.kind),
        };
        let qkv = self.project(&normed, pass);
        let attended = packing.attend(&qkv, self.heads, Some(angles));
        let (x, attended) = match is_last {
            true => (packing.predicting(&x), packing.predicting(&attended)),
            false => (x, attended),
        };
        let (sum, inner) = self.attended(&x, &attended, pass);
        sum + self.mlp(&inner, pass)
    }

    /// The fused projection of normalized rows.
    ///
    /// # Shapes
    ///
    /// `[tokens, width]` → `[tokens, heads + 2·kv_heads, head]`.
    fn project(&self, normed: &Tensor, pass: Pass) -> Tensor {
        self.qkv.forward(normed, pass).view([-1, self.heads.total() as i64, self.head])
    }

    /// The residual stream behind the output projection, and its norm for the MLP.
    fn attended(&self, x: &Tensor, attended: &Tensor, pass: Pass) -> (Tensor, Tensor) {
        let added = self.out.forward(attended, pass);
        ops::rms(&self.mlp_norm, self.eps).add_forward(x, &added, None, pass.kind)
    }

    /// The gated MLP of normalized rows.
    fn mlp(&self, normed: &Tensor, pass: Pass) -> Tensor {
        self.down.forward(&ops::swiglu(&self.gate_up.forward(normed, pass)), pass)
    }
}

/// Shared with closures that the backward pass calls. Tensors are not `Sync`, but while a
/// backward pass runs, the thread that started it waits.
fn shared<T>(value: T) -> Arc<T> {
    Arc::new(value)
}
