//! runs.csv: every number of every job as one tidy row, collected from the artifacts in the
//! store. Charts and the page are drawn from these rows and from nothing else.

use super::engine::{candidate_rows, pair_rows};
use super::table::{Table, cell, number, read_csv};
use crate::plan::{Job, Plan, Stage, Task};
use crate::spec::sweep::text;
use crate::statistics::around;
use crate::store::{self, Record, payload};
use crate::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Most training rows of one metric and job.
const TRAINING_ROWS: usize = 50;

/// A payload file of an artifact as it was written; none where there is none.
///
/// # Errors
///
/// If it is no longer what its stage wrote.
pub(super) fn whole(store: &Path, key: &str, name: &str) -> Result<Option<PathBuf>> {
    let path = payload(store, key).join(name);
    if !path.exists() {
        return Ok(None);
    }
    store::verify::file(&store.join(key), name)?;
    Ok(Some(path))
}

/// One row of runs.csv.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Index into [`Runs::jobs`].
    pub job: usize,
    /// `base`, `candidates`, `pairs`, `policy` or `scores`.
    pub stage: &'static str,
    /// Which round of sampling and training, from 1, where some job has several; none of scores.
    pub round: Option<u64>,
    /// Which questions.
    pub split: String,
    /// Optimizer step, in training rows.
    pub step: Option<u64>,
    /// Which benchmark, in score rows.
    pub benchmark: String,
    /// Task family, or empty for all.
    pub task: String,
    /// `direct` or `cot`.
    pub prompt: String,
    /// What is measured.
    pub metric: String,
    /// The number itself.
    pub value: f64,
    /// Lower end of the 95 % interval over questions.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
    /// Questions behind the number.
    pub n: Option<u64>,
}

/// What the report knows of one job.
#[derive(Clone, Debug)]
pub struct JobRecord {
    /// Its id in the plan.
    pub id: String,
    /// The variant's name; `base` for the base; empty where the spec has no variants.
    pub variant: String,
    /// Swept values as text, one for each of [`Runs::swept`]; empty where it has none.
    pub swept: Vec<String>,
    /// Seed of the policy stage.
    pub seed: u64,
    /// Whether it is the untrained starting point of the others.
    pub is_base: bool,
    /// The stages that have no artifact yet.
    pub missing: Vec<Stage>,
    /// Per-question verdicts, where they exist.
    pub verdicts: Option<PathBuf>,
    /// Keys of its artifacts, in stage order.
    pub keys: Vec<String>,
}

/// All rows of an experiment, in plan order.
#[derive(Clone, Debug)]
pub struct Runs {
    /// The experiment's name.
    pub name: String,
    /// Swept keys, in the spec's order.
    pub swept: Vec<String>,
    /// Jobs, in plan order.
    pub jobs: Vec<JobRecord>,
    /// Rows: job by job, training before scores.
    pub rows: Vec<Row>,
}

impl Runs {
    /// Reads what the plan's jobs have left in the store so far.
    ///
    /// # Errors
    ///
    /// If a file that exists cannot be read as what it should be.
    pub fn collect(store: &Path, plan: &Plan) -> Result<Self> {
        let mut swept: Vec<String> = Vec::new();
        for (key, _) in plan.jobs.iter().flat_map(|job| &job.swept) {
            if !swept.contains(key) {
                swept.push(key.clone());
            }
        }
        let mut runs = Self { name: plan.name.clone(), swept, jobs: vec![], rows: vec![] };
        let policies = |job: &Job| {
            job.tasks.iter().filter(|&&task| plan.tasks[task].stage == Stage::Policy).count()
        };
        let in_rounds = plan.jobs.iter().any(|job| policies(job) > 1);
        let mut shown = HashSet::new();
        for job in &plan.jobs {
            let tasks: Vec<&Task> = job.tasks.iter().map(|&i| &plan.tasks[i]).collect();
            runs.add(store, job, &tasks, in_rounds)?;
            runs.add_data(store, &tasks, in_rounds, &mut shown)?;
        }
        Ok(runs)
    }

    /// What is known of the job's candidates and pairs; a stage that jobs share is shown once,
    /// at the first of them.
    fn add_data<'a>(
        &mut self,
        store: &Path,
        tasks: &[&'a Task],
        in_rounds: bool,
        shown: &mut HashSet<&'a str>,
    ) -> Result<()> {
        let job = self.jobs.len() - 1;
        for stage in [Stage::Candidates, Stage::Pairs] {
            let of_stage = tasks.iter().filter(|task| task.stage == stage);
            for (round, task) in (1..).zip(of_stage) {
                let round = in_rounds.then_some(round);
                let Some(path) = whole(store, &task.key, "stats.csv")? else { continue };
                if shown.insert(task.key.as_str()) {
                    self.rows.extend(match stage {
                        Stage::Candidates => candidate_rows(job, round, &path)?,
                        _ => pair_rows(job, round, &path)?,
                    });
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, store: &Path, job: &Job, tasks: &[&Task], in_rounds: bool) -> Result<()> {
        let at = self.jobs.len();
        let policies: Vec<&&Task> =
            tasks.iter().filter(|task| task.stage == Stage::Policy).collect();
        let is_base = policies.is_empty();
        // The last one of a repeated stage is the one that the scores stand on.
        let file = |stage: Stage, name: &str| match tasks.iter().rev().find(|t| t.stage == stage) {
            Some(task) => whole(store, &task.key, name),
            None => Ok(None),
        };
        let mut values: HashMap<&str, String> =
            job.swept.iter().map(|(key, value)| (key.as_str(), text(value))).collect();
        self.jobs.push(JobRecord {
            id: job.id.clone(),
            variant: match &job.variant {
                Some(name) => name.clone(),
                None if is_base => "base".into(),
                // Where settings are swept they are the name; else the algorithm is.
                None if !self.swept.is_empty() => String::new(),
                None => match &job.settings.loss {
                    Some(loss) => loss.algorithm.row().name.to_owned(),
                    None => String::new(),
                },
            },
            swept: self
                .swept
                .iter()
                .map(|key| values.remove(key.as_str()).unwrap_or_default())
                .collect(),
            seed: job.seed,
            is_base,
            missing: tasks
                .iter()
                .filter(|task| !Record::path(&store.join(&task.key)).exists())
                .map(|task| task.stage)
                .collect(),
            verdicts: file(Stage::Scores, "verdicts.csv")?,
            keys: tasks.iter().map(|task| task.key.clone()).collect(),
        });
        for (round, policy) in (1..).zip(policies) {
            if let Some(path) = whole(store, &policy.key, "steps.csv")? {
                let rows = training_rows(at, "policy", &path)?.into_iter();
                self.rows.extend(rows.map(|row| Row { round: in_rounds.then_some(round), ..row }));
            }
        }
        if is_base && let Some(path) = file(Stage::Base, "base_steps.csv")? {
            self.rows.extend(training_rows(at, "base", &path)?);
        }
        if let Some(path) = file(Stage::Scores, "scores.csv")? {
            self.rows.extend(score_rows(at, &path)?);
        }
        Ok(())
    }

    /// runs.csv itself.
    pub fn csv(&self) -> String {
        let mut header = vec!["job", "variant"];
        header.extend(self.swept.iter().map(String::as_str));
        header.extend(["seed", "stage"]);
        // Only where there are several, so that other tables stay what they were.
        let in_rounds = self.rows.iter().any(|row| row.round.is_some());
        header.extend(in_rounds.then_some("round"));
        header.extend(["split", "step", "benchmark", "task", "prompt"]);
        header.extend(["metric", "value", "low", "high", "n"]);
        let mut table = Table::new(&header);
        for row in &self.rows {
            let job = &self.jobs[row.job];
            let mut cells = vec![job.id.clone(), job.variant.clone()];
            cells.extend(job.swept.iter().cloned());
            cells.extend([job.seed.to_string(), row.stage.into()]);
            cells.extend(in_rounds.then(|| cell(row.round)));
            cells.push(row.split.clone());
            cells.extend([cell(row.step), row.benchmark.clone(), row.task.clone()]);
            cells.extend([row.prompt.clone(), row.metric.clone(), row.value.to_string()]);
            cells.extend([cell(row.low), cell(row.high), cell(row.n)]);
            table.row(&cells);
        }
        table.finish()
    }

    /// Jobs whose scores are not all there.
    pub fn unfinished(&self) -> Vec<&JobRecord> {
        self.jobs.iter().filter(|job| !job.missing.is_empty()).collect()
    }
}

fn training_rows(job: usize, stage: &'static str, path: &Path) -> Result<Vec<Row>> {
    let (header, records) = read_csv(path)?;
    let Some(step_at) = header.iter().position(|name| name == "step") else {
        return Err(Error::new(format!("reading {}: it has no column `step`", path.display())));
    };
    let mut rows = Vec::new();
    for (at, metric) in header.iter().enumerate().filter(|&(at, _)| at != step_at) {
        let mut measured = Vec::new();
        for (i, record) in records.iter().enumerate() {
            // A word in a column (a schedule's phase, say) is a note, not a measurement.
            let Ok(Some(value)) = number(path, i + 2, metric, &record[at]) else { continue };
            let step = number(path, i + 2, "step", &record[step_at])?.unwrap_or_default();
            measured.push((step as u64, value));
        }
        // Thinned by column: validation scores are rarer than steps and must not fall through.
        for i in even(measured.len(), TRAINING_ROWS) {
            let (step, value) = measured[i];
            let split = if metric.starts_with("validation") { "validation" } else { "train" };
            rows.push(Row {
                job,
                stage,
                round: None,
                split: split.into(),
                step: Some(step),
                benchmark: String::new(),
                task: String::new(),
                prompt: String::new(),
                metric: metric.clone(),
                value,
                low: None,
                high: None,
                n: None,
            });
        }
    }
    Ok(rows)
}

fn score_rows(job: usize, path: &Path) -> Result<Vec<Row>> {
    let (header, records) = read_csv(path)?;
    let at = |name: &str| {
        header.iter().position(|column| column == name).ok_or_else(|| {
            Error::new(format!("reading {}: it has no column `{name}`", path.display()))
        })
    };
    let [benchmark, task, prompt, split] =
        [at("benchmark")?, at("task")?, at("prompt")?, at("split")?];
    let [metric, value, low, high, n] =
        [at("metric")?, at("value")?, at("low")?, at("high")?, at("n")?];
    let mut rows = Vec::new();
    for (i, record) in records.iter().enumerate() {
        let number = |column: usize| number(path, i + 2, &header[column], &record[column]);
        let Some(measured) = number(value)? else { continue };
        let [low, high] = around(measured, number(low)?, number(high)?);
        rows.push(Row {
            job,
            stage: "scores",
            round: None,
            split: record[split].into(),
            step: None,
            benchmark: record[benchmark].into(),
            task: record[task].into(),
            prompt: record[prompt].into(),
            metric: record[metric].into(),
            value: measured,
            low,
            high,
            n: number(n)?.map(|n| n as u64),
        });
    }
    Ok(rows)
}

/// At most `most` even positions among `count`, both ends included.
fn even(count: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    (0..most).map(|i| (i * (count - 1) + (most - 1) / 2) / (most - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_positions_hold_both_ends_and_never_repeat() {
        assert_eq!(even(3, 50), [0, 1, 2]);
        let kept = even(188, 50);
        assert_eq!((kept.len(), kept[0], kept[49]), (50, 0, 187));
        assert!(kept.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn swept_values_are_written_as_in_the_spec() {
        let values = [
            toml::Value::Float(3e-4),
            toml::Value::Float(1.0),
            toml::Value::String("dpo".into()),
            toml::Value::Integer(5),
            toml::Value::Boolean(true),
        ];
        assert_eq!(values.each_ref().map(text), ["0.0003", "1", "dpo", "5", "true"]);
    }
}
