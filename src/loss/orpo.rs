//! Odds-ratio preference optimisation (ORPO).

use super::algorithm::{Algorithm, Knobs, StepLogps, Weights, log1mexp, minus_log_sigmoid};
use tch::Tensor;

/// Raises the odds of the chosen answer over the rejected one; no reference.
///
/// With `m` the mean log-probability a token, `log odds(m) = m − log(1 − eᵐ)`.
/// `β` is the paper's `λ`. Its likelihood term is the generation term
/// (`w_g = 1`), over the answer alone; TRL takes it over the prompt too.
pub const ORPO: Algorithm = Algorithm {
    name: "orpo",
    title: "ORPO",
    source: "Hong et al. 2024, arXiv:2403.07691, equations 6 and 7",
    formula: "−β·log σ(log odds(m⁺) − log odds(m⁻))",
    weights: Weights { w_p: 1.0, w_q: 0.0, w_g: 1.0 },
    term: Some(per_pair),
    ..Algorithm::PLAIN
};

/// `−β·log σ(log odds(m⁺) − log odds(m⁻))`: `[pairs]`, nats.
fn per_pair(knobs: &Knobs, logps: &StepLogps) -> Tensor {
    let chosen = log_odds(&(&logps.policy_chosen / &logps.chosen_tokens));
    let rejected = log_odds(&(&logps.policy_rejected / &logps.rejected_tokens));
    minus_log_sigmoid(&(chosen - rejected)) * knobs.beta
}

/// `m − log(1 − eᵐ)`: `[pairs]`, nats.
pub fn log_odds(mean: &Tensor) -> Tensor {
    mean - log1mexp(mean)
}
