//! The model against itself in other arrangements: shared prompts, bf16, save and load.

use crate::support::tiny::untrained;
use prefab::model::{Group, Vlm};
use prefab::spec::model::Module;
use prefab::spec::train::Precision;
use std::path::Path;
use tch::{Device, Kind, Tensor};

fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

/// The tiny size with a vocabulary of 40; the image token is 5.
fn tiny() -> Vlm {
    untrained(40)
}

/// A prompt with one tile and some text.
fn prompt(text: &[i64]) -> Vec<i64> {
    [&[1, 2], [5; 16].as_slice(), text].concat()
}

#[test]
fn the_tiny_size_has_about_1_2_million_parameters() {
    let count: usize = tiny().parameters().iter().map(|(_, tensor)| tensor.numel()).sum();
    assert!((1_100_000..1_300_000).contains(&count), "{count}");
}

#[test]
fn a_shared_prompt_gives_what_separate_sequences_give_gradients_too() {
    let model = tiny();
    model.set_trainable(&[Module::Projector, Module::Language]);
    let features = Tensor::randn([3, 16, 384], (Kind::Float, Device::Cpu));
    let prompts = [prompt(&[8, 9, 10]), prompt(&[11]), vec![12, 13, 14, 15]];
    let answers: [Vec<Vec<i64>>; 3] = [
        vec![vec![20, 21, 22, 3], vec![3], vec![23, 5, 24, 25, 26, 27, 3]],
        vec![vec![28, 3]],
        vec![vec![29; 30], vec![30, 31, 3]],
    ];
    let tiles = [2..3, 0..1, 0..0];
    let groups: Vec<Group> = (0..3)
        .map(|i| Group {
            prompt: &prompts[i],
            tiles: tiles[i].clone(),
            answers: answers[i].iter().map(Vec::as_slice).collect(),
        })
        .collect();
    let gradients = |sums: &Tensor| -> Vec<Tensor> {
        let weights = Tensor::from_slice(&[1f32, -0.5, 0.3, 0.7, 1.1, -0.2]);
        for (_, tensor) in model.parameters() {
            tensor.shallow_clone().zero_grad();
        }
        (sums * weights).sum(Kind::Float).backward();
        let learning = model.parameters().into_iter().filter(|(_, tensor)| tensor.requires_grad());
        learning.map(|(_, tensor)| tensor.grad().copy()).collect()
    };
    let shared = model.answer_logps(&groups, &features, Precision::Fp32).unwrap();
    assert_eq!(shared.counts, [4, 1, 7, 2, 30, 3]);
    let shared_gradients = gradients(&shared.sums);
    let separate: Vec<Tensor> = groups
        .iter()
        .flat_map(|group| group.answers.iter().map(move |answer| (group, *answer)))
        .map(|(group, answer)| {
            let alone = Group { answers: vec![answer], ..group.clone() };
            model.answer_logps(&[alone], &features, Precision::Fp32).unwrap().sums
        })
        .collect();
    let separate = Tensor::cat(&separate, 0);
    assert!(difference(&shared.sums, &separate) < 1e-4);
    let separate_gradients = gradients(&separate);
    assert_eq!(shared_gradients.len(), separate_gradients.len());
    for (a, b) in shared_gradients.iter().zip(&separate_gradients) {
        let scale = b.abs().max().double_value(&[]);
        assert!(difference(a, b) < 1e-5 * (1.0 + scale), "{} of {scale}", difference(a, b));
    }
}

#[test]
fn bf16_is_close_to_fp32() {
    let model = tiny();
    let features = Tensor::randn([1, 16, 384], (Kind::Float, Device::Cpu));
    let prompt = prompt(&[8, 9]);
    let groups =
        [Group { prompt: &prompt, tiles: 0..1, answers: vec![&[20, 21, 3], &[22, 23, 24, 3]] }];
    let full = model.answer_logps(&groups, &features, Precision::Fp32).unwrap();
    let half = model.answer_logps(&groups, &features, Precision::Bf16).unwrap();
    let off = difference(&full.tokens.unwrap(), &half.tokens.unwrap());
    assert!(off > 0.0 && off < 0.05, "{off}");
    assert_eq!(half.sums.kind(), Kind::Float);
}

#[test]
fn a_saved_model_is_read_back_to_the_byte() {
    let native =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/internvl/hf_qwen2_ln/model");
    for model in [tiny(), Vlm::load(&native, Device::Cpu).unwrap()] {
        let folder = tempfile::tempdir().unwrap();
        model.save(folder.path()).unwrap();
        let again = Vlm::load(folder.path(), Device::Cpu).unwrap();
        let bits = |model: &Vlm| -> Vec<(String, Vec<i32>)> {
            let all = model.parameters().into_iter();
            all.map(|(name, tensor)| {
                let bits = tensor.flatten(0, -1).view_dtype(Kind::Int);
                (name.to_owned(), Vec::try_from(bits).unwrap())
            })
            .collect()
        };
        assert_eq!(bits(&model), bits(&again));
        let second = tempfile::tempdir().unwrap();
        again.save(second.path()).unwrap();
        for file in ["config.json", "model.safetensors"] {
            let bytes = |folder: &tempfile::TempDir| std::fs::read(folder.path().join(file));
            assert_eq!(bytes(&folder).unwrap(), bytes(&second).unwrap(), "{file}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_seed_others() {
    let weights = |seed| {
        let model = Vlm::new(tiny().config, seed, Device::Cpu);
        Vec::<f32>::try_from(model.parameters().last().unwrap().1.flatten(0, -1)).unwrap()
    };
    assert_eq!(weights(7), weights(7));
    assert_ne!(weights(7), weights(8));
}

#[test]
fn a_wrong_number_of_image_tokens_names_the_group() {
    let model = tiny();
    let features = Tensor::zeros([1, 16, 384], (Kind::Float, Device::Cpu));
    let (whole, cut) = (prompt(&[8]), vec![1, 5, 5, 8]);
    let group = |prompt| Group { prompt, tiles: 0..1, answers: vec![[20, 3].as_slice()] };
    let error =
        model.answer_logps(&[group(&whole), group(&cut)], &features, Precision::Fp32).unwrap_err();
    assert_eq!(
        error.to_string(),
        "group 1 has 2 image tokens in its prompt where its 1 tiles give 16"
    );
}
