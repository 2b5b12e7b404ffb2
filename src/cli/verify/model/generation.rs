//! Greedy answers: with a picture, without one, in a padded batch, stopped by an end token.

use super::language::trace;
use super::{Check, EXACT, LOGITS, malformed};
use crate::Result;
use crate::cli::verify::Tolerance;
use crate::sample::{Generation, Request, generate};
use crate::spec::train::Precision;
use serde_json::Value;
use tch::{Kind, Tensor};

/// What stands behind `gen_NAME` in expected.safetensors.
const PARTS: [&str; 2] = ["tokens", "step0_logits"];
/// A run of the same prompts that an end token stops.
const STOPPED: &str = "_eos";
/// No token: nothing stops the answer.
const NEVER: i64 = -1;

/// Whether a tensor is about a generation.
pub(super) fn is_known(name: &str) -> bool {
    name.strip_prefix("gen_")
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(_, part)| PARTS.contains(&part))
}

impl Check<'_> {
    pub(super) fn generation(&mut self, features: &Tensor) -> Result<()> {
        for (rest, recorded) in self.record.expected_below("gen_") {
            let Some((run, part)) = rest.split_once('.') else { continue };
            let run = format!("gen_{run}");
            match part {
                "tokens" => {
                    let rows: Vec<Vec<i64>> = Vec::try_from(recorded).unwrap_or_default();
                    self.answers(&run, &rows, NEVER, features)?;
                }
                "step0_logits" => self.first_logits(&run, recorded, features)?,
                _ => {}
            }
        }
        let Some(runs) = self.record.json.get("generation") else { return Ok(()) };
        for (run, recorded) in runs.as_object().ok_or_else(|| malformed("generation"))? {
            let rows: Option<Vec<Vec<i64>>> =
                recorded.get("tokens").and_then(|rows| serde_json::from_value(rows.clone()).ok());
            let rows = rows.ok_or_else(|| malformed(&format!("generation.{run}")))?;
            let eos = recorded.get("eos_token_id").and_then(Value::as_i64).unwrap_or(NEVER);
            let prompts = run.strip_suffix(STOPPED).unwrap_or(run);
            self.answers(prompts, &rows, eos, features)?;
            if let Some(margin) = recorded.get("min_margin") {
                self.margin(prompts, &rows, margin, features)?;
            }
        }
        Ok(())
    }

    /// The answers, token by token.
    fn answers(&mut self, run: &str, rows: &[Vec<i64>], eos: i64, features: &Tensor) -> Result<()> {
        let quantity = match eos {
            NEVER => "greedy tokens",
            _ => "greedy tokens, stopped",
        };
        let samples = self.samples(&format!("{run}."))?;
        let requests: Vec<Request> = samples
            .into_iter()
            .zip(0..)
            .map(|(sample, stream)| Request {
                prompt: sample.ids,
                tiles: sample.tiles,
                samples: 1,
                stream,
                prefix: vec![],
            })
            .collect();
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        let settings = Generation::greedy(Precision::Fp32, longest, requests.len().max(1), eos);
        let got = generate(self.model, &requests, features, &settings, &|_, _| ())?;
        if got.len() != rows.len() {
            let (got, recorded) = (got.len() as f64, rows.len() as f64);
            self.ledger.compare(quantity, &format!("{run}, rows"), got, recorded, EXACT);
            return Ok(());
        }
        for (row, (got, recorded)) in got.iter().zip(rows).enumerate() {
            let at = format!("{run}, row {row}");
            let floats = |ids: &[i64]| ids.iter().map(|&id| id as f64).collect::<Vec<f64>>();
            // Where one row stops early the others go on, and padding follows it.
            let recorded = match recorded.iter().position(|&id| id == eos) {
                Some(end) => &recorded[..=end],
                None => recorded,
            };
            self.ledger.compare_all(quantity, &at, &floats(&got.tokens), &floats(recorded), EXACT);
        }
        Ok(())
    }

    /// The logits that the first token is chosen from.
    fn first_logits(&mut self, run: &str, recorded: &Tensor, features: &Tensor) -> Result<()> {
        let mut rows = Vec::new();
        for sample in self.samples(&format!("{run}."))? {
            let logits = trace(self.model, &sample, features)?.logits;
            rows.push(logits.get(-1));
        }
        let got = Tensor::stack(&rows, 0);
        self.tensor("first logits of an answer", run, &got, recorded, LOGITS);
        Ok(())
    }

    /// The smallest gap between the two largest logits on the way, without a cache.
    fn margin(
        &mut self,
        run: &str,
        rows: &[Vec<i64>],
        recorded: &Value,
        features: &Tensor,
    ) -> Result<()> {
        let mut smallest = f64::INFINITY;
        for (sample, tokens) in self.samples(&format!("{run}."))?.into_iter().zip(rows) {
            let Some((_, before)) = tokens.split_last() else { continue };
            let first = sample.ids.len() as i64 - 1;
            let traced = self.model.trace_answer(&sample.ids, before, sample.tiles, features);
            let logits = traced?.logits;
            let logits = logits.narrow(0, first, tokens.len() as i64);
            let (top, _) = logits.topk(2, -1, true, true); // [tokens, 2]
            let gap = (top.select(1, 0) - top.select(1, 1)).min().to_kind(Kind::Double);
            smallest = smallest.min(gap.double_value(&[]));
        }
        let allowed = Tolerance { absolute: 2.0 * LOGITS.absolute, relative: 0.0 };
        self.number("margins of greedy tokens", smallest, Some(recorded), allowed);
        Ok(())
    }
}
