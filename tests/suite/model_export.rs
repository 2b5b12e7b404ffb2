//! Writes checkpoints that were trained for a step, with their logits, for
//! `tests/record/check_export.py` to load in transformers: `just check-export`.

use prefab::model::config::Layout;
use prefab::model::export::Export;
use prefab::model::{Group, Vlm};
use prefab::spec::model::{Lora, Module};
use prefab::spec::train::Precision;
use prefab::train::optimizer::{AdamW, Settings};
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Device, Tensor};

const ALL: [Module; 3] = [Module::Vision, Module::Projector, Module::Language];

#[test]
#[ignore = "writes what `just check-export` loads in transformers"]
fn one_step_trained_checkpoints() {
    let out = std::env::var("PREFAB_EXPORT").expect("PREFAB_EXPORT names the folder to write to");
    let out = Path::new(&out);
    for (name, layout, lora) in [
        ("hf_llama_rms_qknorm_modulekeys", Layout::Native, false),
        ("hf_phi3_long_fp16", Layout::Native, true),
        ("hf_qwen2_ln", Layout::Original, false),
        ("hf_qwen2_tied", Layout::Native, false),
        ("orig_internlm2_ln", Layout::Native, true),
        ("orig_internlm2_ln", Layout::Original, false),
        ("orig_phi3_su_bf16", Layout::Native, false),
        ("orig_qwen2_rms_qknorm_sharded", Layout::Native, false),
    ] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/internvl").join(name);
        let read = Tensor::read_safetensors(dir.join("inputs.safetensors")).unwrap();
        let inputs: BTreeMap<String, Tensor> = read.into_iter().collect();
        let mut model = Vlm::load(&dir.join("model"), Device::Cpu).unwrap();
        if model.config.template.is_none() {
            model.config = model.config.with_template("Hermes-2");
        }
        model.set_trainable(&ALL);
        if lora {
            model = model.with_lora(&Lora::default(), &ALL, 3).unwrap();
        }
        let ids = Vec::<i64>::try_from(inputs["input_ids"].get(0)).unwrap();
        let pixels = inputs["pixel_values"].narrow(0, 0, 2);
        let mut adam = AdamW::new(&model.parameters(), Settings::BASE);
        let (prompt, answer) = ids.split_at(ids.len() - 4);
        // With LoRA the second step is the first in which both matrices move.
        for _ in 0..if lora { 2 } else { 1 } {
            adam.zero_grad();
            let group = Group { prompt, tiles: 0..2, answers: vec![answer] };
            let features = model.image_features(&pixels);
            let logps = model.answer_logps(&[group], &features, Precision::Fp32).unwrap();
            (-logps.sums.sum(tch::Kind::Float)).backward();
            adam.step(1e-2, adam.grad_norm());
        }
        let folder = out.join(format!("{name}-{layout:?}{}", if lora { "-lora" } else { "" }));
        model
            .export(&folder, Export { layout, kind: Some(tch::Kind::Float), shard_bytes: 300_000 })
            .unwrap();
        let added = dir.join("model/added_tokens.json");
        std::fs::copy(added, folder.join("added_tokens.json")).unwrap();
        let features = model.image_features(&pixels);
        let logits = model.trace(&ids, 0..2, &features).unwrap().logits.detach();
        let check = [
            ("input_ids", inputs["input_ids"].narrow(0, 0, 1)),
            ("pixel_values", pixels),
            ("logits", logits),
        ];
        Tensor::write_safetensors(&check, folder.join("check.safetensors")).unwrap();
    }
}
