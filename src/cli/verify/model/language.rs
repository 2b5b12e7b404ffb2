//! The decoder: hidden states, logits, label log-probabilities and loss, also of a batch
//! with a dummy tile and beyond the trained length.

use super::record::{IGNORED, Sample};
use super::{Check, EXACT, HIDDEN, LOGITS, LOGPS, LOSS, malformed};
use crate::Result;
use crate::cli::verify::Tolerance;
use crate::error::Context;
use crate::model::config::{LanguageConfig, RopeScaling};
use crate::model::{Trace, Vlm};
use serde_json::Value;
use tch::{Kind, Tensor};

/// A run as if the decoder had been trained on shorter sequences: `ntk24` in expected.json,
/// `ntk24.logits_sample0_last8` in expected.safetensors.
pub(super) struct Stretched {
    key: String,
    sample: usize,
    last: i64,
}

impl Stretched {
    /// The trained length in a key of expected.json.
    pub(super) fn of_key(key: &str) -> Option<usize> {
        key.strip_prefix("ntk")?.parse().ok().filter(|trained| *trained > 0)
    }

    /// What a name of expected.safetensors says.
    pub(super) fn of_tensor(name: &str) -> Option<Self> {
        let (key, rest) = name.split_once(".logits_sample")?;
        Self::of_key(key)?;
        let (sample, last) = rest.split_once("_last")?;
        let last = last.parse::<u32>().ok()?.into();
        Some(Self { key: key.to_owned(), sample: sample.parse().ok()?, last })
    }
}

impl Check<'_> {
    pub(super) fn language(&mut self, features: &Tensor) -> Result<()> {
        let samples = self.samples("")?;
        let features = self.flagged("", features)?;
        let traces: Result<Vec<Trace>> =
            samples.iter().map(|sample| trace(self.model, sample, &features)).collect();
        let traces = traces?;
        self.hidden(&samples, &traces);
        self.labels("", &samples, &traces)?;
        self.scale(&traces);
        self.stretched(&samples, &traces, &features)?;
        self.mixed()
    }

    /// The batch's rows.
    pub(super) fn samples(&self, prefix: &str) -> Result<Vec<Sample>> {
        let config = &self.model.config;
        self.record.samples(prefix, config.image_token, config.image_tokens)
    }

    /// Features of the batch's real tiles: the others go through the tower and no further.
    pub(super) fn flagged(&self, prefix: &str, features: &Tensor) -> Result<Tensor> {
        Ok(match self.record.flagged(prefix)? {
            Some(rows) => features.index_select(0, &rows),
            None => features.shallow_clone(),
        })
    }

    fn hidden(&mut self, samples: &[Sample], traces: &[Trace]) {
        for (sample, trace) in samples.iter().zip(traces) {
            for (index, recorded) in self.record.indexed("llm_hidden.") {
                let at = format!("llm_hidden.{index}, row {}", sample.row);
                let recorded = sample.rows_of(recorded);
                self.state("decoder hidden states", &at, trace.inputs.get(index), &recorded);
            }
            let at = format!("row {}", sample.row);
            if let Some(recorded) = self.record.expected("last_hidden_state") {
                let recorded = sample.rows_of(recorded);
                self.tensor("last hidden state", &at, &trace.last, &recorded, HIDDEN);
            }
            if let Some(recorded) = self.record.expected("logits") {
                self.tensor("logits", &at, &trace.logits, &sample.rows_of(recorded), LOGITS);
            }
        }
    }

    /// Log-probabilities of the labels, their sums and the loss.
    fn labels(&mut self, prefix: &str, samples: &[Sample], traces: &[Trace]) -> Result<()> {
        let named = |name: &str| format!("{prefix}{name}");
        self.record.input(&named("labels"))?;
        let what = if prefix.is_empty() { "" } else { ", dummy tile" };
        let mut sums = Vec::new();
        let mut counts = Vec::new();
        for (sample, trace) in samples.iter().zip(traces) {
            let got = label_logps(sample, &trace.logits);
            if let Some(recorded) = self.record.expected(&named("label_logprobs")) {
                let recorded = unpadded(recorded, sample);
                let at = format!("row {}", sample.row);
                let quantity = format!("label log-probabilities{what}");
                self.tensor(&quantity, &at, &got, &recorded, LOGPS);
            }
            sums.push(got.sum(Kind::Double).double_value(&[]));
            counts.push(sample.supervised().count() as f64);
        }
        let loss = -sums.iter().sum::<f64>() / counts.iter().sum::<f64>();
        if let Some(recorded) = self.record.expected(&named("loss")) {
            let got = Tensor::from_slice(&[loss]).reshape(recorded.size());
            self.tensor(&format!("loss{what}"), &named("loss"), &got, recorded, LOSS);
        }
        let key = if prefix.is_empty() { "loss" } else { "mixed_loss" };
        self.number(&format!("loss{what}"), loss, self.record.json.get(key), LOSS);
        if prefix.is_empty() {
            let longest = counts.iter().fold(1.0, |a: f64, &b| a.max(b));
            let allowed = Tolerance { absolute: LOGPS.absolute * longest, relative: 0.0 };
            self.list("label_logprob_sum_per_sample", &sums, allowed)?;
            self.list("num_supervised", &counts, EXACT)?;
            let recorded = self.record.json.get("scale").and_then(|scale| scale.get("loss"));
            self.number("scale", loss, recorded, LOSS);
        }
        Ok(())
    }

    /// Compares numbers with a list in expected.json, if it is there.
    fn list(&mut self, key: &str, got: &[f64], allowed: Tolerance) -> Result<()> {
        let Some(recorded) = self.record.json.get(key) else { return Ok(()) };
        let recorded: Option<Vec<f64>> =
            recorded.as_array().and_then(|list| list.iter().map(Value::as_f64).collect());
        let recorded = recorded.ok_or_else(|| malformed(key))?;
        self.ledger.compare_all(key, "expected.json", got, &recorded, allowed);
        Ok(())
    }

    /// Size and spread of the logits.
    fn scale(&mut self, traces: &[Trace]) {
        let all: Vec<Tensor> = traces.iter().map(|trace| trace.logits.flatten(0, -1)).collect();
        let all = Tensor::cat(&all, 0).to_kind(Kind::Double);
        let scale = self.record.json.get("scale");
        let of = |key: &str| scale.and_then(|scale| scale.get(key));
        self.number("scale", all.abs().max().double_value(&[]), of("logits_absmax"), LOGITS);
        self.number("scale", all.std(true).double_value(&[]), of("logits_std"), LOGITS);
    }

    /// Rotary angles beyond the trained length.
    fn stretched(&mut self, samples: &[Sample], plain: &[Trace], features: &Tensor) -> Result<()> {
        let keys: Vec<(String, usize)> = self
            .record
            .json
            .keys()
            .filter_map(|key| Some((key.clone(), Stretched::of_key(key)?)))
            .collect();
        for (key, trained) in keys {
            let model = self.model.with_trained_length(trained);
            let recorded = &self.record.json[&key];
            let length = recorded.get("max_position_embeddings");
            self.number("beyond the trained length", trained as f64, length, EXACT);
            let longest = samples.iter().map(|sample| sample.ids.len()).max().unwrap_or(0);
            self.number(
                "beyond the trained length",
                longest as f64,
                recorded.get("seq_len"),
                EXACT,
            );
            let mut change: f64 = 0.0;
            for (sample, plain) in samples.iter().zip(plain) {
                let logits = trace(&model, sample, features)?.logits;
                change = change.max((logits - &plain.logits).abs().max().double_value(&[]));
            }
            let allowed = Tolerance { absolute: 2.0 * LOGITS.absolute, relative: 0.0 };
            let recorded = recorded.get("max_abs_change_vs_plain");
            self.number("beyond the trained length", change, recorded, allowed);
        }
        for (name, recorded) in self.record.expected_below("") {
            let Some(stretched) = Stretched::of_tensor(name) else { continue };
            let trained = Stretched::of_key(&stretched.key).expect("the name was read");
            let sample = samples.get(stretched.sample).ok_or_else(|| malformed(name))?;
            let logits = trace(&self.model.with_trained_length(trained), sample, features)?.logits;
            let last = stretched.last.min(logits.size()[0]);
            let got = logits.narrow(0, logits.size()[0] - last, last);
            self.tensor("beyond the trained length", name, &got, recorded, LOGITS);
        }
        Ok(())
    }

    /// A batch in which some tile is a dummy.
    fn mixed(&mut self) -> Result<()> {
        let is_recorded = self.record.expected_below("mixed.").next().is_some();
        if !is_recorded && !self.record.json.contains_key("mixed_loss") {
            return Ok(());
        }
        let samples = self.samples("mixed.")?;
        let features = self.model.image_features(self.record.input("pixel_values")?);
        let features = self.flagged("mixed.", &features)?;
        let traces: Result<Vec<Trace>> =
            samples.iter().map(|sample| trace(self.model, sample, &features)).collect();
        self.labels("mixed.", &samples, &traces?)
    }
}

/// A row as the reference runs it: rotary angles that depend on a length take the whole batch's,
/// its padding included.
pub(super) fn trace(model: &Vlm, sample: &Sample, features: &Tensor) -> Result<Trace> {
    let mut ids = sample.ids.clone();
    if is_turned_by_padding(&model.config.language, sample) {
        // No row looks at what stands behind it.
        let filler = ids.iter().find(|&&id| id != model.config.image_token);
        ids.resize(sample.padded, filler.copied().unwrap_or(0));
    }
    let traced = model.trace(&ids, sample.tiles.clone(), features);
    let row = sample.row;
    let Trace { inputs, last, logits } = traced.with_context(|| format!("row {row}"))?;
    let own = |whole: Tensor| whole.narrow(0, 0, sample.ids.len() as i64);
    Ok(Trace {
        inputs: inputs.into_iter().map(own).collect(),
        last: own(last),
        logits: own(logits),
    })
}

/// Whether the padding of its batch changes a row's rotary angles.
pub(super) fn is_turned_by_padding(language: &LanguageConfig, sample: &Sample) -> bool {
    let (own, padded) = (sample.ids.len(), sample.padded);
    match &language.rope_scaling {
        RopeScaling::None | RopeScaling::Linear(_) => false,
        RopeScaling::Dynamic(_) => padded > own.max(language.positions),
        RopeScaling::Long { trained, .. } => own <= *trained && *trained < padded,
    }
}

/// Log-probability of each label but the first, 0 where it is not supervised.
///
/// # Shapes
///
/// logits `[tokens, vocabulary]` → `[tokens − 1]`.
pub(super) fn label_logps(sample: &Sample, logits: &Tensor) -> Tensor {
    let before = sample.ids.len() as i64 - 1;
    let labels = Tensor::from_slice(&sample.labels[1..]).to_device(logits.device());
    let logps = logits.narrow(0, 0, before).log_softmax(-1, Kind::Float);
    let logps = logps.gather(1, &labels.clamp_min(0).unsqueeze(1), false).squeeze_dim(1);
    logps.where_self(&labels.ne(IGNORED), &logps.zeros_like())
}

/// What was recorded of a sample's own positions, `[tokens − 1]`: column t is about the
/// label at t + 1.
fn unpadded(recorded: &Tensor, sample: &Sample) -> Tensor {
    let count = sample.places.size()[0];
    let places = sample.places.narrow(0, 1, count - 1) - 1;
    recorded.get(sample.row).index_select(0, &places)
}
