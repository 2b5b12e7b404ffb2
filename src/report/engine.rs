//! What the data stages measured of themselves, as rows of runs.csv: how often sampled answers
//! are right, and what the pairs made of them consist of.

use super::metric::Metric;
use super::runs::{Row, Runs};
use super::table::{number, read_csv};
use crate::{Error, Result};
use minijinja::{Value, context};
use std::path::Path;

/// A stage, its title, and its columns: a metric and its heading.
type Shown = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// What the page shows of each stage, in this order: a metric and its heading.
const SHOWN: [Shown; 2] = [
    (
        "candidates",
        "Sampled answers",
        &[
            ("questions", "questions"),
            ("accuracy", "right (%)"),
            ("any_right", "one right or more (%)"),
            ("mixed", "right and other (%)"),
            ("unparsable", "unparsable (%)"),
            ("mean_tokens", "tokens"),
        ],
    ),
    (
        "pairs",
        "Preference pairs",
        &[
            ("pairs_correctness", "by answer"),
            ("pairs_format", "by format"),
            ("pairs_dropout_ntp", "continued blindly"),
            ("pairs_divide_and_conquer", "by claims"),
            ("pairs_imported", "imported"),
            ("skipped_excluded_domain_questions", "questions left out by domain"),
            ("chosen_tokens", "chosen tokens"),
            ("rejected_tokens", "rejected tokens"),
            ("chosen_careful_lines", "chosen right throughout (%)"),
            ("chosen_sloppy", "chosen with a slip (%)"),
            ("rejected_sloppy", "rejected with the slip (%)"),
        ],
    ),
];

/// A table a stage: tasks down, metrics across; columns without a number are left out. With
/// several stages of a kind (rounds, sweeps over them), the first is shown.
pub fn tables(runs: &Runs) -> Vec<Value> {
    let table = |(stage, title, columns): &Shown| {
        let mut rows: Vec<&Row> = runs.rows.iter().filter(|row| row.stage == *stage).collect();
        let first = rows.first().map(|row| (row.job, row.round))?;
        rows.retain(|row| (row.job, row.round) == first);
        let find = |task: &str, metric: &str| {
            rows.iter().find(|row| row.task == task && row.metric == metric)
        };
        let columns: Vec<_> = columns
            .iter()
            .filter(|(metric, _)| rows.iter().any(|row| row.metric == *metric))
            .collect();
        let mut tasks: Vec<&str> = rows.iter().map(|row| row.task.as_str()).collect();
        tasks.dedup();
        let line = |task: &&str| {
            let cell = |(metric, _): &&(&str, &str)| match find(task, metric) {
                Some(row) => Metric::named(&format!("{stage}.{metric}")).write(row.value),
                None => "–".to_owned(),
            };
            context! { label => task, cells => columns.iter().map(cell).collect::<Vec<_>>() }
        };
        let header: Vec<&str> = columns.iter().map(|(_, heading)| *heading).collect();
        let lines: Vec<Value> = tasks.iter().map(line).collect();
        Some(context! { title, header, lines })
    };
    SHOWN.iter().filter_map(table).collect()
}

/// The stats.csv of a candidates stage: a row a task, a column a metric.
///
/// # Errors
///
/// A file that cannot be read as what it should be.
pub fn candidate_rows(job: usize, round: Option<u64>, path: &Path) -> Result<Vec<Row>> {
    let (header, records) = read_csv(path)?;
    let task = column(path, &header, "task")?;
    let mut rows = Vec::new();
    for (line, record) in (2..).zip(&records) {
        for (at, metric) in header.iter().enumerate().filter(|&(at, _)| at != task) {
            let Some(value) = number(path, line, metric, &record[at])? else { continue };
            rows.push(Row { round, ..row(job, "candidates", &record[task], metric, value) });
        }
    }
    Ok(rows)
}

/// The stats.csv of a pairs stage: a row a task and metric.
///
/// # Errors
///
/// A file that cannot be read as what it should be.
pub fn pair_rows(job: usize, round: Option<u64>, path: &Path) -> Result<Vec<Row>> {
    let (header, records) = read_csv(path)?;
    let at = |name: &str| column(path, &header, name);
    let [task, metric, value] = [at("task")?, at("metric")?, at("value")?];
    let mut rows = Vec::new();
    for (line, record) in (2..).zip(&records) {
        let Some(number) = number(path, line, "value", &record[value])? else { continue };
        rows.push(Row { round, ..row(job, "pairs", &record[task], &record[metric], number) });
    }
    Ok(rows)
}

fn column(path: &Path, header: &[String], name: &str) -> Result<usize> {
    header
        .iter()
        .position(|column| column == name)
        .ok_or_else(|| Error::new(format!("reading {}: it has no column `{name}`", path.display())))
}

fn row(job: usize, stage: &'static str, task: &str, metric: &str, value: f64) -> Row {
    Row {
        job,
        stage,
        round: None,
        split: "train".into(),
        step: None,
        // A chart names it `candidates.any_right`, `pairs.chosen_careful`.
        benchmark: stage.into(),
        task: task.into(),
        prompt: String::new(),
        metric: metric.into(),
        value,
        low: None,
        high: None,
        n: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("stats.csv"), text).unwrap();
        folder
    }

    fn brief(rows: &[Row]) -> Vec<(&str, &str, f64)> {
        rows.iter().map(|row| (row.task.as_str(), row.metric.as_str(), row.value)).collect()
    }

    #[test]
    fn a_wide_table_becomes_a_row_a_number_and_empty_cells_none() {
        let folder = written("task,questions,any_right\nall,10,0.8\ndescribe,2,\n");
        let rows = candidate_rows(0, None, &folder.path().join("stats.csv")).unwrap();
        let expected =
            [("all", "questions", 10.0), ("all", "any_right", 0.8), ("describe", "questions", 2.0)];
        assert_eq!(brief(&rows), expected);
    }

    #[test]
    fn a_long_table_stays_as_it_is() {
        let folder = written("task,metric,value\nall,chosen_careful,0.25\n");
        let rows = pair_rows(0, None, &folder.path().join("stats.csv")).unwrap();
        assert_eq!(brief(&rows), [("all", "chosen_careful", 0.25)]);
    }
}
