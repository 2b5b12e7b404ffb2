//! Two jobs whose answers are not in the store: what their folders' runs.csv say.

use super::{Chosen, write_table};
use crate::Result;
use crate::error::Context;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The columns that are read of runs.csv.
#[derive(Deserialize)]
struct Line {
    job: String,
    stage: String,
    benchmark: String,
    task: String,
    prompt: String,
    metric: String,
    value: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
}

/// A metric over all questions of a benchmark: its value and its interval.
type Metrics = BTreeMap<(String, String, String), (f64, Option<(f64, f64)>)>;

/// Lists both jobs' metrics side by side, with the reason why nothing is tested.
pub(super) fn write(text: &mut String, a: &Chosen<'_>, b: &Chosen<'_>, reason: &str) -> Result<()> {
    let (first, second) = (metrics(a)?, metrics(b)?);
    let shown = |(value, interval): &(f64, Option<(f64, f64)>)| match interval {
        Some((low, high)) => format!("{value:.4} ({low:.4} to {high:.4})"),
        None => format!("{value:.4}"),
    };
    let both = first.iter().filter_map(|(key, one)| Some((key, one, second.get(key)?)));
    let rows = both.map(|((benchmark, prompt, metric), one, other)| {
        let name = [benchmark, prompt, metric].map(String::as_str).join(" ");
        [name, shown(one), shown(other), format!("{:+.4}", other.0 - one.0)]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        text.push_str("scores: nothing was measured of both\n\n");
    } else {
        text.push_str("scores by runs.csv, each with its own interval\n");
        write_table(text, &["", "first", "second", "difference"], &rows);
    }
    text.push_str(&format!(
        "not tested question by question: {reason}\n(run its spec again: only what is missing is done)\n\n"
    ));
    Ok(())
}

fn metrics(side: &Chosen<'_>) -> Result<Metrics> {
    let path = runs(side.folder);
    let doing = || format!("could not read {}", path.display());
    let mut reader = csv::Reader::from_path(&path).with_context(doing)?;
    let lines = reader.deserialize().collect::<Result<Vec<Line>, _>>().with_context(doing)?;
    let of = |line: Line| {
        let counts = line.job == side.job.id && line.stage == "scores" && line.task == "all";
        let value = line.value.filter(|_| counts)?;
        Some(((line.benchmark, line.prompt, line.metric), (value, line.low.zip(line.high))))
    };
    Ok(lines.into_iter().filter_map(of).collect())
}

/// Where a result folder has its numbers.
pub(super) fn runs(folder: &Path) -> std::path::PathBuf {
    folder.join("runs.csv")
}
