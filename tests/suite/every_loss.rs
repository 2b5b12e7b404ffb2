//! Laws that hold for every algorithm in the list, and the peers' recorded values.

use crate::support::loss_table::loss_table;
use prefab::cli::verify;
use prefab::loss::{ALGORITHMS, Mix, Shift, StepLogps};
use std::f64::consts::LN_2;
use tch::{Kind, Tensor};

fn mix(algorithm: &str, extra: &str) -> prefab::Result<Mix> {
    Mix::new(&loss_table(algorithm, extra))
}

/// Four pairs in fp64; the policy is the reference moved by `drift` nats.
fn logps(drift: f64) -> StepLogps {
    let tensor = |values: [f64; 4]| Tensor::from_slice(&values);
    let reference_chosen = tensor([-20.0, -31.0, -8.5, -14.0]);
    let reference_rejected = tensor([-24.0, -19.0, -9.5, -40.0]);
    StepLogps {
        policy_chosen: (&reference_chosen + tensor([1.0, -0.5, 0.25, 2.0]) * drift)
            .set_requires_grad(true),
        policy_rejected: (&reference_rejected - tensor([0.5, 1.5, -0.25, 3.0]) * drift)
            .set_requires_grad(true),
        reference_chosen,
        reference_rejected,
        chosen_tokens: tensor([12.0, 20.0, 6.0, 9.0]),
        rejected_tokens: tensor([15.0, 11.0, 6.0, 30.0]),
    }
}

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.detach().to_kind(Kind::Double)).unwrap()
}

#[track_caller]
fn assert_near(got: f64, expected: f64) {
    assert!((got - expected).abs() < 1e-9, "got {got}, expected {expected}");
}

#[test]
fn agrees_with_the_peers_recorded_values() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/losses.json").into();
    verify::run(&verify::Verify::Losses { file }).unwrap();
}

#[test]
fn a_recorded_value_that_is_off_fails_the_verification() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/losses.json");
    let mut file: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mean = &mut file["cases"][3]["losses"]["ipo"]["mean"];
    *mean = (mean.as_f64().unwrap() * (1.0 + 1e-8)).into();
    let folder = tempfile::tempdir().unwrap();
    let file_path = folder.path().join("off.json");
    std::fs::write(&file_path, file.to_string()).unwrap();
    let error = verify::run(&verify::Verify::Losses { file: file_path }).unwrap_err();
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn every_algorithm_says_where_it_comes_from() {
    for algorithm in ALGORITHMS {
        let filled = [algorithm.name, algorithm.title, algorithm.source, algorithm.formula];
        assert!(filled.iter().all(|text| !text.is_empty()), "{algorithm:?}");
    }
}

#[test]
fn every_default_mix_has_a_finite_gradient_that_prefers_the_chosen() {
    for algorithm in ALGORITHMS {
        let logps = logps(0.5);
        let (terms, ..) = mix(algorithm.name, "").unwrap().step(&logps, Shift::default(), 4);
        terms.loss.backward();
        let chosen = values(&logps.policy_chosen.grad());
        assert!(chosen.iter().all(|grad| grad.is_finite()), "{}: {chosen:?}", algorithm.name);
        // DiscoPOP is not monotone: at margin 0 its slope is 5·(1 − ln 2) − ¾ = +0.78.
        if algorithm.name == "discopop" {
            continue;
        }
        // One step down the gradient widens the mean margin; sft has no rejected side.
        let rejected = logps.policy_rejected.grad();
        let rejected = if rejected.defined() { values(&rejected) } else { vec![0.0; 4] };
        let push = rejected.iter().sum::<f64>() - chosen.iter().sum::<f64>();
        assert!(push > 0.0, "{} pushes the margin by {push}", algorithm.name);
    }
}

#[test]
fn closed_forms_hold_where_the_policy_is_the_reference() {
    for algorithm in ALGORITHMS {
        let mix = mix(algorithm.name, "").unwrap();
        let Some(expected) = mix.at_reference() else { continue };
        let (terms, ..) = mix.step(&logps(0.0), Shift::default(), 4);
        let weighted = |term: &Option<Tensor>, weight: f64| {
            term.as_ref().map_or(0.0, |term| weight * term.double_value(&[]))
        };
        let got = weighted(&terms.preference, mix.weights.w_p)
            + weighted(&terms.quality, mix.weights.w_q);
        assert!((got - expected).abs() < 1e-9, "{}: {got} {expected}", algorithm.name);
    }
}

#[test]
fn mpo_at_the_reference_is_1_2_ln_2_and_the_likelihood() {
    let mix = mix("mpo", "").unwrap();
    assert_near(mix.at_reference().unwrap(), 1.2 * LN_2);
    let (terms, ..) = mix.step(&logps(0.0), Shift::default(), 4);
    // Chosen log-probabilities sum to −73.5 over 47 tokens.
    assert_near(terms.loss.double_value(&[]), 1.2 * LN_2 + 73.5 / 47.0);
}

#[test]
fn the_order_of_pairs_changes_no_default_mix() {
    let order = Tensor::from_slice(&[2i64, 0, 3, 1]);
    for algorithm in ALGORITHMS {
        let mix = mix(algorithm.name, "").unwrap();
        let plain = logps(0.5);
        let take = |tensor: &Tensor| tensor.index_select(0, &order);
        let shuffled = StepLogps {
            policy_chosen: take(&plain.policy_chosen),
            policy_rejected: take(&plain.policy_rejected),
            reference_chosen: take(&plain.reference_chosen),
            reference_rejected: take(&plain.reference_rejected),
            chosen_tokens: take(&plain.chosen_tokens),
            rejected_tokens: take(&plain.rejected_tokens),
        };
        let (a, ..) = mix.step(&plain, Shift::default(), 4);
        let (b, ..) = mix.step(&shuffled, Shift::default(), 4);
        assert_near(a.loss.double_value(&[]), b.loss.double_value(&[]));
    }
}

#[test]
fn fp32_stays_finite_at_extreme_margins() {
    for algorithm in ALGORITHMS.iter().filter(|algorithm| algorithm.name != "discopop") {
        for drift in [-400.0, 400.0] {
            let mut logps = logps(0.0);
            let float = |tensor: &Tensor| tensor.detach().to_kind(Kind::Float);
            logps.policy_chosen = (float(&logps.policy_chosen) - 500.0).set_requires_grad(true);
            logps.policy_rejected =
                (float(&logps.policy_rejected) - 500.0 + drift).set_requires_grad(true);
            for tensor in [
                &mut logps.reference_chosen,
                &mut logps.reference_rejected,
                &mut logps.chosen_tokens,
                &mut logps.rejected_tokens,
            ] {
                *tensor = float(tensor);
            }
            let (terms, ..) = mix(algorithm.name, "").unwrap().step(&logps, Shift::default(), 4);
            terms.loss.backward();
            let grad = values(&logps.policy_chosen.grad());
            assert!(terms.loss.double_value(&[]).is_finite(), "{}", algorithm.name);
            assert!(grad.iter().all(|value| value.is_finite()), "{} {grad:?}", algorithm.name);
        }
    }
}

#[test]
fn orpo_keeps_a_finite_gradient_for_a_certain_answer() {
    let mut logps = logps(0.0);
    logps.policy_chosen =
        Tensor::zeros([4], (Kind::Double, tch::Device::Cpu)).set_requires_grad(true);
    let (terms, ..) = mix("orpo", "").unwrap().step(&logps, Shift::default(), 4);
    terms.loss.backward();
    assert!(values(&logps.policy_chosen.grad()).iter().all(|value| value.is_finite()));
}

#[test]
fn peers_differ_as_recorded_in_the_survey() {
    // LLaMA-Factory scales 0.8 and 0.4 to 2/3 and 1/3; TRL 1.x drops δ.
    let scaled = mix("mpo", "as = \"llama_factory\"\nw_q = 0.4").unwrap();
    assert_near(scaled.weights.w_p, 2.0 / 3.0);
    assert_near(scaled.weights.w_q, 1.0 / 3.0);
    assert_eq!(mix("mpo", "as = \"trl\"").unwrap().delta, prefab::spec::loss::Delta::None);
    // An explicit key stands above the preset.
    let explicit = mix("mpo", "as = \"trl\"\ndelta = 0.5").unwrap();
    assert_eq!(explicit.delta, prefab::spec::loss::Delta::Fixed(0.5));
}

#[test]
fn impossible_weights_are_refused_with_the_reason() {
    let no_term = mix("bco", "w_p = 1.0").unwrap_err();
    assert!(no_term.to_string().contains("no preference term"), "{no_term}");
    let nothing = mix("sft", "w_g = 0.0").unwrap_err();
    assert!(nothing.to_string().contains("nothing would be learned"), "{nothing}");
    assert_eq!(nothing.exit_code(), 2);
}

#[test]
fn plus_variants_add_the_likelihood_and_nothing_else() {
    for algorithm in ["dpo", "cdpo", "robust_dpo", "bco", "aot"] {
        let loss = |extra| {
            let (terms, ..) = mix(algorithm, extra).unwrap().step(&logps(0.5), Shift::default(), 4);
            terms.loss.double_value(&[])
        };
        let (sft, ..) = mix("sft", "").unwrap().step(&logps(0.5), Shift::default(), 4);
        assert_near(loss("w_g = 1.0"), loss("") + sft.loss.double_value(&[]));
    }
}
