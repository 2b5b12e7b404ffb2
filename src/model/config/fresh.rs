//! `config.json` of a model that is made here, from its row of the table of sizes.

use super::{Architecture, Config, type_name};
use crate::error::Context;
use crate::model::sizes::Row;
use crate::spec::train::Precision;
use crate::{Result, spec};
use serde_json::{Value, json};
use std::num::NonZeroUsize;

impl Config {
    /// The configuration of a named size, with the spec's explicit dimensions put in. The
    /// vocabulary is the size's own, and at least the tokenizer's.
    ///
    /// # Errors
    ///
    /// Dimensions that do not fit each other.
    pub fn of(model: &spec::model::Model, vocabulary: usize, image_token: i64) -> Result<Self> {
        let row = Row::of(model.size, &model.dims);
        let max_tiles = model.max_tiles.map_or(1, NonZeroUsize::get);
        // A checkpoint that is not there yet is one of the released ones, which are bf16.
        let released = model.checkpoint.as_ref().map_or(Precision::Fp32, |_| Precision::Bf16);
        let precision = model.precision.unwrap_or(released);
        let vocabulary = row.decoder.vocabulary.unwrap_or(vocabulary).max(vocabulary);
        let json = json!({
            "architectures": ["InternVLChatModel"],
            "model_type": "internvl_chat",
            "downsample_ratio": 0.5,
            "dynamic_image_size": max_tiles > 1,
            "force_image_size": row.image_side,
            "image_token_id": image_token,
            "llm_config": decoder(&row, vocabulary),
            "max_dynamic_patch": max_tiles,
            "min_dynamic_patch": 1,
            "pad2square": false,
            "ps_version": "v2",
            "select_layer": -1,
            "template": row.template(),
            "tie_word_embeddings": false,
            "torch_dtype": type_name(precision),
            "use_thumbnail": max_tiles > 1,
            "vision_config": {
                "architectures": ["InternVisionModel"],
                "model_type": "intern_vit_6b",
                "hidden_act": "gelu",
                "hidden_size": row.tower.width,
                "image_size": row.image_side,
                "intermediate_size": row.tower.mlp,
                "layer_norm_eps": 1e-6,
                "norm_type": if row.tower.is_6b { "rms_norm" } else { "layer_norm" },
                "num_attention_heads": row.tower.heads,
                "num_channels": 3,
                "num_hidden_layers": row.tower.layers,
                "patch_size": row.tower.patch,
                "qk_normalization": row.tower.is_6b,
                "qkv_bias": !row.tower.is_6b,
            },
        });
        Self::parse(json).context("`model.dims`")
    }
}

fn decoder(row: &Row, vocabulary: usize) -> Value {
    let decoder = &row.decoder;
    let (_, class, kind) = *Architecture::ALL
        .iter()
        .find(|(known, ..)| *known == decoder.architecture)
        .expect("every architecture is in the list");
    let mut json = json!({
        "architectures": [class],
        "model_type": kind,
        "attention_bias": decoder.qkv_bias,
        "hidden_act": "silu",
        "hidden_size": decoder.width,
        "intermediate_size": decoder.mlp,
        "max_position_embeddings": decoder.positions,
        "num_attention_heads": decoder.heads,
        "num_hidden_layers": decoder.layers,
        "num_key_value_heads": decoder.kv_heads,
        "rms_norm_eps": decoder.eps,
        "rope_theta": decoder.rope_theta,
        "tie_word_embeddings": false,
        "vocab_size": vocabulary,
    });
    if decoder.architecture == Architecture::InternLm2 {
        json["bias"] = decoder.qkv_bias.into();
        json["rope_scaling"] = json!({ "type": "dynamic", "factor": 2.0 });
    }
    json
}
