//! Candidates by the model here.

use super::prompts::{asked, form};
use super::{Generation, Request, Stops, Watch, generate_watched};
use crate::Result;
use crate::answer::matching::{Said, answer};
use crate::data::record::{Answer, Question};
use crate::data::tokenizer::Tokenizer;
use crate::error::Context;
use crate::model::features::{all_shown, shown};
use crate::model::{Pictures, Tower, Vlm};
use crate::spec::candidates::Candidates;
use crate::spec::eval::Split;
use crate::stage::StageContext;
use std::cell::Cell;
use std::path::Path;
use std::time::Instant;

/// What every chunk is sampled with.
pub(super) struct Here<'a> {
    candidates: &'a Candidates,
    ctx: &'a StageContext,
    pictures: Pictures,
    tokenizer: &'a Tokenizer,
    model: Vlm,
    total: usize,
    started: Instant,
    /// Answers sampled since then, those of finished chunks not among them.
    sampled: Cell<u64>,
}

impl<'a> Here<'a> {
    /// Loads the model of a directory.
    pub(super) fn load(
        candidates: &'a Candidates,
        ctx: &'a StageContext,
        tokenizer: &'a Tokenizer,
        dir: &Path,
        questions: &[Question],
    ) -> Result<Self> {
        let model = Vlm::load_to_answer(dir, ctx.device)?;
        let views = all_shown(questions, &model.config);
        Ok(Self {
            candidates,
            ctx,
            pictures: Pictures::open(ctx, &model.config, Split::Train, Tower::Frozen, &views)?,
            tokenizer,
            model,
            total: questions.len() * candidates.per_question,
            started: Instant::now(),
            sampled: Cell::new(0),
        })
    }

    /// Answers to some questions, the first of which is the split's `first`-th; `before`
    /// answers were there already.
    pub(super) fn chunk(
        &self,
        first: usize,
        questions: &[Question],
        before: usize,
    ) -> Result<Vec<Answer>> {
        let config = &self.model.config;
        let prompter = config.prompter(self.tokenizer)?;
        let views = questions.iter().map(|question| shown(question, self.pictures.tiling()));
        let seen = self.pictures.see_as(&self.model, views)?;
        let mut requests = Vec::with_capacity(questions.len());
        for (index, question) in questions.iter().enumerate() {
            let text = asked(prompter.template(), question, form(self.candidates, question));
            let prompt = prompter.encode_prompt_with(&text, &seen.counts[index]);
            requests.push(Request {
                prompt: prompt.with_context(|| format!("question {}", question.id))?,
                tiles: seen.tiles[index].clone(),
                samples: self.candidates.per_question,
                stream: (first + index) as u64,
                prefix: vec![],
            });
        }
        let settings = Generation {
            seed: self.candidates.seed,
            temperature: Some(self.candidates.temperature.get()),
            top_k: self.candidates.top_k,
            top_p: self.candidates.top_p.get(),
            max_tokens: self.candidates.max_tokens,
            batch: self.candidates.batch,
            eos: self.tokenizer.eos(),
            precision: config.precision,
        };
        let progress = |done: u64, _| {
            let sampled = self.sampled.get() + done;
            let rate = (sampled as f64 / self.started.elapsed().as_secs_f64()).round();
            let note = format!("{rate} answers/s");
            self.ctx.progress.report(before as u64 + done, self.total as u64, note);
        };
        let stops = |tokens: &[i64]| self.stop_in(tokens).is_some();
        let stops: Option<Stops<'_>> = match self.candidates.stop.is_empty() {
            true => None,
            false => Some(&stops),
        };
        let watch = Watch { bounds: None, without: None, stops, progress: &progress };
        let generated =
            generate_watched(&self.model, &requests, &seen.features, &settings, &watch)?;
        self.sampled.set(self.sampled.get() + generated.len() as u64);
        Ok(generated
            .into_iter()
            .map(|one| {
                let question = &questions[one.request];
                let mut text = self.tokenizer.decode(&one.tokens);
                let stop = first_stop(&text, &self.candidates.stop);
                text.truncate(stop.unwrap_or(text.len()));
                let ended = one.ended || stop.is_some();
                let said = Said { text, tokens: one.tokens.len(), ended };
                answer(question, form(self.candidates, question), one.sample, said)
            })
            .collect())
    }

    /// Where a stop string begins in the last tokens of an answer, should one be there.
    fn stop_in(&self, tokens: &[i64]) -> Option<usize> {
        // A token has a byte at least, and a stop string ends in the last one.
        let longest = self.candidates.stop.iter().map(String::len).max()?;
        let tail = &tokens[tokens.len().saturating_sub(longest + 1)..];
        first_stop(&self.tokenizer.decode(tail), &self.candidates.stop)
    }
}

/// Where the first of some strings begins.
pub(super) fn first_stop(text: &str, stops: &[String]) -> Option<usize> {
    stops.iter().filter_map(|stop| text.find(stop.as_str())).min()
}
