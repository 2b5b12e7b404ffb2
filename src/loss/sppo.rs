//! Self-play preference optimisation (SPPO), hard labels.

use super::algorithm::{Algorithm, Beta, Knobs, StepLogps};
use tch::Tensor;

/// Regresses both log-ratios to `±1/(2β)` nats.
///
/// The paper's `β` (its `1/η`) is 0.001: targets of ±500 nats, for answers of
/// hundreds of tokens. Embedded answers have about 27, hence ±1 nat. The loss
/// scales with `1/β²`, so that `w_g = 1` weighs little beside a small `β`.
pub const SPPO: Algorithm = Algorithm {
    name: "sppo",
    title: "SPPO",
    source: "Wu et al. 2024, arXiv:2405.00675, equation 4.4 with P in {0, 1}",
    formula: "(a − 1/(2β))² + (b + 1/(2β))²",
    beta: Beta { paper: 0.001, embedded: 0.5 },
    term: Some(per_pair),
    at_reference: Some(|knobs| 2.0 * (0.5 / knobs.beta).powi(2)),
    ..Algorithm::PLAIN
};

/// `(a − 1/(2β))² + (b + 1/(2β))²`: `[pairs]`, nats².
fn per_pair(knobs: &Knobs, logps: &StepLogps) -> Tensor {
    let target = 0.5 / knobs.beta;
    (logps.chosen_ratio() - target).square() + (logps.rejected_ratio() + target).square()
}
