//! DiscoPOP: the log-ratio modulated loss that a language model found.

use super::algorithm::{Algorithm, Knobs, StepLogps, minus_log_sigmoid};
use std::f64::consts::LN_2;
use tch::Tensor;

/// A blend of logistic and exponential loss. `exp(−β·h)` overflows fp32 below
/// `β·h = −88`; the trainer's guard names the step where it happens.
pub const DISCOPOP: Algorithm = Algorithm {
    name: "discopop",
    title: "DiscoPOP",
    source: "Lu et al. 2024, arXiv:2406.08414, LRML",
    formula: "(1−m)·(−log σ(β·h)) + m·exp(−β·h), m = σ(β·h/τ)",
    term: Some(per_pair),
    at_reference: Some(|_| 0.5 * LN_2 + 0.5),
    particulars: |knobs| format!(", τ {}", knobs.temperature),
    copy_table: |from, to| to.discopop = from.discopop,
    ..Algorithm::PLAIN
};

/// `(1−m)·(−log σ(β·h)) + m·exp(−β·h)`: `[pairs]`, nats.
fn per_pair(knobs: &Knobs, logps: &StepLogps) -> Tensor {
    let margin = logps.margin() * knobs.beta;
    let modulation = (&margin / knobs.temperature).sigmoid();
    (1.0 - &modulation) * minus_log_sigmoid(&margin) + modulation * margin.neg().exp()
}
