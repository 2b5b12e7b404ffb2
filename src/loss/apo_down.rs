//! Anchored preference optimisation, down (APO-down).

use super::algorithm::{Algorithm, Knobs, StepLogps};
use tch::Tensor;

/// Pushes both down, rejected more: for pairs worse than the policy.
pub const APO_DOWN: Algorithm = Algorithm {
    name: "apo_down",
    title: "APO-down",
    source: "D'Oosterlinck et al. 2024, arXiv:2408.06266, equation 6",
    formula: "σ(β·a) + 1 − σ(β·h)",
    term: Some(per_pair),
    at_reference: Some(|_| 1.0),
    ..Algorithm::PLAIN
};

/// `σ(β·a) + 1 − σ(β·h)`: `[pairs]`.
fn per_pair(knobs: &Knobs, logps: &StepLogps) -> Tensor {
    (logps.chosen_ratio() * knobs.beta).sigmoid() + (logps.margin() * -knobs.beta).sigmoid()
}
