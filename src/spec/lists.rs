//! The names a spec may use where another room owns the thing itself. Law tests
//! (`tests/suite/spec.rs`) hold a room's own list to the one here where it has one.

use super::benchmarks::metrics_of;

/// Generated question families, in documentation order (`src/tasks`).
pub const TASKS: &[&str] = &[
    "count", "subtract", "compare", "exists", "relation", "chart", "receipt", "form", "geometry",
    "diagram", "describe",
];

/// Algorithms of `[loss]`.
pub use crate::loss::NAMES as ALGORITHMS;

/// Sizes of `[model]`, in the table's order (`src/model`).
pub const SIZES: &[&str] = &[
    "tiny", "small", "1B", "2B", "4B", "8B", "26B", "40B", "76B", "2.5-1B", "2.5-2B", "2.5-4B",
    "2.5-8B", "2.5-26B", "2.5-38B", "2.5-78B", "3-1B", "3-2B", "3-8B", "3-14B", "3-38B", "3-78B",
];

/// The tables that make up a point of an experiment, in pipeline order.
pub const TABLES: &[&str] =
    &["model", "corpus", "base", "candidates", "pairs", "loss", "train", "eval"];

/// Keys and tables at the top of a spec.
pub const ROOT: &[&str] = &[
    "schema",
    "description",
    "seeds",
    "model",
    "corpus",
    "base",
    "candidates",
    "pairs",
    "loss",
    "train",
    "eval",
    "sweep",
    "variant",
    "round",
    "chart",
    "store",
];

/// Stages whose own statistics a chart can draw, as it draws a benchmark's: `candidates.any_right`.
pub const DATA_STAGES: &[&str] = &["candidates", "pairs"];

/// Metrics that are the mean of what verdicts.csv says of each question, where they are a
/// benchmark's first: what can be compared question by question.
pub const PAIRED_METRICS: &[&str] = &["accuracy", "faithful", "grade"];

/// Tables of results/paper/ that the binary carries (`src/report/overlay.rs`).
pub const PAPER_TABLES: &[&str] = &["figure_3"];

/// Columns of such a table, which a chart's overlay reads.
pub const PAPER_COLUMNS: [&str; 5] = ["algorithm", "prompt", "value", "n", "source"];

/// What is measured at each step of a policy: the columns of steps.csv behind `step`, which are
/// only ever appended.
pub const POLICY_STEPS: [&str; 22] = [
    "epoch",
    "loss",
    "loss/preference",
    "loss/quality",
    "loss/generation",
    "delta",
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
    "logps/chosen",
    "logps/rejected",
    "nll_loss",
    "grad_norm",
    "learning_rate",
    "num_tokens",
    "pairs",
    "reference/synced",
    "validation/direct",
    "validation/cot",
    "validation/unparsable",
    "validation/n",
];

/// What is measured at each step of a base: the columns of base_steps.csv behind `lesson` and
/// `step`. Cell accuracies are those of occupied cells, a layer each, and empty in the language
/// lesson.
pub const BASE_STEPS: [&str; 8] = [
    "loss",
    "grad_norm",
    "learning_rate",
    "accuracy/object",
    "accuracy/bar",
    "accuracy/digit",
    "accuracy/eater",
    "accuracy/food",
];

/// Columns of runs.csv that a chart can use for an axis, a group or a band.
pub const COLUMNS: &[&str] =
    &["job", "variant", "seed", "round", "split", "step", "task", "prompt"];

/// Benchmark and task (none for all of them) of a quantity that is the mean of what every question
/// scored; none of another quantity.
pub fn paired(measured: &str) -> Option<(&str, Option<&str>)> {
    let (benchmark, rest) = measured.split_once('.')?;
    let (task, metric) = match rest.rsplit_once('.') {
        Some((task, metric)) => (Some(task), metric),
        None => (None, rest),
    };
    let first = metrics_of(benchmark).first();
    (PAIRED_METRICS.contains(&metric) && first == Some(&metric)).then_some((benchmark, task))
}

/// The name most like what was written, if one is like it at all.
pub fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace('-', "_");
    let lower = plain(written);
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &plain(name)), name))
        .filter(|(distance, name)| {
            let longest = lower.chars().count().max(name.chars().count());
            let close = *distance <= (longest / 3).max(1) && *distance < lower.chars().count();
            close || strsim::jaro_winkler(&lower, &plain(name)) > 0.9
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// "did you mean `x`?" where something is near, else all there are.
pub fn suggest(written: &str, what: &str, names: &[&str]) -> String {
    match nearest(written, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("{what}: {}", names.join(", ")),
    }
}
