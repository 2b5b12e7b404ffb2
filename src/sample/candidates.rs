//! The candidates stage: K sampled answers a question of the train split, each with its
//! extracted final answer and verdict.
//!
//! Questions are worked off in chunks whose bounds depend on the settings alone. A
//! finished chunk is a JSONL file in the work folder: a stage that was killed goes on after
//! it, to the same bytes. Writes candidates.jsonl ([`Answer`], question order, then sample)
//! and stats.csv, a row a task and one for all.

use super::{Generated, Generation, Request, generate};
use crate::data::questions::read_split;
use crate::data::record::{Answer, Question, Verdict};
use crate::data::template::Prompter;
use crate::data::tokenizer::Tokenizer;
use crate::error::Context;
use crate::model::Vlm;
use crate::model::features::{Features, of_pictures};
use crate::run::stage::StageContext;
use crate::spec::candidates::Candidates;
use crate::spec::eval::Split;
use crate::spec::train::Precision;
use crate::{Error, Result};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

/// Batches in a chunk: enough that the emptying batch at its end costs little, few enough
/// that a killed stage loses seconds.
const BATCHES: usize = 8;

/// The candidates stage.
///
/// # Errors
///
/// Inputs that cannot be read, a picture without features, a word that the tokenizer lacks.
pub fn run(candidates: &Candidates, ctx: &StageContext) -> Result<()> {
    if candidates.per_question == 0 {
        return Err(Error::spec("`candidates.per_question` is 0, which gives no answers"));
    }
    let questions = read_split(ctx.input("corpus"), Split::Train)?;
    // In later rounds the last round's policy samples.
    let role = if ctx.inputs.contains_key("model") { "model" } else { "base" };
    let dir = ctx.input(role);
    let tokenizer = Tokenizer::load(dir)?;
    let model = Vlm::load(dir, ctx.device)?;
    let sampler = Sampler {
        candidates,
        ctx,
        prompter: Prompter::new(&tokenizer, &model.config.template, model.config.image_tokens)?,
        features: ctx.inputs.get("features").map(|dir| Features::open(dir)).transpose()?,
        tokenizer: &tokenizer,
        model: &model,
        total: questions.len() * candidates.per_question,
        started: Instant::now(),
        sampled: Cell::new(0),
    };
    let size = (BATCHES * candidates.batch).div_ceil(candidates.per_question).max(1);
    let mut answers = Vec::with_capacity(sampler.total);
    for (chunk, questions) in questions.chunks(size).enumerate() {
        let sampled = ctx.rows(&format!("candidates-{chunk:06}.jsonl"), || {
            sampler.chunk(chunk * size, questions, answers.len())
        })?;
        answers.extend(sampled);
    }
    write(&ctx.out.join("candidates.jsonl"), &answers)?;
    write_statistics(&ctx.out.join("stats.csv"), &questions, &answers)
}

/// What every chunk is sampled with.
struct Sampler<'a> {
    candidates: &'a Candidates,
    ctx: &'a StageContext,
    prompter: Prompter<'a>,
    features: Option<Features>,
    tokenizer: &'a Tokenizer,
    model: &'a Vlm,
    total: usize,
    started: Instant,
    /// Answers sampled since then, those of finished chunks not among them.
    sampled: Cell<u64>,
}

impl Sampler<'_> {
    /// Answers to some questions, the first of which is the split's `first`-th; `before`
    /// answers were there already.
    fn chunk(&self, first: usize, questions: &[Question], before: usize) -> Result<Vec<Answer>> {
        let mut paths: Vec<&str> = Vec::new();
        let mut requests = Vec::with_capacity(questions.len());
        for (index, question) in (first..).zip(questions) {
            let tiles = vec![1; question.images.len()];
            let text = self.prompter.question_text_with(
                &question.question,
                tiles.len(),
                self.candidates.prompt,
            );
            let prompt = self.prompter.encode_prompt_with(&text, &tiles);
            requests.push(Request {
                prompt: prompt
                    .map_err(|error| error.context(format!("question {}", question.id)))?,
                tiles: paths.len()..paths.len() + tiles.len(),
                samples: self.candidates.per_question,
                stream: index as u64,
                prefix: vec![],
            });
            paths.extend(question.images.iter().map(String::as_str));
        }
        let corpus = self.ctx.input("corpus");
        let features =
            of_pictures(self.features.as_ref(), self.model, corpus, Split::Train, &paths)?;
        let settings = Generation {
            seed: self.candidates.seed,
            temperature: Some(self.candidates.temperature.get()),
            top_k: self.candidates.top_k,
            top_p: self.candidates.top_p.get(),
            max_tokens: self.candidates.max_tokens,
            batch: self.candidates.batch,
            eos: self.tokenizer.eos(),
            precision: Precision::Fp32,
        };
        let report = |done: u64, _| {
            let sampled = self.sampled.get() + done;
            let rate = (sampled as f64 / self.started.elapsed().as_secs_f64()).round();
            let note = format!("{rate} answers/s");
            self.ctx.progress.report(before as u64 + done, self.total as u64, note);
        };
        let generated = generate(self.model, &requests, &features, &settings, &report)?;
        self.sampled.set(self.sampled.get() + generated.len() as u64);
        Ok(generated.into_iter().map(|one| self.answer(&questions[one.request], one)).collect())
    }

    /// The record of an answer: the one place where this stage asks for a verdict.
    fn answer(&self, question: &Question, generated: Generated) -> Answer {
        let text = self.tokenizer.decode(&generated.tokens);
        let (final_answer, verdict) =
            crate::eval::matching::verdict(question, self.candidates.prompt, &text);
        Answer {
            question: question.id.clone(),
            prompt: self.candidates.prompt,
            sample: generated.sample,
            text,
            tokens: generated.tokens.len(),
            ended: generated.ended,
            final_answer,
            verdict,
        }
    }
}

/// Writes answers, one a line.
fn write(path: &Path, answers: &[Answer]) -> Result<()> {
    let doing = || format!("writing `{}`", path.display());
    let mut file = BufWriter::new(File::create(path).with_context(doing)?);
    for answer in answers {
        serde_json::to_writer(&mut file, answer).with_context(doing)?;
        file.write_all(b"\n").with_context(doing)?;
    }
    file.flush().with_context(doing)
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
}

impl Tally {
    fn add(&mut self, answers: &[&Answer]) {
        let count = |is: &dyn Fn(&Answer) -> bool| {
            answers.iter().filter(|answer| is(answer)).count() as u64
        };
        let judged = count(&|answer| answer.verdict.is_some());
        let right = count(&|answer| answer.verdict == Some(Verdict::Right));
        self.questions += 1;
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
    fn row(&self, task: &str) -> Vec<String> {
        let share = |part: u64, whole: u64| match whole {
            0 => String::new(),
            _ => (part as f64 / whole as f64).to_string(),
        };
        vec![
            task.to_owned(),
            self.questions.to_string(),
            self.answers.to_string(),
            share(self.right, self.judged_answers),
            share(self.any_right, self.judged),
            share(self.mixed, self.judged),
            share(self.unparsable, self.judged_answers),
            share(self.ended, self.answers),
            share(self.tokens, self.answers),
        ]
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

/// Writes a row a task, tasks by name, and one for all of them first.
fn write_statistics(path: &Path, questions: &[Question], answers: &[Answer]) -> Result<()> {
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
    table.write_record(COLUMNS).with_context(doing)?;
    table.write_record(all.row("all")).with_context(doing)?;
    for (task, tally) in tasks {
        table.write_record(tally.row(task)).with_context(doing)?;
    }
    table.flush().with_context(doing)
}
