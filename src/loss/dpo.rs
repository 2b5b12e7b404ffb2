//! Direct preference optimisation (DPO).

use super::algorithm::{Algorithm, Knobs, StepLogps, minus_log_sigmoid};
use std::f64::consts::LN_2;
use tch::Tensor;

/// Makes the policy prefer the chosen answer by more than the reference does.
pub const DPO: Algorithm = Algorithm {
    name: "dpo",
    title: "DPO",
    source: "Rafailov et al. 2023, arXiv:2305.18290, equation 7",
    formula: "−log σ(β·h)",
    term: Some(per_pair),
    at_reference: Some(|_| LN_2),
    ..Algorithm::PLAIN
};

/// `−log σ(β·h)`: `[pairs]`, nats; its gradient in `a` is `−β·σ(−β·h)`.
pub fn per_pair(knobs: &Knobs, logps: &StepLogps) -> Tensor {
    minus_log_sigmoid(&(logps.margin() * knobs.beta))
}
