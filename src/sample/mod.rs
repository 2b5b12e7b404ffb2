//! Generation: many answers to many prompts at once.
//!
//! A prompt is run once for all its samples. Requests enter in *cohorts*: those of one
//! cohort start together, so that their own keys and values always have the same
//! length and need no mask. Linear layers see the rows of all cohorts as one batch;
//! attention is done cohort by cohort. Finished rows leave, and when a quarter of the
//! batch is free, a new cohort enters. Memory is bounded by `batch`.
//!
//! | file | what it holds |
//! |---|---|
//! | `cohort` | key-value caches and one token's attention |
//! | `draw` | which token comes next, and the random numbers behind it |
//! | `chunks` | a stage's work in chunks that outlive a kill |
//! | `prompts` | how a question is asked: its domain's form, its text without an old instruction |
//! | `candidates` | the stage: K answers a question, their verdicts |
//! | `here`, `there` | who answers: the model here, or a server |
//! | `texts` | texts without pictures, for judges |
//! | `import` | answers of InternVL's own sampler in their place |
//!
//! Random numbers are keyed by (seed, stream, sample, position in the answer): batching
//! never changes a draw. It changes logits only by rounding.

pub mod candidates;
pub(crate) mod chunks;
mod cohort;
pub mod draw;
mod here;
mod import;
pub mod prompts;
pub mod texts;
mod there;

use crate::error::Context;
use crate::model::Vlm;
use crate::model::kind_of;
use crate::model::language::Decoder;
use crate::model::packing::{Lengths, Packing};
use crate::spec::train::Precision;
use crate::{Error, Result};
use cohort::{Cohort, Row};
use draw::Draws;
use std::ops::Range;
use tch::{Kind, Tensor};

/// One prompt and how many answers it gets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Prompt tokens; `<IMG_CONTEXT>` stands once for every image token.
    pub prompt: Vec<i64>,
    /// Rows of the features that belong to the prompt.
    pub tiles: Range<usize>,
    /// How many answers.
    pub samples: usize,
    /// Names the prompt's random numbers; the question's place in its file does well.
    pub stream: u64,
    /// The answers' given beginning; empty as a rule.
    pub prefix: Vec<i64>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// Index of its request.
    pub request: usize,
    /// Which of the request's samples, from 0.
    pub sample: usize,
    /// What was written after the prefix, the end token included.
    pub tokens: Vec<i64>,
    /// Whether the end token was reached.
    pub ended: bool,
}

/// How long an answer may be, in tokens, its prefix included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// It cannot end before it has this many tokens.
    pub least: usize,
    /// It stops when it has this many; the end token is one of them.
    pub most: usize,
}

/// Whether an answer that reads so far is complete; it is then as good as ended.
pub type Stops<'a> = &'a dyn Fn(&[i64]) -> bool;

/// What [`generate_watched`] looks at beside its requests.
pub struct Watch<'a> {
    /// Bounds of each request's answers, in place of the settings' `max_tokens`.
    pub bounds: Option<&'a [Bounds]>,
    /// A token that each request's answers cannot begin with, behind the prefix.
    pub without: Option<&'a [Option<i64>]>,
    /// Ends answers before their end token, where there is such a rule.
    pub stops: Option<Stops<'a>>,
    /// Told how many of how many answers are done.
    pub progress: &'a dyn Fn(u64, u64),
}

/// How tokens are chosen and rows batched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Generation {
    /// Seed of the random numbers.
    pub seed: u64,
    /// Softmax temperature; greedy where there is none.
    pub temperature: Option<f64>,
    /// Keep the k likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the smallest set of tokens whose probability reaches this; 1 keeps all.
    pub top_p: f64,
    /// Longest answer in tokens, prefix and end token included.
    pub max_tokens: usize,
    /// Rows (request × sample) decoded together.
    pub batch: usize,
    /// The end token.
    pub eos: i64,
    /// Arithmetic of matrix products.
    pub precision: Precision,
}

impl Generation {
    /// The likeliest token every time.
    pub fn greedy(precision: Precision, max_tokens: usize, batch: usize, eos: i64) -> Self {
        Self { seed: 0, temperature: None, top_k: 0, top_p: 1.0, max_tokens, batch, eos, precision }
    }
}

/// Answers to all requests, in (request, sample) order. `progress` is told how many of
/// how many answers are done.
///
/// # Shapes
///
/// features `[rows, image_tokens, 4·vision_width]`, of which each request uses its `tiles`.
///
/// # Errors
///
/// A prompt that does not fit its tiles or the vocabulary.
pub fn generate(
    model: &Vlm,
    requests: &[Request],
    features: &Tensor,
    settings: &Generation,
    progress: &dyn Fn(u64, u64),
) -> Result<Vec<Generated>> {
    let watch = Watch { bounds: None, without: None, stops: None, progress };
    generate_watched(model, requests, features, settings, &watch)
}

/// The same, with bounds for each request and a rule that ends answers early.
///
/// # Errors
///
/// As [`generate`].
///
/// # Panics
///
/// If there are bounds or forbidden tokens, but not one for each request.
pub fn generate_watched(
    model: &Vlm,
    requests: &[Request],
    features: &Tensor,
    settings: &Generation,
    watch: &Watch<'_>,
) -> Result<Vec<Generated>> {
    assert!(watch.bounds.is_none_or(|bounds| bounds.len() == requests.len()), "bounds for each");
    assert!(watch.without.is_none_or(|some| some.len() == requests.len()), "one for each");
    let _no_grad = tch::no_grad_guard();
    if settings.batch == 0 {
        return Err(Error::spec("a batch of 0 rows decodes nothing"));
    }
    let kind = kind_of(settings.precision);
    let decoder = model.decoder().prepared(kind);
    let mut run =
        Run { model, decoder, kind, requests, features, settings, watch, cohorts: vec![] };
    let mut finished = run.all()?;
    finished.sort_unstable_by_key(|answer| (answer.request, answer.sample));
    Ok(finished)
}

/// Some samples of one request: no more than a batch holds.
struct Job {
    request: usize,
    samples: Range<usize>,
}

/// One call of [`generate`].
struct Run<'a> {
    model: &'a Vlm,
    decoder: Decoder,
    kind: Kind,
    requests: &'a [Request],
    features: &'a Tensor,
    settings: &'a Generation,
    watch: &'a Watch<'a>,
    cohorts: Vec<Cohort>,
}

impl Run<'_> {
    /// Bounds of a request's answers.
    fn bounds(&self, request: usize) -> Bounds {
        let whole = Bounds { least: 0, most: self.settings.max_tokens };
        self.watch.bounds.map_or(whole, |bounds| bounds[request])
    }

    fn all(&mut self) -> Result<Vec<Generated>> {
        let batch = self.settings.batch;
        let total = self.requests.iter().map(|request| request.samples as u64).sum();
        let mut finished = Vec::with_capacity(total as usize);
        let mut waiting = Vec::new();
        for (index, request) in self.requests.iter().enumerate() {
            if request.prefix.len() >= self.bounds(index).most {
                // Nothing may be added.
                finished.extend((0..request.samples).map(|sample| Generated {
                    request: index,
                    sample,
                    tokens: vec![],
                    ended: false,
                }));
                continue;
            }
            let starts = (0..request.samples).step_by(batch);
            waiting.extend(starts.map(|start| Job {
                request: index,
                samples: start..request.samples.min(start + batch),
            }));
        }
        waiting.reverse();
        while !waiting.is_empty() || !self.cohorts.is_empty() {
            let free = batch - self.cohorts.iter().map(Cohort::rows).sum::<usize>();
            let fits = waiting.last().is_some_and(|job| job.samples.len() <= free);
            if fits && (self.cohorts.is_empty() || free >= batch.div_ceil(4)) {
                let cohort = self.admit(&mut waiting, free)?;
                self.cohorts.push(cohort);
            } else {
                self.step();
            }
            for cohort in &mut self.cohorts {
                finished.append(&mut cohort.release());
            }
            self.cohorts.retain(|cohort| cohort.rows() > 0);
            (self.watch.progress)(finished.len() as u64, total);
        }
        Ok(finished)
    }

    /// Runs the prompts of as many jobs as fit, once each, and chooses first tokens.
    fn admit(&self, waiting: &mut Vec<Job>, mut free: usize) -> Result<Cohort> {
        let mut jobs = Vec::new();
        while let Some(job) = waiting.pop_if(|job| job.samples.len() <= free) {
            free -= job.samples.len();
            jobs.push(job);
        }
        let mut rows = Vec::new();
        for (slot, job) in jobs.iter().enumerate() {
            let request = &self.requests[job.request];
            let draws = Draws::new(self.settings.seed, request.stream);
            let bounds = self.bounds(job.request);
            rows.extend(job.samples.clone().map(|sample| Row {
                slot,
                sample,
                request: job.request,
                start: request.prompt.len() + request.prefix.len(),
                least: bounds.least.saturating_sub(request.prefix.len()),
                budget: bounds.most - request.prefix.len(),
                draws: draws.sample(sample, request.prefix.len()),
                tokens: vec![],
                ended: false,
            }));
        }
        let prompts = jobs.iter().map(|job| {
            let request = &self.requests[job.request];
            crate::model::Prompt {
                ids: &request.prompt,
                tiles: request.tiles.clone(),
                branches: request.prefix.clone(),
            }
        });
        let prompts: Vec<_> = prompts.collect();
        let embedded = self
            .model
            .embed(&prompts, self.features, self.settings.precision)
            .with_context(|| format!("requests from {}", jobs[0].request))?;
        let lengths = prompts.iter().map(|prompt| prompt.ids.len() + prompt.branches.len());
        let lengths: Vec<usize> = lengths.collect();
        let groups = lengths.iter().map(|&prompt| Lengths { prompt, answers: vec![] });
        let packing = Packing::new(groups.collect());
        let mut caches = Vec::new();
        let hidden = self.decoder.forward(embedded, &packing, self.kind, &mut |_, k, v| {
            caches.push([packing.pad_all(&k), packing.pad_all(&v)]);
        });
        let mut cohort =
            Cohort::new(rows, lengths, caches, self.decoder.config().attention_heads());
        let slots: Vec<i64> = cohort.all().iter().map(|row| row.slot as i64).collect();
        let slots = Tensor::from_slice(&slots).to_device(self.model.device());
        let logits = self.decoder.logits(&hidden, self.kind).index_select(0, &slots);
        self.choose(&logits, std::slice::from_mut(&mut cohort));
        Ok(cohort)
    }

    /// One token for every row of every cohort.
    fn step(&mut self) {
        let (mut ids, mut positions, mut sizes) = (vec![], vec![], vec![]);
        for cohort in &mut self.cohorts {
            cohort.make_room();
            sizes.push(cohort.rows() as i64);
            for row in cohort.all() {
                ids.push(*row.tokens.last().expect("a row begins with a token"));
                positions.push((row.start + cohort.written()) as i64);
            }
        }
        let lengths: Vec<i64> = positions.iter().map(|position| position + 1).collect();
        let angles = self.decoder.angles(&positions, &lengths, self.model.device());
        let ids = Tensor::from_slice(&ids).to_device(self.model.device());
        let (cos, sin) = angles.pair();
        let split = |x: &Tensor| x.split_with_sizes(sizes.as_slice(), 0);
        let (cos, sin) = (split(cos), split(sin));
        let cohorts = &mut self.cohorts;
        let hidden = self.decoder.step(&ids, self.kind, &mut |layer, qkv| {
            let of_cohorts = cohorts.iter_mut().zip(split(qkv)).zip(cos.iter().zip(&sin));
            let attended: Vec<Tensor> = of_cohorts
                .map(|((cohort, qkv), (cos, sin))| cohort.attend(layer, &qkv, [cos, sin]))
                .collect();
            Tensor::cat(&attended, 0)
        });
        for cohort in &mut self.cohorts {
            cohort.advance();
        }
        let logits = self.decoder.logits(&hidden, self.kind);
        let mut cohorts = std::mem::take(&mut self.cohorts);
        self.choose(&logits, &mut cohorts);
        self.cohorts = cohorts;
    }

    /// Chooses a token for each row of some cohorts and notes which rows are done.
    fn choose(&self, logits: &Tensor, cohorts: &mut [Cohort]) {
        self.forbid_ends(logits, cohorts);
        self.forbid_beginnings(logits, cohorts);
        let uniforms: Vec<f32> = cohorts
            .iter_mut()
            .flat_map(|cohort| cohort.all_mut().iter_mut().map(|row| row.draws.uniform()))
            .collect();
        let tokens = draw::choose(logits, &uniforms, self.settings);
        let rows = cohorts.iter_mut().flat_map(|cohort| cohort.all_mut().iter_mut());
        for (row, token) in rows.zip(tokens) {
            if !row.done() {
                row.tokens.push(token);
                let stops = || self.watch.stops.is_some_and(|stops| stops(&row.tokens));
                row.ended = token == self.settings.eos || stops();
            }
        }
    }

    /// Takes the probability of the token that a row cannot begin with.
    fn forbid_beginnings(&self, logits: &Tensor, cohorts: &[Cohort]) {
        let Some(without) = self.watch.without else { return };
        for (index, row) in cohorts.iter().flat_map(|cohort| cohort.all()).enumerate() {
            if let Some(token) = without[row.request].filter(|_| row.tokens.is_empty()) {
                let _ = logits.get(index as i64).get(token).fill_(f64::NEG_INFINITY);
            }
        }
    }

    /// Takes the end token's probability from rows that are too short to end.
    fn forbid_ends(&self, logits: &Tensor, cohorts: &[Cohort]) {
        let rows = || cohorts.iter().flat_map(|cohort| cohort.all());
        let short = |row: &Row| row.tokens.len() + 1 < row.least;
        if rows().any(short) {
            let short: Vec<bool> = rows().map(short).collect();
            let short = Tensor::from_slice(&short).to_device(logits.device());
            let _ = logits.select(1, self.settings.eos).masked_fill_(&short, f64::NEG_INFINITY);
        }
    }
}
