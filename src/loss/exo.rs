//! Efficient exact optimisation (EXO), pair form.

use super::algorithm::{Algorithm, Knobs, StepLogps};
use crate::{Error, Result};
use tch::Tensor;

/// Reverse KL from the policy's preference `q = σ(β·h)` to the smoothed label.
pub const EXO: Algorithm = Algorithm {
    name: "exo",
    title: "EXO",
    source: "Ji et al. 2024, arXiv:2402.00856, equation 16 for pairs",
    formula: "q·(log q − log(1−ε)) + (1−q)·(log(1−q) − log ε), q = σ(β·h)",
    term: Some(per_pair),
    at_reference: Some(|knobs| {
        let flipped = knobs.label_smoothing;
        0.5 * (0.25 / (flipped * (1.0 - flipped))).ln()
    }),
    label_smoothing: |loss| loss.exo.label_smoothing.get(),
    check,
    copy_table: |from, to| to.exo = from.exo,
    ..Algorithm::PLAIN
};

/// Refuses `ε = 0`, whose logarithm the formula takes.
fn check(knobs: &Knobs) -> Result<()> {
    match knobs.label_smoothing > 0.0 {
        true => Ok(()),
        false => {
            Err(Error::spec("`loss.exo.label_smoothing` must be above 0: exo takes its logarithm")
                .hint("the paper uses 1e-3")
                .at("loss.exo.label_smoothing"))
        }
    }
}

/// `KL(σ(β·h) ‖ 1−ε)`: `[pairs]`, nats.
fn per_pair(knobs: &Knobs, logps: &StepLogps) -> Tensor {
    let margin = logps.margin() * knobs.beta;
    let flipped = knobs.label_smoothing;
    let won = margin.sigmoid() * (margin.log_sigmoid() - (1.0 - flipped).ln());
    let lost = margin.neg().sigmoid() * (margin.neg().log_sigmoid() - flipped.ln());
    won + lost
}
