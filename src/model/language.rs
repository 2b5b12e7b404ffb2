//! The decoder: one for InternLM2, Qwen2 and Llama, options from `config.json`.

use super::config::{Architecture, LanguageConfig, RopeScaling};
use super::ops;
use super::packing::Packing;
use tch::{Device, Kind, Tensor};

/// Gives the tensor of a name.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Tensor;

/// Takes a layer's input, keys and values.
type Keep<'a> = &'a mut dyn FnMut(&Tensor, Tensor, Tensor);

/// The decoder's weights, ready to be used.
#[derive(Debug)]
pub struct Decoder {
    config: LanguageConfig,
    /// Embedding of each token, `[vocabulary, width]`.
    pub embedding: Tensor,
    /// The layers, in order.
    pub layers: Vec<Layer>,
    norm: Tensor,
    /// The head, `[vocabulary, width]`; the embedding itself in a tied model.
    pub head: Tensor,
}

/// Weights of one layer.
#[derive(Debug)]
pub struct Layer {
    attention_norm: Tensor,
    /// One after the other along the first axis: q, k, v; or InternLM2's one, grouped.
    qkv: Vec<Tensor>,
    qkv_bias: Vec<Tensor>,
    out: Tensor,
    out_bias: Option<Tensor>,
    mlp_norm: Tensor,
    /// Gate and up, along the first axis.
    gate_up: Vec<Tensor>,
    down: Tensor,
}

/// Rotary angles of some positions: cos and sin, `[tokens, head/2]`.
#[derive(Debug)]
pub struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Decoder {
    pub(crate) fn new(config: &LanguageConfig, tensor: Lookup) -> Self {
        let layer = |index: usize| Layer::new(config, index, tensor);
        let internlm2 = config.architecture == Architecture::InternLm2;
        let embedding = if internlm2 { "tok_embeddings" } else { "embed_tokens" };
        let embedding = tensor(&format!("language_model.model.{embedding}.weight"));
        let head = match config.tied {
            true => embedding.shallow_clone(),
            false => tensor(super::parameters::head_name(config)),
        };
        Self {
            config: config.clone(),
            embedding,
            layers: (0..config.layers).map(layer).collect(),
            norm: tensor("language_model.model.norm.weight"),
            head,
        }
    }

    /// A copy without gradients whose matrices are fused and in `kind`: what a
    /// generation, which runs them a hundred times, starts from.
    pub fn prepared(&self, kind: Kind) -> Self {
        let _no_grad = tch::no_grad_guard();
        let detach = |tensor: &Tensor| tensor.detach();
        let cast = |tensor: &Tensor| tensor.detach().to_kind(kind);
        let fuse = |parts: &[Tensor]| match parts.is_empty() {
            true => vec![],
            false => vec![fused(parts).detach().to_kind(kind)],
        };
        let layer = |layer: &Layer| Layer {
            attention_norm: detach(&layer.attention_norm),
            qkv: fuse(&layer.qkv),
            qkv_bias: fuse(&layer.qkv_bias),
            out: cast(&layer.out),
            out_bias: layer.out_bias.as_ref().map(cast),
            mlp_norm: detach(&layer.mlp_norm),
            gate_up: fuse(&layer.gate_up),
            down: cast(&layer.down),
        };
        Self {
            config: self.config.clone(),
            embedding: detach(&self.embedding),
            layers: self.layers.iter().map(layer).collect(),
            norm: detach(&self.norm),
            head: cast(&self.head),
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
        self.run(embedded, packing, kind, Some(keep))
    }

    /// [`Self::forward`] where nobody wants what is between: rotated queries and keys
    /// are then never written down.
    pub fn predict(&self, embedded: Tensor, packing: &Packing, kind: Kind) -> Tensor {
        self.run(embedded, packing, kind, None)
    }

    fn run(
        &self,
        embedded: Tensor,
        packing: &Packing,
        kind: Kind,
        mut keep: Option<Keep>,
    ) -> Tensor {
        let (positions, lengths) = packing.positions();
        let angles = self.angles(&positions, &lengths, embedded.device());
        let heads = self.config.attention_heads();
        let mut x = embedded;
        // Each sum into the residual stream is normalized in the same pass, with the
        // gain of whatever comes next.
        let gain = |index: usize| match self.layers.get(index) {
            Some(layer) => ops::rms(&layer.attention_norm, self.config.eps),
            None => ops::rms(&self.norm, self.config.eps),
        };
        let mut normed = ops::norm(&x, gain(0), kind);
        for (index, layer) in self.layers.iter().enumerate() {
            let qkv = layer.project(&self.config, &normed, kind);
            let mut attended = match &mut keep {
                None => packing.attend(&qkv, heads, Some(&angles)),
                Some(keep) => {
                    let (q, k, v) = heads.split(&qkv);
                    let (q, k) = (angles.turn(&q), angles.turn(&k));
                    let attended = packing.attend_turned(&q, &k, &v);
                    keep(&x, k, v);
                    attended
                }
            };
            if index + 1 == self.layers.len() {
                // Nothing looks at the last layer's other rows.
                (x, attended) = (packing.predicting(&x), packing.predicting(&attended));
            }
            let added = ops::linear(&attended, &layer.out, layer.out_bias.as_ref(), kind);
            let next = ops::rms(&layer.mlp_norm, self.config.eps);
            (x, normed) = next.add_forward(&x, &added, None, kind);
            (x, normed) = gain(index + 1).add_forward(&x, &layer.mlp(&normed, kind), None, kind);
        }
        normed
    }

    /// The norm before the head.
    pub fn final_norm(&self, x: &Tensor, kind: Kind) -> Tensor {
        ops::rms_norm(x, &self.norm, self.config.eps, kind)
    }

    /// Rotary angles, in f32. `lengths` are those of the whole sequences: dynamic NTK
    /// changes the base where one is longer than what was trained.
    ///
    /// # Source
    ///
    /// Su et al. 2021, arXiv:2104.09864; dynamic NTK as in transformers 4.37.
    pub fn angles(&self, positions: &[i64], lengths: &[i64], device: Device) -> Angles {
        let (head, theta) = (self.config.head, self.config.rope_theta);
        let frequencies = |theta: f64| -> Vec<f32> {
            (0..head / 2).map(|i| (theta as f32).powf(-((2 * i) as f32) / head as f32)).collect()
        };
        let trained = self.config.positions;
        let longest = lengths.iter().max().copied().unwrap_or(0);
        let stretched = |factor: f64, length: i64| {
            let excess = factor * length as f64 / trained as f64 - (factor - 1.0);
            theta * excess.powf(head as f64 / (head as f64 - 2.0))
        };
        let (per_position, divisor) = match self.config.rope_scaling {
            RopeScaling::Linear(factor) => (None, factor),
            RopeScaling::Dynamic(factor) if longest > trained as i64 => (Some(factor), 1.0),
            RopeScaling::Dynamic(_) | RopeScaling::None => (None, 1.0),
        };
        let frequencies = match per_position {
            None => Tensor::from_slice(&frequencies(theta)).unsqueeze(0),
            Some(factor) => {
                let each = lengths.iter().flat_map(|&length| match length > trained as i64 {
                    true => frequencies(stretched(factor, length)),
                    false => frequencies(theta),
                });
                Tensor::from_slice(&each.collect::<Vec<f32>>())
                    .view([lengths.len() as i64, head as i64 / 2])
            }
        };
        let positions: Vec<f32> =
            positions.iter().map(|&position| (position as f64 / divisor) as f32).collect();
        let positions = Tensor::from_slice(&positions).unsqueeze(1).to_device(device);
        let angles = positions * frequencies.to_device(device); // [tokens, head/2]
        let (cos, sin) = (angles.cos(), angles.sin());
        Angles { cos, sin }
    }
}

impl Layer {
    fn new(config: &LanguageConfig, index: usize, tensor: Lookup) -> Self {
        let get = |name: &str| tensor(&format!("language_model.model.layers.{index}.{name}"));
        let bias = |names: &[&str]| -> Vec<Tensor> {
            match config.qkv_bias {
                true => names.iter().map(|name| get(&format!("{name}.bias"))).collect(),
                false => vec![],
            }
        };
        match config.architecture {
            Architecture::InternLm2 => Self {
                attention_norm: get("attention_norm.weight"),
                qkv: vec![get("attention.wqkv.weight")],
                qkv_bias: bias(&["attention.wqkv"]),
                out: get("attention.wo.weight"),
                out_bias: bias(&["attention.wo"]).pop(),
                mlp_norm: get("ffn_norm.weight"),
                gate_up: vec![get("feed_forward.w1.weight"), get("feed_forward.w3.weight")],
                down: get("feed_forward.w2.weight"),
            },
            Architecture::Qwen2 | Architecture::Llama => Self {
                attention_norm: get("input_layernorm.weight"),
                qkv: ["q", "k", "v"].map(|x| get(&format!("self_attn.{x}_proj.weight"))).into(),
                qkv_bias: bias(&["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
                out: get("self_attn.o_proj.weight"),
                out_bias: match config.architecture {
                    Architecture::Llama => bias(&["self_attn.o_proj"]).pop(),
                    _ => None,
                },
                mlp_norm: get("post_attention_layernorm.weight"),
                gate_up: vec![get("mlp.gate_proj.weight"), get("mlp.up_proj.weight")],
                down: get("mlp.down_proj.weight"),
            },
        }
    }

    /// The fused projection of normalized rows.
    ///
    /// # Shapes
    ///
    /// `[tokens, width]` → `[tokens, heads + 2·kv_heads, head]`.
    fn project(&self, config: &LanguageConfig, normed: &Tensor, kind: Kind) -> Tensor {
        let bias = (!self.qkv_bias.is_empty()).then(|| fused(&self.qkv_bias));
        let qkv = ops::linear(normed, &fused(&self.qkv), bias.as_ref(), kind);
        let columns = config.attention_heads().total() as i64;
        qkv.view([-1, columns, config.head as i64])
    }

    /// Norm, projections and rotation.
    ///
    /// # Shapes
    ///
    /// x `[tokens, width]` → q `[tokens, heads, head]`, k and v `[tokens, kv_heads, head]`.
    pub fn qkv(
        &self,
        config: &LanguageConfig,
        x: &Tensor,
        angles: &Angles,
        kind: Kind,
    ) -> (Tensor, Tensor, Tensor) {
        let normed = ops::rms_norm(x, &self.attention_norm, config.eps, kind);
        let (q, k, v) = config.attention_heads().split(&self.project(config, &normed, kind));
        (angles.turn(&q), angles.turn(&k), v)
    }

    /// Output projection and MLP, each added to the residual stream, which is f32.
    ///
    /// # Shapes
    ///
    /// x `[tokens, width]`, attended `[tokens, heads·head]` → `[tokens, width]`.
    pub fn finish(
        &self,
        config: &LanguageConfig,
        x: Tensor,
        attended: &Tensor,
        kind: Kind,
    ) -> Tensor {
        let added = ops::linear(attended, &self.out, self.out_bias.as_ref(), kind);
        let norm = ops::rms(&self.mlp_norm, config.eps);
        let (x, normed) = norm.add_forward(&x, &added, None, kind);
        x + self.mlp(&normed, kind)
    }

    /// The gated MLP of normalized rows.
    fn mlp(&self, normed: &Tensor, kind: Kind) -> Tensor {
        let gate_up = ops::linear(normed, &fused(&self.gate_up), None, kind);
        ops::linear(&ops::swiglu(&gate_up), &self.down, None, kind)
    }
}

impl Angles {
    /// Turns `[tokens, heads, head]`.
    pub fn turn(&self, x: &Tensor) -> Tensor {
        ops::rope(x, &self.cos, &self.sin)
    }

    /// cos and sin, `[tokens, head/2]` each.
    pub fn pair(&self) -> (&Tensor, &Tensor) {
        (&self.cos, &self.sin)
    }
}

/// Matrices that share their input, as one.
fn fused(parts: &[Tensor]) -> Tensor {
    match parts {
        [one] => one.shallow_clone(),
        parts => Tensor::cat(parts, 0),
    }
}
