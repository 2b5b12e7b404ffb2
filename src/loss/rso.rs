//! The loss of rejection-sampling optimisation (RSO): a hinge.

use super::algorithm::{Algorithm, Beta, Knobs, StepLogps};
use tch::Tensor;

/// Only the loss: the paper's other half is how its pairs are sampled. The
/// gradient is exactly 0 once `β·h ≥ 1`, and metrics freeze there.
pub const RSO: Algorithm = Algorithm {
    name: "rso",
    title: "RSO",
    source: "Liu et al. 2023, arXiv:2309.06657, hinge-norm; after SLiC, arXiv:2305.10425",
    formula: "max(0, 1 − β·h)",
    beta: Beta { paper: 0.05, embedded: 0.1 },
    term: Some(per_pair),
    at_reference: Some(|_| 1.0),
    ..Algorithm::PLAIN
};

/// `max(0, 1 − β·h)`: `[pairs]`.
fn per_pair(knobs: &Knobs, logps: &StepLogps) -> Tensor {
    let slack: Tensor = 1.0 - logps.margin() * knobs.beta;
    slack.relu()
}
