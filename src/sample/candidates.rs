//! The candidates stage: K sampled answers a question of the train split, each with its
//! extracted final answer and verdict.
//!
//! Questions are worked off in chunks whose bounds depend on the settings alone. A
//! finished chunk is a JSONL file in the work folder: a stage that was killed goes on after
//! it, to the same bytes. Writes candidates.jsonl ([`Answer`], question order, then sample)
//! and stats.csv, a row a task and one for all.

use super::here::Here;
use super::there::There;
use super::{chunks, import, prompts};
use crate::data::lines;
use crate::data::questions::read_split;
use crate::data::record::{Answer, Question, Verdict};
use crate::data::tokenizer::Tokenizer;
use crate::error::Context;
use crate::model::Config;
use crate::spec::candidates::Candidates;
use crate::spec::eval::Split;
use crate::stage::StageContext;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// The candidates stage.
///
/// # Errors
///
/// Inputs that cannot be read, a picture without features, a word that the tokenizer lacks, a
/// server that fails for more questions than it may.
pub fn run(candidates: &Candidates, ctx: &StageContext) -> Result<()> {
    if candidates.per_question == 0 {
        return Err(Error::spec("`candidates.per_question` is 0, which gives no answers"));
    }
    let questions = read_split(ctx.input("corpus"), Split::Train)?;
    // In later rounds the last round's policy samples.
    let role = if ctx.inputs.contains_key("model") { "model" } else { "base" };
    let dir = ctx.input(role);
    let tokenizer = Tokenizer::load(dir)?;
    let config = Config::load(dir)?;
    prompts::check(candidates, &config.prompter(&tokenizer)?)?;
    let size = candidates.chunk();
    let work = &ctx.work;
    let answers = if let Some(path) = &candidates.import {
        import::answers(Path::new(path), &questions, &tokenizer, candidates.prompt, &ctx.progress)?
    } else if candidates.server.is_set() {
        let there = There::new(candidates, ctx, &tokenizer, questions.len())?;
        chunks::each(work, "candidates", &questions, size, |first, some, before| {
            there.chunk(first, some, before.len())
        })?
    } else {
        let here = Here::load(candidates, ctx, &tokenizer, dir, &questions)?;
        chunks::each(work, "candidates", &questions, size, |first, some, before| {
            here.chunk(first, some, before.len())
        })?
    };
    lines::write(&ctx.out.join("candidates.jsonl"), &answers)?;
    let may_fail = candidates.server.is_set() && candidates.server.failures.is_some();
    write_statistics(&ctx.out.join("stats.csv"), &questions, &answers, may_fail)
}

/// Counts of one task.
#[derive(Default)]
struct Tally {
    questions: u64,
    /// Questions with a verdict.
    judged: u64,
    any_right: u64,
    /// Questions with right answers and others: what correctness pairs are made of.
    mixed: u64,
    answers: u64,
    judged_answers: u64,
    right: u64,
    unparsable: u64,
    ended: u64,
    tokens: u64,
    /// Questions without answers: the server failed for them.
    skipped: u64,
}

impl Tally {
    fn add(&mut self, answers: &[&Answer]) {
        let count = |is: &dyn Fn(&Answer) -> bool| {
            answers.iter().filter(|answer| is(answer)).count() as u64
        };
        let judged = count(&|answer| answer.verdict.is_some());
        let right = count(&|answer| answer.verdict == Some(Verdict::Right));
        self.questions += 1;
        self.skipped += u64::from(answers.is_empty());
        self.judged += u64::from(judged > 0);
        self.any_right += u64::from(right > 0);
        self.mixed += u64::from(right > 0 && right < judged);
        self.answers += answers.len() as u64;
        self.judged_answers += judged;
        self.right += right;
        self.unparsable += count(&|answer| answer.verdict == Some(Verdict::Unparsable));
        self.ended += count(&|answer| answer.ended);
        self.tokens += answers.iter().map(|answer| answer.tokens as u64).sum::<u64>();
    }

    /// The row of a table; what was not measured is empty.
    fn row(&self, task: &str, may_fail: bool) -> Vec<String> {
        let share = |part: u64, whole: u64| match whole {
            0 => String::new(),
            _ => (part as f64 / whole as f64).to_string(),
        };
        let mut row = vec![
            task.to_owned(),
            self.questions.to_string(),
            self.answers.to_string(),
            share(self.right, self.judged_answers),
            share(self.any_right, self.judged),
            share(self.mixed, self.judged),
            share(self.unparsable, self.judged_answers),
            share(self.ended, self.answers),
            share(self.tokens, self.answers),
        ];
        row.extend(may_fail.then(|| self.skipped.to_string()));
        row
    }
}

/// Columns of stats.csv; shares of answers or, from `any_right` to `mixed`, of questions.
const COLUMNS: [&str; 9] = [
    "task",
    "questions",
    "answers",
    "accuracy",
    "any_right",
    "mixed",
    "unparsable",
    "ended",
    "mean_tokens",
];

/// Column of the questions that a server failed for, where some may be.
const SKIPPED: &str = "skipped";

/// Writes a row a task, tasks by name, and one for all of them first.
fn write_statistics(
    path: &Path,
    questions: &[Question],
    answers: &[Answer],
    may_fail: bool,
) -> Result<()> {
    let mut of_question: BTreeMap<&str, Vec<&Answer>> = BTreeMap::new();
    for answer in answers {
        of_question.entry(&answer.question).or_default().push(answer);
    }
    let mut all = Tally::default();
    let mut tasks: BTreeMap<&str, Tally> = BTreeMap::new();
    for question in questions {
        let answers = of_question.get(question.id.as_str()).map_or(&[][..], Vec::as_slice);
        all.add(answers);
        tasks.entry(&question.task).or_default().add(answers);
    }
    let doing = || format!("writing `{}`", path.display());
    let mut table = csv::Writer::from_path(path).with_context(doing)?;
    let columns = COLUMNS.into_iter().chain(may_fail.then_some(SKIPPED));
    table.write_record(columns).with_context(doing)?;
    table.write_record(all.row("all", may_fail)).with_context(doing)?;
    for (task, tally) in tasks {
        table.write_record(tally.row(task, may_fail)).with_context(doing)?;
    }
    table.flush().with_context(doing)
}
