//! steps.csv: one row a step, by the names that users of TRL know, with each
//! term of the mix by itself. Deterministic columns only: no clock.
//!
//! A row's training columns are measured by the step that starts from that
//! many updates; the validation columns too, so the two can be read together.
//! The last row has validation columns only. An empty cell was not measured.

use super::validation::Scores;
use crate::Result;
use crate::error::Context;
use crate::spec::lists::POLICY_STEPS;
use std::fmt::{Display, Write as _};
use std::path::Path;

/// What one training step measured.
#[derive(Clone, Copy, Debug)]
pub struct StepRow {
    /// Passes over the pairs when the step began.
    pub epoch: f64,
    /// `w_p · L_p + w_q · L_q + w_g · L_g`.
    pub loss: f32,
    /// `L_p`, unweighted; absent where its weight is zero.
    pub preference: Option<f32>,
    /// `L_q`, unweighted.
    pub quality: Option<f32>,
    /// `L_g`, unweighted.
    pub generation: Option<f32>,
    /// Reward shift of the quality term, mean over the step's pairs.
    pub delta: Option<f32>,
    /// `β · a`, mean.
    pub chosen_reward: f32,
    /// `β · b`, mean.
    pub rejected_reward: f32,
    /// Share of pairs with `β · a > β · b`.
    pub accuracy: f32,
    /// Mean over pairs of the summed log-probability, nats.
    pub chosen_logp: f32,
    /// The same of the rejected answers.
    pub rejected_logp: f32,
    /// Negative log-likelihood of the chosen answers a token, nats.
    pub nll: f32,
    /// Before clipping.
    pub grad_norm: f32,
    /// Of this step.
    pub learning_rate: f64,
    /// Prompt and answer tokens since the start, this step's included.
    pub tokens: u64,
    /// Pairs of this step.
    pub pairs: usize,
    /// Whether the moving reference was synced after this step.
    pub synced: bool,
}

/// Columns of steps.csv that are validation's; those before them are training's.
const OF_VALIDATION: usize = 4;
const OF_TRAINING: usize = POLICY_STEPS.len() - OF_VALIDATION;

/// Rows so far, as the text of the file; a checkpoint carries it whole.
#[derive(Clone, Debug, Default)]
pub struct Record {
    rows: String,
}

impl Record {
    /// Goes on from a checkpoint's rows.
    pub fn from_rows(rows: String) -> Self {
        Self { rows }
    }

    /// The rows without header.
    pub fn rows(&self) -> &str {
        &self.rows
    }

    /// Appends the row of a step and of what validation found before it.
    pub fn push(&mut self, step: usize, row: Option<&StepRow>, scores: Option<&Scores>) {
        let mut cells: Vec<String> = vec![step.to_string()];
        match row {
            Some(row) => cells.extend(training_cells(row)),
            None => cells.extend([const { String::new() }; OF_TRAINING]),
        }
        match scores {
            Some(scores) => cells.extend([
                cell(scores.direct),
                cell(scores.cot),
                scores.unparsable.to_string(),
                scores.questions.to_string(),
            ]),
            None => cells.extend([const { String::new() }; OF_VALIDATION]),
        }
        writeln!(self.rows, "{}", cells.join(",")).expect("a string takes every row");
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = format!("step,{}\n{}", POLICY_STEPS.join(","), self.rows);
        std::fs::write(path, text).with_context(|| format!("writing `{}`", path.display()))
    }
}

fn training_cells(row: &StepRow) -> [String; OF_TRAINING] {
    [
        row.epoch.to_string(),
        row.loss.to_string(),
        cell(row.preference),
        cell(row.quality),
        cell(row.generation),
        cell(row.delta),
        row.chosen_reward.to_string(),
        row.rejected_reward.to_string(),
        (row.chosen_reward - row.rejected_reward).to_string(),
        row.accuracy.to_string(),
        row.chosen_logp.to_string(),
        row.rejected_logp.to_string(),
        row.nll.to_string(),
        row.grad_norm.to_string(),
        row.learning_rate.to_string(),
        row.tokens.to_string(),
        row.pairs.to_string(),
        u8::from(row.synced).to_string(),
    ]
}

fn cell(value: Option<impl Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_every_column_and_floats_round_trip() {
        let row = StepRow {
            epoch: 0.125,
            loss: 0.1,
            preference: Some(0.7),
            quality: None,
            generation: Some(1.5),
            delta: None,
            chosen_reward: 0.25,
            rejected_reward: -0.5,
            accuracy: 1.0,
            chosen_logp: -20.5,
            rejected_logp: -30.0,
            nll: 0.3,
            grad_norm: 2.0,
            learning_rate: 3e-4,
            tokens: 1234,
            pairs: 32,
            synced: false,
        };
        let scores = Scores { direct: Some(0.5), cot: None, unparsable: 0.0, questions: 10 };
        let mut record = Record::default();
        record.push(0, Some(&row), None);
        record.push(1, None, Some(&scores));
        let mut lines = record.rows().lines();
        assert_eq!(
            lines.next().unwrap(),
            "0,0.125,0.1,0.7,,1.5,,0.25,-0.5,0.75,1,-20.5,-30,0.3,2,0.0003,1234,32,0,,,,"
        );
        assert_eq!(lines.next().unwrap(), "1,,,,,,,,,,,,,,,,,,,0.5,,0,10");
        assert_eq!(
            record.rows().lines().map(|l| l.split(',').count()).max(),
            Some(1 + POLICY_STEPS.len())
        );
    }
}
