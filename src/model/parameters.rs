//! Every tensor of a model: its name in InternVL's original layout, its shape and
//! its initial value. File order is vision tower, projector, decoder.

use super::config::{Architecture, Config, LanguageConfig, VisionConfig};
use crate::spec::model::Module;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::f64::consts::TAU;
use tch::{Device, Tensor};

/// One tensor of a model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) shape: Vec<i64>,
    init: Init,
}

/// How a tensor begins.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Init {
    /// All the same.
    Constant(f32),
    /// Normal, mean 0, with this standard deviation.
    Normal(f64),
}

/// Initial standard deviation of embeddings: the size of a projection's output.
const EMBEDDING: f64 = 0.6;
/// Initial standard deviation of a projection times √fan-in, that of PyTorch's uniform default.
const PROJECTION: f64 = 0.577;
/// Initial standard deviation of position embedding and class token.
const POSITION: f64 = 0.1;

/// The head's name, which a tied model does not have.
pub(crate) fn head_name(config: &LanguageConfig) -> &'static str {
    match config.architecture {
        Architecture::InternLm2 => "language_model.output.weight",
        Architecture::Qwen2 | Architecture::Llama | Architecture::Phi3 => {
            "language_model.lm_head.weight"
        }
    }
}

/// Which part of the model a tensor belongs to.
pub(crate) fn module_of(name: &str) -> Module {
    if name.starts_with("vision_model.") {
        Module::Vision
    } else if name.starts_with("mlp1.") {
        Module::Projector
    } else {
        Module::Language
    }
}

/// Whether a tensor may stay in a smaller number type: matrices, and the embedding, whose rows
/// are widened when they are looked up.
pub(crate) fn is_matrix(name: &str) -> bool {
    is_product(name) || is_embedding(name)
}

/// Whether a tensor is the table of the vocabulary's vectors.
pub(crate) fn is_embedding(name: &str) -> bool {
    name.ends_with(".embed_tokens.weight") || name.ends_with(".tok_embeddings.weight")
}

/// Whether a tensor is a matrix that others are multiplied by, and nothing else.
pub(crate) fn is_product(name: &str) -> bool {
    let is_head = ["language_model.output.weight", "language_model.lm_head.weight"].contains(&name);
    let in_layer = name.contains(".layers.") && name.ends_with(".weight");
    is_head || (in_layer && !name.contains("norm"))
}

/// All tensors of a model, in file order.
pub(crate) fn list(config: &Config) -> Vec<Parameter> {
    let mut list = List(Vec::new());
    list.vision(&config.vision);
    let (features, width) = (config.feature_width(), config.language.width);
    list.norm("mlp1.0", features, true);
    list.projection("mlp1.1", width, features, true);
    list.projection("mlp1.3", width, width, true);
    list.language(&config.language);
    list.0
}

struct List(Vec<Parameter>);

impl List {
    fn add(&mut self, name: String, shape: &[usize], init: Init) {
        let shape = shape.iter().map(|&dim| dim as i64).collect();
        self.0.push(Parameter { name, shape, init });
    }

    fn projection(&mut self, name: &str, out: usize, fan_in: usize, bias: bool) {
        let std = PROJECTION / (fan_in as f64).sqrt();
        self.add(format!("{name}.weight"), &[out, fan_in], Init::Normal(std));
        if bias {
            self.add(format!("{name}.bias"), &[out], Init::Constant(0.0));
        }
    }

    fn norm(&mut self, name: &str, width: usize, bias: bool) {
        self.add(format!("{name}.weight"), &[width], Init::Constant(1.0));
        if bias {
            self.add(format!("{name}.bias"), &[width], Init::Constant(0.0));
        }
    }

    fn vision(&mut self, vision: &VisionConfig) {
        let (width, patch) = (vision.width, vision.patch);
        let positions = 1 + (vision.side / patch).pow(2);
        let at = "vision_model.embeddings";
        self.add(format!("{at}.class_embedding"), &[1, 1, width], Init::Normal(POSITION));
        let std = PROJECTION / ((3 * patch * patch) as f64).sqrt();
        let patches = [width, 3, patch, patch];
        self.add(format!("{at}.patch_embedding.weight"), &patches, Init::Normal(std));
        self.add(format!("{at}.patch_embedding.bias"), &[width], Init::Constant(0.0));
        let shape = [1, positions, width];
        self.add(format!("{at}.position_embedding"), &shape, Init::Normal(POSITION));
        for layer in 0..vision.layers {
            let at = format!("vision_model.encoder.layers.{layer}");
            self.add(format!("{at}.ls1"), &[width], Init::Constant(1.0));
            self.add(format!("{at}.ls2"), &[width], Init::Constant(1.0));
            self.projection(&format!("{at}.attn.qkv"), 3 * width, width, vision.qkv_bias);
            if vision.qk_norm {
                self.norm(&format!("{at}.attn.q_norm"), width, false);
                self.norm(&format!("{at}.attn.k_norm"), width, false);
            }
            self.projection(&format!("{at}.attn.proj"), width, width, true);
            self.projection(&format!("{at}.mlp.fc1"), vision.mlp, width, true);
            self.projection(&format!("{at}.mlp.fc2"), width, vision.mlp, true);
            self.norm(&format!("{at}.norm1"), width, !vision.rms_norm);
            self.norm(&format!("{at}.norm2"), width, !vision.rms_norm);
        }
    }

    fn language(&mut self, language: &LanguageConfig) {
        let (width, mlp, head) = (language.width, language.mlp, language.head);
        let (q, kv) = (language.heads * head, language.kv_heads * head);
        let bias = language.qkv_bias;
        let rows = [language.vocabulary, width];
        let internlm2 = language.architecture == Architecture::InternLm2;
        let embedding = if internlm2 { "tok_embeddings" } else { "embed_tokens" };
        let name = format!("language_model.model.{embedding}.weight");
        self.add(name, &rows, Init::Normal(EMBEDDING));
        for layer in 0..language.layers {
            let at = format!("language_model.model.layers.{layer}");
            if internlm2 {
                self.norm(&format!("{at}.attention_norm"), width, false);
                self.projection(&format!("{at}.attention.wqkv"), q + 2 * kv, width, bias);
                self.projection(&format!("{at}.attention.wo"), width, q, bias);
                self.norm(&format!("{at}.ffn_norm"), width, false);
                self.projection(&format!("{at}.feed_forward.w1"), mlp, width, false);
                self.projection(&format!("{at}.feed_forward.w3"), mlp, width, false);
                self.projection(&format!("{at}.feed_forward.w2"), width, mlp, false);
            } else {
                let out_bias = bias && language.architecture.has_out_bias();
                let phi3 = language.architecture == Architecture::Phi3;
                self.norm(&format!("{at}.input_layernorm"), width, false);
                if phi3 {
                    self.projection(&format!("{at}.self_attn.qkv_proj"), q + 2 * kv, width, bias);
                } else {
                    self.projection(&format!("{at}.self_attn.q_proj"), q, width, bias);
                    self.projection(&format!("{at}.self_attn.k_proj"), kv, width, bias);
                    self.projection(&format!("{at}.self_attn.v_proj"), kv, width, bias);
                }
                self.projection(&format!("{at}.self_attn.o_proj"), width, q, out_bias);
                self.norm(&format!("{at}.post_attention_layernorm"), width, false);
                if phi3 {
                    self.projection(&format!("{at}.mlp.gate_up_proj"), 2 * mlp, width, false);
                } else {
                    self.projection(&format!("{at}.mlp.gate_proj"), mlp, width, false);
                    self.projection(&format!("{at}.mlp.up_proj"), mlp, width, false);
                }
                self.projection(&format!("{at}.mlp.down_proj"), width, mlp, false);
            }
        }
        self.norm("language_model.model.norm", width, false);
        if !language.tied {
            let std = PROJECTION / (width as f64).sqrt();
            self.add(head_name(language).to_owned(), &rows, Init::Normal(std));
        }
    }
}

impl Parameter {
    /// How many numbers it has.
    pub(crate) fn count(&self) -> u64 {
        self.shape.iter().product::<i64>() as u64
    }

    /// The initial value: a function of seed, name and shape alone.
    pub(crate) fn initial(&self, seed: u64, device: Device) -> Tensor {
        let count = self.shape.iter().product::<i64>() as usize;
        let values = match self.init {
            Init::Constant(value) => vec![value; count],
            Init::Normal(std) => normal(seed, &self.name, std, count),
        };
        Tensor::from_slice(&values).reshape(self.shape.as_slice()).to_device(device)
    }
}

/// Normal numbers by Box and Muller, keyed by seed and name.
fn normal(seed: u64, name: &str, std: f64, count: usize) -> Vec<f32> {
    let key = blake3::hash(format!("prefab initial weights {seed} {name}").as_bytes());
    let mut random = ChaCha8Rng::from_seed(*key.as_bytes());
    let mut uniform = || (f64::from(random.next_u32()) + 0.5) / 2f64.powi(32);
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let radius = std * (-2.0 * uniform().ln()).sqrt();
        let (sin, cos) = (TAU * uniform()).sin_cos();
        values.extend([(radius * cos) as f32, (radius * sin) as f32]);
    }
    values.truncate(count);
    values
}

/// Numbers between −bound and bound, keyed by seed and name.
pub(crate) fn uniform(seed: u64, name: &str, bound: f64, count: usize) -> Vec<f32> {
    let key = blake3::hash(format!("prefab initial adapters {seed} {name}").as_bytes());
    let mut random = ChaCha8Rng::from_seed(*key.as_bytes());
    let mut next = || (f64::from(random.next_u32()) + 0.5) / 2f64.powi(31) - 1.0;
    (0..count).map(|_| (bound * next()) as f32).collect()
}
