//! Damaged checkpoints: one clear error each, naming file and tensor; never a panic.

use crate::support::files;
use prefab::model::{Config, Vlm};
use proptest::prelude::*;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tch::Device;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/internvl").join(name).join("model")
}

const SHARDED: &str = "orig_qwen2_rms_qknorm_sharded";
const INDEX: &str = "model.safetensors.index.json";
const SECOND: &str = "model-00002-of-00002.safetensors";

pub fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(fixture(name)).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    folder
}

pub fn edit_json(path: &Path, edit: impl Fn(&mut Value)) {
    let mut json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    edit(&mut json);
    std::fs::write(path, json.to_string()).unwrap();
}

/// What loading the folder says, with its hint; it must hold every part.
#[track_caller]
pub fn assert_says(folder: &Path, parts: &[&str]) {
    files::assert_says(Vlm::load(folder, Device::Cpu), parts);
}

/// The header of a safetensors file, changed, before the same numbers.
pub fn edit_header(path: &Path, edit: impl Fn(&mut Value)) {
    let bytes = std::fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    edit(&mut header);
    let header = header.to_string();
    let parts = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &bytes[8 + length..]];
    std::fs::write(path, parts.concat()).unwrap();
}

#[test]
fn a_truncated_shard_names_the_tensor_that_it_ends_in() {
    let folder = copy(SHARDED);
    let path = folder.path().join(SECOND);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1000]).unwrap();
    assert_says(folder.path(), &[SECOND, "cut short in `mlp1.3.weight`", "ends at byte"]);
    std::fs::write(&path, b"cut").unwrap();
    assert_says(folder.path(), &[SECOND]);
}

#[test]
fn a_wrong_shape_names_both() {
    let folder = copy(SHARDED);
    edit_json(&folder.path().join("config.json"), |json| {
        json["llm_config"]["intermediate_size"] = 96.into();
    });
    let tensor = "language_model.model.layers.0.mlp.gate_proj.weight";
    assert_says(folder.path(), &[SECOND, tensor, "[128, 64]", "[96, 64]"]);
}

#[test]
fn an_unknown_tensor_is_named() {
    let folder = copy(SHARDED);
    edit_json(&folder.path().join("config.json"), |json| {
        json["llm_config"]["num_hidden_layers"] = 1.into();
    });
    assert_says(folder.path(), &["language_model.model.layers.1.", "does not have"]);
}

#[test]
fn a_missing_tensor_is_named_with_the_file_that_should_hold_it() {
    let folder = copy("orig_internlm2_ln");
    edit_json(&folder.path().join("config.json"), |json| {
        json["llm_config"]["num_hidden_layers"] = 3.into();
    });
    assert_says(
        folder.path(),
        &["model.safetensors`", "language_model.model.layers.2.attention_norm.weight"],
    );

    let folder = copy(SHARDED);
    let name = "language_model.model.norm.weight";
    edit_header(&folder.path().join(SECOND), |header| {
        let entry = header.as_object_mut().unwrap().remove(name).unwrap();
        header["language_model.model.nom.weight"] = entry;
    });
    assert_says(folder.path(), &[SECOND, "nom.weight", INDEX]);
    edit_json(&folder.path().join(INDEX), |json| {
        json["weight_map"]["language_model.model.nom.weight"] = SECOND.into();
    });
    assert_says(folder.path(), &["nom.weight"]);
}

#[test]
fn half_of_a_split_projection_is_missing() {
    let folder = copy("hf_qwen2_ln");
    let name = "vision_tower.encoder.layer.1.attention.k_proj.weight";
    edit_header(&folder.path().join("model.safetensors"), |header| {
        let entry = header.as_object_mut().unwrap().remove(name).unwrap();
        header["other.inv_freq"] = entry;
        let entry = header.as_object_mut().unwrap().remove("other.inv_freq").unwrap();
        header["language_model.model.rotary_emb.inv_freq"] = entry;
    });
    assert_says(folder.path(), &["model.safetensors", name]);
}

#[test]
fn an_index_that_names_a_missing_shard_is_named_too() {
    let folder = copy(SHARDED);
    std::fs::remove_file(folder.path().join(SECOND)).unwrap();
    assert_says(folder.path(), &[SECOND, "no such file", INDEX, "language_model."]);
    let folder = copy(SHARDED);
    edit_json(&folder.path().join(INDEX), |json| {
        json["weight_map"]["mlp1.0.bias"] = "../outside.safetensors".into();
    });
    assert_says(folder.path(), &[INDEX, "mlp1.0.bias", "../outside.safetensors"]);
}

#[test]
fn numbers_that_are_not_finite_name_their_tensor_and_place() {
    for (name, number) in [
        ("orig_internlm2_ln", f32::NAN.to_le_bytes().to_vec()),
        ("orig_internlm2_ln", f32::NEG_INFINITY.to_le_bytes().to_vec()),
        ("orig_phi3_su_bf16", half::bf16::NAN.to_le_bytes().to_vec()),
        ("hf_phi3_long_fp16", half::f16::INFINITY.to_le_bytes().to_vec()),
    ] {
        let folder = copy(name);
        let path = folder.path().join("model.safetensors");
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len();
        bytes[end - number.len()..].copy_from_slice(&number);
        std::fs::write(&path, bytes).unwrap();
        assert_says(folder.path(), &["model.safetensors", "not finite", "place"]);
    }
}

#[test]
fn integers_are_no_weights() {
    let folder = copy("orig_internlm2_ln");
    edit_header(&folder.path().join("model.safetensors"), |header| {
        header["mlp1.0.weight"]["dtype"] = "I32".into();
    });
    assert_says(folder.path(), &["mlp1.0.weight", "model.safetensors", "I32"]);
}

#[test]
fn another_kind_of_model_is_refused_by_name() {
    let folder = copy("hf_qwen2_ln");
    let config = folder.path().join("config.json");
    edit_json(&config, |json| json["architectures"][0] = "LlavaForConditionalGeneration".into());
    assert_says(
        folder.path(),
        &["config.json", "LlavaForConditionalGeneration", "InternVLChatModel"],
    );
    let folder = copy("orig_internlm2_ln");
    let config = folder.path().join("config.json");
    edit_json(&config, |json| json["llm_config"]["architectures"][0] = "MambaForCausalLM".into());
    assert_says(folder.path(), &["config.json", "MambaForCausalLM", "InternLM2ForCausalLM"]);
    edit_json(&config, |json| {
        json["llm_config"]["architectures"][0] = "InternLM2ForCausalLM".into();
        json["llm_config"]["rope_scaling"]["type"] = "yarn".into();
    });
    assert_says(folder.path(), &["config.json", "yarn", "longrope"]);
}

#[test]
fn pickled_weights_are_refused_with_the_way_to_convert_them() {
    for file in ["pytorch_model.bin", "model.pt"] {
        let folder = copy("orig_internlm2_ln");
        let from = folder.path().join("model.safetensors");
        std::fs::rename(from, folder.path().join(file)).unwrap();
        assert_says(folder.path(), &[file, "save_pretrained", "safe_serialization=True"]);
        let error = Vlm::load(&folder.path().join(file), Device::Cpu).unwrap_err();
        assert!(error.hint_text().unwrap().contains("save_pretrained"), "{error}");
    }
    let empty = tempfile::tempdir().unwrap();
    std::fs::copy(fixture("hf_qwen2_ln").join("config.json"), empty.path().join("config.json"))
        .unwrap();
    assert_says(empty.path(), &["model.safetensors", "config.json"]);
}

/// Any JSON at the place of a value of a config.
fn any_json() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(Value::from(0)),
        Just(Value::from(1)),
        ".{0,8}".prop_map(Value::from),
        Just(serde_json::json!([])),
        Just(serde_json::json!([3, 5])),
        Just(serde_json::json!({})),
    ]
}

/// Paths to every value of a config.
fn paths(json: &Value, at: &mut Vec<String>, all: &mut Vec<Vec<String>>) {
    if let Some(table) = json.as_object() {
        for (key, value) in table {
            at.push(key.clone());
            all.push(at.clone());
            paths(value, at, all);
            at.pop();
        }
    }
}

fn set(json: &mut Value, path: &[String], value: Value) {
    match path {
        [] => *json = value,
        [key, rest @ ..] => {
            if let Some(next) = json.get_mut(key) {
                set(next, rest, value);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_config_is_read_or_refused(
        name in prop::sample::select(vec!["orig_internlm2_ln", "orig_phi3_su_bf16", "hf_qwen2_ln", "hf_phi3_long_fp16"]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any_json()), 1..4),
    ) {
        let text = std::fs::read(fixture(name).join("config.json")).unwrap();
        let mut json: Value = serde_json::from_slice(&text).unwrap();
        for (index, value) in edits {
            let mut all = vec![];
            paths(&json, &mut vec![], &mut all);
            if all.is_empty() {
                break;
            }
            set(&mut json, &all[index.index(all.len())], value);
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), json.to_string()).unwrap();
        // What can be read has a number of parameters: no product of dimensions overflows.
        if let Ok(config) = Config::load(folder.path()) {
            prop_assert!(prefab::model::memory::Counts::of(&config).total() > 0);
        }
    }

    #[test]
    fn any_bytes_in_place_of_a_config_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), bytes).unwrap();
        prop_assert!(Config::load(folder.path()).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_damage_to_a_file_is_an_error_or_other_numbers(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        in_header in any::<bool>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let folder = copy("orig_phi3_su_bf16");
        let path = folder.path().join("model.safetensors");
        let mut bytes = std::fs::read(&path).unwrap();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        for (index, byte) in places {
            let at = index.index(if in_header { header } else { bytes.len() });
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(&path, bytes).unwrap();
        if let Err(error) = Vlm::load(folder.path(), Device::Cpu) {
            prop_assert!(error.to_string().contains("safetensors"), "{error}");
        }
    }

    #[test]
    fn any_header_is_read_or_refused(header in ".{0,120}", length in any::<u64>(), honest in any::<bool>()) {
        let folder = copy("orig_phi3_su_bf16");
        let length = if honest { header.len() as u64 } else { length };
        let bytes = [&length.to_le_bytes(), header.as_bytes()].concat();
        std::fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
        let error = Vlm::load(folder.path(), Device::Cpu).unwrap_err().to_string();
        prop_assert!(error.contains("safetensors"), "{error}");
    }

    #[test]
    fn any_index_is_read_or_refused(value in any_json(), key in "[a-z./]{0,12}", whole in any::<bool>()) {
        let folder = copy(SHARDED);
        edit_json(&folder.path().join(INDEX), |json| match whole {
            true => json["weight_map"] = value.clone(),
            false => json["weight_map"][key.as_str()] = value.clone(),
        });
        let error = Vlm::load(folder.path(), Device::Cpu).unwrap_err().to_string();
        prop_assert!(error.contains(INDEX), "{error}");
    }
}
