//! In which type a model answers, and which template it is asked by, where the spec or the
//! checkpoint says.

use crate::support::checkpoint::{edited, whole};
use prefab::data::tokenizer::Tokenizer;
use prefab::model::{Config, Group, Storage, Vlm};
use prefab::spec::train::Precision;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tch::{Device, Kind, Tensor};

const QWEN2: &str = "text/tokenizers/qwen2";

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/internvl").join(name)
}

fn kind_of(model: &Vlm, ending: &str) -> Kind {
    let parameters = model.parameters();
    parameters.iter().find(|(name, _)| name.ends_with(ending)).expect(ending).1.kind()
}

#[test]
fn a_model_answers_in_the_type_that_config_json_names() {
    let answering = |dir: &Path| Vlm::load_to_answer(dir, Device::Cpu).unwrap();
    for (name, kind) in [
        ("orig_llama_bf16_psv1_sel", Kind::BFloat16),
        ("hf_phi3_long_fp16", Kind::BFloat16),
        ("orig_qwen2_rms_qknorm_sharded", Kind::Float),
    ] {
        let model = answering(&recorded(name).join("model"));
        for ending in ["embed_tokens.weight", "lm_head.weight", "mlp.fc1.weight"] {
            assert_eq!(kind_of(&model, ending), kind, "{name} {ending}");
        }
        assert_eq!(kind_of(&model, "model.norm.weight"), Kind::Float);
    }
    let name = "orig_llama_bf16_psv1_sel";
    // Where no key says it, the file does; where one does, it has the last word.
    let silent = edited(name, QWEN2, |json| json["torch_dtype"] = Value::Null);
    assert_eq!(Config::load(silent.path()).unwrap().precision, Precision::Bf16);
    let wide = edited(name, QWEN2, |json| json["torch_dtype"] = "float32".into());
    assert_eq!(kind_of(&answering(wide.path()), "lm_head.weight"), Kind::Float);
}

#[test]
fn what_is_saved_is_what_answers() {
    let folder = tempfile::tempdir().unwrap();
    let from = recorded("orig_llama_bf16_psv1_sel").join("model");
    Vlm::load(&from, Device::Cpu).unwrap().save(folder.path()).unwrap();
    let saved = Vlm::load_as(folder.path(), Device::Cpu, Storage::AsStored).unwrap();
    assert_eq!(kind_of(&saved, "lm_head.weight"), Kind::BFloat16);
    assert_eq!(saved.config.precision, Precision::Bf16);
}

#[test]
fn weights_left_in_16_bits_give_the_same_log_probabilities() {
    for name in ["orig_llama_bf16_psv1_sel", "hf_phi3_long_fp16"] {
        let inputs = Tensor::read_safetensors(recorded(name).join("inputs.safetensors")).unwrap();
        let get = |key: &str| &inputs.iter().find(|(name, _)| name == key).unwrap().1;
        let ids = Vec::<i64>::try_from(get("input_ids").get(0)).unwrap();
        let (prompt, answer) = ids.split_at(ids.len() - 4);
        let logps = |storage: Storage, precision: Precision| {
            let dir = recorded(name).join("model");
            let model = Vlm::load_as(&dir, Device::Cpu, storage).unwrap();
            let _no_grad = tch::no_grad_guard();
            let features = model.image_features(get("pixel_values"));
            let group = Group { prompt, tiles: 0..2, answers: vec![answer] };
            model.answer_logps(&[group], &features, precision).unwrap().sums
        };
        for precision in [Precision::Fp32, Precision::Bf16] {
            let wide = logps(Storage::Widened, precision);
            assert!(logps(Storage::AsStored, precision).equal(&wide), "{name} {precision:?}");
        }
    }
}

#[test]
fn a_tokenizer_that_fits_one_template_tells_it() {
    let silent = |name: &str, tokenizer: &str| {
        let folder = edited(name, tokenizer, |json| json["template"] = Value::Null);
        let tokenizer = Tokenizer::load(folder.path()).unwrap();
        let config = Config::load(folder.path()).unwrap();
        config.template_with(&tokenizer).map(str::to_owned).map_err(|error| error.to_string())
    };
    assert_eq!(silent("orig_phi3_su_bf16", "text_llama/tokenizers/phi3").unwrap(), "phi3-chat");
    let said = silent("orig_internlm2_ln", "text/tokenizers/internlm2").unwrap_err();
    assert!(said.contains("its tokenizer: internlm2-chat, Hermes-2, internvl2_5"), "{said}");
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/base");
    let own = Tokenizer::load(&base).unwrap();
    let unnamed = whole("hf_qwen2_ln", QWEN2);
    let config = Config::load(unnamed.path()).unwrap();
    assert_eq!(config.template_with(&own).unwrap(), "plain");
}

/// Runs the base stage from a checkpoint without a template; its config.json, or what was said in its place.
fn imported(model: &str) -> Result<Value, String> {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = whole("hf_qwen2_ln", QWEN2);
    let spec = format!(
        "schema = 1\n[model]\ncheckpoint = \"{}\"\n{model}\n[corpus]\nbase = 0\ntrain = 1\n\
         validation = 1\ntest = 1\ntasks = [\"count\"]\n[eval]\nbenchmarks = [\"reasoning\"]\n",
        checkpoint.path().display()
    );
    std::fs::write(folder.path().join("spec.toml"), spec).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_prefab"));
    let command = command.current_dir(&folder).args(["run", "spec.toml", "--until", "base"]);
    let output = command.args(["--device", "cpu"]).output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let store = std::fs::read_dir(folder.path().join(".prefab/store")).unwrap();
    let mut made = store.map(|entry| entry.unwrap().path());
    let base = made.find(|path| path.to_string_lossy().contains("/base-")).unwrap();
    let text = std::fs::read(base.join("payload/config.json")).unwrap();
    Ok(serde_json::from_slice(&text).unwrap())
}

#[test]
fn an_import_leaves_template_and_precision_for_all_later_stages() {
    let said = imported("").unwrap_err();
    assert!(said.contains("names no chat template"), "{said}");
    let config = imported("template = \"internvl2_5\"\nprecision = \"bf16\"\nmax_tiles = 2");
    let config = config.unwrap();
    assert_eq!(config["template"], "internvl2_5");
    assert_eq!(config["dtype"], "bfloat16");
    assert_eq!(config["max_dynamic_patch"], 2);
    let said = imported("template = \"internvl2\"").unwrap_err();
    assert!(said.contains("no chat template is called `internvl2`"), "{said}");
    assert!(said.contains("did you mean `internvl2_5`?"), "{said}");
}
