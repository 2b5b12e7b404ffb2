//! `prefab diff A B`: which settings differ, which scores differ beyond chance,
//! which questions flipped. Reads files only. Without the store's answers, as of committed
//! results, the scores are those of runs.csv (`tables`), and nothing is tested.
//!
//! Each side is a result folder (`results/NAME`, or `NAME`) or one of its jobs
//! (`NAME/JOB`). Two folders are compared job by job, by job id.

mod flips;
mod tables;

use super::say;
use crate::error::Context;
use crate::eval::scores::QuestionScore;
use crate::plan::fingerprint::name_beside;
use crate::plan::{Job, Plan, Stage};
use crate::spec::benchmarks::file_of;
use crate::statistics::{Paired, Scored, holm, paired, random, smallest};
use crate::{Error, Result, store};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Below this, after Holm's correction, a difference whose interval leaves out zero is beyond chance.
const SIGNIFICANCE: f64 = 0.05;

/// Compares two jobs or two experiments.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// A result folder, or NAME/JOB in it.
    pub first: PathBuf,
    /// The other one.
    pub second: PathBuf,
    /// Where results lie.
    #[arg(long, default_value = "results")]
    pub results: PathBuf,
    /// Where artifacts lie.
    #[arg(long, default_value = ".prefab")]
    pub store: PathBuf,
}

/// Prints the comparison.
///
/// # Errors
///
/// Folders or jobs that do not exist, and scores that are neither in the store nor in runs.csv.
pub fn run(arguments: &Arguments) -> Result<()> {
    say(&compare(arguments)?);
    Ok(())
}

/// The comparison as text.
///
/// # Errors
///
/// As [`run`].
pub fn compare(arguments: &Arguments) -> Result<String> {
    let first = Side::find(&arguments.first, &arguments.results)?;
    let second = Side::find(&arguments.second, &arguments.results)?;
    let mut text = String::new();
    for (a, b) in matched(&first, &second)? {
        let (a, b) = (Chosen::new(&first, a), Chosen::new(&second, b));
        let (name_a, name_b) = (a.name(), b.name());
        write!(text, "{name_a}  against  {name_b}\n\n").expect("a string takes any text");
        write_settings(&mut text, a.job, b.job);
        write_scores(&mut text, &a, &b, &arguments.store)?;
    }
    Ok(text)
}

/// A frozen plan, and the job that was asked for.
struct Side {
    folder: PathBuf,
    plan: Plan,
    job: Option<String>,
}

impl Side {
    /// `results/NAME`, `NAME`, `results/NAME/JOB` or `NAME/JOB`.
    fn find(given: &Path, results: &Path) -> Result<Self> {
        for folder in [given.to_path_buf(), results.join(given)] {
            let frozen = folder.join("plan.json");
            if frozen.is_file() {
                return Ok(Self { plan: Plan::load(&frozen)?, folder, job: None });
            }
            let (Some(parent), Some(job)) = (folder.parent(), folder.file_name()) else { continue };
            let frozen = parent.join("plan.json");
            if frozen.is_file() {
                let (plan, job) = (Plan::load(&frozen)?, job.to_string_lossy().into_owned());
                if plan.jobs.iter().any(|known| known.id == job) {
                    return Ok(Self { folder: parent.to_owned(), plan, job: Some(job) });
                }
                let known: Vec<&str> = plan.jobs.iter().map(|job| job.id.as_str()).collect();
                return Err(Error::spec(format!("`{}` has no job `{job}`", parent.display()))
                    .hint(format!("its jobs are {}", known.join(", "))));
            }
        }
        Err(Error::spec(format!("`{}` is neither a result folder nor a job", given.display()))
            .hint("give results/NAME, NAME, or NAME/JOB; jobs are listed in results/NAME/jobs.csv"))
    }
}

/// The jobs to compare: the two that were named, or those that both folders have.
fn matched<'a>(first: &'a Side, second: &'a Side) -> Result<Vec<(&'a Job, &'a Job)>> {
    let named = |side: &'a Side, id: &str| side.plan.jobs.iter().find(|job| job.id == id);
    let pairs: Vec<_> = match (&first.job, &second.job) {
        (Some(a), Some(b)) => named(first, a).zip(named(second, b)).into_iter().collect(),
        // A job against a folder: the folder's job of that id.
        (Some(id), None) | (None, Some(id)) => {
            named(first, id).zip(named(second, id)).into_iter().collect()
        }
        (None, None) => {
            first.plan.jobs.iter().filter_map(|job| Some((job, named(second, &job.id)?))).collect()
        }
    };
    if pairs.is_empty() {
        return Err(Error::spec("the two have no job in common")
            .hint("name the jobs: `prefab diff NAME/JOB OTHER/JOB`"));
    }
    Ok(pairs)
}

/// One of the two jobs.
struct Chosen<'a> {
    folder: &'a Path,
    plan: &'a Plan,
    job: &'a Job,
}

impl<'a> Chosen<'a> {
    fn new(side: &'a Side, job: &'a Job) -> Self {
        Self { folder: &side.folder, plan: &side.plan, job }
    }

    fn name(&self) -> String {
        format!("{}/{}", self.plan.name, self.job.id)
    }

    /// The key of its instance of a stage; the last round's, where there are several.
    fn key(&self, stage: Stage) -> Option<&'a str> {
        self.plan.task_of(self.job, stage).map(|task| task.key.as_str())
    }

    /// The payload folder of its instance of a stage.
    fn payload(&self, store: &Path, stage: Stage) -> Result<PathBuf> {
        let missing = || Error::new(format!("`{}` has no {stage} stage", self.name()));
        let key = self.key(stage).ok_or_else(missing)?;
        let folder = store::payload(&store::artifacts(store), key);
        if folder.is_dir() {
            return Ok(folder);
        }
        Err(Error::new(format!("the store no longer has `{key}` of `{}`", self.name()))
            .hint("run its spec again: only what is missing is done"))
    }
}

/// Lists the settings in which two jobs differ, by dotted key.
fn write_settings(text: &mut String, a: &Job, b: &Job) {
    let flat = |job: &Job| {
        let mut keys = BTreeMap::new();
        let value = serde_json::to_value(&job.settings).expect("settings can be written as JSON");
        flatten("", &value, &mut keys);
        keys.insert("seed".to_owned(), job.seed.to_string());
        keys
    };
    let (a, b) = (flat(a), flat(b));
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differing: Vec<_> = keys.into_iter().filter(|key| a.get(*key) != b.get(*key)).collect();
    if differing.is_empty() {
        text.push_str("settings: the same\n\n");
        return;
    }
    text.push_str("settings that differ\n");
    let of = |side: &BTreeMap<String, String>, key: &String| {
        side.get(key).cloned().unwrap_or_else(|| "–".to_owned())
    };
    let table = differing.into_iter().map(|key| [key.clone(), of(&a, key), of(&b, key)]);
    write_table(text, &["", "first", "second"], &table.collect::<Vec<_>>());
}

fn flatten(path: &str, value: &serde_json::Value, keys: &mut BTreeMap<String, String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, keys);
            }
        }
        serde_json::Value::Null => {}
        other => {
            keys.insert(path.to_owned(), other.to_string());
        }
    }
}

/// What is compared: a benchmark's questions with one prompt, all of them or one task.
type Slice = (String, &'static str, String);

/// The scores of a slice in both jobs, question by question.
type Both<'a> = Vec<(&'a QuestionScore, &'a QuestionScore)>;

fn write_scores(text: &mut String, a: &Chosen<'_>, b: &Chosen<'_>, store: &Path) -> Result<()> {
    let scores = |side: &Chosen<'_>| side.payload(store, Stage::Scores);
    let (first, second) = match (scores(a), scores(b)) {
        (Ok(first), Ok(second)) => (first, second),
        // A side without tables either has nothing to show.
        (Err(reason), _) | (_, Err(reason)) => {
            return match [a, b].iter().all(|side| tables::runs(side.folder).is_file()) {
                true => tables::write(text, a, b, &reason.to_string()),
                false => Err(reason),
            };
        }
    };
    let (mut first, second) = (verdicts(&first)?, verdicts(&second)?);
    // The same id may be another question.
    let asked: BTreeSet<String> = first.iter().map(|row| row.benchmark.clone()).collect();
    let both = asked.iter().filter(|name| second.iter().any(|row| row.benchmark == **name));
    let (same, other): (Vec<&String>, Vec<&String>) = both.partition(|name| alike(a, b, name));
    first.retain(|row| same.contains(&&row.benchmark));
    if !other.is_empty() {
        let names: Vec<&str> = other.iter().map(|name| name.as_str()).collect();
        writeln!(text, "not compared, since other questions were asked: {}\n", names.join(", "))
            .expect("text");
    }
    let slices = slices(&first, &second);
    if slices.is_empty() {
        text.push_str("scores: no question was scored in both\n\n");
        return Ok(());
    }
    let results: Vec<(&Slice, Paired)> =
        slices.iter().map(|(s, both)| (s, test(s, both))).collect();
    let adjusted = holm(&results.iter().map(|(_, result)| result.p).collect::<Vec<_>>());
    writeln!(text, "scores, in points (second less first, paired by question)").expect("text");
    let mut table = Vec::new();
    for (((benchmark, prompt, task), result), p) in results.iter().zip(&adjusted) {
        // What a comparison of equal answers would have found, nobody knows.
        let uncertain = result.by_picture.filter(|grand| grand.error > 0.0);
        let least = uncertain
            .map(|grand| smallest(grand.error, grand.freedom, SIGNIFICANCE / results.len() as f64));
        table.push([
            format!("{benchmark} {prompt} {task}"),
            format!("{:+.1}", result.difference * 100.0),
            result.interval.map_or("–".into(), |interval| {
                format!("{:+.1} to {:+.1}", interval.low * 100.0, interval.high * 100.0)
            }),
            result.n.to_string(),
            format!("{} / {}", result.only_first, result.only_second),
            format!("{p:.4}"),
            if is_beyond(result, *p) { "beyond chance".into() } else { "–".into() },
            // Scores lie between 0 and 1, and so do their differences.
            least
                .filter(|share| *share <= 1.0)
                .map_or("–".into(), |share| format!("{:.1}", share * 100.0)),
        ]);
    }
    let head = [
        "",
        "difference",
        "95 %",
        "questions",
        "only first / second",
        "p (Holm)",
        "",
        "could find",
    ];
    write_table(text, &head, &table);
    flips::write(text, a, b, store, &slices)
}

/// Whether the corrected probability and the bootstrap over pictures both leave nothing to chance.
fn is_beyond(result: &Paired, p: f64) -> bool {
    p < SIGNIFICANCE && result.interval.is_some_and(|found| found.low > 0.0 || found.high < 0.0)
}

/// Whether a benchmark asked a file of its own.
fn is_of_file(side: &Chosen<'_>, benchmark: &str) -> bool {
    let files = &side.job.settings.eval.files;
    file_of(benchmark).is_some_and(|own| files.contains_key(own))
}

/// Whether both jobs asked a benchmark's questions of the same file, or of the same corpus.
fn alike(a: &Chosen<'_>, b: &Chosen<'_>, benchmark: &str) -> bool {
    match [a, b].map(|side| is_of_file(side, benchmark)) {
        [true, true] => prints(a, benchmark) == prints(b, benchmark),
        [false, false] => a.key(Stage::Corpus) == b.key(Stage::Corpus),
        _ => false,
    }
}

/// The contents of a benchmark's file and of what is read beside it, as the plan knows them.
fn prints<'a>(side: &Chosen<'a>, benchmark: &str) -> Vec<&'a Value> {
    let Some(own) = file_of(benchmark) else { return Vec::new() };
    let Some(path) = side.job.settings.eval.files.get(own) else { return Vec::new() };
    let task = side.plan.task_of(side.job, Stage::Benchmarks);
    let files = task.and_then(|task| task.settings.get("files")?.as_object());
    let beside = name_beside(own, path);
    [path, &beside].into_iter().filter_map(|name| files?.get(name.as_str())).collect()
}

fn verdicts(scores: &Path) -> Result<Vec<QuestionScore>> {
    let path = scores.join("verdicts.csv");
    let doing = || format!("could not read {}", path.display());
    let mut reader = csv::Reader::from_path(&path).with_context(doing)?;
    reader.deserialize().collect::<Result<_, _>>().with_context(doing)
}

/// Questions that both answered, by benchmark and prompt: all of them, then each task.
fn slices<'a>(first: &'a [QuestionScore], second: &'a [QuestionScore]) -> Vec<(Slice, Both<'a>)> {
    let key = |row: &'a QuestionScore| (&row.benchmark, &row.question, &row.task, row.prompt);
    let other: HashMap<_, _> = second.iter().map(|row| (key(row), row)).collect();
    let mut slices: Vec<(Slice, Both<'a>)> = Vec::new();
    let mut add = |slice: Slice, both| match slices.iter_mut().find(|(known, _)| *known == slice) {
        Some((_, list)) => list.push(both),
        None => slices.push((slice, vec![both])),
    };
    for row in first {
        let Some(&same) = other.get(&key(row)) else { continue };
        let slice = |task: &str| (row.benchmark.clone(), row.prompt.name(), task.to_owned());
        add(slice("all"), (row, same));
        // A question may be in several splits.
        for task in row.task.split(';').filter(|task| *task != "all") {
            add(slice(task), (row, same));
        }
    }
    slices
}

fn test((benchmark, prompt, task): &Slice, both: &Both<'_>) -> Paired {
    fn scored(row: &QuestionScore) -> Scored<'_> {
        Scored { cluster: &row.image, score: row.score }
    }
    let first: Vec<_> = both.iter().map(|(a, _)| scored(a)).collect();
    let second: Vec<_> = both.iter().map(|(_, b)| scored(b)).collect();
    paired(&first, &second, random(&format!("diff/{benchmark}/{prompt}/{task}"), 0))
}

/// Writes aligned columns; the first is flush left.
fn write_table<const N: usize>(text: &mut String, head: &[&str; N], rows: &[[String; N]]) {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let head = head.map(str::to_owned);
    for row in std::iter::once(&head).chain(rows) {
        let mut line = format!("  {:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(widths).skip(1) {
            write!(line, "  {cell:>width$}").expect("a string takes any text");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push('\n');
}
