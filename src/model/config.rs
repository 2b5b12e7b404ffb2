//! `config.json` in InternVL's original layout (`vision_config`, `llm_config`) and
//! in transformers' own (`vision_config`, `text_config`).
//!
//! Keys that Prefab does not read are kept and written back.

use super::json::Table;
use super::sizes;
use crate::error::Context;
use crate::kernel::attention::Heads;
use crate::{Error, Result, spec};
use serde_json::{Value, json};
use std::path::Path;

/// What a model is: its three parts and how they are joined.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The vision tower.
    pub vision: VisionConfig,
    /// The decoder.
    pub language: LanguageConfig,
    /// Pixels along an edge of a tile.
    pub image_side: usize,
    /// Decoder positions of a tile.
    pub image_tokens: usize,
    /// Patches that become one image token, along an edge: 2 for a downsample ratio of ½.
    pub shuffle: usize,
    /// Whether pixel shuffle swaps its axes back (`ps_version` v2; released InternVL2 does).
    pub shuffle_swaps_back: bool,
    /// Which hidden state of the tower is taken: −1 is the last, 0 the embeddings.
    pub select_layer: i64,
    /// Id of `<IMG_CONTEXT>`, whose embeddings give way to image features.
    pub image_token: i64,
    /// Name of the chat template.
    pub template: String,
    /// Names of the checkpoint's tensors.
    pub layout: Layout,
    /// The whole file, as read.
    json: Value,
}

/// How a checkpoint names its tensors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Layout {
    /// InternVL's own: `vision_model`, `mlp1`, `language_model`.
    Original,
    /// transformers': `vision_tower`, `multi_modal_projector`, `language_model`.
    Native,
}

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
}

/// The decoder's family: which names its tensors have and which of them are fused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Architecture {
    /// InternLM2: one `wqkv`, grouped by key-value head.
    InternLm2,
    /// Qwen2: q, k and v with bias. The embedded sizes are of this family.
    Qwen2,
    /// Llama.
    Llama,
}

impl Architecture {
    /// All of them, with the names in `architectures` and `model_type`.
    pub const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::InternLm2, "InternLM2ForCausalLM", "internlm2"),
        (Self::Qwen2, "Qwen2ForCausalLM", "qwen2"),
        (Self::Llama, "LlamaForCausalLM", "llama"),
    ];
}

/// How rotary angles change beyond the trained length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// Positions are divided by the factor, at any length.
    Linear(f64),
    /// Dynamic NTK: beyond the trained length the base grows.
    Dynamic(f64),
}

/// The decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct LanguageConfig {
    /// Its family.
    pub architecture: Architecture,
    /// Width.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key-value heads.
    pub kv_heads: usize,
    /// Width of one head.
    pub head: usize,
    /// MLP width.
    pub mlp: usize,
    /// Rows of embedding and head.
    pub vocabulary: usize,
    /// Base of the rotary angles.
    pub rope_theta: f64,
    /// Change of the angles at long lengths.
    pub rope_scaling: RopeScaling,
    /// Trained length in positions.
    pub positions: usize,
    /// Added to the mean square in norms.
    pub eps: f64,
    /// Bias on q, k and v.
    pub qkv_bias: bool,
    /// The head is the embedding.
    pub tied: bool,
}

impl Config {
    /// The configuration of an embedded size, with the spec's explicit dimensions put in.
    ///
    /// # Errors
    ///
    /// Dimensions that do not fit each other.
    pub fn of(model: &spec::model::Model, vocabulary: usize, image_token: i64) -> Result<Self> {
        let row = sizes::row(model.size, &model.dims);
        let vocabulary = model.dims.vocabulary.unwrap_or(vocabulary).max(vocabulary);
        let json = json!({
            "architectures": ["InternVLChatModel"],
            "model_type": "internvl_chat",
            "downsample_ratio": 0.5,
            "dynamic_image_size": false,
            "force_image_size": row.image_side,
            "image_token_id": image_token,
            "llm_config": {
                "architectures": ["Qwen2ForCausalLM"],
                "model_type": "qwen2",
                "attention_bias": row.qkv_bias,
                "hidden_act": "silu",
                "hidden_size": row.width,
                "intermediate_size": row.mlp,
                "max_position_embeddings": 4096,
                "num_attention_heads": row.heads,
                "num_hidden_layers": row.layers,
                "num_key_value_heads": row.kv_heads,
                "rms_norm_eps": 1e-6,
                "rope_theta": row.rope_theta,
                "tie_word_embeddings": false,
                "vocab_size": vocabulary,
            },
            "max_dynamic_patch": 1,
            "min_dynamic_patch": 1,
            "pad2square": false,
            "ps_version": "v2",
            "select_layer": -1,
            "template": "plain",
            "tie_word_embeddings": false,
            "torch_dtype": "float32",
            "use_thumbnail": false,
            "vision_config": {
                "architectures": ["InternVisionModel"],
                "model_type": "intern_vit_6b",
                "hidden_act": "gelu",
                "hidden_size": row.vision_width,
                "image_size": row.image_side,
                "intermediate_size": row.vision_mlp,
                "layer_norm_eps": 1e-6,
                "norm_type": "layer_norm",
                "num_attention_heads": row.vision_heads,
                "num_channels": 3,
                "num_hidden_layers": row.vision_layers,
                "patch_size": row.patch_side,
                "qk_normalization": false,
                "qkv_bias": true,
            },
        });
        Self::parse(json).map_err(|error| error.context("`model.dims`"))
    }

    /// Reads `config.json` of a Hub-style directory. Where it does not name the image
    /// token's id (the original layout does not), the tokenizer's files are asked.
    ///
    /// # Errors
    ///
    /// A missing or malformed file, a key that is absent, an architecture that is unknown.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading `{}`", path.display()))?;
        let mut json: Value =
            serde_json::from_str(&text).with_context(|| format!("reading `{}`", path.display()))?;
        if json.get("image_token_id").is_none()
            && let Some(id) = super::checkpoint::token_id(dir, "<IMG_CONTEXT>")
        {
            json["image_token_id"] = id.into();
        }
        Self::parse(json).map_err(|error| error.context(format!("`{}`", path.display())))
    }

    /// Reads a parsed `config.json`.
    pub(crate) fn parse(json: Value) -> Result<Self> {
        let layout =
            if json.get("text_config").is_some() { Layout::Native } else { Layout::Original };
        let (vision, language) = match layout {
            Layout::Original => ("vision_config", "llm_config"),
            Layout::Native => ("vision_config", "text_config"),
        };
        let root = Table::root(&json);
        let vision_side = root.table(vision)?.side("image_size")?;
        let downsample = root.f64("downsample_ratio", Some(0.5))?;
        let config = Self {
            vision: VisionConfig::parse(&root.table(vision)?, layout)?,
            language: LanguageConfig::parse(&root.table(language)?, &root, layout)?,
            image_side: root.usize("force_image_size", Some(vision_side))?,
            image_tokens: 0,
            shuffle: (1.0 / downsample).round() as usize,
            shuffle_swaps_back: match json.get("ps_version").and_then(Value::as_str) {
                Some("v1") => false,
                Some("v2") => true,
                // transformers' class always swaps back; the original's default is v1.
                _ => layout == Layout::Native,
            },
            select_layer: root.i64(
                if layout == Layout::Native { "vision_feature_layer" } else { "select_layer" },
                Some(-1),
            )?,
            image_token: root.i64("image_token_id", Some(-1))?,
            template: json.get("template").and_then(Value::as_str).unwrap_or("plain").to_owned(),
            layout,
            json: Value::Null,
        };
        Self { json, ..config }.checked()
    }

    /// Refuses dimensions that do not fit each other.
    fn checked(mut self) -> Result<Self> {
        let (vision, language) = (&self.vision, &self.language);
        let divisible = |what: &str, number: usize, by: &str, divisor: usize| {
            if divisor > 0 && number > 0 && number.is_multiple_of(divisor) {
                return Ok(());
            }
            Err(Error::spec(format!("{what} {number} is not a multiple of {by} {divisor}")))
        };
        let cell = vision.patch * self.shuffle;
        divisible("the image side", self.image_side, "an image token's side", cell)?;
        divisible("the image side", vision.side, "an image token's side", cell)?;
        divisible("the vision width", vision.width, "the vision heads", vision.heads)?;
        divisible("the query heads", language.heads, "the key-value heads", language.kv_heads)?;
        if language.head == 0 || !language.head.is_multiple_of(2) {
            return Err(Error::spec(format!(
                "the decoder's width {} does not give its {} heads an even width",
                language.width, language.heads
            )));
        }
        let states = vision.layers as i64 + 1;
        if !(-states..states).contains(&self.select_layer) {
            return Err(Error::spec(format!(
                "select_layer {} is beyond the {} vision layers",
                self.select_layer, vision.layers
            )));
        }
        self.image_tokens = (self.image_side / cell).pow(2);
        Ok(self)
    }

    /// Width of image features before the projector: `4·vision_width`.
    pub fn feature_width(&self) -> usize {
        self.vision.width * self.shuffle * self.shuffle
    }

    /// How many vision layers run: those above the selected hidden state do not.
    pub fn vision_layers_run(&self) -> usize {
        let states = self.vision.layers as i64 + 1;
        self.select_layer.rem_euclid(states) as usize
    }

    /// The file's text, as read, with the weights' type set to what is saved.
    pub(crate) fn to_json(&self) -> String {
        let mut json = self.json.clone();
        for key in ["torch_dtype", "dtype"] {
            if json.get(key).is_some() {
                json[key] = "float32".into();
            }
        }
        let text = serde_json::to_string_pretty(&json).expect("a JSON value prints");
        text + "\n"
    }
}

impl VisionConfig {
    fn parse(table: &Table, layout: Layout) -> Result<Self> {
        let eps = table.f64("layer_norm_eps", Some(1e-6))?;
        let native = layout == Layout::Native;
        Ok(Self {
            width: table.usize("hidden_size", None)?,
            layers: table.usize("num_hidden_layers", None)?,
            heads: table.usize("num_attention_heads", None)?,
            mlp: table.usize("intermediate_size", None)?,
            patch: table.side("patch_size")?,
            side: table.side("image_size")?,
            rms_norm: table.str("norm_type", "layer_norm")? == "rms_norm",
            eps,
            qkv_bias: table.bool(if native { "attention_bias" } else { "qkv_bias" }, native)?,
            qk_norm: table.bool(if native { "use_qk_norm" } else { "qk_normalization" }, false)?,
            qk_eps: if native { 1e-6 } else { eps },
        })
    }
}

impl LanguageConfig {
    /// How the columns of its fused projection are heads.
    pub fn attention_heads(&self) -> Heads {
        let grouped = self.architecture == Architecture::InternLm2;
        Heads { queries: self.heads, keys: self.kv_heads, grouped }
    }

    fn parse(table: &Table, root: &Table, layout: Layout) -> Result<Self> {
        let named = match table.json.get("architectures").and_then(|list| list.get(0)) {
            Some(name) => name.as_str().unwrap_or_default(),
            None => table.str("model_type", "")?,
        };
        let architecture = Architecture::ALL
            .into_iter()
            .find(|(_, class, kind)| named == *class || named == *kind)
            .map(|(architecture, ..)| architecture)
            .ok_or_else(|| {
                let known = Architecture::ALL.map(|(_, class, _)| class).join(", ");
                Error::new(format!("the decoder `{named}` is unknown"))
                    .hint(format!("known ones: {known}"))
            })?;
        let width = table.usize("hidden_size", None)?;
        let heads = table.usize("num_attention_heads", None)?;
        // Newer files hold rope's settings in a table of their own.
        let rope = table.table("rope_parameters").ok();
        let rope_theta = match &rope {
            Some(rope) => rope.f64("rope_theta", Some(1e4))?,
            None => table.f64("rope_theta", Some(1e4))?,
        };
        let scaling = rope.or_else(|| table.table("rope_scaling").ok());
        let tied_default = layout == Layout::Native && root.bool("tie_word_embeddings", false)?;
        let bias = match architecture {
            Architecture::InternLm2 => ("bias", false),
            Architecture::Qwen2 => ("attention_bias", true),
            Architecture::Llama => ("attention_bias", false),
        };
        Ok(Self {
            architecture,
            width,
            layers: table.usize("num_hidden_layers", None)?,
            heads,
            kv_heads: table.usize("num_key_value_heads", Some(heads))?,
            head: table.usize("head_dim", width.checked_div(heads))?,
            mlp: table.usize("intermediate_size", None)?,
            vocabulary: table.usize("vocab_size", None)?,
            rope_theta,
            rope_scaling: scaling.map_or(Ok(RopeScaling::None), |scaling| scaling.scaling())?,
            positions: table.usize("max_position_embeddings", Some(usize::MAX))?,
            eps: table.f64("rms_norm_eps", Some(1e-6))?,
            qkv_bias: table.bool(bias.0, bias.1)?,
            tied: table.bool("tie_word_embeddings", tied_default)?,
        })
    }
}
