//! `config.json` for the other layout than a model was read from: what is needed for the
//! reference library to load the weights, from what [`Config`] knows.

use super::language::long_scale;
use super::{Architecture, Config, LanguageConfig, Layout, RopeScaling, VisionConfig};
use crate::data::template::Template;
use crate::{Error, Result};
use serde_json::{Map, Value, json};

/// Decoder keys that are passed on as they are.
const PASSED_ON: [&str; 3] = ["bos_token_id", "eos_token_id", "pad_token_id"];

impl Config {
    /// The file for the other layout.
    ///
    /// # Errors
    ///
    /// If that layout cannot say what the model is.
    pub(super) fn in_other_layout(&self) -> Result<Value> {
        match self.layout {
            Layout::Original => self.native(),
            Layout::Native => self.original(),
        }
    }

    fn native(&self) -> Result<Value> {
        let refuse = |what: &str| {
            Err(Error::new(format!("transformers' layout has no {what}"))
                .hint("write the model in the original layout"))
        };
        if !self.shuffle_swaps_back {
            return refuse("`ps_version` v1");
        }
        // Its norm of queries and keys has this epsilon, whatever the config says.
        if self.vision.qk_norm && self.vision.qk_eps != 1e-6 {
            return refuse(&format!(
                "norm of queries and keys with epsilon {}",
                self.vision.qk_eps
            ));
        }
        if self.image_token < 0 {
            return refuse("model without `image_token_id`, and the tokenizer's files name none");
        }
        let mut text = self.decoder(Layout::Native);
        text.insert("tie_word_embeddings".into(), self.language.tied.into());
        let mut json = json!({
            "architectures": ["InternVLForConditionalGeneration"],
            "model_type": "internvl",
            "downsample_ratio": 1.0 / self.shuffle as f64,
            // No keys of that layout from here to the side, and none that its library minds.
            "dynamic_image_size": self.max_tiles > 1,
            "max_dynamic_patch": self.max_tiles,
            "min_dynamic_patch": self.min_tiles,
            "use_thumbnail": self.has_thumbnail,
            "force_image_size": self.image_side,
            "image_seq_length": self.image_tokens,
            "image_token_id": self.image_token,
            "projector_hidden_act": "gelu",
            "text_config": text,
            "tie_word_embeddings": self.language.tied,
            "torch_dtype": "float32",
            "vision_config": self.vision.json(Layout::Native),
            "vision_feature_layer": self.select_layer,
            "vision_feature_select_strategy": "default",
        });
        // A key as those of pictures.
        if let Some(template) = &self.template {
            json["template"] = template.as_str().into();
        }
        Ok(json)
    }

    fn original(&self) -> Result<Value> {
        let refuse = |what: &str| {
            Err(Error::new(format!("InternVL's own layout has no {what}"))
                .hint("write the model in transformers' layout"))
        };
        let language = &self.language;
        if language.head * language.heads != language.width {
            return refuse("heads of another width than the decoder's over their number");
        }
        // transformers of that time reads none there, and its angles would be others.
        if language.architecture == Architecture::Qwen2
            && language.rope_scaling != RopeScaling::None
        {
            return refuse("rotary scaling of a Qwen2 decoder");
        }
        if language.own_scale().is_some() {
            return refuse("`attention_factor` for long positions");
        }
        if self.template.is_none() {
            let message = "InternVL's own layout names a chat template, and this model none";
            return Err(Error::new(message).hint(format!("`--template`: {}", Template::chats())));
        }
        let mut decoder = self.decoder(Layout::Original);
        decoder.insert("tie_word_embeddings".into(), false.into());
        Ok(json!({
            "architectures": ["InternVLChatModel"],
            "auto_map": {
                "AutoConfig": "configuration_internvl_chat.InternVLChatConfig",
                "AutoModel": "modeling_internvl_chat.InternVLChatModel",
                "AutoModelForCausalLM": "modeling_internvl_chat.InternVLChatModel",
            },
            "model_type": "internvl_chat",
            "downsample_ratio": 1.0 / self.shuffle as f64,
            "dynamic_image_size": self.max_tiles > 1,
            "force_image_size": self.image_side,
            "image_token_id": self.image_token,
            "llm_config": decoder,
            "max_dynamic_patch": self.max_tiles,
            "min_dynamic_patch": self.min_tiles,
            "pad2square": false,
            "ps_version": if self.shuffle_swaps_back { "v2" } else { "v1" },
            "select_layer": self.select_layer,
            "template": self.template,
            "tie_word_embeddings": false,
            "torch_dtype": "float32",
            "use_thumbnail": self.has_thumbnail,
            "vision_config": self.vision.json(Layout::Original),
        }))
    }

    fn decoder(&self, layout: Layout) -> Map<String, Value> {
        let mut table = self.language.json(layout);
        let own = match self.layout {
            Layout::Original => &self.json["llm_config"],
            Layout::Native => &self.json["text_config"],
        };
        for key in PASSED_ON {
            table.insert(key.into(), own.get(key).cloned().unwrap_or(Value::Null));
        }
        table
    }
}

impl LanguageConfig {
    /// The architecture under which a layout's library knows the decoder: transformers has
    /// no InternLM2, whose unfused form is Llama's, and its Qwen2 always has a bias.
    pub(crate) fn architecture_in(&self, layout: Layout) -> Architecture {
        match (layout, self.architecture) {
            (Layout::Native, Architecture::InternLm2) => Architecture::Llama,
            (Layout::Native, Architecture::Qwen2) if !self.qkv_bias => Architecture::Llama,
            (_, architecture) => architecture,
        }
    }

    fn json(&self, layout: Layout) -> Map<String, Value> {
        let architecture = self.architecture_in(layout);
        let (_, class, kind) = *Architecture::ALL
            .iter()
            .find(|(known, ..)| *known == architecture)
            .expect("every architecture is in the list");
        let table = json!({
            "architectures": [class],
            "model_type": kind,
            "attention_bias": self.qkv_bias,
            "bias": self.qkv_bias,
            "head_dim": self.head,
            "hidden_act": "silu",
            "hidden_size": self.width,
            "intermediate_size": self.mlp,
            "max_position_embeddings": self.positions,
            "num_attention_heads": self.heads,
            "num_hidden_layers": self.layers,
            "num_key_value_heads": self.kv_heads,
            "rms_norm_eps": self.eps,
            "rope_scaling": self.rope_scaling.json(layout, self.own_scale()),
            "rope_theta": self.rope_theta,
            "use_sliding_window": false,
            "vocab_size": self.vocabulary,
        });
        let Value::Object(mut table) = table else { unreachable!("it is written as an object") };
        let unread: &[&str] = match architecture {
            Architecture::InternLm2 => &["attention_bias", "head_dim", "use_sliding_window"],
            Architecture::Llama => &["bias", "use_sliding_window"],
            Architecture::Qwen2 => &["bias"],
            Architecture::Phi3 => &["bias", "attention_bias", "use_sliding_window"],
        };
        table.retain(|key, _| !unread.contains(&key.as_str()));
        if let RopeScaling::Long { trained, .. } = &self.rope_scaling {
            table.insert("original_max_position_embeddings".into(), (*trained).into());
        }
        table
    }
}

impl LanguageConfig {
    /// What long positions are scaled by, where it is not what their lengths say.
    fn own_scale(&self) -> Option<f64> {
        let RopeScaling::Long { trained, scale, .. } = &self.rope_scaling else { return None };
        let extended = self.positions as f64 / (*trained).max(1) as f64;
        (*scale != long_scale(extended, *trained)).then_some(*scale)
    }
}

impl RopeScaling {
    /// The original's code takes a table of exactly its own keys, and knows LongRoPE as `su`.
    fn json(&self, layout: Layout, own_scale: Option<f64>) -> Value {
        let (kind, mut table) = match self {
            Self::None => return Value::Null,
            Self::Linear(factor) => ("linear", json!({ "factor": factor })),
            Self::Dynamic(factor) => ("dynamic", json!({ "factor": factor })),
            Self::Long { short, long, .. } => {
                let kind = if layout == Layout::Original { "su" } else { "longrope" };
                (kind, json!({ "short_factor": short, "long_factor": long }))
            }
        };
        table["type"] = kind.into();
        if layout == Layout::Native {
            table["rope_type"] = kind.into();
            if let Some(scale) = own_scale {
                table["attention_factor"] = scale.into();
            }
        }
        table
    }
}

impl VisionConfig {
    fn json(&self, layout: Layout) -> Value {
        let norm = if self.rms_norm { "rms_norm" } else { "layer_norm" };
        match layout {
            Layout::Original => json!({
                "architectures": ["InternVisionModel"],
                "model_type": "intern_vit_6b",
                "attention_dropout": 0.0,
                "drop_path_rate": self.drop_path,
                "dropout": 0.0,
                "hidden_act": "gelu",
                "hidden_size": self.width,
                "image_size": self.side,
                "intermediate_size": self.mlp,
                "layer_norm_eps": self.eps,
                "norm_type": norm,
                "num_attention_heads": self.heads,
                "num_channels": 3,
                "num_hidden_layers": self.layers,
                "patch_size": self.patch,
                "qk_normalization": self.qk_norm,
                "qkv_bias": self.qkv_bias,
            }),
            Layout::Native => json!({
                "model_type": "internvl_vision",
                "attention_bias": self.qkv_bias,
                "attention_dropout": 0.0,
                // Unread there, and read back here.
                "drop_path_rate": self.drop_path,
                "hidden_act": "gelu",
                "hidden_dropout_prob": 0.0,
                "hidden_size": self.width,
                "image_size": [self.side, self.side],
                "intermediate_size": self.mlp,
                "layer_norm_eps": self.eps,
                "layer_scale_init_value": 0.1,
                "norm_type": norm,
                "num_attention_heads": self.heads,
                "num_channels": 3,
                "num_hidden_layers": self.layers,
                "patch_size": [self.patch, self.patch],
                "projection_dropout": 0.0,
                "use_absolute_position_embeddings": true,
                "use_mask_token": false,
                "use_mean_pooling": true,
                "use_qk_norm": self.qk_norm,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded;
    use super::*;

    /// How pictures are cut and encoded, and what training leaves out.
    fn pictures(config: &Config) -> (usize, [usize; 3], bool, f64) {
        let tiles = [config.min_tiles, config.max_tiles, config.image_tokens];
        (config.image_side, tiles, config.has_thumbnail, config.vision.drop_path)
    }

    #[test]
    fn how_pictures_are_cut_survives_the_other_layout_and_the_way_back() {
        for (name, is_cut) in
            [("orig_internlm2_ln", true), ("hf_qwen2_ln", true), ("hf_qwen2_ln", false)]
        {
            let mut json = recorded(name);
            let cell = Config::parse(json.clone()).unwrap().vision.patch * 2;
            json["dynamic_image_size"] = is_cut.into();
            json["min_dynamic_patch"] = if is_cut { 2.into() } else { 1.into() };
            json["max_dynamic_patch"] = 5.into();
            json["use_thumbnail"] = false.into();
            json["force_image_size"] = (3 * cell).into();
            json["image_token_id"] = 5.into();
            json["template"] = "Hermes-2".into();
            json["vision_config"]["drop_path_rate"] = 0.1.into();
            let config = Config::parse(json).unwrap();
            let tiles = if is_cut { [2, 5, 9] } else { [1, 1, 9] };
            assert_eq!(pictures(&config), (3 * cell, tiles, false, 0.1));
            let other = Config::parse(config.in_other_layout().unwrap()).unwrap();
            assert_ne!(other.layout, config.layout);
            assert_eq!(pictures(&other), pictures(&config), "{name}");
            let back = Config::parse(other.in_other_layout().unwrap()).unwrap();
            assert_eq!(pictures(&back), pictures(&config), "{name}");
        }
    }
}
