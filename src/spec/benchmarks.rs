//! What a spec may say of each benchmark, a row each; the benchmarks themselves are in `src/eval`.
//! A law test keeps the two equal.

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
    /// What it measures, the second half of a chart's `reasoning.accuracy`.
    pub metrics: &'static [&'static str],
    /// Whether a judge grades the questions of its file.
    pub is_judged: bool,
    /// Whether it asks for likelihoods beside answers: of a model here.
    pub needs_likelihood: bool,
}

/// Every benchmark, in documentation order.
pub const BENCHMARKS: &[Row] = &[
    generated("reasoning", CLOSED, ACCURACY),
    filed("pope", "pope", &["exists"], POPE),
    generated("describe", DESCRIBED, DESCRIBE),
    Row { needs_likelihood: true, ..generated("shift", CLOSED, SHIFT) },
    filed("m3cot", "m3cot", COMPARED, ACCURACY),
    filed("m3cot_internvl", "m3cot", COMPARED, ACCURACY),
    filed("mathvista", "mathvista", COUNTED, ACCURACY),
    filed("mathvista_internvl", "mathvista", COUNTED, ACCURACY),
    filed("mathvista_vlmevalkit", "mathvista", COUNTED, ACCURACY),
    filed("mathvision", "mathvision", &["subtract", "geometry"], ACCURACY),
    filed("mathvision_vlmevalkit", "mathvision", &["subtract", "geometry"], ACCURACY),
    judged("mm_vet", MM_VET),
    judged("llava_bench", LLAVA_BENCH),
    filed("pope_internvl", "pope", &["exists"], POPE),
    filed("pope_vlmevalkit", "pope", &["exists"], POPE),
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

/// Families whose questions have one right answer.
const CLOSED: &[&str] = &[
    "count", "subtract", "compare", "exists", "relation", "chart", "receipt", "form", "geometry",
    "diagram",
];
const DESCRIBED: &[&str] = &["describe"];
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
    metrics: &'static [&'static str],
) -> Row {
    Row { name, file: None, tasks, metrics, is_judged: false, needs_likelihood: false }
}

const fn filed(
    name: &'static str,
    file: &'static str,
    tasks: &'static [&'static str],
    metrics: &'static [&'static str],
) -> Row {
    Row { file: Some(file), ..generated(name, tasks, metrics) }
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
