//! Charts against what a run of the spec will measure, so that a slip in a name costs no run.

use super::benchmarks::metrics_of;
use super::chart::{Chart, Differences};
use super::draft::Draft;
use super::experiment::Point;
use super::lists::{COLUMNS, PAPER_COLUMNS, PAPER_TABLES, paired, suggest};
use super::mistake::{Mistake, Mistakes};
use super::root;
use super::schema;
use super::source::Place;
use std::collections::HashSet;

impl Draft {
    /// Axes must be columns, and what is measured must be measured. `points` are all of a spec
    /// without other mistakes.
    pub(super) fn check_charts(
        &self,
        charts: &[(String, Chart)],
        seeds: &[u64],
        points: Option<&[Point]>,
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
                } else if !over_questions
                    && let Err((message, hint)) = self.check_axis(chart, key, column, seeds)
                {
                    wrong(&[key], message, hint, Place::Value);
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
            let shown = chart.rows().get("variant").map(String::as_str);
            let is_shown = |point: &&Point| match (shown, &point.variant) {
                // The base is every point's; without variants only a run names them.
                (None | Some("base"), _) | (_, None) => true,
                (Some(shown), Some(name)) => shown == name,
            };
            let points = points.map(|points| points.iter().filter(is_shown).collect::<Vec<_>>());
            // A slip in `where` is a mistake of its own.
            let points = points.filter(|points| !points.is_empty());
            let is_measured = self
                .check_measured(measured, benchmarks.as_deref(), points.as_deref())
                .and_then(|()| match chart {
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
            if let Chart::Differences(Differences { against, .. }) = chart {
                if let Err((message, hint)) = self.check_against(against) {
                    wrong(&["against"], message, hint, Place::Value);
                } else if shown == Some(against.as_str()) {
                    let message = format!("`{against}` would be held against itself alone");
                    let hint = "take `variant` out of `where`, or choose another `against`";
                    wrong(&["where", "variant"], message, hint.to_owned(), Place::Value);
                }
            }
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

/// Whether there is a table of the paper by this name, built in or in results/paper/, with the
/// columns that an overlay reads.
fn check_overlay(table: &str) -> Result<(), (String, String)> {
    let name = table.replace('-', "_");
    let files = std::fs::read_dir("results/paper").into_iter().flatten().flatten();
    let tables = files
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "csv"));
    let stem = |path: std::path::PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let own: Vec<String> = tables.filter_map(stem).collect();
    let lacks = |name: &str| match own.iter().any(|known| known == name) {
        true => lacking_column(name),
        false => None,
    };
    let mut known: Vec<&str> =
        PAPER_TABLES.iter().copied().chain(own.iter().map(String::as_str)).collect();
    known.sort_unstable();
    known.dedup();
    if !known.contains(&name.as_str()) {
        known.retain(|table| lacks(table).is_none());
        let hint = suggest(&name, "tables to draw beside", &known);
        return Err((format!("no table `{table}` in results/paper"), hint));
    }
    match lacks(&name) {
        None => Ok(()),
        Some(column) => {
            known.retain(|table| lacks(table).is_none());
            let message = format!("results/paper/{name}.csv has no column `{column}`");
            Err((message, format!("tables to draw beside: {}", known.join(", "))))
        }
    }
}

/// The first column that an overlay reads and a table of results/paper/ has not.
fn lacking_column(name: &str) -> Option<&'static str> {
    let header = csv::Reader::from_path(format!("results/paper/{name}.csv"))
        .and_then(|mut table| table.headers().cloned())
        .unwrap_or_default();
    PAPER_COLUMNS.into_iter().find(|column| !header.iter().any(|own| own == *column))
}
