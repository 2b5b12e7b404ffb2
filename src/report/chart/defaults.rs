//! Charts of a spec that names none: scores by variant, training curves, and a heat map where
//! exactly two settings are swept.

use super::{Heat, Picture, Series, bars, heat, lines};
use crate::Result;
use crate::report::runs::Runs;
use crate::report::select::Selection;
use std::path::Path;

/// Training curves: file name, title, columns of steps.csv.
const CURVES: &[(&str, &str, &[&str])] = &[
    (
        "training_rewards",
        "Do rewards of chosen and rejected answers part?",
        &["rewards/chosen", "rewards/rejected", "rewards/margins"],
    ),
    (
        "training_log_probabilities",
        "Do chosen answers stay likely?",
        &["logps/chosen", "logps/rejected", "nll_loss"],
    ),
    (
        "training_validation",
        "How does validation accuracy move during training?",
        &["validation/direct", "validation/cot", "validation/unparsable"],
    ),
];

/// Draws all that have something to show.
///
/// # Errors
///
/// If plotters fails.
pub fn draw(runs: &Runs, results_dir: &Path) -> Result<Vec<(String, Picture)>> {
    let names = Selection::names(runs);
    let mut pictures = Vec::new();
    let mut keep = |name: &str, picture: Option<Picture>| {
        pictures.extend(picture.map(|picture| (name.to_owned(), picture)));
    };
    if let Some(measured) = main_measure(&Selection::scores(runs)) {
        let x = if runs.swept.len() == 1 && one_variant(runs) { &runs.swept[0] } else { "variant" };
        let series = Series { x: x.into(), y: measured.clone(), ..Series::default() };
        keep("scores", bars::picture(&series, runs, results_dir)?);
        if let [x, y] = &runs.swept[..] {
            let (x, y) = (x.clone(), y.clone());
            let grid = Heat { x, y, value: measured, ..Heat::default() };
            keep("grid", heat::picture(&grid, runs)?);
        }
    }
    for (name, title, columns) in CURVES {
        let curve = |column: &&str| Series {
            title: Some((*title).into()),
            x: "step".into(),
            y: (*column).into(),
            group: Some("variant".into()),
            ..Series::default()
        };
        let measured = columns.iter().filter(|column| names.iter().any(|name| name == *column));
        let all: Vec<Series> = measured.map(curve).collect();
        if !all.is_empty() {
            keep(name, lines::picture(&all.iter().collect::<Vec<_>>(), runs)?);
        }
    }
    Ok(pictures)
}

/// The quantity that the report ranks by: reasoning accuracy, else the first accuracy, else the
/// first score.
pub fn main_measure(names: &[String]) -> Option<String> {
    let ends = |end: &str| names.iter().find(|name| name.ends_with(end));
    let named = names.iter().find(|name| *name == "reasoning.accuracy");
    named.or_else(|| ends(".accuracy")).or(names.first()).cloned()
}

fn one_variant(runs: &Runs) -> bool {
    let mut trained = runs.jobs.iter().filter(|job| !job.is_base).map(|job| &job.variant);
    let first = trained.next();
    trained.all(|variant| Some(variant) == first)
}
