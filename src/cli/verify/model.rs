//! `prefab verify model DIR`: all that a reference implementation recorded of a
//! checkpoint, recomputed by [`crate::model`] in fp32.
//!
//! DIR holds `model/` (a Hub-style directory), `inputs.safetensors`,
//! `expected.safetensors` and `expected.json`; `tests/record/README.md` says what stands
//! in them. Every recorded name is either recomputed or unknown, and an unknown one fails.
//!
//! | file | what it recomputes |
//! |---|---|
//! | `record` | (reads the folder) |
//! | `vision` | hidden states of the tower, pixel shuffle, projector, other picture sizes |
//! | `language` | hidden states of the decoder, logits, label log-probabilities, loss |
//! | `gradients` | gradients of the loss and their norms |
//! | `generation` | greedy answers, first logits, margins |
//! | `files` | tensor names and shapes, special tokens |

mod files;
mod forms;
mod generation;
mod gradients;
mod language;
mod record;
mod vision;

use super::{Ledger, Tolerance};
use crate::model::Vlm;
use crate::run::device::{self, Choice};
use crate::{Error, Result};
use record::Record;
use serde_json::Value;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// An absolute tolerance.
const fn within(absolute: f64) -> Tolerance {
    Tolerance { absolute, relative: 0.0 }
}

// What reordered fp32 arithmetic may change: about three times the largest difference
// that was measured between the reference's own eager, SDPA and fp64 runs.
const EXACT: Tolerance = within(0.0);
const FEATURES: Tolerance = within(1e-5);
const HIDDEN: Tolerance = within(3e-5);
/// Share of a residual stream's largest value on top of [`HIDDEN`]: its sums round by shares of
/// it. The reference's eager, SDPA and fp64 runs lie 2.4e-6 of it apart at the most (6 to 8 layers,
/// values up to 26); what is normed, 1.3e-5.
const STREAM: f64 = 5e-6;
const LOGITS: Tolerance = within(5e-5);
const LOGPS: Tolerance = within(3e-5);
const LOSS: Tolerance = within(5e-6);

/// Recomputes everything in the folder.
///
/// # Errors
///
/// If a file is missing or damaged, or if [`Ledger::close`] says so.
pub fn run(dir: &Path, device: Choice) -> Result<()> {
    let device = device::open(device)?;
    if device != Device::Cpu {
        // The products of cuDNN are TF32 by default, which these tolerances do not allow.
        tch::Cuda::set_user_enabled_cudnn(false);
    }
    let record = Record::open(dir, device)?;
    let model = Vlm::load(&dir.join("model"), device)?;
    record.check(&model.config)?;
    let mut check = Check { record: &record, model: &model, ledger: Ledger::default() };
    check.everything()?;
    check.ledger.close(&dir.display().to_string())
}

/// One folder's comparison.
struct Check<'a> {
    record: &'a Record,
    model: &'a Vlm,
    ledger: Ledger,
}

impl Check<'_> {
    fn everything(&mut self) -> Result<()> {
        {
            let _no_grad = tch::no_grad_guard();
            let features = self.vision()?;
            self.language(&features)?;
            self.generation(&features)?;
            self.files()?;
        }
        self.gradients()?;
        let unknown = self.record.tensors().filter(|name| !is_known(name));
        unknown.for_each(|name| self.ledger.unknown(name));
        for key in self.record.json.keys().filter(|key| !is_known_key(key)) {
            self.ledger.unknown(format!("expected.json: {key}"));
        }
        Ok(())
    }

    /// Compares a tensor with the recorded one.
    fn tensor(
        &mut self,
        quantity: &str,
        at: &str,
        got: &Tensor,
        recorded: &Tensor,
        allowed: Tolerance,
    ) {
        if got.size() != recorded.size() {
            let at = format!("{at}: shape {:?} for {:?}", got.size(), recorded.size());
            self.ledger.compare(quantity, &at, f64::NAN, 0.0, allowed);
            return;
        }
        self.ledger.compare_all(quantity, at, &values(got), &values(recorded), allowed);
    }

    /// Compares a state of a residual stream, which no norm keeps small, with the recorded one.
    fn state(&mut self, quantity: &str, at: &str, got: Option<&Tensor>, recorded: &Tensor) {
        match got {
            Some(got) => self.tensor(quantity, at, got, recorded, stream(&values(recorded))),
            None => self.ledger.compare(quantity, at, f64::NAN, 0.0, HIDDEN),
        }
    }

    /// Compares a number with the one in expected.json, if it is there.
    fn number(&mut self, quantity: &str, got: f64, recorded: Option<&Value>, allowed: Tolerance) {
        if let Some(recorded) = recorded {
            let recorded = recorded.as_f64().unwrap_or(f64::NAN);
            self.ledger.compare(quantity, "expected.json", got, recorded, allowed);
        }
    }
}

/// All numbers of a tensor.
fn values(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Double).flatten(0, -1);
    Vec::try_from(flat).expect("a flat f64 tensor is a list")
}

/// What a state of a residual stream may be off by anywhere.
fn stream(recorded: &[f64]) -> Tolerance {
    let sizes = recorded.iter().map(|value| value.abs()).filter(|size| size.is_finite());
    within(HIDDEN.absolute + STREAM * sizes.fold(0.0, f64::max))
}

/// Whether a tensor of expected.safetensors is recomputed: those names that the files
/// beside this one look for.
fn is_known(name: &str) -> bool {
    let exact = ["pixel_shuffled", "vision_features", "last_hidden_state", "logits"];
    let any = ["label_logprobs", "loss", "mixed.label_logprobs", "mixed.loss"];
    let indexed =
        |prefix: &str| name.strip_prefix(prefix).is_some_and(|i| i.parse::<usize>().is_ok());
    exact.contains(&name)
        || any.contains(&name)
        || indexed("vit_hidden.")
        || indexed("llm_hidden.")
        || ["vision_features.", "vit_last_hidden.", "grad."].iter().any(|p| name.starts_with(p))
        || generation::is_known(name)
        || language::Stretched::of_tensor(name).is_some()
}

/// Whether a key of expected.json is recomputed, or is about the recording itself.
fn is_known_key(key: &str) -> bool {
    let compared = [
        "loss",
        "label_logprob_sum_per_sample",
        "num_supervised",
        "mixed_loss",
        "scale",
        "grad_norm",
        "grad_norm_total",
        "generation",
        "param_shapes",
        "module_param_shapes",
        "file_keys",
        "ids",
        "eos_token_id",
        "pad_token_id",
    ];
    let about = ["noise", "versions"];
    compared.contains(&key) || about.contains(&key) || language::Stretched::of_key(key).is_some()
}

/// A recorded shape or list that is not one.
fn malformed(key: &str) -> Error {
    Error::new(format!("expected.json: `{key}` is not in the recorder's form"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a state passes that is off by so much at its smallest value.
    fn passes(recorded: &[f64], off: f64) -> bool {
        let mut got = recorded.to_vec();
        got[0] += off;
        let mut ledger = Ledger::default();
        ledger.compare_all("states", "llm_hidden.7", &got, recorded, stream(recorded));
        ledger.close("x.json").is_ok()
    }

    #[test]
    fn a_stream_may_be_off_by_a_share_of_its_largest_value() {
        let (shallow, deep) = ([0.1, -2.0], [0.1, 26.2]);
        assert!(passes(&shallow, 3e-5) && !passes(&shallow, 6e-5));
        // The reference's own difference there, and damage.
        assert!(passes(&deep, 6e-5) && !passes(&deep, 1e-3));
        assert!(!passes(&[0.1, f64::INFINITY], 6e-5));
    }
}
