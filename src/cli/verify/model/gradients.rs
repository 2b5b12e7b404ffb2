//! Gradients of the loss, by the path that training takes: answers behind prompts, the
//! fused head.

use super::language::{is_turned_by_padding, label_logps, trace};
use super::record::Sample;
use super::{Check, LOGPS, LOSS, Tolerance, malformed, within};
use crate::Result;
use crate::model::Group;
use crate::model::config::Layout;
use crate::model::native;
use crate::spec::model::Module;
use crate::spec::train::Precision;
use tch::{Kind, Tensor};

const GRADIENTS: Tolerance = within(1e-5);
/// `|a − b| ≤ 2e-5 · (b + 1e-4)`.
const NORMS: Tolerance = Tolerance { absolute: 2e-9, relative: 2e-5 };
/// The bias of keys has a gradient of zero in exact arithmetic (a softmax does not see it):
/// what is recorded is rounding.
const NOISE: Tolerance = Tolerance { absolute: 2e-7, relative: 2e-3 };

impl Check<'_> {
    pub(super) fn gradients(&mut self) -> Result<()> {
        let is_recorded = self.record.expected_below("grad.").next().is_some();
        if !is_recorded && !self.record.json.contains_key("grad_norm") {
            return Ok(());
        }
        self.model.set_trainable(&[Module::Vision, Module::Projector, Module::Language]);
        let loss = self.training_loss()?;
        if let Some(recorded) = self.record.expected("loss") {
            let got = loss.detach().reshape(recorded.size());
            self.tensor("loss, in training", "loss", &got, recorded, LOSS);
        }
        loss.backward();
        for (name, recorded) in self.record.expected_below("grad.") {
            match self.gradient(name) {
                Some(got) => self.tensor("gradients", name, &got, recorded, GRADIENTS),
                None => self.ledger.unknown(format!("grad.{name}")),
            }
        }
        if let Some(norms) = self.record.json.get("grad_norm") {
            for (name, recorded) in norms.as_object().ok_or_else(|| malformed("grad_norm"))? {
                let Some(gradient) = self.gradient(name) else {
                    self.ledger.unknown(format!("grad_norm.{name}"));
                    continue;
                };
                // A parameter beyond the selected layer has none: null or 0.
                let recorded = recorded.as_f64().unwrap_or(0.0);
                let noise = name.ends_with("attention.k_proj.bias");
                let (quantity, allowed) = match noise {
                    true => ("gradient norms of key biases", NOISE),
                    false => ("gradient norms", NORMS),
                };
                self.ledger.compare(quantity, name, norm(&[gradient]), recorded, allowed);
            }
        }
        let all: Vec<Tensor> =
            self.model.parameters().into_iter().map(|(_, tensor)| gradient_of(tensor)).collect();
        self.number(
            "gradient norm, total",
            norm(&all),
            self.record.json.get("grad_norm_total"),
            NORMS,
        );
        Ok(())
    }

    /// Mean over the batch's supervised tokens, with gradient.
    fn training_loss(&mut self) -> Result<Tensor> {
        let samples = self.samples("")?;
        let features = self.model.image_features(self.record.input("pixel_values")?);
        let features = self.flagged("", &features)?;
        let image = self.model.config.image_token;
        let mut sums = Vec::new();
        let mut count = 0;
        for sample in &samples {
            let Some(start) = sample.supervised().next() else { continue };
            let (prompt, answer) = sample.ids.split_at(start);
            let by_padding = is_turned_by_padding(&self.model.config.language, sample);
            let logps = match by_padding || answer.contains(&image) {
                // In a branch the image token is a token like any other, and there is no padding.
                true => {
                    let logits = trace(self.model, sample, &features)?.logits;
                    label_logps(sample, &logits).narrow(0, start as i64 - 1, answer.len() as i64)
                }
                false => {
                    let group =
                        Group { prompt, tiles: sample.tiles.clone(), answers: vec![answer] };
                    let logps = self.model.answer_logps(&[group], &features, Precision::Fp32)?;
                    supervised(sample, start, &logps.tokens.expect("tokens are given"))
                }
            };
            if let Some(recorded) = self.record.expected("label_logprobs") {
                let places = sample.places.narrow(0, start as i64, answer.len() as i64) - 1;
                let recorded = recorded.get(sample.row).index_select(0, &places);
                let at = format!("row {}", sample.row);
                self.tensor("label log-probabilities, in training", &at, &logps, &recorded, LOGPS);
            }
            sums.push(logps.sum(Kind::Float));
            count += sample.supervised().count();
        }
        if sums.is_empty() {
            return Err(self
                .record
                .wrong("labels", "supervise nothing, and gradients are recorded"));
        }
        Ok(-Tensor::stack(&sums, 0).sum(Kind::Float) / count as f64)
    }

    /// The gradient of a recorded parameter; transformers names parameters by module, and
    /// has the tower's q, k and v apart.
    fn gradient(&self, name: &str) -> Option<Tensor> {
        let (original, part) = match self.model.config.layout {
            Layout::Original => (name.to_owned(), 0),
            Layout::Native => native::original(name),
        };
        let (_, parameter) =
            self.model.parameters().into_iter().find(|(name, _)| *name == original)?;
        let gradient = gradient_of(parameter);
        let parts = native::parts(&original, self.model.config.layout).len() as i64;
        Some(gradient.chunk(parts, 0).swap_remove(part))
    }
}

/// The labels' part of an answer's log-probabilities; 0 elsewhere.
fn supervised(sample: &Sample, start: usize, logps: &Tensor) -> Tensor {
    let labels = Tensor::from_slice(&sample.labels[start..]).to_device(logps.device());
    logps.where_self(&labels.ne(super::record::IGNORED), &logps.zeros_like())
}

fn gradient_of(parameter: &Tensor) -> Tensor {
    let gradient = parameter.grad();
    if gradient.defined() { gradient } else { parameter.detach().zeros_like() }
}

/// The Euclidean norm of all numbers, in f64.
fn norm(tensors: &[Tensor]) -> f64 {
    let squares = tensors
        .iter()
        .map(|tensor| tensor.to_kind(Kind::Double).square().sum(Kind::Double).double_value(&[]));
    squares.sum::<f64>().sqrt()
}
