//! Checkpoints: read, written back, and damaged.

use prefab::model::config::Layout;
use prefab::model::export::Export;
use prefab::model::{Storage, VisionConfig, Vlm};
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

const FIXTURES: [&str; 8] = [
    "hf_llama_rms_qknorm_modulekeys",
    "hf_phi3_long_fp16",
    "hf_qwen2_ln",
    "hf_qwen2_tied",
    "orig_internlm2_ln",
    "orig_llama_bf16_psv1_sel",
    "orig_phi3_su_bf16",
    "orig_qwen2_rms_qknorm_sharded",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/internvl").join(name)
}

fn load(dir: &Path) -> Vlm {
    Vlm::load(dir, Device::Cpu).unwrap()
}

/// Type, shape and bytes of every tensor of a folder, by its name in transformers' Hub form.
fn tensors(dir: &Path) -> BTreeMap<String, (String, Vec<usize>, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "safetensors") {
            continue;
        }
        let bytes = std::fs::read(path).unwrap();
        for (name, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
            let name = match name.strip_prefix("model.") {
                Some(rest) if rest.starts_with("language_model.") => {
                    rest.replacen("language_model.", "language_model.model.", 1)
                }
                Some(rest) => rest.to_owned(),
                None if name.starts_with("lm_head.") => format!("language_model.{name}"),
                None => name,
            };
            let dtype = format!("{:?}", view.dtype());
            all.insert(name, (dtype, view.shape().to_vec(), view.data().to_vec()));
        }
    }
    all
}

fn as_read(layout: Layout) -> Export {
    Export { layout, kind: None, shard_bytes: Export::SHARD_BYTES }
}

#[test]
fn every_checkpoint_is_written_back_to_the_byte() {
    for name in FIXTURES {
        let dir = fixture(name).join("model");
        for storage in [Storage::Widened, Storage::AsStored] {
            let model = Vlm::load_as(&dir, Device::Cpu, storage).unwrap();
            let folder = tempfile::tempdir().unwrap();
            model.export(folder.path(), as_read(model.config.layout)).unwrap();
            assert_eq!(tensors(folder.path()), tensors(&dir), "{name}, {storage:?}");
            assert_eq!(load(folder.path()).config.language, model.config.language, "{name}");
        }
    }
}

/// The same model with a template: the original layout names one.
fn templated(mut model: Vlm) -> Vlm {
    model.config = model.config.with_template("Hermes-2");
    model
}

#[test]
fn there_and_back_between_the_layouts_loses_nothing() {
    // The first shuffle, and InternLM2's fused projection, are the original layout's alone.
    for name in
        ["orig_qwen2_rms_qknorm_sharded", "orig_phi3_su_bf16", "hf_qwen2_ln", "hf_phi3_long_fp16"]
    {
        let dir = fixture(name).join("model");
        let (there, back) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let model = templated(load(&dir));
        let (own, other) = match model.config.layout {
            Layout::Original => (Layout::Original, Layout::Native),
            Layout::Native => (Layout::Native, Layout::Original),
        };
        model.export(there.path(), as_read(other)).unwrap();
        let again = load(there.path());
        assert_eq!(again.config.layout, other, "{name}");
        again.export(back.path(), as_read(own)).unwrap();
        assert_eq!(tensors(back.path()), tensors(&dir), "{name}");
        // transformers' layout has no word for DropPath.
        let VisionConfig { drop_path, .. } = model.config.vision;
        let vision = VisionConfig { drop_path, ..load(back.path()).config.vision };
        assert_eq!(vision, model.config.vision, "{name}");
        assert_eq!(load(back.path()).config.language, model.config.language, "{name}");
    }
}

/// Logits of a fixture's first sample.
fn logits(model: &Vlm, name: &str) -> Tensor {
    let _no_grad = tch::no_grad_guard();
    let inputs: BTreeMap<String, Tensor> =
        Tensor::read_safetensors(fixture(name).join("inputs.safetensors"))
            .unwrap()
            .into_iter()
            .collect();
    let ids = Vec::<i64>::try_from(inputs["input_ids"].get(0)).unwrap();
    let features = model.image_features(&inputs["pixel_values"]);
    model.trace(&ids, 0..2, &features).unwrap().logits
}

#[track_caller]
fn assert_same_model(a: &Vlm, b: &Vlm, name: &str) {
    let apart = (logits(a, name) - logits(b, name)).abs().max().double_value(&[]);
    assert!(apart < 2e-5, "{name}: {apart:e}");
}

#[test]
fn internlm2_becomes_the_llama_that_it_is() {
    let name = "orig_internlm2_ln";
    let folder = tempfile::tempdir().unwrap();
    let model = load(&fixture(name).join("model"));
    model.export(folder.path(), as_read(Layout::Native)).unwrap();
    let names = tensors(folder.path());
    assert_eq!(names["language_model.model.layers.0.self_attn.k_proj.weight"].1, [32, 64]);
    assert_same_model(&model, &load(folder.path()), name);
}

#[test]
fn a_tied_head_is_written_out_where_the_layout_wants_one() {
    let name = "hf_qwen2_tied";
    let folder = tempfile::tempdir().unwrap();
    let model = templated(load(&fixture(name).join("model")));
    assert!(model.config.language.tied);
    model.export(folder.path(), as_read(Layout::Original)).unwrap();
    let untied = load(folder.path());
    assert!(!untied.config.language.tied);
    assert_same_model(&model, &untied, name);
}

#[test]
fn shards_hold_what_one_file_holds() {
    let model = load(&fixture("hf_qwen2_ln").join("model"));
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    model.export(whole.path(), as_read(Layout::Native)).unwrap();
    model.export(cut.path(), Export { shard_bytes: 100_000, ..as_read(Layout::Native) }).unwrap();
    let files = std::fs::read_dir(cut.path()).unwrap().count();
    assert!(files > 6, "config, index and some shards, not {files} files");
    assert!(!cut.path().join("model.safetensors").exists());
    assert_eq!(tensors(whole.path()), tensors(cut.path()));
    assert_same_model(&model, &load(cut.path()), "hf_qwen2_ln");
}

#[test]
fn matrices_stay_in_the_files_type_when_asked_and_nothing_else_does() {
    let dir = fixture("orig_llama_bf16_psv1_sel").join("model");
    let model = Vlm::load_as(&dir, Device::Cpu, Storage::AsStored).unwrap();
    for (name, tensor) in model.parameters() {
        let is_matrix = name.contains("layers") && tensor.dim() == 2;
        let is_large = is_matrix || name.contains("lm_head") || name.contains("embed_tokens");
        assert_eq!(tensor.kind() == Kind::BFloat16, is_large, "{name}");
    }
    assert_same_model(&load(&dir), &model, "orig_llama_bf16_psv1_sel");
}

#[test]
fn other_number_types_are_written_when_asked() {
    let model = load(&fixture("hf_qwen2_ln").join("model"));
    for (kind, name) in [(Kind::BFloat16, "BF16"), (Kind::Half, "F16")] {
        let folder = tempfile::tempdir().unwrap();
        model
            .export(folder.path(), Export { kind: Some(kind), ..as_read(Layout::Native) })
            .unwrap();
        assert!(tensors(folder.path()).values().all(|(dtype, ..)| dtype == name), "{name}");
    }
}
