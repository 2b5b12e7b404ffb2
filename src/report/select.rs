//! Which rows a chart draws, and how rows of several seeds become one estimate.

use super::metric::Metric;
use super::number::counted;
use super::runs::{Row, Runs};
use crate::spec::lists::suggest;
use crate::statistics::{Interval, over_seeds};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// A column of runs.csv that can be an axis, a group or a band.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Column {
    /// The variant's name.
    Variant,
    /// The job's id.
    Job,
    /// Seed of the policy stage.
    Seed,
    /// Which round of sampling and training, where there are several.
    Round,
    /// How questions were asked.
    Prompt,
    /// Task family.
    Task,
    /// Which questions.
    Split,
    /// Optimizer step.
    Step,
    /// One of [`Runs::swept`].
    Swept(usize),
}

/// Names of the columns that every experiment has.
const FIXED: &[(&str, Column)] = &[
    ("variant", Column::Variant),
    ("job", Column::Job),
    ("seed", Column::Seed),
    ("round", Column::Round),
    ("prompt", Column::Prompt),
    ("task", Column::Task),
    ("split", Column::Split),
    ("step", Column::Step),
];

impl Column {
    /// Finds a column by name; a swept key also by its last part, where that is unique.
    ///
    /// # Errors
    ///
    /// If there is none of that name.
    pub fn named(runs: &Runs, name: &str) -> Result<Self> {
        if let Some((_, column)) = FIXED.iter().find(|(fixed, _)| *fixed == name) {
            return Ok(*column);
        }
        let ends = |key: &String| key == name || key.rsplit('.').next() == Some(name);
        let found: Vec<usize> = (0..runs.swept.len()).filter(|&i| ends(&runs.swept[i])).collect();
        if let [one] = found[..] {
            return Ok(Self::Swept(one));
        }
        let known: Vec<&str> = FIXED
            .iter()
            .map(|(name, _)| *name)
            .chain(runs.swept.iter().map(String::as_str))
            .collect();
        Err(Error::spec(format!("no column `{name}` in runs.csv")).hint(nearest(name, &known)))
    }

    /// A row's value in this column, as text.
    pub fn of(self, runs: &Runs, row: &Row) -> String {
        let job = &runs.jobs[row.job];
        match self {
            Self::Variant => job.variant.clone(),
            Self::Job => job.id.clone(),
            Self::Seed => job.seed.to_string(),
            Self::Round => super::table::cell(row.round),
            Self::Prompt => row.prompt.clone(),
            Self::Task => row.task.clone(),
            Self::Split => row.split.clone(),
            Self::Step => super::table::cell(row.step),
            Self::Swept(at) => job.swept[at].clone(),
        }
    }

    /// The column's name.
    pub fn name(self, runs: &Runs) -> &str {
        match self {
            Self::Swept(at) => &runs.swept[at],
            fixed => FIXED.iter().find(|(_, c)| *c == fixed).map_or("", |(name, _)| name),
        }
    }
}

/// "did you mean …", or all there are.
pub fn nearest(given: &str, known: &[&str]) -> String {
    match known {
        [] => "there is none yet; run the experiment first".into(),
        _ => suggest(given, "there are", known),
    }
}

/// Whether a task cell means "all tasks".
pub fn is_overall(task: &str) -> bool {
    task.is_empty() || task == "all"
}

/// The rows of one quantity.
#[derive(Debug)]
pub struct Selection<'a> {
    /// What is measured.
    pub metric: Metric,
    /// Its rows, in plan order.
    pub rows: Vec<&'a Row>,
}

impl<'a> Selection<'a> {
    /// Rows of `BENCHMARK.METRIC`, `BENCHMARK.TASK.METRIC` or a column of steps.csv; one row a
    /// job, prompt and (where `by_task`) task. Rows of several splits: those of the test split.
    ///
    /// # Errors
    ///
    /// If results are in and none is of that name, or if `filter` names no column.
    pub fn of(
        runs: &'a Runs,
        measured: &str,
        filter: &BTreeMap<String, String>,
        by_task: bool,
    ) -> Result<Self> {
        // Rows of one task are asked for.
        let by_task = by_task || filter.get("task").is_some_and(|task| !is_overall(task));
        let training = runs.rows.iter().any(|row| row.step.is_some() && row.metric == measured);
        let mut rows: Vec<&Row> = if training {
            let fits = |row: &&Row| row.step.is_some() && row.metric == measured;
            let mut rows: Vec<&Row> = runs.rows.iter().filter(fits).collect();
            // The base counts steps of its own; beside policies they would mislead.
            if rows.iter().any(|row| row.stage == "policy") {
                rows.retain(|row| row.stage == "policy");
            }
            rows
        } else {
            let parts: Vec<&str> = measured.split('.').collect();
            let (benchmark, task, metric) = match parts[..] {
                [benchmark, metric] => (benchmark, None, metric),
                [benchmark, task, metric] => (benchmark, Some(task), metric),
                _ => ("", None, measured),
            };
            let fits = |row: &Row| row.benchmark == benchmark && row.metric == metric;
            // A benchmark without a row for everything is shown task by task.
            let overall = runs.rows.iter().any(|row| fits(row) && is_overall(&row.task));
            let task_fits = |row: &Row| match task {
                Some(task) => row.task == task,
                None => is_overall(&row.task) == (overall && !by_task),
            };
            runs.rows
                .iter()
                .filter(|row| row.step.is_none() && fits(row) && task_fits(row))
                .collect()
        };
        if rows.is_empty() && !runs.rows.is_empty() {
            let names = Self::names(runs);
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            return Err(Error::spec(format!("nothing called `{measured}` was measured"))
                .hint(nearest(measured, &known)));
        }
        for (name, wanted) in filter {
            let column = Column::named(runs, name)?;
            rows.retain(|row| column.of(runs, row) == *wanted);
        }
        if rows.iter().any(|row| row.split == "test") {
            rows.retain(|row| row.split == "test");
        }
        Ok(Self { metric: Metric::named(measured), rows })
    }

    /// Of what training measures, leaves each job's last row, for charts that do not show steps: a
    /// mean over steps is of no policy. Says so for the heading; none of other quantities.
    pub fn keep_last_steps(&mut self) -> Option<String> {
        let key = |row: &Row| (row.job, row.round);
        let mut last: BTreeMap<(usize, Option<u64>), u64> = BTreeMap::new();
        for row in &self.rows {
            let of_job = last.entry(key(row)).or_default();
            *of_job = row.step?.max(*of_job);
        }
        self.rows.retain(|row| row.step == Some(last[&key(row)]));
        (!last.is_empty()).then(|| "at the last step".to_owned())
    }

    /// Everything that was measured, as a chart would name it.
    pub fn names(runs: &Runs) -> Vec<String> {
        Self::names_where(runs, |_| true)
    }

    /// What benchmarks measured.
    pub fn scores(runs: &Runs) -> Vec<String> {
        Self::names_where(runs, |row| row.stage == "scores")
    }

    fn names_where(runs: &Runs, is_meant: impl Fn(&Row) -> bool) -> Vec<String> {
        let mut names = Vec::new();
        for row in runs.rows.iter().filter(|row| is_meant(row)) {
            let name = match row.step {
                Some(_) => row.metric.clone(),
                None => format!("{}.{}", row.benchmark, row.metric),
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Distinct values of a column, in plan order; empty ones left out.
    pub fn values(&self, runs: &Runs, column: Column) -> Vec<String> {
        let mut values = Vec::new();
        for row in &self.rows {
            let value = column.of(runs, row);
            if !value.is_empty() && !values.contains(&value) {
                values.push(value);
            }
        }
        values
    }

    /// Columns in which trained jobs differ that agree in all of `used`: they must show in labels,
    /// since only seeds (and the band) may be averaged over. What an earlier one decides, as in a
    /// zipped sweep, is left out.
    pub fn leftover(&self, runs: &Runs, used: &[Column]) -> Vec<Column> {
        let trained: Vec<&Row> =
            self.rows.iter().filter(|row| !runs.jobs[row.job].is_base).copied().collect();
        let swept = (0..runs.swept.len()).map(Column::Swept);
        let last = [Column::Task, Column::Round];
        let columns = [Column::Variant].into_iter().chain(swept).chain(last);
        let (mut known, mut left) = (used.to_vec(), Vec::new());
        for column in columns.filter(|column| !used.contains(column)) {
            let mut of: BTreeMap<Vec<String>, String> = BTreeMap::new();
            let is_decided = trained.iter().all(|row| {
                let others = known.iter().map(|known| known.of(runs, row)).collect();
                let value = column.of(runs, row);
                *of.entry(others).or_insert_with(|| value.clone()) == value
            });
            if !is_decided {
                known.push(column);
                left.push(column);
            }
        }
        left
    }
}

/// The sentence that says which rows a filter left: `CoT, variant grid`.
pub fn filter_note(filter: &BTreeMap<String, String>) -> Option<String> {
    let parts = filter.iter().map(|(column, value)| match column.as_str() {
        "prompt" => super::metric::spoken(value),
        _ => format!("{column} {value}"),
    });
    let text = parts.collect::<Vec<_>>().join(", ");
    (!text.is_empty()).then(|| format!("{text} only"))
}

/// What an interval is taken over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Band {
    /// Questions alone: the mean of the jobs' own intervals. Seeds show as dots.
    Questions,
    /// Questions, and the seeds or another column whose values are averaged ([`over_seeds`]); Student's
    /// t of what no question measures.
    Over(Column),
}

impl Default for Band {
    fn default() -> Self {
        Self::Over(Column::Seed)
    }
}

impl Band {
    /// From the spec's word; seeds without one.
    ///
    /// # Errors
    ///
    /// If it is neither `question` nor a column.
    pub fn named(runs: &Runs, name: Option<&str>) -> Result<Self> {
        match name {
            None => Ok(Self::default()),
            Some("question" | "questions") => Ok(Self::Questions),
            Some(column) => Column::named(runs, column).map(Self::Over),
        }
    }

    /// What the intervals of estimates from these rows hold, each from up to `most` of them: `95 % over
    /// seeds and questions`; none where they have none.
    pub fn note(self, runs: &Runs, rows: &[&Row], most: usize) -> Option<String> {
        let has_questions = rows.iter().any(|row| row.low.is_some());
        let averaged = match self {
            _ if most < 2 => return has_questions.then(|| "95 % over questions".into()),
            Self::Questions => {
                let seeds = counted(most, "seed");
                return has_questions.then(|| format!("95 % over questions, mean of {seeds}"));
            }
            Self::Over(Column::Seed) => "seeds".to_owned(),
            Self::Over(column) => format!("values of {}", column.name(runs)),
        };
        let how = if has_questions { "and questions" } else { "(Student’s t)" };
        Some(format!("95 % over {averaged} {how}"))
    }
}

/// One number from the rows of several seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Their mean.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
    /// Questions behind each row.
    pub n: Option<u64>,
    /// The rows themselves: seed and value.
    pub single: Vec<(u64, f64)>,
}

/// Averages rows that differ in their seed (or band) alone. Intervals end where the metric does.
pub fn estimate(runs: &Runs, rows: &[&Row], band: Band) -> Estimate {
    let count = rows.len() as f64;
    let value = rows.iter().map(|row| row.value).sum::<f64>() / count;
    let own = |row: &Row| Some(Interval { low: row.low?, high: row.high? });
    let interval = match band {
        Band::Questions => {
            let own: Option<Vec<Interval>> = rows.iter().map(|row| own(row)).collect();
            own.map(|own| Interval {
                low: own.iter().map(|one| one.low).sum::<f64>() / count,
                high: own.iter().map(|one| one.high).sum::<f64>() / count,
            })
        }
        Band::Over(_) => {
            over_seeds(&rows.iter().map(|row| (row.value, own(row))).collect::<Vec<_>>())
        }
    };
    let (least, most) = Metric::named(&rows[0].metric).bounds;
    let ends = interval.map(|Interval { low, high }| (low.max(least), high.min(most)));
    let (low, high) = ends.unzip();
    let single = rows.iter().map(|row| (runs.jobs[row.job].seed, row.value)).collect();
    Estimate { value, low, high, n: rows.iter().filter_map(|row| row.n).max(), single }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_the_nearest_or_all() {
        assert_eq!(nearest("varient", &["variant", "seed"]), "did you mean `variant`?");
        assert_eq!(nearest("zzzzzzzz", &["variant", "seed"]), "there are: variant, seed");
    }
}
