//! Conservative DPO (cDPO): label smoothing.

use super::algorithm::{Algorithm, Knobs, StepLogps, minus_log_sigmoid};
use std::f64::consts::LN_2;
use tch::Tensor;

/// DPO that believes a share `ε` of the labels to be the wrong way round. The
/// gradient crosses zero at `β·h = log((1−ε)/ε)`: margins stop growing there.
pub const CDPO: Algorithm = Algorithm {
    name: "cdpo",
    title: "cDPO",
    source: "Mitchell 2023, \"A note on DPO with noisy preferences\"",
    formula: "−(1−ε)·log σ(β·h) − ε·log σ(−β·h)",
    term: Some(per_pair),
    at_reference: Some(|_| LN_2),
    label_smoothing: |loss| loss.cdpo.label_smoothing.get(),
    copy_table: |from, to| to.cdpo = from.cdpo,
    ..Algorithm::PLAIN
};

/// `−(1−ε)·log σ(β·h) − ε·log σ(−β·h)`: `[pairs]`, nats.
fn per_pair(knobs: &Knobs, logps: &StepLogps) -> Tensor {
    smoothed(&(logps.margin() * knobs.beta), knobs.label_smoothing)
}

/// The smoothed loss of any margin that already holds `β`.
pub fn smoothed(margin: &Tensor, flipped: f64) -> Tensor {
    minus_log_sigmoid(margin) * (1.0 - flipped) + minus_log_sigmoid(&-margin) * flipped
}
