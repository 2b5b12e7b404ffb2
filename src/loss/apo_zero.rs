//! Anchored preference optimisation, zero (APO-zero).

use super::algorithm::{Algorithm, Knobs, StepLogps};
use tch::Tensor;

/// Pushes chosen up and rejected down: for pairs better than the policy.
pub const APO_ZERO: Algorithm = Algorithm {
    name: "apo_zero",
    title: "APO-zero",
    source: "D'Oosterlinck et al. 2024, arXiv:2408.06266, equation 5",
    formula: "1 − σ(β·a) + σ(β·b)",
    term: Some(per_pair),
    at_reference: Some(|_| 1.0),
    ..Algorithm::PLAIN
};

/// `1 − σ(β·a) + σ(β·b)`: `[pairs]`.
fn per_pair(knobs: &Knobs, logps: &StepLogps) -> Tensor {
    // 1 − σ(x) is σ(−x), which keeps its digits for large x.
    (logps.chosen_ratio() * -knobs.beta).sigmoid() + (logps.rejected_ratio() * knobs.beta).sigmoid()
}
