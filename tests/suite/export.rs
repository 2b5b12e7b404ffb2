//! `prefab export`: the same tensors in either layout, with what stands beside them.

use crate::support::checkpoint::{picture, whole};
use assert_cmd::Command;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/internvl").join(name).join("model")
}

fn export(from: &Path, out: &Path, more: &[&str]) -> std::process::Output {
    let mut command = Command::cargo_bin("prefab").unwrap();
    command.arg("export").args([from, out]).args(more).env_remove("PREFAB_LOG");
    command.output().unwrap()
}

#[track_caller]
fn exported(from: &Path, out: &Path, more: &[&str]) -> String {
    let output = export(from, out, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every tensor of a folder, whatever its files.
fn tensors(folder: &Path) -> BTreeMap<String, Tensor> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let weights = files.filter(|file| file.extension().is_some_and(|ext| ext == "safetensors"));
    weights.flat_map(|file| Tensor::read_safetensors(file).unwrap()).collect()
}

#[track_caller]
fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (tensors(one), tensors(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (name, tensor) in &one {
        assert_eq!(tensor.kind(), other[name].kind(), "{name}");
        assert!(tensor.equal(&other[name]), "{name}");
    }
}

#[test]
fn there_and_back_again_nothing_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // InternLM2 comes back as the Llama that it is in the other layout.
    for name in ["orig_qwen2_rms_qknorm_sharded", "orig_phi3_su_bf16"] {
        let from = recorded(name);
        let [same, native, back] =
            ["same", "native", "back"].map(|kind| at(&format!("{name}/{kind}")));
        let said = exported(&from, &same, &[]);
        assert!(said.contains("added_tokens.json, config.json, model.safetensors"), "{said}");
        assert_same(&from, &same);
        exported(&from, &native, &["--layout", "native"]);
        assert!(tensors(&native).keys().all(|tensor| !tensor.contains("mlp1.")));
        exported(&native, &back, &["--layout", "original"]);
        assert_same(&from, &back);
    }
}

#[test]
fn numbers_are_written_in_the_type_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (recorded("hf_qwen2_ln"), folder.path().join("out"));
    exported(&from, &out, &["--dtype", "bf16"]);
    let before = tensors(&from);
    for (name, tensor) in tensors(&out) {
        assert_eq!(tensor.kind(), Kind::BFloat16, "{name}");
        assert!(tensor.equal(&before[&name].to_kind(Kind::BFloat16)), "{name}");
    }
    let config = fs::read_to_string(out.join("config.json")).unwrap();
    assert!(config.contains("\"bfloat16\""), "{config}");
}

#[test]
fn code_goes_with_the_original_layout_alone() {
    let folder = tempfile::tempdir().unwrap();
    let like = folder.path().join("like");
    fs::create_dir(&like).unwrap();
    for file in ["modeling_internvl_chat.py", "tokenizer.model", "pytorch_model.bin", "LICENSE"] {
        fs::write(like.join(file), file).unwrap();
    }
    let (from, like) = (recorded("orig_internlm2_ln"), like.to_str().unwrap());
    let original = exported(&from, &folder.path().join("original"), &["--like", like]);
    assert!(original.contains("modeling_internvl_chat.py") && original.contains("LICENSE"));
    assert!(!original.contains("pytorch_model.bin"), "{original}");
    let native =
        exported(&from, &folder.path().join("native"), &["--like", like, "--layout", "native"]);
    assert!(!native.contains(".py") && native.contains("tokenizer.model"), "{native}");
}

/// A copy of a recorded checkpoint with other tensors, and another config.json where wanted.
fn changed(
    name: &str,
    out: &Path,
    tensor: impl Fn(&str, &Tensor) -> Option<Tensor>,
    config: impl Fn(&mut Value),
) {
    let from = recorded(name);
    fs::create_dir_all(out).unwrap();
    let of_tensors = tensors(&from);
    let kept = of_tensors.iter().filter_map(|(name, value)| Some((name, tensor(name, value)?)));
    let kept: Vec<(&String, Tensor)> = kept.collect();
    Tensor::write_safetensors(&kept, out.join("model.safetensors")).unwrap();
    let text = fs::read_to_string(from.join("config.json")).unwrap();
    let mut json = serde_json::from_str(&text).unwrap();
    config(&mut json);
    fs::write(out.join("config.json"), json.to_string()).unwrap();
    for file in ["added_tokens.json", "tokenizer_config.json"] {
        fs::copy(from.join(file), out.join(file)).unwrap();
    }
}

fn config_of(folder: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join("config.json")).unwrap()).unwrap()
}

#[test]
fn a_checkpoint_of_several_types_keeps_the_one_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("mixed"), folder.path().join("out"));
    let narrow = |name: &str, tensor: &Tensor| {
        let is_tower = name.starts_with("vision_model.");
        Some(tensor.to_kind(if is_tower { Kind::Float } else { Kind::BFloat16 }))
    };
    changed("orig_internlm2_ln", &from, narrow, |json| json["torch_dtype"] = "bfloat16".into());
    exported(&from, &out, &[]);
    assert_same(&from, &out);
    assert_eq!(config_of(&out)["torch_dtype"], "bfloat16");
    exported(&from, &folder.path().join("wide"), &["--dtype", "fp32"]);
    assert_eq!(config_of(&folder.path().join("wide"))["torch_dtype"], "float32");
}

#[test]
fn a_tied_checkpoint_without_a_head_stays_without_in_its_own_layout() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let tie = |json: &mut Value| {
        json["tie_word_embeddings"] = true.into();
        json["llm_config"]["tie_word_embeddings"] = true.into();
    };
    let headless =
        |name: &str, tensor: &Tensor| (!name.contains("lm_head")).then(|| tensor.shallow_clone());
    changed("orig_qwen2_rms_qknorm_sharded", &at("tied"), headless, tie);
    exported(&at("tied"), &at("same"), &[]);
    assert_same(&at("tied"), &at("same"));
    exported(&at("tied"), &at("native"), &["--layout", "native"]);
    assert_eq!(config_of(&at("native"))["tie_word_embeddings"], true);
    exported(&at("native"), &at("back"), &["--layout", "original", "--template", "Hermes-2"]);
    // A head of its own, and a config.json that says so.
    assert_eq!(tensors(&at("back")).len(), tensors(&at("tied")).len() + 1);
    let config = config_of(&at("back"));
    let ties = [&config, &config["llm_config"]].map(|table| table["tie_word_embeddings"].clone());
    assert_eq!(ties, [false, false]);
}

#[test]
fn a_whole_file_beside_an_index_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let both = folder.path().join("both");
    changed("orig_internlm2_ln", &both, |_, tensor| Some(tensor.shallow_clone()), |_| ());
    fs::write(both.join("model.safetensors.index.json"), r#"{"weight_map": {}}"#).unwrap();
    let output = export(&both, &folder.path().join("out"), &[]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("take away the one"), "{told}");
}

#[test]
fn each_layout_has_an_image_processor_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let file = |name: &str| {
        let path = out(name).join("preprocessor_config.json");
        fs::read_to_string(path).ok().map(|text| serde_json::from_str::<Value>(&text).unwrap())
    };
    let (original, native) = (recorded("orig_internlm2_ln"), recorded("hf_qwen2_ln"));
    let like = out("like");
    fs::create_dir(&like).unwrap();
    let of_clip = json!({ "feature_extractor_type": "CLIPFeatureExtractor", "size": 448 });
    fs::write(like.join("preprocessor_config.json"), of_clip.to_string()).unwrap();
    let like = ["--like", like.to_str().unwrap()];
    let to = |layout| [like.as_slice(), &["--layout", layout]].concat();

    exported(&original, &out("1"), &to("native"));
    let written = file("1").unwrap();
    assert_eq!(written["image_processor_type"], "GotOcr2ImageProcessorFast");
    assert_eq!(written["size"], json!({ "height": 56, "width": 56 }));
    assert_eq!(written["image_mean"], json!([0.485, 0.456, 0.406]));
    exported(&original, &out("2"), &like);
    assert_eq!(file("2"), Some(of_clip.clone()));
    let template = ["--layout", "original", "--template", "internvl2_5"];
    exported(&native, &out("3"), &[like.as_slice(), &template].concat());
    assert_eq!(file("3"), Some(of_clip));
    exported(&native, &out("4"), &template);
    assert_eq!(file("4"), None);
    let own = out("own");
    exported(&native, &own, &[]);
    let mut said = file("own").unwrap();
    said["max_patches"] = 7.into();
    fs::write(own.join("preprocessor_config.json"), said.to_string()).unwrap();
    exported(&own, &out("5"), &like);
    assert_eq!(file("5"), Some(said));
}

#[test]
fn what_the_other_layouts_library_would_read_past_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("from"), folder.path().join("out"));
    fs::create_dir(&from).unwrap();
    for entry in fs::read_dir(recorded("hf_qwen2_ln")).unwrap() {
        let file = entry.unwrap().path();
        fs::copy(&file, from.join(file.file_name().unwrap())).unwrap();
    }
    let text = fs::read_to_string(from.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config["text_config"]["rope_parameters"] =
        serde_json::json!({ "rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e6 });
    fs::write(from.join("config.json"), config.to_string()).unwrap();
    exported(&from, &folder.path().join("native"), &[]);
    let output = export(&from, &out, &["--layout", "original", "--template", "Hermes-2"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("rotary scaling of a Qwen2"), "{said}");
    assert!(!out.exists());
}

#[test]
fn a_folder_that_holds_files_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "").unwrap();
    let output = export(&recorded("hf_qwen2_ln"), folder.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("holds files already"));
    let output = export(Path::new("nowhere"), &folder.path().join("out"), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no checkpoint `nowhere`"));
    assert!(!folder.path().join("out").exists());
}

/// What `ask` says of the folder: its answer, or why there is none.
fn asked(folder: &Path, more: &[&str]) -> (bool, String) {
    let mut command = Command::cargo_bin("prefab").unwrap();
    command.arg("ask").arg(folder).arg(picture()).arg("What is this?").args(more);
    let output = command.args(["--max-tokens", "12"]).env_remove("PREFAB_LOG").output().unwrap();
    let text = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_native_export_is_asked_as_the_original_is() {
    let from = whole("orig_internlm2_ln", "text/tokenizers/internlm2");
    let out = tempfile::tempdir().unwrap();
    let native = out.path().join("native");
    exported(from.path(), &native, &["--layout", "native"]);
    let config = fs::read_to_string(native.join("config.json")).unwrap();
    assert!(config.contains("\"template\": \"internlm2-chat\""), "{config}");
    let answer = asked(from.path(), &[]);
    assert!(answer.0, "{}", answer.1);
    assert_eq!(asked(&native, &[]), answer);
}

#[test]
fn a_checkpoint_without_a_template_is_not_asked_by_a_guess() {
    let checkpoint = whole("hf_qwen2_ln", "text/tokenizers/qwen2");
    let (answered, said) = asked(checkpoint.path(), &[]);
    assert!(!answered, "{said}");
    for part in ["names no chat template", "internvl2_5", "model.template", "config.json"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (answered, said) = asked(checkpoint.path(), &["--template", "internvl2_5"]);
    assert!(answered, "{said}");
}
