//! The model against values that the reference implementations recorded
//! (`tests/fixtures/internvl`), by the verb that users have for it.

use prefab::cli::verify::{Verify, run};
use prefab::run::device::Choice;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/internvl").join(name)
}

fn verify(dir: &Path) -> prefab::Result<()> {
    run(&Verify::Model { dir: dir.to_owned(), device: Choice::Cpu })
}

#[test]
fn internlm2_with_layer_norm_is_as_recorded() {
    verify(&fixture("orig_internlm2_ln")).unwrap();
}

#[test]
fn sharded_qwen2_with_rms_and_qk_norm_is_as_recorded() {
    verify(&fixture("orig_qwen2_rms_qknorm_sharded")).unwrap();
}

#[test]
fn bf16_llama_with_first_shuffle_and_selected_layer_is_as_recorded() {
    verify(&fixture("orig_llama_bf16_psv1_sel")).unwrap();
}

#[test]
fn rows_that_only_their_padding_takes_beyond_the_trained_length_are_as_recorded() {
    verify(&fixture("hf_phi3_mixed")).unwrap();
}

#[test]
fn transformers_layout_is_as_recorded() {
    verify(&fixture("hf_qwen2_ln")).unwrap();
}

#[test]
fn transformers_module_layout_is_as_recorded() {
    verify(&fixture("hf_llama_rms_qknorm_modulekeys")).unwrap();
}

#[test]
fn phi3_beyond_its_trained_length_in_fp16_is_as_recorded() {
    verify(&fixture("hf_phi3_long_fp16")).unwrap();
}

#[test]
fn phi3_within_its_trained_length_in_the_original_layout_is_as_recorded() {
    verify(&fixture("orig_phi3_su_bf16")).unwrap();
}

#[test]
fn a_tied_head_is_as_recorded() {
    verify(&fixture("hf_qwen2_tied")).unwrap();
}

/// A copy of a fixture.
fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["", "model"] {
        std::fs::create_dir_all(folder.path().join(part)).unwrap();
        for file in std::fs::read_dir(fixture(name).join(part)).unwrap() {
            let file = file.unwrap();
            if file.path().is_file() {
                let to = folder.path().join(part).join(file.file_name());
                std::fs::copy(file.path(), to).unwrap();
            }
        }
    }
    folder
}

/// What `verify` says of a copy whose JSON file was edited.
#[track_caller]
fn verdict_with(file: &str, edit: impl Fn(&mut serde_json::Value)) -> String {
    let folder = copy("orig_internlm2_ln");
    let path = folder.path().join(file);
    let mut json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(&mut json);
    std::fs::write(path, json.to_string()).unwrap();
    let error = verify(folder.path()).unwrap_err();
    assert_eq!(error.exit_code(), 1, "{error}");
    error.to_string()
}

#[test]
fn a_wrong_number_in_the_config_shows() {
    let verdict = verdict_with("model/config.json", |json| {
        json["llm_config"]["rms_norm_eps"] = 1e-4.into();
    });
    assert!(verdict.contains("exceed their tolerance"), "{verdict}");
    let verdict = verdict_with("model/config.json", |json| json["ps_version"] = "v1".into());
    assert!(verdict.contains("exceed their tolerance"), "{verdict}");
}

#[test]
fn one_wrong_recorded_number_shows() {
    for (key, value) in [("grad_norm_total", 26.762), ("mixed_loss", 6.8417)] {
        let verdict = verdict_with("expected.json", |json| json[key] = value.into());
        assert!(verdict.starts_with("1 of "), "{key}: {verdict}");
    }
    let verdict = verdict_with("expected.json", |json| {
        json["generation"]["gen_image_eos"]["tokens"][0][6] = 125.into();
    });
    assert!(verdict.starts_with("1 of "), "{verdict}");
}

#[test]
fn an_unknown_name_fails_although_the_rest_agrees() {
    let verdict = verdict_with("expected.json", |json| json["perplexity"] = 3.5.into());
    assert!(verdict.contains("perplexity"), "{verdict}");
    let verdict = verdict_with("expected.json", |json| json["grad_norm"]["mlp2.weight"] = 1.into());
    assert!(verdict.contains("grad_norm.mlp2.weight"), "{verdict}");
}

#[test]
fn a_folder_without_records_does_not_pass() {
    let folder = copy("orig_internlm2_ln");
    std::fs::remove_file(folder.path().join("expected.json")).unwrap();
    assert!(verify(folder.path()).unwrap_err().to_string().contains("expected.json"));
}
