//! Identity preference optimisation (IPO).

use super::algorithm::{Algorithm, Beta, Knobs, StepLogps};
use tch::Tensor;

/// Regresses the margin to `1/(2β)`; `β` is the paper's `τ`.
///
/// With averages (the default: TRL, and what the authors told TRL) the target
/// is in nats a token, hence the embedded scale's larger `β`: at 0.1 it would
/// be 5 nats for every token. OpenRLHF sums: `[loss.ipo] average = false`.
pub const IPO: Algorithm = Algorithm {
    name: "ipo",
    title: "IPO",
    source: "Azar et al. 2023, arXiv:2310.12036, equation 17",
    formula: "(a/|y⁺| − b/|y⁻| − 1/(2β))²",
    beta: Beta { paper: 0.1, embedded: 1.0 },
    term: Some(per_pair),
    at_reference: Some(|knobs| (0.5 / knobs.beta).powi(2)),
    particulars: |knobs| if knobs.average { "" } else { ", summed" }.to_owned(),
    copy_table: |from, to| to.ipo = from.ipo,
    ..Algorithm::PLAIN
};

/// `(margin − 1/(2β))²`: `[pairs]`, nats².
fn per_pair(knobs: &Knobs, logps: &StepLogps) -> Tensor {
    let margin = if knobs.average { logps.mean_margin() } else { logps.margin() };
    (margin - 0.5 / knobs.beta).square()
}
