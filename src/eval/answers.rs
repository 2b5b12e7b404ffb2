//! The answers stage: what a policy says to every question that some benchmark
//! asks, greedily, each question and prompt once.
//!
//! Work is cut into chunks, whose bounds depend on the settings alone. A finished chunk is
//! a file in the work folder; a stage that was killed goes on after the last one.
//!
//! Writes answers.jsonl ([`Row`]) and, for benchmarks that want it, likelihood.jsonl
//! ([`Likelihood`]); for the paper's benchmarks also `tsv/BENCHMARK-PROMPT.tsv`
//! ([`super::export`]). [`Asker`] serves the validation scores during training too.

use super::asking::{Asking, is_of_file};
use super::served::Served;
use super::{Likelihood, Row, export};
use crate::answer::extract;
use crate::answer::matching::{Said, answer};
use crate::data::lines;
use crate::data::record::{self, Question};
use crate::data::template::Prompter;
use crate::data::tokenizer::Tokenizer;
use crate::error::Context;
use crate::model::features::{all_shown, shown};
use crate::model::{Group, Pictures, Seen, Tower, Vlm};
use crate::sample::prompts::asked;
use crate::sample::{Generated, Generation, Request, chunks, generate};
use crate::spec::candidates::Prompt;
use crate::spec::eval::Eval;
use crate::stage::StageContext;
use crate::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{HashMap, HashSet};

/// The answers stage.
///
/// # Errors
///
/// Inputs that cannot be read, an unknown benchmark, one that finds no question in the split.
pub fn run(eval: &Eval, ctx: &StageContext) -> Result<()> {
    let asking = Asking::read(eval, ctx)?;
    let (items, likely) = plan(eval, &asking)?;
    if eval.server.is_set() {
        return serve(eval, &asking, &items, ctx);
    }
    let tokenizer = Tokenizer::load(ctx.input("model"))?;
    let (of_files, items): (Vec<Item<'_>>, Vec<_>) =
        items.into_iter().partition(|item| is_of_file(item.question));
    let model = Vlm::load_to_answer(ctx.input("model"), ctx.device)?;
    let asker = Asker::new(&model, &tokenizer, eval)?;
    let views =
        |items: &[Item<'_>]| all_shown(items.iter().map(|item| item.question), &model.config);
    let pictures = Pictures::open(ctx, &model.config, eval.split, Tower::Frozen, &views(&items))?;
    let total = items.len() + of_files.len() + likely.len();
    let mut chunks = Chunks { ctx, done: 0, total, size: eval.chunk() };
    let see = |pictures: &Pictures, items: &[Item<'_>]| {
        let views = items.iter().map(|item| shown(item.question, pictures.tiling()));
        pictures.see_as(&model, views)
    };
    let ask = |pictures: &Pictures, items: &[Item<'_>], progress: &dyn Fn(u64, u64)| {
        let seen = see(pictures, items)?;
        asker.ask(items, &seen, progress)
    };
    let mut answered: Vec<Row> =
        chunks.work("answers", &items, |items, progress| ask(&pictures, items, progress))?;
    if !of_files.is_empty() {
        let pictures = Pictures::of_benchmarks(ctx, &model.config, &views(&of_files))?;
        answered.extend(
            chunks.work("files", &of_files, |items, progress| ask(&pictures, items, progress))?,
        );
    }
    lines::write(&ctx.out.join("answers.jsonl"), &answered)?;
    export::write(&ctx.out.join("tsv"), &asking, &answered)?;
    if likely.is_empty() {
        return Ok(());
    }
    let own: HashMap<&str, &str> = answered
        .iter()
        .filter(|row| row.given_percent == 0 && row.answer.prompt == Prompt::Cot)
        .map(|row| (row.answer.question.as_str(), row.answer.text.as_str()))
        .collect();
    let measured: Vec<Likelihood> = chunks.work("likelihood", &likely, |items, _| {
        let seen = see(&pictures, items)?;
        asker.likelihoods(items, &seen, &own)
    })?;
    lines::write(&ctx.out.join("likelihood.jsonl"), &measured)
}

/// The same by a server.
fn serve(eval: &Eval, asking: &Asking, items: &[Item<'_>], ctx: &StageContext) -> Result<()> {
    let served = Served::new(eval, ctx)?;
    let mut chunks = Chunks { ctx, done: 0, total: items.len(), size: eval.chunk() };
    let answered = chunks.work("answers", items, |items, progress| served.ask(items, progress))?;
    lines::write(&ctx.out.join("answers.jsonl"), &answered)?;
    export::write(&ctx.out.join("tsv"), asking, &answered)
}

/// One thing to ask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Item<'a> {
    /// The question.
    pub question: &'a Question,
    /// How it is asked.
    pub prompt: Prompt,
    /// How many per cent of its true rationale are given.
    pub percent: u8,
}

/// What the benchmarks ask, each thing once: by prompt, by share given, in file order;
/// and for which of these the likelihood of the rest is wanted.
fn plan<'a>(eval: &Eval, asking: &'a Asking) -> Result<(Vec<Item<'a>>, Vec<Item<'a>>)> {
    for (benchmark, asked) in &asking.of {
        if asked.is_empty() {
            let (name, split) = (benchmark.name(), eval.split.name());
            let file = match benchmark.file() {
                Some(_) => format!("; or name its file, `eval.files.{}`", benchmark.asks()),
                None => String::new(),
            };
            return Err(Error::spec(format!(
                "benchmark `{name}` finds no question in the {split} split"
            ))
            .hint(format!(
                "it needs {}{file}; or leave it out of `eval.benchmarks`",
                benchmark.needs()
            )));
        }
    }
    let benchmarks: Vec<_> = asking
        .of
        .iter()
        .map(|(benchmark, asked)| {
            let asked: HashSet<usize> = asked.iter().copied().collect();
            (*benchmark, benchmark.prompts(&eval.prompts), asked)
        })
        .collect();
    let mut percents: Vec<u8> =
        benchmarks.iter().flat_map(|(benchmark, ..)| benchmark.given_percents()).copied().collect();
    percents.sort_unstable();
    percents.dedup();
    let (mut items, mut likely) = (Vec::new(), Vec::new());
    for prompt in [Prompt::Direct, Prompt::Cot] {
        for &percent in &percents {
            for (index, question) in asking.questions.iter().enumerate() {
                let item = Item { question, prompt, percent };
                let mut wanted = false;
                for (benchmark, prompts, asked) in &benchmarks {
                    if asked.contains(&index)
                        && prompts.contains(&prompt)
                        && benchmark.given_percents().contains(&percent)
                    {
                        wanted = true;
                        if benchmark.needs_likelihood() && likely.last() != Some(&item) {
                            likely.push(item);
                        }
                    }
                }
                items.extend(wanted.then_some(item));
            }
        }
    }
    Ok((items, likely))
}

/// Several kinds of work, in chunks, that are one progress.
struct Chunks<'a> {
    ctx: &'a StageContext,
    done: usize,
    total: usize,
    size: usize,
}

impl Chunks<'_> {
    /// Works off the chunks that have no file yet; returns all results in order.
    fn work<I, T: Serialize + DeserializeOwned>(
        &mut self,
        name: &str,
        items: &[I],
        work: impl Fn(&[I], &(dyn Fn(u64, u64) + Sync)) -> Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        let Self { ctx, total, .. } = *self;
        let results = chunks::each(&ctx.work, name, items, self.size, |first, some, _| {
            let before = (self.done + first) as u64;
            let report = |done: u64, _: u64| ctx.progress.report(before + done, total as u64, name);
            let made = work(some, &report)?;
            report(some.len() as u64, 0);
            Ok(made)
        })?;
        self.done += items.len();
        Ok(results)
    }
}

/// Asks a policy, greedily.
pub struct Asker<'a> {
    model: &'a Vlm,
    tokenizer: &'a Tokenizer,
    prompter: Prompter<'a>,
    settings: Generation,
}

impl<'a> Asker<'a> {
    /// For a policy, with the length and batch of the `[eval]` table.
    ///
    /// # Errors
    ///
    /// If the policy's chat template is unknown.
    pub fn new(model: &'a Vlm, tokenizer: &'a Tokenizer, eval: &Eval) -> Result<Self> {
        let config = &model.config;
        Ok(Self {
            model,
            tokenizer,
            prompter: config.prompter(tokenizer)?,
            settings: Generation::greedy(
                config.precision,
                eval.max_tokens,
                eval.batch,
                tokenizer.eos(),
            ),
        })
    }

    /// Answers, judged, in the order of the items. `seen` holds their features.
    ///
    /// # Errors
    ///
    /// A question that the policy's tokenizer or image tokens do not fit.
    pub fn ask(
        &self,
        items: &[Item<'_>],
        seen: &Seen,
        progress: &dyn Fn(u64, u64),
    ) -> Result<Vec<Row>> {
        let mut requests = Vec::with_capacity(items.len());
        for (stream, item) in items.iter().enumerate() {
            requests.push(Request {
                prompt: self.prompt(item, &seen.counts[stream])?,
                tiles: seen.tiles[stream].clone(),
                samples: 1,
                stream: stream as u64,
                prefix: match item.percent {
                    0 => Vec::new(),
                    percent => self.beginning(item.question, percent).0,
                },
            });
        }
        let generated = generate(self.model, &requests, &seen.features, &self.settings, progress)?;
        let row = |(item, (request, generated)): (&Item<'_>, (&Request, &Generated))| {
            let tokens = [request.prefix.as_slice(), &generated.tokens].concat();
            let text = self.tokenizer.decode(&tokens);
            let said = Said { text, tokens: tokens.len(), ended: generated.ended };
            let answer = answer(item.question, item.prompt, 0, said);
            Row { answer, given_percent: item.percent }
        };
        Ok(items.iter().zip(requests.iter().zip(&generated)).map(row).collect())
    }

    /// The prompt about pictures of so many tiles.
    fn prompt(&self, item: &Item<'_>, tiles: &[usize]) -> Result<Vec<i64>> {
        let text = asked(self.prompter.template(), item.question, item.prompt);
        self.prompter
            .encode_prompt_with(&text, tiles)
            .with_context(|| format!("question `{}`", item.question.id))
    }

    /// The first `percent` of a question's true rationale, and what is left of it before
    /// its final answer is introduced, as tokens.
    fn beginning(&self, question: &Question, percent: u8) -> (Vec<i64>, Vec<i64>) {
        let rationale =
            question.generated.as_ref().map_or("", |record::Generated { rationale, .. }| {
                extract::reasoned(rationale).map_or(rationale.as_str(), |parts| parts.rationale)
            });
        let mut tokens = self.tokenizer.encode(rationale);
        let left = tokens.split_off(tokens.len() * usize::from(percent) / 100);
        (tokens, left)
    }

    /// How likely the rest of each true rationale is, after its own beginning and after as
    /// many tokens of the policy's answer (all of them, where that is shorter).
    fn likelihoods(
        &self,
        items: &[Item<'_>],
        seen: &Seen,
        own: &HashMap<&str, &str>,
    ) -> Result<Vec<Likelihood>> {
        let _guard = tch::no_grad_guard();
        let mut measured = Vec::with_capacity(items.len());
        let batch = self.settings.batch.max(1);
        let shown: Vec<_> = seen.tiles.iter().zip(&seen.counts).collect();
        for (items, shown) in items.chunks(batch).zip(shown.chunks(batch)) {
            let mut prompts = Vec::with_capacity(2 * items.len());
            let mut rests = Vec::with_capacity(items.len());
            for (item, (_, counts)) in items.iter().zip(shown) {
                let prompt = self.prompt(item, counts)?;
                let (given, rest) = self.beginning(item.question, item.percent);
                let said = own.get(item.question.id.as_str()).copied().unwrap_or_default();
                let mut said = self.tokenizer.encode(said);
                said.truncate(given.len());
                prompts.push([prompt.as_slice(), &given].concat());
                prompts.push([prompt.as_slice(), &said].concat());
                rests.push(rest);
            }
            let groups: Vec<Group<'_>> = (0..prompts.len())
                .map(|index| Group {
                    prompt: &prompts[index],
                    tiles: shown[index / 2].0.clone(),
                    answers: vec![rests[index / 2].as_slice()],
                })
                .collect();
            let logps =
                self.model.answer_logps(&groups, &seen.features, self.settings.precision)?;
            let sums = Vec::<f32>::try_from(&logps.sums).context("reading log-probabilities")?;
            for ((item, rest), sums) in items.iter().zip(&rests).zip(sums.chunks(2)) {
                measured.push(Likelihood {
                    question: item.question.id.clone(),
                    given_percent: item.percent,
                    tokens: rest.len(),
                    after_true: f64::from(sums[0]),
                    after_own: f64::from(sums[1]),
                });
            }
        }
        Ok(measured)
    }
}
