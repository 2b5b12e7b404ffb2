//! Robust DPO: an unbiased loss under flipped labels.

use super::algorithm::{Algorithm, Knobs, StepLogps, minus_log_sigmoid};
use std::f64::consts::LN_2;
use tch::Tensor;

/// DPO whose expectation over labels flipped at rate `ε` is that on clean ones.
/// Unbounded below: negative losses are normal once margins are large.
pub const ROBUST_DPO: Algorithm = Algorithm {
    name: "robust_dpo",
    title: "RobustDPO",
    source: "Chowdhury et al. 2024, arXiv:2403.00409, equation 7",
    formula: "[−(1−ε)·log σ(β·h) + ε·log σ(−β·h)] / (1−2ε)",
    term: Some(per_pair),
    at_reference: Some(|_| LN_2),
    label_smoothing: |loss| loss.robust_dpo.label_smoothing.get(),
    copy_table: |from, to| to.robust_dpo = from.robust_dpo,
    ..Algorithm::PLAIN
};

/// `[−(1−ε)·log σ(β·h) + ε·log σ(−β·h)] / (1−2ε)`: `[pairs]`, nats.
fn per_pair(knobs: &Knobs, logps: &StepLogps) -> Tensor {
    let margin = logps.margin() * knobs.beta;
    let flipped = knobs.label_smoothing;
    let kept = minus_log_sigmoid(&margin) * (1.0 - flipped);
    (kept - minus_log_sigmoid(&-margin) * flipped) / (1.0 - 2.0 * flipped)
}
