//! Decoding written the obvious way, on tch alone: what sampling is measured against. The same
//! weights and picture; a prompt runs once for each of its answers, which are then decoded
//! together, the cache growing by `cat`.

use prefab::model::Vlm;
use std::collections::HashMap;
use tch::{Device, Kind, Tensor};

/// A model of the tiny size, by the names of its tensors.
pub struct Plain<'a> {
    weights: HashMap<&'a str, &'a Tensor>,
    layers: usize,
    heads: i64,
    head: i64,
    eps: f64,
    theta: f64,
}

/// Keys and values of each layer, `[rows, heads, seq, head]`.
type Cache = Vec<Option<[Tensor; 2]>>;

impl<'a> Plain<'a> {
    pub fn new(model: &'a Vlm) -> Self {
        let config = &model.config.language;
        assert_eq!(config.heads, config.kv_heads, "the tiny size groups no heads");
        Self {
            weights: model.parameters().into_iter().collect(),
            layers: config.layers,
            heads: config.heads as i64,
            head: config.head as i64,
            eps: config.eps,
            theta: config.rope_theta,
        }
    }

    /// `rows` answers of `tokens` tokens to one prompt, `[rows, tokens]`; drawn, or the
    /// likeliest where `greedy`. `picture` `[image tokens, width]` stands at `image_token`.
    pub fn answers(
        &self,
        prompt: &[i64],
        picture: &Tensor,
        image_token: i64,
        rows: i64,
        tokens: usize,
        greedy: bool,
    ) -> Tensor {
        let ids = Tensor::from_slice(prompt);
        let mut x = self.words(&ids);
        let places = ids.eq(image_token).nonzero().squeeze_dim(1);
        let _ = x.index_copy_(0, &places, picture);
        let mut x = x.unsqueeze(0).repeat([rows, 1, 1]);
        let mut cache: Cache = (0..self.layers).map(|_| None).collect();
        let mut written = Vec::new();
        loop {
            let hidden = self.forward(x, &mut cache);
            let last = hidden.select(1, -1);
            let logits = last.matmul(&self.get("lm_head.weight").tr());
            let next = match greedy {
                true => logits.argmax(-1, true),
                false => logits.softmax(-1, Kind::Float).multinomial(1, false),
            };
            written.push(next.shallow_clone());
            if written.len() == tokens {
                return Tensor::cat(&written, 1);
            }
            x = self.words(&next);
        }
    }

    fn get(&self, name: &str) -> &Tensor {
        self.weights[format!("language_model.{name}").as_str()]
    }

    fn words(&self, ids: &Tensor) -> Tensor {
        Tensor::embedding(self.get("model.embed_tokens.weight"), ids, -1, false, false)
    }

    fn norm(&self, x: &Tensor, name: &str) -> Tensor {
        let mean = x.square().mean_dim([-1i64].as_slice(), true, Kind::Float);
        x * (mean + self.eps).rsqrt() * self.get(name)
    }

    /// `[rows, new, width]` → the same, behind what the cache holds.
    fn forward(&self, mut x: Tensor, cache: &mut Cache) -> Tensor {
        let (rows, new) = (x.size()[0], x.size()[1]);
        let past = cache[0].as_ref().map_or(0, |[keys, _]| keys.size()[2]);
        let half = self.head / 2;
        let frequencies = (Tensor::arange(half, (Kind::Float, Device::Cpu))
            * (-self.theta.ln() / half as f64))
            .exp();
        let positions = Tensor::arange_start(past, past + new, (Kind::Float, Device::Cpu));
        let angles = positions.outer(&frequencies);
        let (cos, sin) = (angles.cos().repeat([1, 2]), angles.sin().repeat([1, 2]));
        let turn = |x: &Tensor| {
            let parts = x.chunk(2, -1);
            x * &cos + Tensor::cat(&[-&parts[1], parts[0].shallow_clone()], -1) * &sin
        };
        for (index, cached) in cache.iter_mut().enumerate() {
            let at = |name: &str| format!("model.layers.{index}.{name}");
            let linear =
                |x: &Tensor, name: &str| x.matmul(&self.get(&at(&format!("{name}.weight"))).tr());
            let normed = self.norm(&x, &at("input_layernorm.weight"));
            let heads = |name: &str| {
                let y = linear(&normed, &format!("self_attn.{name}"))
                    + self.get(&at(&format!("self_attn.{name}.bias")));
                y.view([rows, new, self.heads, self.head]).transpose(1, 2)
            };
            let (q, mut k, mut v) =
                (turn(&heads("q_proj")), turn(&heads("k_proj")), heads("v_proj"));
            if let Some([keys, values]) = cached {
                (k, v) = (Tensor::cat(&[&*keys, &k], 2), Tensor::cat(&[&*values, &v], 2));
            }
            let (mask, scale) = (None::<&Tensor>, None::<f64>);
            let attended = Tensor::scaled_dot_product_attention(
                &q,
                &k,
                &v,
                mask,
                0.0,
                past == 0,
                scale,
                false,
            );
            *cached = Some([k, v]);
            let attended = attended.transpose(1, 2).reshape([rows, new, self.heads * self.head]);
            x += linear(&attended, "self_attn.o_proj");
            let normed = self.norm(&x, &at("post_attention_layernorm.weight"));
            let inner = linear(&normed, "mlp.gate_proj").silu() * linear(&normed, "mlp.up_proj");
            x += linear(&inner, "mlp.down_proj");
        }
        self.norm(&x, "model.norm.weight")
    }
}
