//! What a model needs in memory, from its configuration alone: no weight is made.

use super::config::{Architecture, Config, LanguageConfig, VisionConfig};
use super::{parameters, projection};
use crate::kernel::packed;
use crate::spec::model::{Lora, Model, Module};
use crate::spec::train::{Gradients, Keep, Moments, Precision, Train};

/// Numbers in the weights of each part.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// The vision tower.
    pub vision: u64,
    /// The projector.
    pub projector: u64,
    /// The decoder with embedding and head.
    pub language: u64,
}

impl Counts {
    /// Of all weights.
    pub fn of(config: &Config) -> Self {
        Self::where_true(config, |_| true)
    }

    /// Of those whose name passes.
    fn where_true(config: &Config, wanted: impl Fn(&str) -> bool) -> Self {
        let mut counts = Self::default();
        for parameter in parameters::list(config).iter().filter(|p| wanted(&p.name)) {
            *counts.of_module(parameters::module_of(&parameter.name)) += parameter.count();
        }
        counts
    }

    fn of_module(&mut self, module: Module) -> &mut u64 {
        match module {
            Module::Vision => &mut self.vision,
            Module::Projector => &mut self.projector,
            Module::Language => &mut self.language,
        }
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.vision + self.projector + self.language
    }

    /// Those of some modules.
    fn within(mut self, modules: &[Module]) -> u64 {
        let all = [Module::Vision, Module::Projector, Module::Language];
        all.into_iter().filter(|m| modules.contains(m)).map(|m| *self.of_module(m)).sum()
    }
}

/// Every tensor's name in the original layout and its shape, in file order.
pub fn shapes(config: &Config) -> Vec<(String, Vec<i64>)> {
    parameters::list(config)
        .into_iter()
        .map(|parameter| (parameter.name, parameter.shape))
        .collect()
}

/// Bytes by what they are for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Memory {
    /// Weights, adapters and, where gradients are bf16, the copies that have them; the best
    /// weights so far, where those are kept.
    pub weights: u64,
    /// One a trained number.
    pub gradients: u64,
    /// AdamW's two a trained number.
    pub moments: u64,
    /// What the backward pass needs of the forward pass, and the largest layer at work.
    pub activations: u64,
}

impl Memory {
    /// All together.
    pub fn total(&self) -> u64 {
        self.weights + self.gradients + self.moments + self.activations
    }
}

/// Sizes of one micro-batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Batch {
    /// Positions of the decoder: each prompt once, all answers.
    pub tokens: u64,
    /// Tokens of all answers.
    pub predictions: u64,
    /// Tiles that go through the tower with gradient; 0 where it is frozen.
    pub tiles: u64,
}

/// Bytes of a number in matrix products.
fn width(precision: Precision) -> u64 {
    match precision {
        Precision::Fp32 => 4,
        Precision::Bf16 => 2,
    }
}

/// Weights of a model that does not train: matrices in its own precision, all else in f32.
pub fn frozen(config: &Config) -> u64 {
    let matrices = Counts::where_true(config, parameters::is_matrix).total();
    width(config.precision) * matrices + 4 * (Counts::of(config).total() - matrices)
}

/// Answers that are written together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Writing {
    /// Prompts that begin together.
    pub prompts: u64,
    /// Answers to all of them.
    pub rows: u64,
    /// Tokens of a prompt, and of an answer.
    pub tokens: (u64, u64),
    /// Tiles whose features are at hand.
    pub tiles: u64,
}

/// What writing answers adds to the weights: keys and values, one layer of the pass over the
/// prompts, logits, image features, and matrices in the order that decoding wants.
pub fn writing(config: &Config, of: Writing) -> u64 {
    let (language, number) = (&config.language, width(config.precision));
    let read = of.prompts * of.tokens.0;
    let a_position = 2 * number * (language.layers * language.kv_heads * language.head) as u64;
    let caches = a_position * (read + of.rows * of.tokens.1);
    let features = 4 * of.tiles * (config.image_tokens * config.feature_width()) as u64;
    let logits = (4 + number) * of.rows * language.vocabulary as u64;
    let passing = reading(config, config.precision, read);
    caches + passing + logits + features + decoding_copies(&config.language, config.precision)
}

/// Matrices that decoding holds once more: joined where they share their input, and packed in f32
/// (`kernel::packed`; a processor's, and counted for a card too).
fn decoding_copies(language: &LanguageConfig, precision: Precision) -> u64 {
    let number = width(precision);
    let queries = language.heads * language.head;
    let keys = language.kv_heads * language.head;
    let (is_phi3, is_internlm2) = (
        language.architecture == Architecture::Phi3,
        language.architecture == Architecture::InternLm2,
    );
    let copied = |parts: usize, out: usize, inputs: usize| {
        let is_apart = parts > 1 && out * inputs > projection::LARGE;
        let is_packed = precision == Precision::Fp32 && inputs as i64 <= packed::MOST_INPUTS;
        if !is_apart && (is_packed || parts > 1) { number * (out * inputs) as u64 } else { 0 }
    };
    let layer =
        copied(if is_phi3 || is_internlm2 { 1 } else { 3 }, queries + 2 * keys, language.width)
            + copied(1, language.width, queries)
            + copied(if is_phi3 { 1 } else { 2 }, 2 * language.mlp, language.width)
            + copied(1, language.width, language.mlp);
    language.layers as u64 * layer + copied(1, language.vocabulary, language.width)
}

/// What a look at the validation split adds to a training's states: answers, and for them the
/// decoder's matrices with their adapters added.
pub fn looking(config: &Config, model: &Model, of: Writing) -> u64 {
    let merged = |lora: &Lora| {
        let is_merged = |name: &str| super::lora::is_adapted(name, lora, &model.train);
        width(config.precision) * Counts::where_true(config, is_merged).language
    };
    writing(config, of) + model.lora.as_ref().map_or(0, merged)
}

/// What a pass without gradients over so many tokens needs at its widest place.
pub fn reading(config: &Config, precision: Precision, tokens: u64) -> u64 {
    tokens * decoder_layer(&config.language, width(precision))
}

/// Weights and optimizer states of a training, without activations.
///
/// A frozen matrix beside an adapter takes as much as in its file, which has the type that the
/// model answers in; everything else in memory is f32. A checkpoint takes disk alone: it is written
/// and read a few megabytes at a time.
pub fn states(config: &Config, model: &Model, train: &Train) -> Memory {
    let counts = Counts::of(config);
    let (trained, matrices, frozen) = match &model.lora {
        None => {
            let matrices = Counts::where_true(config, parameters::is_product).within(&model.train);
            (counts.within(&model.train), matrices, 4 * counts.total())
        }
        Some(lora) => {
            let adapters = adapters(config, model, lora);
            let trains_projector = model.train.contains(&Module::Projector);
            let trained = adapters + if trains_projector { counts.projector } else { 0 };
            (trained, 0, frozen(config) + 4 * adapters)
        }
    };
    // A matrix with bf16 gradients is held in bf16 beside its f32 master.
    let halved = if train.gradients == Gradients::Bf16 { matrices } else { 0 };
    let moment = if train.moments == Moments::Bf16 { 2 } else { 4 };
    let best = if train.keep == Keep::Best { 4 * trained } else { 0 };
    Memory {
        weights: frozen + 2 * halved + best,
        gradients: 4 * (trained - halved) + 2 * halved,
        moments: 2 * moment * trained,
        activations: 0,
    }
}

/// Numbers in the adapters.
fn adapters(config: &Config, model: &Model, lora: &Lora) -> u64 {
    let adapted = parameters::list(config)
        .into_iter()
        .filter(|parameter| super::lora::is_adapted(&parameter.name, lora, &model.train));
    let sides: i64 = adapted.map(|parameter| parameter.shape[0] + parameter.shape[1]).sum();
    lora.rank.get() as u64 * sides as u64
}

/// The moving reference of tr_dpo: a second model in f32, or second adapters on the same one.
pub fn moving_reference(config: &Config, model: &Model) -> u64 {
    4 * match &model.lora {
        None => Counts::of(config).total(),
        Some(lora) => adapters(config, model, lora),
    }
}

/// What one micro-batch adds.
pub fn activations(config: &Config, model: &Model, train: &Train, batch: Batch) -> u64 {
    let number = width(train.precision);
    let language = &config.language;
    let cast = |layer: u64| if train.precision == Precision::Bf16 { 2 * layer } else { 0 };
    // f32 masters are cast for each product, and autograd keeps what it was given.
    let is_cast = model.lora.is_none() && train.gradients == Gradients::Fp32;
    let layer = |bytes: u64, numbers: u64, kept: u64, layers: u64| {
        let whole = bytes + if is_cast { cast(numbers) } else { 0 };
        match train.gradient_checkpointing {
            true => kept * layers + 2 * whole,
            false => whole * layers,
        }
    };
    let trains_language = model.train.contains(&Module::Language);
    let mut total = 0;
    if trains_language || model.train.contains(&Module::Projector) || batch.tiles > 0 {
        let adapted = number * adapter_inputs(config, model, Module::Language);
        let one = (decoder_layer(language, number) + adapted / language.layers.max(1) as u64)
            * batch.tokens;
        let kept = 4 * language.width as u64 * batch.tokens;
        total += layer(one, decoder_numbers(language), kept, language.layers as u64);
    }
    if batch.tiles > 0 {
        let vision = &config.vision;
        let positions = batch.tiles * (1 + (config.image_side / vision.patch).pow(2) as u64);
        let adapted = number * adapter_inputs(config, model, Module::Vision);
        let one = (tower_layer(vision, number) + adapted / vision.layers.max(1) as u64) * positions;
        let kept = 4 * vision.width as u64 * positions;
        total += layer(one, tower_numbers(vision), kept, config.vision_layers_run() as u64);
    }
    let learns = trains_language && model.lora.is_none();
    total + head(language, number, batch, is_cast, learns)
}

/// Numbers that the adapters of a module keep of a position beside what their matrices keep: what
/// goes into B, and where inputs are left out at random the mask and what is left.
fn adapter_inputs(config: &Config, model: &Model, module: Module) -> u64 {
    let Some(lora) = &model.lora else { return 0 };
    let adapted = parameters::list(config).into_iter().filter(|parameter| {
        parameters::module_of(&parameter.name) == module
            && super::lora::is_adapted(&parameter.name, lora, &model.train)
    });
    let left = if lora.dropout.get() > 0.0 { 2 } else { 0 };
    adapted.map(|parameter| lora.rank.get() as u64 + left * parameter.shape[1] as u64).sum()
}

/// Bytes that a layer keeps of a position: the residual stream twice and the inputs of
/// products and of the activation.
fn decoder_layer(language: &LanguageConfig, number: u64) -> u64 {
    let (width, mlp) = (language.width as u64, language.mlp as u64);
    let queries = (language.heads * language.head) as u64;
    let keys = (language.kv_heads * language.head) as u64;
    8 * width + number * (2 * width + 2 * queries + 2 * keys + 3 * mlp)
}

fn decoder_numbers(language: &LanguageConfig) -> u64 {
    let (width, mlp) = (language.width as u64, language.mlp as u64);
    let queries = (language.heads * language.head) as u64;
    let keys = (language.kv_heads * language.head) as u64;
    width * (2 * queries + 2 * keys + 3 * mlp)
}

fn tower_layer(vision: &VisionConfig, number: u64) -> u64 {
    let (width, mlp) = (vision.width as u64, vision.mlp as u64);
    let norms = if vision.qk_norm { 5 * width } else { 0 };
    12 * width + number * (7 * width + norms + 2 * mlp)
}

fn tower_numbers(vision: &VisionConfig) -> u64 {
    let (width, mlp) = (vision.width as u64, vision.mlp as u64);
    width * (4 * width + 2 * mlp)
}

/// The head's rows of hidden states, one tile of logits with its gradient, and where it learns
/// its own gradient before it is summed.
fn head(language: &LanguageConfig, number: u64, batch: Batch, is_cast: bool, learns: bool) -> u64 {
    let matrix = (language.vocabulary * language.width) as u64;
    let casts = if is_cast && number == 2 { 2 * matrix } else { 0 };
    let tile = 2048.min(language.vocabulary as u64);
    let gradient = if learns { number * matrix } else { 0 };
    batch.predictions * (2 * number * language.width as u64 + 8 * tile) + casts + gradient
}
