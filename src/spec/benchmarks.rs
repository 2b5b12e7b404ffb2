//! What a spec may say of each benchmark, a row each; the benchmarks themselves are in `src/eval`.
//! A law test keeps the two equal.

use super::candidates::Prompt;

/// A benchmark as `check` knows it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The word in `eval.benchmarks`.
    pub name: &'static str,
    /// The benchmark whose file, `eval.files.NAME`, holds its questions; none: it has none.
    pub file: Option<&'static str>,
    /// Generated families that it asks where no file is named, one of them at least; none: it
    /// needs its file.
    pub tasks: &'static [&'static str],
    /// What its rows of runs.csv have in the column `task`.
    pub column: TaskColumn,
    /// The prompt that it asks with whatever the spec's are; none: the spec's.
    pub prompt: Option<Prompt>,
    /// What it measures, the second half of a chart's `reasoning.accuracy`.
    pub metrics: &'static [&'static str],
    /// Whether a judge grades the questions of its file.
    pub is_judged: bool,
    /// Whether it asks for likelihoods beside answers: of a model here.
    pub needs_likelihood: bool,
}

/// What stands in the column `task` of a benchmark's rows.
#[derive(Clone, Copy, Debug)]
pub enum TaskColumn {
    /// `all` alone.
    All,
    /// Generated families, or what a corpus of files calls its questions, and `all`.
    Families,
    /// These parts, and `all`.
    Parts(&'static [&'static str]),
    /// How many per cent of the true rationale were given, and no `all`.
    Shares(&'static [u8]),
    /// What the questions of its file say, and `all`.
    OfFile,
}

impl Row {
    /// How many per cent of the true rationale were given to answers that count under a task.
    pub fn given_percent(&self, task: &str) -> u8 {
        match self.column {
            TaskColumn::Shares(_) => task.parse().unwrap_or(0),
            _ => 0,
        }
    }
}

/// Every benchmark, in documentation order.
pub const BENCHMARKS: &[Row] = &[
    generated("reasoning", CLOSED, TaskColumn::Families, ACCURACY),
    pope("pope"),
    generated("describe", DESCRIBED, TaskColumn::All, DESCRIBE),
    Row {
        prompt: Some(Prompt::Cot),
        needs_likelihood: true,
        ..generated("shift", CLOSED, TaskColumn::Shares(&SHIFT_SHARES), SHIFT)
    },
    filed("m3cot", "m3cot", COMPARED, ACCURACY),
    filed("m3cot_internvl", "m3cot", COMPARED, ACCURACY),
    filed("mathvista", "mathvista", COUNTED, ACCURACY),
    filed("mathvista_internvl", "mathvista", COUNTED, ACCURACY),
    filed("mathvista_vlmevalkit", "mathvista", COUNTED, ACCURACY),
    filed("mathvision", "mathvision", &["subtract", "geometry"], ACCURACY),
    filed("mathvision_vlmevalkit", "mathvision", &["subtract", "geometry"], ACCURACY),
    judged("mm_vet", MM_VET),
    judged("llava_bench", LLAVA_BENCH),
    pope("pope_internvl"),
    pope("pope_vlmevalkit"),
    filed("crpe", "crpe", &["relation"], CRPE),
    filed("crpe_vlmevalkit", "crpe", &["relation"], CRPE),
    filed("crpe_rows", "crpe", &["relation"], CRPE),
    judged("mmhal", MMHAL),
    judged("object_halbench", OBJECT_HALBENCH),
    filed("scienceqa", "scienceqa", &["diagram"], ACCURACY),
    filed("ai2d", "ai2d", &["diagram"], ACCURACY),
    filed("chartqa", "chartqa", &["chart"], ACCURACY),
    filed("chartqa_internvl", "chartqa", &["chart"], ACCURACY),
    filed("docvqa", "docvqa", &["form"], ACCURACY),
    filed("docvqa_peers", "docvqa", &["form"], ACCURACY),
    filed("infovqa", "infovqa", &["chart", "receipt"], ACCURACY),
    filed("textvqa", "textvqa", &["receipt"], ACCURACY),
    filed("textvqa_vlmevalkit", "textvqa", &["receipt"], ACCURACY),
    filed("ocrbench", "ocrbench", &["receipt", "form"], ACCURACY),
    filed("questions", "questions", &[], ACCURACY),
];

/// Metrics that only a benchmark's file has, and the questions that stand in for it do not.
pub const OF_FILES: &[&str] = &["mean_f1"];
/// Metrics of all of a benchmark's questions together, and of no task.
pub const OF_ALL: &[&str] = &["mean_f1"];

/// How POPE draws absent objects, in the paper's order.
pub const POPE_SPLITS: [&str; 3] = ["random", "popular", "adversarial"];
/// Per cent of the true rationale that `shift` gives.
pub const SHIFT_SHARES: [u8; 4] = [0, 25, 50, 75];

/// Families whose questions have one right answer: all but [`DESCRIBED`].
pub const CLOSED: &[&str] = &[
    "count", "subtract", "compare", "exists", "relation", "chart", "receipt", "form", "geometry",
    "diagram",
];
/// Families that ask for a description.
pub const DESCRIBED: &[&str] = &["describe"];
const COMPARED: &[&str] = &["compare", "relation", "diagram"];
const COUNTED: &[&str] = &["count", "subtract", "chart", "geometry"];

const ACCURACY: &[&str] = &["accuracy", "unparsable", "tokens"];
const POPE: &[&str] =
    &["accuracy", "precision", "recall", "f1", "yes_ratio", "unparsable", "mean_f1"];
const DESCRIBE: &[&str] =
    &["faithful", "response_rate", "mention_rate", "coverage", "objects", "unparsable"];
const SHIFT: &[&str] =
    &["accuracy", "accuracy_own", "accuracy_gap", "logp", "logp_own", "logp_gap"];
const MM_VET: &[&str] = &["grade", "failed", "tokens"];
const LLAVA_BENCH: &[&str] = &["relative", "score", "reference", "failed", "tokens"];
const CRPE: &[&str] = &["accuracy", "unparsable"];
const MMHAL: &[&str] = &["rating", "hallucination_rate", "failed", "tokens"];
const OBJECT_HALBENCH: &[&str] = &["response_rate", "mention_rate", "coverage", "failed", "tokens"];

const fn generated(
    name: &'static str,
    tasks: &'static [&'static str],
    column: TaskColumn,
    metrics: &'static [&'static str],
) -> Row {
    let (is_judged, needs_likelihood) = (false, false);
    Row { name, file: None, tasks, column, prompt: None, metrics, is_judged, needs_likelihood }
}

const fn filed(
    name: &'static str,
    file: &'static str,
    tasks: &'static [&'static str],
    metrics: &'static [&'static str],
) -> Row {
    Row { file: Some(file), ..generated(name, tasks, TaskColumn::OfFile, metrics) }
}

const fn pope(name: &'static str) -> Row {
    Row { column: TaskColumn::Parts(&POPE_SPLITS), ..filed(name, "pope", &["exists"], POPE) }
}

const fn judged(name: &'static str, metrics: &'static [&'static str]) -> Row {
    Row { is_judged: true, ..filed(name, name, DESCRIBED, metrics) }
}

/// The row of a name.
pub fn benchmark(name: &str) -> Option<&'static Row> {
    BENCHMARKS.iter().find(|row| row.name == name)
}

/// Every name.
pub fn names() -> Vec<&'static str> {
    BENCHMARKS.iter().map(|row| row.name).collect()
}

/// The names in `[eval.files]`: of benchmarks that read a file of their own.
pub fn files() -> Vec<&'static str> {
    BENCHMARKS.iter().filter(|row| row.file == Some(row.name)).map(|row| row.name).collect()
}

/// The benchmark whose file, if any, holds another's questions.
pub fn file_of(name: &str) -> Option<&'static str> {
    benchmark(name).and_then(|row| row.file)
}

/// What it measures; nothing where there is none of that name.
pub fn metrics_of(name: &str) -> &'static [&'static str] {
    benchmark(name).map_or(&[], |row| row.metrics)
}
