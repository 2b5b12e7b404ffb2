//! What the stages of a plan need on a device, and what would make them fit.

use super::{Plan, Settings, Stage};
use crate::Result;
use crate::model::Config;
use crate::model::memory::{Batch, Memory, Writing, activations, frozen, moving_reference};
use crate::model::memory::{looking, reading, states, writing};
use crate::spec::model::{Lora, Module};
use crate::spec::pairs::Source;
use crate::spec::train::{Gradients, Moments, Precision, Train};
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;

/// Cards by the memory that a process can have of them, in GiB, smallest first.
const CARDS: &[(&str, f64)] = &[("24 GB card", 23.5), ("80 GB H100", 79.0), ("H200", 139.0)];
/// The process itself: libtorch's code and buffers.
const PROCESS_GIB: f64 = 0.3;
/// Below this nobody needs to be told.
const LEAST_GIB: f64 = 2.0;
/// Text of a question with template and instruction: the paper's averages are 25 and 80.
const QUESTION: usize = 128;
/// An imported answer, in tokens: the paper's average is 300 chosen, 350 rejected.
const ANSWER: usize = 512;
/// Vocabulary of the embedded tokenizer, which the corpus decides.
const WORDS: usize = 512;

/// A job's sizes and what they come to.
#[derive(Clone, Debug)]
pub struct Need {
    /// Of the training, by what it is for, for one micro-batch; nothing where none trains.
    pub memory: Memory,
    /// Tokens of a pair: the prompt's image tokens, all others.
    pub tokens: (usize, usize),
    /// Of the other stages that run the model, in bytes.
    pub others: Vec<(Stage, u64)>,
    /// Most tiles of a picture, and tokens of each.
    tiles: (usize, usize),
}

impl Need {
    /// What a job's stages need, each by itself. Where the checkpoint is not there yet, `model.size`
    /// stands for it.
    ///
    /// # Errors
    ///
    /// A config.json that cannot be read, or dimensions that do not fit each other.
    pub fn of(settings: &Settings) -> Result<Self> {
        let (model, train) = (&settings.model, &settings.train);
        let folder = model.checkpoint.as_ref().map(Path::new);
        let config = match folder.filter(|folder| folder.join("config.json").is_file()) {
            Some(folder) => Config::load(folder)?,
            None => Config::of(model, WORDS, 0)?,
        };
        let max_tiles = model.max_tiles.map_or(config.max_tiles, NonZeroUsize::get);
        let tiles = max_tiles + usize::from(max_tiles > 1);
        let image = config.image_tokens * tiles;
        let answers = 2 * match settings.pairs.import {
            Some(_) => ANSWER,
            None => settings.candidates.max_tokens,
        };
        let text = (QUESTION + answers).min(train.max_tokens.saturating_sub(image));
        let pairs = train.micro_batch.min(train.pairs_per_step) as u64;
        let batch = Batch {
            tokens: pairs * (image + text) as u64,
            predictions: pairs * answers.min(text) as u64,
            tiles: if model.train.contains(&Module::Vision) { pairs * tiles as u64 } else { 0 },
        };
        let mut memory = Memory::default();
        if let Some(loss) = &settings.loss {
            memory = states(&config, model, train);
            memory.activations = activations(&config, model, train, batch);
            if settings.eval.every > 0 {
                let (prompt, rows) = (image + QUESTION, settings.eval.batch as u64);
                let tokens = (prompt as u64, settings.eval.max_tokens as u64);
                let tiles = (settings.eval.slice * tiles) as u64;
                let look = Writing { prompts: rows, rows, tokens, tiles };
                memory.activations = memory.activations.max(looking(&config, model, look));
            }
            if loss.moves_reference() {
                memory.weights += moving_reference(&config, model);
            }
        }
        let others = others(settings, &config, tiles, image + text);
        let tiles = (max_tiles, config.image_tokens);
        Ok(Self { memory, tokens: (image, text), others, tiles })
    }

    /// What to set where a picture in most tiles leaves a pair no place for a question.
    fn is_refused(&self, settings: &Settings) -> Option<String> {
        let most = settings.train.max_tokens;
        let (image, _) = self.tokens;
        if settings.loss.is_none() || image + QUESTION < most {
            return None;
        }
        let (max_tiles, each) = self.tiles;
        let fits = |tiles: &usize| each * (tiles + usize::from(*tiles > 1)) + 2 * QUESTION <= most;
        let fewer = match (1..=max_tiles).rev().find(fits) {
            Some(tiles) => format!(", or model.max_tiles = {tiles}"),
            None => String::new(),
        };
        Some(format!(
            "A picture of {max_tiles} tiles takes {image} tokens, and train.max_tokens = {most} has no \
             place for a question beside it: such pairs are refused. \
             Set train.max_tokens = {}{fewer}.",
            image + QUESTION + 2 * ANSWER
        ))
    }

    /// Of the stage that needs most.
    fn gib(&self) -> f64 {
        let others = self.others.iter().map(|(_, bytes)| *bytes);
        PROCESS_GIB + gib(others.chain([self.memory.total()]).max().unwrap_or(0))
    }
}

/// What the stages beside the training need, with pictures of so many tiles and pairs of so many
/// tokens.
fn others(settings: &Settings, config: &Config, tiles: usize, pair: usize) -> Vec<(Stage, u64)> {
    let (candidates, eval) = (&settings.candidates, &settings.eval);
    let prompt = (config.image_tokens * tiles + QUESTION) as u64;
    let written = |prompts: usize, rows: usize, tokens: usize, pictures: usize| {
        let tokens = (prompt, tokens as u64);
        let tiles = (pictures * tiles) as u64;
        let of = Writing { prompts: prompts as u64, rows: rows as u64, tokens, tiles };
        frozen(config) + writing(config, of)
    };
    // Texts without pictures, by a judge of its own or by the model itself.
    let graded = |checkpoint: &Option<String>, rows: usize, tokens: usize| {
        let folder = checkpoint.as_ref().map(Path::new);
        let own = folder.and_then(|folder| Config::load(folder).ok());
        let judge = own.as_ref().unwrap_or(config);
        let tokens = ((QUESTION + ANSWER) as u64, tokens as u64);
        let of = Writing { prompts: rows as u64, rows: rows as u64, tokens, tiles: 0 };
        frozen(judge) + writing(judge, of)
    };
    let mut others = Vec::new();
    if settings.loss.is_some() {
        let (pairs, judge) = (&settings.pairs, &settings.pairs.judge);
        let continued = &pairs.dropout_ntp;
        if pairs.builds(Source::DropoutNtp) && !continued.server.is_set() {
            let bytes =
                written(continued.batch, continued.batch, continued.max_tokens, continued.batch);
            others.push((Stage::Pairs, bytes));
        } else if pairs.asks_judge() && !judge.server.is_set() {
            others.push((Stage::Pairs, graded(&judge.checkpoint, judge.batch, judge.max_tokens)));
        }
        if settings.pairs.import.is_none() && candidates.needs_model() {
            let prompts = candidates.batch.div_ceil(candidates.per_question.max(1));
            let questions = candidates.chunk();
            let bytes = written(prompts, candidates.batch, candidates.max_tokens, questions);
            others.push((Stage::Candidates, bytes));
        }
        let tokens = Train::REFERENCE_TOKENS.max(pair) as u64;
        let bytes = frozen(config) + reading(config, settings.train.precision, tokens);
        others.push((Stage::Reference, bytes));
    }
    if !eval.server.is_set() {
        let bytes = written(eval.batch, eval.batch, eval.max_tokens, eval.chunk());
        others.push((Stage::Answers, bytes));
    }
    let judge = &eval.judge;
    if judge.checkpoint.is_some() {
        others.push((Stage::Scores, graded(&judge.checkpoint, judge.batch, judge.max_tokens)));
    }
    others
}

/// Bytes as GiB.
pub fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// What the different jobs of a plan need, for people: nothing where none needs two GiB.
pub fn describe(plan: &Plan) -> String {
    let mut told: Vec<(String, String)> = Vec::new();
    for job in &plan.jobs {
        let text = match Need::of(&job.settings) {
            Ok(need) if need.gib() < LEAST_GIB => continue,
            Ok(need) => sentence(&job.settings, &need),
            Err(error) => format!("cannot be told: {error}\n"),
        };
        if told.iter().all(|(_, other)| *other != text) {
            told.push((job.id.clone(), text));
        }
    }
    let alone = told.len() == 1;
    let mut text = String::new();
    for (job, sentence) in told {
        let of = if alone { String::new() } else { format!(" of {job}") };
        write!(text, "\nMemory{of}: {sentence}").expect("a string takes every row");
    }
    text
}

/// Where it goes, where it fits, and what would make it fit.
fn sentence(settings: &Settings, need: &Need) -> String {
    let Memory { weights, gradients, moments, activations } = need.memory;
    let pairs = settings.train.micro_batch.min(settings.train.pairs_per_step);
    let (image, text) = need.tokens;
    let part = |bytes| format!("{:.1}", gib(bytes));
    let mut sentence = String::new();
    if settings.loss.is_some() {
        sentence = format!(
            "weights {} + gradients {} + moments {} + activations {} + libtorch {PROCESS_GIB} = {:.1} GiB\n\
             ({pairs} x {image} image and {text} other tokens a pass, an assumed length). ",
            part(weights),
            part(gradients),
            part(moments),
            part(activations),
            PROCESS_GIB + gib(need.memory.total()),
        );
    }
    let others: Vec<String> = need
        .others
        .iter()
        .map(|(stage, bytes)| format!("{stage} {:.1} GiB", PROCESS_GIB + gib(*bytes)))
        .collect();
    let (largest, room) = CARDS[CARDS.len() - 1];
    let verdict = need.is_refused(settings).unwrap_or_else(|| fits(need.gib()));
    write!(sentence, "{}. {verdict}", sentence_case(&others.join(", ")))
        .expect("a string takes every row");
    if need.gib() > room {
        let ways: Vec<String> = ways_out(settings, room)
            .into_iter()
            .map(|(change, gib)| format!("  {change}: {gib:.1} GiB"))
            .collect();
        let list = if ways.is_empty() { "  no way found".to_owned() } else { ways.join("\n") };
        write!(sentence, "\nOn one {largest} ({room} GiB):\n{list}")
            .expect("a string takes every row");
    }
    sentence + "\n"
}

/// With a capital first letter.
fn sentence_case(text: &str) -> String {
    let (first, rest) = text.split_at(text.len().min(1));
    first.to_uppercase() + rest
}

fn fits(gib: f64) -> String {
    match CARDS.iter().find(|(_, room)| gib <= *room) {
        Some((card, _)) => format!("Fits one {card}."),
        None => "Fits no single card.".to_owned(),
    }
}

/// Changes that need less, each with all before it, up to the first that fits, and what they need;
/// and adapters in place of full training, where they fit. Nothing where neither does.
fn ways_out(settings: &Settings, room: f64) -> Vec<(&'static str, f64)> {
    type Change = (&'static str, fn(&mut Settings));
    let changes: [Change; 5] = [
        ("train.gradient_checkpointing = true", |s| s.train.gradient_checkpointing = true),
        ("and train.micro_batch = 1", |s| s.train.micro_batch = 1),
        ("and train.gradients = \"bf16\"", |s| {
            s.train.precision = Precision::Bf16;
            s.train.gradients = Gradients::Bf16;
        }),
        ("and train.moments = \"bf16\"", |s| s.train.moments = Moments::Bf16),
        ("and batches of 4 in [eval] and [candidates]", |s| {
            s.eval.batch = s.eval.batch.min(4);
            s.candidates.batch = s.candidates.batch.min(4);
        }),
    ];
    let mut ways = Vec::new();
    let mut less = settings.clone();
    let mut least = Need::of(settings).map_or(f64::INFINITY, |need| need.gib());
    for (name, change) in changes {
        let before = less.clone();
        change(&mut less);
        if least > room && less != before {
            let Ok(need) = Need::of(&less) else { continue };
            // Another stage may need more than the one that a change is about.
            if need.gib() < least {
                ways.push((name, need.gib()));
            }
            least = least.min(need.gib());
        }
    }
    let mut adapters = None;
    if settings.loss.is_some() && settings.model.lora.is_none() {
        less.model.lora = Some(Lora::default());
        less.train.gradients = Gradients::Fp32;
        let need = Need::of(&less).ok().map(|need| need.gib());
        adapters = need.filter(|gib| *gib <= room);
    }
    if least > room && adapters.is_none() {
        return Vec::new();
    }
    ways.extend(adapters.map(|gib| ("or [model.lora] with all of these", gib)));
    ways
}
