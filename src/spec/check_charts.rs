//! Charts against what a run of the spec will measure, so that a slip in a name costs no run.

use super::benchmarks::metrics_of;
use super::chart::{Chart, Differences};
use super::draft::Draft;
use super::lists::{BASE_STEPS, COLUMNS, DATA_STAGES, PAPER_TABLES, POLICY_STEPS, paired, suggest};
use super::mistake::{Mistake, Mistakes};
use super::root;
use super::schema;
use super::source::Place;
use std::collections::HashSet;

impl Draft {
    /// Axes must be columns, and what is measured must be measured.
    pub(super) fn check_charts(
        &self,
        charts: &[(String, Chart)],
        seeds: &[u64],
        mistakes: &mut Mistakes,
    ) {
        let swept = self.swept_keys();
        let columns: Vec<&str> =
            COLUMNS.iter().copied().chain(swept.iter().map(String::as_str)).collect();
        // One that is no list of names is a mistake of its own.
        let lists = self.values("eval.benchmarks").into_iter().cloned().map(toml::Value::try_into);
        let benchmarks: Option<Vec<Vec<String>>> = lists.map(Result::ok).collect();
        let benchmarks = benchmarks.map(|lists| {
            let mut names = lists.concat();
            let mut known = HashSet::new();
            names.retain(|name| known.insert(name.clone()));
            names
        });
        for (name, chart) in charts {
            let mut wrong = |key: &[&str], message: String, hint: String, place| {
                let path: Vec<&str> =
                    ["chart", name, chart.kind()].into_iter().chain(key.iter().copied()).collect();
                let (source, span) = root::at(&self.sources, &path, place);
                mistakes.push(Mistake { message, hint, source, span });
            };
            for (key, column) in chart.columns() {
                // Questions are no rows of runs.csv, but every score has its interval over them.
                let over_questions = key == "band" && column == "question";
                if !over_questions && !columns.contains(&column) {
                    let hint = if schema::keys().iter().any(|known| known == column) {
                        format!("`{column}` is not swept here: sweep it, or choose another column")
                    } else {
                        suggest(column, "columns", &columns)
                    };
                    wrong(&[key], format!("runs.csv has no column `{column}`"), hint, Place::Value);
                }
            }
            let (key, measured) = chart.measured();
            for (column, value) in chart.rows() {
                let path = ["where", column.as_str()];
                if !columns.contains(&column.as_str()) {
                    let message = format!("runs.csv has no column `{column}`");
                    wrong(&path, message, suggest(column, "columns", &columns), Place::Key);
                } else if let Err((message, hint)) = self.check_row(column, value, measured, seeds)
                {
                    wrong(&path, message, hint, Place::Value);
                }
            }
            let is_measured =
                self.check_measured(measured, benchmarks.as_deref()).and_then(|()| match chart {
                    Chart::Differences(_) => check_paired(measured),
                    _ => Ok(()),
                });
            if let Err((message, hint)) = is_measured {
                wrong(&[key], message, hint, Place::Value);
            }
            if let Some(table) = chart.overlay().filter(|_| self.files)
                && let Err((message, hint)) = check_overlay(table)
            {
                wrong(&["overlay"], message, hint, Place::Value);
            }
            if let Chart::Differences(Differences { against, .. }) = chart
                && let Err((message, hint)) = self.check_against(against)
            {
                wrong(&["against"], message, hint, Place::Value);
            }
        }
    }

    /// Whether a job of a run will measure it; else what is wrong, and the way out.
    /// `benchmarks` are those of all jobs.
    fn check_measured(
        &self,
        measured: &str,
        benchmarks: Option<&[String]>,
    ) -> Result<(), (String, String)> {
        let Some((benchmark, metric)) = measured.split_once('.') else {
            let known = [POLICY_STEPS.as_slice(), &BASE_STEPS].concat();
            if !known.contains(&measured) {
                let message = format!("training measures no `{measured}`");
                return Err((message, suggest(measured, "steps.csv has", &known)));
            }
            let looks =
                || self.values("eval.every").iter().any(|every| every.as_integer() != Some(0));
            if measured.starts_with("validation/") && !looks() {
                let message = format!("`{measured}` is not measured: training does not look");
                return Err((message, "add `[eval] every = 50`: steps between looks".to_owned()));
            }
            return Ok(());
        };
        let Some(benchmarks) = benchmarks.filter(|_| !DATA_STAGES.contains(&benchmark)) else {
            return Ok(());
        };
        if !benchmarks.iter().any(|known| known == benchmark) {
            let names: Vec<&str> = benchmarks.iter().map(String::as_str).collect();
            let message = format!("`{measured}` is not measured: no benchmark `{benchmark}`");
            return Err((message, suggest(benchmark, "`eval.benchmarks` has", &names)));
        }
        // Between the two there may be a task's name.
        let (task, metric) = match metric.rsplit_once('.') {
            Some((task, metric)) => (Some(task), metric),
            None => (None, metric),
        };
        match metrics_of(benchmark) {
            metrics if !metrics.is_empty() && !metrics.contains(&metric) => {
                let message = format!("`{benchmark}` measures no `{metric}`");
                Err((message, suggest(metric, "it has", metrics)))
            }
            _ => task.map_or(Ok(()), |task| self.check_task(task, benchmark)),
        }
    }

    /// Whether there is a variant of this name to hold others against.
    fn check_against(&self, against: &str) -> Result<(), (String, String)> {
        // A label may go on with swept values: `MPO, beta 0.1`; without variants it is only those.
        let variant = against.split(", ").next().unwrap_or_default();
        let mut names: Vec<&str> =
            self.variants.iter().map(|variant| variant.name.as_str()).collect();
        let unknown = names.is_empty() && !self.swept_keys().is_empty();
        if unknown || variant == "base" || names.contains(&variant) {
            return Ok(());
        }
        names.push("base");
        let message = format!("no variant is called `{variant}`");
        Err((message, suggest(variant, "variants", &names)))
    }
}

/// Whether every question has a score of it, so that two variants can be paired.
fn check_paired(measured: &str) -> Result<(), (String, String)> {
    if paired(measured).is_some() {
        return Ok(());
    }
    let benchmark = measured.split('.').next().unwrap_or_default();
    let score = metrics_of(benchmark).first().map(|first| format!("{benchmark}.{first}"));
    let hint = match score.filter(|score| paired(score).is_some()) {
        Some(score) => format!("`{score}` is one, or draw this with `bars`"),
        None => "draw it with `bars`".to_owned(),
    };
    Err((format!("`{measured}` is no score that every question has: nothing to pair"), hint))
}

/// Whether there is a table of the paper by this name, built in or in results/paper/.
fn check_overlay(table: &str) -> Result<(), (String, String)> {
    let name = table.replace('-', "_");
    let files = std::fs::read_dir("results/paper").into_iter().flatten().flatten();
    let stem = |path: std::path::PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let own: Vec<String> = files.filter_map(|entry| stem(entry.path())).collect();
    let mut known: Vec<&str> =
        PAPER_TABLES.iter().copied().chain(own.iter().map(String::as_str)).collect();
    known.sort_unstable();
    known.dedup();
    match known.contains(&name.as_str()) {
        true => Ok(()),
        false => {
            let hint = suggest(&name, "results/paper has", &known);
            Err((format!("no table `{table}` in results/paper"), hint))
        }
    }
}
