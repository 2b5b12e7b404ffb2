//! What the trainings of a plan need on a device, and what would make them fit.

use super::{Plan, Settings};
use crate::Result;
use crate::model::Config;
use crate::model::memory::{Batch, Memory, activations, states};
use crate::spec::model::{Lora, Module};
use crate::spec::train::{Gradients, Moments, Precision};
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;

/// Cards by the memory that a process can have of them, in GiB, smallest first.
const CARDS: &[(&str, f64)] = &[("24 GB card", 23.5), ("80 GB H100", 79.0), ("H200", 139.0)];
/// The process itself: libtorch's code and buffers.
const PROCESS_GIB: f64 = 0.3;
/// Below this nobody needs to be told.
const LEAST_GIB: f64 = 1.0;
/// Text of a question with template and instruction: the paper's averages are 25 and 80.
const QUESTION: usize = 128;
/// An imported answer, in tokens: the paper's average is 300 chosen, 350 rejected.
const ANSWER: usize = 512;
/// Vocabulary of the embedded tokenizer, which the corpus decides.
const WORDS: usize = 512;

/// A training's sizes and what they come to.
#[derive(Clone, Debug)]
pub struct Need {
    /// By what it is for, for one micro-batch.
    pub memory: Memory,
    /// Tokens of a pair: the prompt's image tokens, all others.
    pub tokens: (usize, usize),
}

impl Need {
    /// What a job's policy stage needs. Where the checkpoint is not there yet, `model.size`
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
        let memory = Memory {
            activations: activations(&config, model, train, batch),
            ..states(&config, model, train)
        };
        Ok(Self { memory, tokens: (image, text) })
    }

    fn gib(&self) -> f64 {
        PROCESS_GIB + gib(self.memory.total())
    }
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// What every different training of a plan needs, for people: nothing where none needs a GiB.
pub fn describe(plan: &Plan) -> String {
    let mut told: Vec<(String, String)> = Vec::new();
    for job in plan.jobs.iter().filter(|job| job.settings.loss.is_some()) {
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
    let mut sentence = format!(
        "weights {} + gradients {} + moments {} + activations {} + libtorch {PROCESS_GIB} = {:.1} GiB\n\
         ({pairs} x {image} image and {text} other tokens a pass). {}",
        part(weights),
        part(gradients),
        part(moments),
        part(activations),
        need.gib(),
        fits(need.gib()),
    );
    let (largest, room) = CARDS[CARDS.len() - 1];
    if need.gib() > room {
        let ways: Vec<String> = ways_out(settings, room)
            .into_iter()
            .map(|(change, gib)| format!("  {change}: {gib:.1} GiB"))
            .collect();
        let list = ways.join("\n");
        write!(sentence, "\nOn one {largest} ({room} GiB):\n{list}")
            .expect("a string takes every row");
    }
    sentence + "\n"
}

fn fits(gib: f64) -> String {
    match CARDS.iter().find(|(_, room)| gib <= *room) {
        Some((card, _)) => format!("Fits one {card}."),
        None => "Fits no single card.".to_owned(),
    }
}

/// Changes that need less, each with all before it, up to the first that fits, and what they need;
/// and adapters in place of full training.
fn ways_out(settings: &Settings, room: f64) -> Vec<(&'static str, f64)> {
    type Change = (&'static str, fn(&mut Settings));
    let changes: [Change; 4] = [
        ("train.gradient_checkpointing = true", |s| s.train.gradient_checkpointing = true),
        ("and train.micro_batch = 1", |s| s.train.micro_batch = 1),
        ("and train.gradients = \"bf16\"", |s| {
            s.train.precision = Precision::Bf16;
            s.train.gradients = Gradients::Bf16;
        }),
        ("and train.moments = \"bf16\"", |s| s.train.moments = Moments::Bf16),
    ];
    let mut ways = Vec::new();
    let mut less = settings.clone();
    for (name, change) in changes {
        let before = less.clone();
        change(&mut less);
        let is_enough = ways.last().is_some_and(|(_, gib)| *gib <= room);
        if less != before && !is_enough {
            ways.extend(Need::of(&less).map(|need| (name, need.gib())));
        }
    }
    if settings.model.lora.is_none() {
        less.model.lora = Some(Lora::default());
        less.train.gradients = Gradients::Fp32;
        ways.extend(Need::of(&less).map(|need| ("or [model.lora] with all of these", need.gib())));
    }
    ways
}
