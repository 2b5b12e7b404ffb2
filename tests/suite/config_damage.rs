//! Damaged config.json files, and files that do not hold what they say: read rightly or refused,
//! never taken for another model.

use crate::model_damage::{assert_says, copy, edit_header, edit_json};
use prefab::model::{Config, Vlm};
use serde_json::Value;
use tch::Device;

/// The folder without a tensor: its numbers stay, under a name that nobody reads.
fn without(name: &str, tensor: &str) -> tempfile::TempDir {
    let folder = copy(name);
    edit_header(&folder.path().join("model.safetensors"), |header| {
        let entry = header.as_object_mut().unwrap().remove(tensor).unwrap();
        header["language_model.model.rotary_emb.inv_freq"] = entry;
    });
    folder
}

#[test]
fn a_missing_head_is_missing_unless_config_json_says_that_it_is_tied() {
    let output = "language_model.output.weight";
    let folder = without("orig_internlm2_ln", output);
    assert_says(folder.path(), &["model.safetensors", output]);
    // Its code stores one whatever the config says.
    let config = folder.path().join("config.json");
    edit_json(&config, |json| json["llm_config"]["tie_word_embeddings"] = true.into());
    assert_says(folder.path(), &["model.safetensors", output]);

    let head = "language_model.lm_head.weight";
    let folder = without("hf_qwen2_ln", head);
    assert_says(folder.path(), &["model.safetensors", head]);
    let config = folder.path().join("config.json");
    for (decoder, whole, is_tied) in [
        (Value::Null, Value::Null, true),
        (false.into(), Value::Null, true),
        (false.into(), false.into(), false),
        (Value::Null, false.into(), false),
        (true.into(), Value::Null, true),
        (Value::Null, true.into(), true),
    ] {
        edit_json(&config, |json| {
            json["text_config"]["tie_word_embeddings"] = decoder.clone();
            json["tie_word_embeddings"] = whole.clone();
        });
        let loaded = Vlm::load(folder.path(), Device::Cpu);
        assert_eq!(loaded.is_ok(), is_tied, "{decoder} {whole}");
    }
    let folder = without("orig_phi3_su_bf16", head);
    let config = folder.path().join("config.json");
    edit_json(&config, |json| json["llm_config"]["tie_word_embeddings"] = Value::Null);
    assert_says(folder.path(), &["model.safetensors", head]);
    edit_json(&config, |json| json["llm_config"]["tie_word_embeddings"] = true.into());
    assert!(Vlm::load(folder.path(), Device::Cpu).unwrap().config.language.tied);
}

#[test]
fn one_tensor_under_two_names_is_refused() {
    let folder = copy("hf_qwen2_ln");
    edit_header(&folder.path().join("model.safetensors"), |header| {
        let table = header.as_object_mut().unwrap();
        let entry = table.remove("vision_tower.encoder.layer.0.lambda_1").unwrap();
        table.insert("model.language_model.norm.weight".into(), entry);
    });
    let names = ["model.language_model.norm.weight", "language_model.model.norm.weight"];
    assert_says(folder.path(), &["model.safetensors", names[0], names[1], "two names"]);
}

#[test]
fn values_that_would_make_another_model_are_refused_by_file_and_key() {
    let (original, native) = ("orig_internlm2_ln", "hf_qwen2_ln");
    for (name, path, value, said) in [
        (original, "/llm_config/rope_scaling", "dynamic".into(), "rope_scaling"),
        (
            original,
            "/llm_config/rope_scaling",
            serde_json::json!({ "factor": 2.0 }),
            "rope_scaling.factor",
        ),
        (native, "/text_config/rope_parameters", 3.into(), "rope_parameters"),
        (
            native,
            "/text_config/rope_parameters",
            serde_json::json!({ "rope_theta": 1e6, "factor": 2.0 }),
            "rope_parameters.factor",
        ),
        (original, "/ps_version", "v3".into(), "ps_version"),
        (original, "/ps_version", 2.into(), "ps_version"),
        (original, "/pad2square", true.into(), "pad2square"),
        (original, "/use_thumbnail", "no".into(), "use_thumbnail"),
        (original, "/dynamic_image_size", 1.into(), "dynamic_image_size"),
        (original, "/template", 1.into(), "template"),
        (original, "/torch_dtype", "float64".into(), "torch_dtype"),
        (original, "/vision_config/num_channels", 1.into(), "num_channels"),
        (native, "/vision_config/num_channels", 1.into(), "num_channels"),
        (native, "/projector_hidden_act", "relu".into(), "projector_hidden_act"),
        (
            native,
            "/vision_feature_select_strategy",
            "full".into(),
            "vision_feature_select_strategy",
        ),
    ] {
        let folder = copy(name);
        edit_json(&folder.path().join("config.json"), |json| {
            *json.pointer_mut(path).unwrap() = value.clone();
        });
        assert_says(folder.path(), &["config.json", said]);
    }
}

#[test]
fn a_rotary_base_above_the_table_of_rotary_settings_counts() {
    let folder = copy("hf_qwen2_ln");
    edit_json(&folder.path().join("config.json"), |json| {
        json["text_config"]["rope_parameters"] = serde_json::json!({ "rope_type": "default" });
        json["text_config"]["rope_theta"] = 5e5.into();
    });
    assert_eq!(Config::load(folder.path()).unwrap().language.rope_theta, 5e5);
}
