//! Where a benchmark's numbers come from: real questions or generated ones, which part of an
//! answer, whose verdicts.

use super::Benchmark;
use super::judging::{By, Judge, Judgement, Used};
use crate::data::record::Question;
use crate::spec::eval::Eval;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What generated questions are called where a benchmark has files of its own.
pub const STAND_IN: &str = "stand-in";

/// A row of benchmarks.csv.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Origin {
    /// Benchmark, of `prefab show benchmarks`.
    pub benchmark: String,
    /// Its file's name; `stand-in` for generated questions in its place; `corpus` where it has none.
    pub questions: String,
    /// Number of questions.
    pub n: usize,
    /// Which part of a response is its answer.
    pub extraction: String,
    /// Who graded: `rule`, the judge's model, or nothing where answers are matched.
    pub judge: String,
    /// First digits of a hash of the judge's rubric.
    pub rubric: String,
    /// Answers that were graded by rule.
    pub by_rule: usize,
    /// Answers that the judge graded.
    pub judged: usize,
    /// Answers that could not be graded; they are in no score.
    pub failed: usize,
    /// Tokens that the judge read, those of kept replies included.
    pub tokens_read: u64,
    /// Tokens that it wrote.
    pub tokens_written: u64,
    /// What they cost, at the prices of `[eval.judge]`.
    pub cost: f64,
}

impl Origin {
    /// Of a benchmark, some questions, and what the judge did since `before`.
    pub fn new(
        eval: &Eval,
        benchmark: &dyn Benchmark,
        asked: &[&Question],
        judgements: &[Judgement],
        judge: &Judge<'_>,
        before: Used,
    ) -> Self {
        let count = |by: By| judgements.iter().filter(|judgement| judgement.by == by).count();
        let file = eval.files.get(benchmark.asks());
        let questions = match file.map(|path| Path::new(path).file_name().unwrap_or_default()) {
            Some(name) => name.to_string_lossy().into_owned(),
            None if benchmark.file().is_some() => STAND_IN.to_owned(),
            None => "corpus".to_owned(),
        };
        let used = Used {
            read: judge.used.read - before.read,
            written: judge.used.written - before.written,
        };
        let (by_rule, judged, failed) = (count(By::Rule), count(By::Judge), count(By::Failed));
        let judged_by = match benchmark.grader() {
            None => "",
            Some(_) if judged + failed > 0 => judge.name(),
            Some(_) => "rule",
        };
        let rubric = benchmark.grader().filter(|_| judged + failed > 0).map(|grader| {
            let text = (grader.ask)(&Question::default(), "");
            blake3::hash(text.as_bytes()).to_hex()[..8].to_owned()
        });
        let is_whole = file.is_some() && benchmark.file().is_some_and(|own| own.always_direct);
        let extraction = if is_whole { "whole response" } else { benchmark.extraction().text() };
        Self {
            benchmark: benchmark.name().to_owned(),
            questions,
            n: asked.len(),
            extraction: extraction.to_owned(),
            judge: judged_by.to_owned(),
            rubric: rubric.unwrap_or_default(),
            by_rule,
            judged,
            failed,
            tokens_read: used.read,
            tokens_written: used.written,
            cost: judge.cost(used),
        }
    }
}
