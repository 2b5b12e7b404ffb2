//! Alignment via optimal transport (AOT): stochastic dominance of sorted rewards.

use super::algorithm::{Algorithm, Beta, Knobs, StepLogps};
use super::cdpo::smoothed;
use std::f64::consts::LN_2;
use tch::Tensor;

/// Asks that the sorted chosen rewards lie above the sorted rejected ones.
///
/// Sorted over the whole step, whatever the micro-batches: the peers sort each
/// micro-batch by itself, which with one pair is plain DPO. Unpaired (the
/// paper's `aot_pair` in TRL 0.10) sorts `a` and `b`; paired sorts
/// `log π(y⁺) − log π(y⁻)` and the same of the reference. Value `i` of the
/// result belongs to rank `i`, not to pair `i`.
pub const AOT: Algorithm = Algorithm {
    name: "aot",
    title: "AOT",
    source: "Melnyk et al. 2024, arXiv:2406.05882, equations 8 and 9",
    formula: "D = sort(log π(y⁺)/π(y⁻)) − sort(log π₀(y⁺)/π₀(y⁻)), unpaired sort(a) − sort(b); −(1−ε)·log σ(β·D) − ε·log σ(−β·D)",
    beta: Beta { paper: 0.01, embedded: 0.1 },
    term: Some(per_rank),
    at_reference: Some(|_| LN_2),
    mixes_pairs: true,
    label_smoothing: |loss| loss.aot.label_smoothing.get(),
    particulars: |knobs| if knobs.paired { ", paired" } else { ", unpaired" }.to_owned(),
    copy_table: |from, to| to.aot = from.aot,
    ..Algorithm::PLAIN
};

/// Smoothed log-sigmoid of the difference of order statistics: `[pairs]`, nats.
fn per_rank(knobs: &Knobs, logps: &StepLogps) -> Tensor {
    let (upper, lower) = if knobs.paired {
        (
            &logps.policy_chosen - &logps.policy_rejected,
            &logps.reference_chosen - &logps.reference_rejected,
        )
    } else {
        (logps.chosen_ratio(), logps.rejected_ratio())
    };
    smoothed(&((ascending(&upper) - ascending(&lower)) * knobs.beta), knobs.label_smoothing)
}

fn ascending(values: &Tensor) -> Tensor {
    values.sort_stable(true, 0, false).0
}
