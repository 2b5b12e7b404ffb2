//! Length-normalised DPO (TRL's `sigmoid_norm`).

use super::algorithm::{Algorithm, Knobs, StepLogps, minus_log_sigmoid};
use std::f64::consts::LN_2;
use tch::Tensor;

/// DPO on log-ratios a token, so that long answers do not dominate.
pub const LN_DPO: Algorithm = Algorithm {
    name: "ln_dpo",
    title: "LN-DPO",
    source: "Lambert et al. 2024, arXiv:2411.15124, section 5.1; TRL 1.x sigmoid_norm",
    formula: "−log σ(β·(a/|y⁺| − b/|y⁻|))",
    term: Some(per_pair),
    at_reference: Some(|_| LN_2),
    ..Algorithm::PLAIN
};

/// `−log σ(β·(a/|y⁺| − b/|y⁻|))`: `[pairs]`, nats.
fn per_pair(knobs: &Knobs, logps: &StepLogps) -> Tensor {
    minus_log_sigmoid(&(logps.mean_margin() * knobs.beta))
}
