//! What training real sizes needs: recomputed layers, adapters, noise.

use crate::support::tiny::untrained;
use prefab::model::pass::Noise;
use prefab::model::{Group, Vlm};
use prefab::spec::model::{Lora, Module, Target};
use prefab::spec::number::Fraction;
use prefab::spec::train::Precision;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tch::{Device, Kind, Tensor};

const ALL: [Module; 3] = [Module::Vision, Module::Projector, Module::Language];

/// Only one test at a time may draw: libtorch's random numbers are the process's.
fn alone() -> MutexGuard<'static, ()> {
    static DRAWING: Mutex<()> = Mutex::new(());
    DRAWING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tiny size with a vocabulary of 40; the image token is 5.
fn tiny() -> Vlm {
    untrained(40)
}

fn pixels() -> Tensor {
    let count = 2 * 3 * 64 * 64;
    (Tensor::arange(count, (Kind::Float, Device::Cpu)) * 0.37).sin().view([2, 3, 64, 64])
}

/// Log-probabilities of five answers in two groups, with gradient.
fn sums(model: &Vlm, precision: Precision) -> Tensor {
    let image = [5; 16];
    let prompts =
        [[&[1, 2], image.as_slice(), &[8, 9]].concat(), [&[3], image.as_slice()].concat()];
    let answers: [&[&[i64]]; 2] =
        [&[&[20, 21, 22, 3], &[3]], &[&[23, 24, 3], &[25, 26, 27, 28, 3], &[29, 3]]];
    let groups: Vec<Group> = (0..2)
        .map(|at| Group { prompt: &prompts[at], tiles: at..at + 1, answers: answers[at].to_vec() })
        .collect();
    let features = model.image_features_in(&pixels(), precision);
    model.answer_logps(&groups, &features, precision).unwrap().sums
}

/// Sums and the gradients of a weighting of them, by name.
fn backward(model: &Vlm, precision: Precision) -> (Tensor, Vec<(String, Tensor)>) {
    for (_, tensor) in model.parameters() {
        tensor.shallow_clone().zero_grad();
    }
    let sums = sums(model, precision);
    let weights = Tensor::from_slice(&[1f32, -0.5, 0.7, -1.2, 0.3]);
    (&sums * weights).sum(Kind::Float).backward();
    let learning = model.parameters().into_iter().filter(|(_, tensor)| tensor.requires_grad());
    let gradients = learning.map(|(name, tensor)| (name.to_owned(), tensor.grad().copy()));
    (sums.detach(), gradients.collect())
}

#[track_caller]
fn assert_same(a: &(Tensor, Vec<(String, Tensor)>), b: &(Tensor, Vec<(String, Tensor)>)) {
    assert!(a.0.equal(&b.0), "log-probabilities");
    assert_eq!(a.1.len(), b.1.len());
    for ((name, a), (_, b)) in a.1.iter().zip(&b.1) {
        assert!(a.equal(b), "{name}: {}", (a - b).abs().max().double_value(&[]));
    }
}

#[test]
fn recomputed_layers_have_the_same_gradients_to_the_bit() {
    for modules in [ALL.as_slice(), &[Module::Projector], &[Module::Language], &[Module::Vision]] {
        for precision in [Precision::Fp32, Precision::Bf16] {
            let model = tiny();
            model.set_trainable(modules);
            let plain = backward(&model, precision);
            model.set_recompute(true);
            let recomputed = backward(&model, precision);
            assert!(
                plain.1.iter().any(|(_, gradient)| gradient.abs().max().double_value(&[]) > 0.0)
            );
            assert_same(&plain, &recomputed);
        }
    }
}

fn lora(dropout: f64) -> Lora {
    let dropout = Fraction::try_from(dropout).unwrap();
    Lora { dropout, ..Lora::default() }
}

/// Random numbers in place of the zeros that B begins with.
fn stir(model: &Vlm) {
    let _no_grad = tch::no_grad_guard();
    tch::manual_seed(3);
    for (name, tensor) in model.parameters() {
        if name.contains("lora_B") {
            tensor.shallow_clone().copy_(&(tensor.randn_like() * 0.02));
        }
    }
}

#[test]
fn adapters_begin_as_the_base_to_the_bit_and_train_alone() {
    let base = tiny();
    base.set_trainable(&[]);
    let (before, _) = {
        let _no_grad = tch::no_grad_guard();
        (sums(&base, Precision::Fp32), ())
    };
    let model = tiny().with_lora(&lora(0.0), &[Module::Language, Module::Projector], 1).unwrap();
    assert!(sums(&model, Precision::Fp32).detach().equal(&before));
    for (name, tensor) in model.parameters() {
        let trains = name.contains("lora_") || name.starts_with("mlp1.");
        assert_eq!(tensor.requires_grad(), trains, "{name}");
        assert!(!(name.contains("lora_") && name.starts_with("vision_model.")), "{name}");
    }
    let (_, gradients) = backward(&model, Precision::Fp32);
    let moved = |part: &str| {
        gradients
            .iter()
            .filter(|(name, _)| name.contains(part))
            .any(|(_, gradient)| gradient.abs().max().double_value(&[]) > 0.0)
    };
    assert!(moved("lora_B") && !moved("lora_A"), "where B is 0, A has no gradient");
}

#[test]
fn an_adapters_size_is_its_rank_and_its_targets() {
    let only = Lora { targets: vec![Target::Out], ..lora(0.0) };
    let model = tiny().with_lora(&only, &ALL, 1).unwrap();
    let adapters: Vec<(&str, i64)> = model
        .parameters()
        .into_iter()
        .filter(|(name, _)| name.contains("lora_"))
        .map(|(name, tensor)| (name, tensor.numel() as i64))
        .collect();
    assert_eq!(adapters.len(), 2 * (3 + 4), "three layers of the tower, four of the decoder");
    assert_eq!(
        adapters.iter().map(|(_, count)| count).sum::<i64>(),
        3 * 16 * 2 * 96 + 4 * 16 * 2 * 128
    );
    let error = tiny().with_lora(&only, &[Module::Projector], 1).unwrap_err();
    assert!(error.to_string().contains("model.lora"), "{error}");
}

#[test]
fn a_merged_export_is_the_adapted_model() {
    let _alone = alone();
    let model = tiny().with_lora(&lora(0.05), &ALL, 1).unwrap();
    stir(&model);
    let base = {
        let _no_grad = tch::no_grad_guard();
        sums(&tiny(), Precision::Fp32)
    };
    let adapted = sums(&model, Precision::Fp32).detach();
    assert!((&adapted - base).abs().max().double_value(&[]) > 0.1, "the adapters do something");
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    let merged = Vlm::load(folder.path(), Device::Cpu).unwrap();
    assert_eq!(
        merged.parameters().len(),
        tiny().parameters().len(),
        "adapters are not in the file"
    );
    let apart = (sums(&merged, Precision::Fp32) - adapted).abs().max().double_value(&[]);
    assert!(apart < 2e-4, "{apart:e}");
}

#[test]
fn adapters_of_its_own_leave_the_policys_alone() {
    let _alone = alone();
    let policy = tiny().with_lora(&lora(0.0), &[Module::Language], 1).unwrap();
    stir(&policy);
    let reference = policy.with_own_adapters();
    let before = sums(&reference, Precision::Fp32).detach();
    assert!(before.equal(&sums(&policy, Precision::Fp32).detach()));
    {
        let _no_grad = tch::no_grad_guard();
        for (name, tensor) in policy.parameters() {
            if name.contains("lora_B") {
                let _ = tensor.shallow_clone().zero_();
            }
        }
    }
    assert!(before.equal(&sums(&reference, Precision::Fp32).detach()));
    for ((name, a), (_, b)) in policy.parameters().into_iter().zip(reference.parameters()) {
        assert_eq!(a.data_ptr() == b.data_ptr(), !name.contains("lora_"), "{name}");
    }
}

#[test]
fn noise_is_a_function_of_its_key_and_survives_recomputation() {
    let _alone = alone();
    let model = tiny().with_lora(&lora(0.3), &ALL, 1).unwrap();
    stir(&model);
    let quiet = backward(&model, Precision::Fp32);
    model.set_noise(Some(Noise::new(0, 4, 0, 0.5)));
    let noisy = backward(&model, Precision::Fp32);
    assert!((&noisy.0 - &quiet.0).abs().max().double_value(&[]) > 1e-3);
    assert_same(&noisy, &backward(&model, Precision::Fp32));
    model.set_recompute(true);
    assert_same(&noisy, &backward(&model, Precision::Fp32));
    model.set_noise(Some(Noise::new(0, 5, 0, 0.5)));
    assert!(!backward(&model, Precision::Fp32).0.equal(&noisy.0), "another step, other draws");
    model.set_noise(None);
    assert_same(&quiet, &backward(&model, Precision::Fp32));
}

#[test]
fn drop_path_leaves_branches_out_and_keeps_the_mean() {
    let _alone = alone();
    let _no_grad = tch::no_grad_guard();
    let model = tiny();
    let quiet = model.vision_patches_in(&pixels(), Precision::Fp32);
    let mut total = quiet.zeros_like();
    let draws = 400;
    for step in 0..draws {
        model.set_noise(Some(Noise::new(0, step, 0, 0.4)));
        total += model.vision_patches_in(&pixels(), Precision::Fp32);
    }
    let mean = total / draws as f64;
    let off = (mean - &quiet).square().mean(Kind::Double).sqrt().double_value(&[]);
    let size = quiet.square().mean(Kind::Double).sqrt().double_value(&[]);
    // Later layers are not linear in what is left out, and 400 draws leave a twentieth.
    assert!(off < 0.15 * size, "{off} of {size}");
}

#[test]
fn bf16_gradients_are_those_of_masters_that_are_cast() {
    let (wide, narrow) = (tiny(), tiny());
    wide.set_trainable(&ALL);
    narrow.set_trainable(&ALL);
    let narrow = narrow.with_bf16_gradients();
    let (a, b) = (backward(&wide, Precision::Bf16), backward(&narrow, Precision::Bf16));
    assert!(a.0.equal(&b.0), "the products are the same");
    let mut halves = 0;
    for ((name, wide), (_, narrow)) in a.1.iter().zip(&b.1) {
        let half = narrow.kind() == Kind::BFloat16;
        halves += usize::from(half);
        // Autograd casts a master's gradient up; here it stays as it was.
        assert!(wide.equal(&narrow.to_kind(Kind::Float)), "{name}");
    }
    assert_eq!(halves, 3 * 4 + 4 * 7 + 1, "every matrix of every layer, and the head");
    {
        let _no_grad = tch::no_grad_guard();
        for (_, tensor) in narrow.trained() {
            assert_eq!(tensor.kind(), Kind::Float);
            let _ = tensor.shallow_clone().g_add_scalar_(1e-4);
        }
    }
    narrow.refresh();
    let folder = tempfile::tempdir().unwrap();
    narrow.save(folder.path()).unwrap();
    let saved = Vlm::load(folder.path(), Device::Cpu).unwrap();
    for ((name, saved), (_, master)) in saved.parameters().into_iter().zip(narrow.trained()) {
        assert!(saved.equal(&master.detach()), "{name}: the file holds the masters");
    }
}
