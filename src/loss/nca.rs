//! Noise-contrastive alignment (NCA), pair form.

use super::algorithm::{Algorithm, Knobs, StepLogps, minus_log_sigmoid};
use std::f64::consts::LN_2;
use tch::Tensor;

/// Raises the chosen reward itself, not only the margin.
pub const NCA: Algorithm = Algorithm {
    name: "nca",
    title: "NCA",
    source: "Chen et al. 2024, arXiv:2402.05369, equation 13 for pairs",
    formula: "−log σ(β·a) − ½·log σ(−β·a) − ½·log σ(−β·b)",
    term: Some(per_pair),
    at_reference: Some(|_| 2.0 * LN_2),
    ..Algorithm::PLAIN
};

/// `−log σ(β·a) − ½·log σ(−β·a) − ½·log σ(−β·b)`: `[pairs]`, nats.
fn per_pair(knobs: &Knobs, logps: &StepLogps) -> Tensor {
    let chosen = logps.chosen_ratio() * knobs.beta;
    let rejected = logps.rejected_ratio() * knobs.beta;
    minus_log_sigmoid(&chosen) + (minus_log_sigmoid(&-chosen) + minus_log_sigmoid(&-rejected)) * 0.5
}
