//! The names a spec may use where another room owns the thing itself. A law
//! test in each of those rooms keeps its own list equal to the one here.

/// Generated question families, in documentation order (`src/tasks`).
pub const TASKS: &[&str] = &[
    "count", "subtract", "compare", "exists", "relation", "chart", "receipt", "form", "geometry",
    "diagram", "describe",
];

/// Benchmarks, in documentation order (`src/eval`).
pub const BENCHMARKS: &[&str] = &[
    "reasoning",
    "pope",
    "describe",
    "shift",
    "m3cot",
    "m3cot_internvl",
    "mathvista",
    "mathvista_internvl",
    "mathvista_vlmevalkit",
    "mathvision",
    "mathvision_vlmevalkit",
    "mm_vet",
    "llava_bench",
    "pope_internvl",
    "pope_vlmevalkit",
    "crpe",
    "crpe_vlmevalkit",
    "crpe_rows",
    "mmhal",
    "object_halbench",
    "scienceqa",
    "ai2d",
    "chartqa",
    "chartqa_internvl",
    "docvqa",
    "docvqa_peers",
    "infovqa",
    "textvqa",
    "textvqa_vlmevalkit",
    "ocrbench",
    "questions",
];

/// Benchmarks that read a file of their own, each with the ways of scoring its questions.
pub const FILE_BENCHMARKS: &[(&str, &[&str])] = &[
    ("pope", &["pope", "pope_internvl", "pope_vlmevalkit"]),
    ("m3cot", &["m3cot", "m3cot_internvl"]),
    ("mathvista", &["mathvista", "mathvista_internvl", "mathvista_vlmevalkit"]),
    ("mathvision", &["mathvision", "mathvision_vlmevalkit"]),
    ("mm_vet", &["mm_vet"]),
    ("llava_bench", &["llava_bench"]),
    ("crpe", &["crpe", "crpe_vlmevalkit", "crpe_rows"]),
    ("mmhal", &["mmhal"]),
    ("object_halbench", &["object_halbench"]),
    ("scienceqa", &["scienceqa"]),
    ("ai2d", &["ai2d"]),
    ("chartqa", &["chartqa", "chartqa_internvl"]),
    ("docvqa", &["docvqa", "docvqa_peers"]),
    ("infovqa", &["infovqa"]),
    ("textvqa", &["textvqa", "textvqa_vlmevalkit"]),
    ("ocrbench", &["ocrbench"]),
    ("questions", &["questions"]),
];

/// Benchmarks whose questions of files a judge grades.
pub const JUDGED_BENCHMARKS: &[&str] = &["mm_vet", "llava_bench", "mmhal", "object_halbench"];

/// The benchmark whose file, if any, holds another's questions.
pub fn file_of(benchmark: &str) -> Option<&'static str> {
    let own = FILE_BENCHMARKS.iter().find(|(_, ways)| ways.contains(&benchmark));
    own.map(|(name, _)| *name)
}

/// Benchmarks that ask for likelihoods beside answers: of a model here.
pub const LIKELIHOOD_BENCHMARKS: &[&str] = &["shift"];

/// Generated families that a benchmark needs one of; a benchmark that is not here is of files.
pub const NEEDED_TASKS: &[(&str, &[&str])] = &[
    ("reasoning", CLOSED_TASKS),
    ("pope", &["exists"]),
    ("describe", &["describe"]),
    ("shift", CLOSED_TASKS),
    ("m3cot", &["compare", "relation", "diagram"]),
    ("m3cot_internvl", &["compare", "relation", "diagram"]),
    ("mathvista", &["count", "subtract", "chart", "geometry"]),
    ("mathvista_internvl", &["count", "subtract", "chart", "geometry"]),
    ("mathvista_vlmevalkit", &["count", "subtract", "chart", "geometry"]),
    ("mathvision", &["subtract", "geometry"]),
    ("mathvision_vlmevalkit", &["subtract", "geometry"]),
    ("mm_vet", &["describe"]),
    ("llava_bench", &["describe"]),
    ("pope_internvl", &["exists"]),
    ("pope_vlmevalkit", &["exists"]),
    ("crpe", &["relation"]),
    ("crpe_vlmevalkit", &["relation"]),
    ("crpe_rows", &["relation"]),
    ("mmhal", &["describe"]),
    ("object_halbench", &["describe"]),
    ("scienceqa", &["diagram"]),
    ("ai2d", &["diagram"]),
    ("chartqa", &["chart"]),
    ("chartqa_internvl", &["chart"]),
    ("docvqa", &["form"]),
    ("docvqa_peers", &["form"]),
    ("infovqa", &["chart", "receipt"]),
    ("textvqa", &["receipt"]),
    ("textvqa_vlmevalkit", &["receipt"]),
    ("ocrbench", &["receipt", "form"]),
];

/// Families whose questions have one right answer.
const CLOSED_TASKS: &[&str] = &[
    "count", "subtract", "compare", "exists", "relation", "chart", "receipt", "form", "geometry",
    "diagram",
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

/// What benchmarks measure, in their own order: the second half of a chart's `reasoning.accuracy`.
pub const METRICS: &[(&[&str], &[&str])] = &[
    (
        &[
            "reasoning",
            "m3cot",
            "m3cot_internvl",
            "mathvista",
            "mathvista_internvl",
            "mathvista_vlmevalkit",
            "mathvision",
            "mathvision_vlmevalkit",
            "scienceqa",
            "ai2d",
            "chartqa",
            "chartqa_internvl",
            "docvqa",
            "docvqa_peers",
            "infovqa",
            "textvqa",
            "textvqa_vlmevalkit",
            "ocrbench",
            "questions",
        ],
        &["accuracy", "unparsable", "tokens"],
    ),
    (
        &["pope", "pope_internvl", "pope_vlmevalkit"],
        &["accuracy", "precision", "recall", "f1", "yes_ratio", "unparsable", "mean_f1"],
    ),
    (
        &["describe"],
        &["faithful", "response_rate", "mention_rate", "coverage", "objects", "unparsable"],
    ),
    (&["shift"], &["accuracy", "accuracy_own", "accuracy_gap", "logp", "logp_own", "logp_gap"]),
    (&["mm_vet"], &["grade", "failed", "tokens"]),
    (&["llava_bench"], &["relative", "score", "reference", "failed", "tokens"]),
    (&["crpe", "crpe_vlmevalkit", "crpe_rows"], &["accuracy", "unparsable"]),
    (&["mmhal"], &["rating", "hallucination_rate", "failed", "tokens"]),
    (&["object_halbench"], &["response_rate", "mention_rate", "coverage", "failed", "tokens"]),
];

/// Metrics that are the mean of what verdicts.csv says of each question, where they are a
/// benchmark's first: what can be compared question by question.
pub const PAIRED_METRICS: &[&str] = &["accuracy", "faithful", "grade"];

/// Tables of results/paper/ that the binary carries (`src/report/overlay.rs`).
pub const PAPER_TABLES: &[&str] = &["figure_3"];

/// What is measured step by step: of a policy (`src/train/record.rs`) and of a base
/// (`src/train/lesson.rs`).
pub const STEP_METRICS: &[&str] = &[
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
    let of_it = METRICS.iter().find(|(names, _)| names.contains(&benchmark));
    let first = of_it.and_then(|(_, metrics)| metrics.first());
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
