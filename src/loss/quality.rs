//! The quality term `L_q`: a binary classifier of each answer by itself (BCO).

use super::algorithm::{StepLogps, minus_log_sigmoid};
use tch::Tensor;

/// `−log σ(β·a − δ) − log σ(−(β·b − δ))`: `[pairs]`, nats.
///
/// `shift` is δ, `[pairs]` or `[]`, a constant to the gradient: see [`super::Shift`].
///
/// # Source
///
/// Jung et al. 2024, arXiv:2404.04656, equation 9. TRL 1.x drops δ; TRL 0.10,
/// InternVL and LLaMA-Factory keep a cumulative mean of rewards.
pub fn per_pair(beta: f64, shift: &Tensor, logps: &StepLogps) -> Tensor {
    let chosen = logps.chosen_ratio() * beta - shift;
    let rejected = logps.rejected_ratio() * beta - shift;
    minus_log_sigmoid(&chosen) + minus_log_sigmoid(&-rejected)
}
