//! The generation term `L_g`: negative log-likelihood of the chosen answers (SFT).

use super::algorithm::StepLogps;
use crate::spec::loss::Generation;
use tch::{Kind, Tensor};

/// Mean negative log-likelihood a token: `[]`, nats.
///
/// By `Token`, `−Σ log π(y⁺|x) / Σ |y⁺|` over the step (TRL, InternVL); by
/// `Answer`, the mean over pairs of `−log π(y⁺|x) / |y⁺|` (LLaMA-Factory, and
/// Wang et al. 2024, arXiv:2411.10442, equation 7).
pub fn step(generation: Generation, logps: &StepLogps) -> Tensor {
    let kind = logps.policy_chosen.kind();
    match generation {
        Generation::Token => {
            -logps.policy_chosen.sum(kind) / logps.chosen_tokens.sum(Kind::Double).to_kind(kind)
        }
        Generation::Answer => -(&logps.policy_chosen / &logps.chosen_tokens).mean(kind),
    }
}
