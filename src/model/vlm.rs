//! The whole model: image features, and log-probabilities of answers.

use super::checkpoint::{self, Loaded, Storage};
use super::config::Config;
use super::language::Decoder;
use super::packing::{Lengths, Packing};
use super::pass::{Noise, Pass};
use super::projection::Weights;
use super::projector::Projector;
use super::vision::{self, Tower};
use super::{ops, parameters};
use crate::spec::model::{Lora, Module};
use crate::spec::train::Precision;
use crate::{Error, Result};
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// A vision-language model of InternVL2's shape. Norms, biases and embeddings are f32;
/// matrices are too, unless it was loaded as stored ([`Storage`]).
#[derive(Debug)]
pub struct Vlm {
    /// What it is.
    pub config: Config,
    pub(super) parameters: Vec<(String, Tensor)>,
    /// Of each parameter, what it was in its file.
    pub(super) stored: Vec<Kind>,
    /// Beside the projections that train through them; empty without LoRA.
    pub(super) adapters: Vec<(String, Tensor)>,
    pub(super) lora: Option<Lora>,
    /// f32 numbers behind parameters that train in bf16.
    pub(super) masters: HashMap<String, Tensor>,
    tower: Tower,
    projector: Projector,
    decoder: Decoder,
    pub(super) device: Device,
    noise: Cell<Option<Noise>>,
    recompute: Cell<bool>,
}

/// One prompt and the answers that branch from it: one for supervised training, two
/// for a pair, K for rescoring.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// Prompt tokens; `<IMG_CONTEXT>` stands once for every image token.
    pub prompt: &'a [i64],
    /// Rows of the features that belong to the prompt.
    pub tiles: Range<usize>,
    /// Answer tokens, the end token included.
    pub answers: Vec<&'a [i64]>,
}

/// Log-probabilities of answers, in nats.
#[derive(Debug)]
pub struct AnswerLogps {
    /// Sum over each answer's tokens, `[answers]` f32, with gradient.
    pub sums: Tensor,
    /// Tokens of each answer.
    pub counts: Vec<usize>,
    /// Of each token, answer after answer, `[predictions]` f32, with gradient.
    pub tokens: Option<Tensor>,
}

/// What a forward pass makes of one sequence.
#[derive(Debug)]
pub struct Trace {
    /// Input of each decoder layer, `[tokens, width]`: the first is the embeddings.
    pub inputs: Vec<Tensor>,
    /// After the final norm, `[tokens, width]`.
    pub last: Tensor,
    /// `[tokens, vocabulary]`.
    pub logits: Tensor,
}

/// A prompt, its rows of the features, and what follows it in the flat row.
pub(crate) struct Prompt<'a> {
    pub(crate) ids: &'a [i64],
    pub(crate) tiles: Range<usize>,
    pub(crate) branches: Vec<i64>,
}

/// The kind of matrix products.
pub(crate) fn kind_of(precision: Precision) -> Kind {
    match precision {
        Precision::Fp32 => Kind::Float,
        Precision::Bf16 => Kind::BFloat16,
    }
}

impl Vlm {
    /// A new model: a function of configuration and seed alone.
    pub fn new(config: Config, seed: u64, device: Device) -> Self {
        let list = parameters::list(&config);
        let stored = vec![Kind::Float; list.len()];
        let fresh = list.into_iter().map(|parameter| {
            let value = parameter.initial(seed, device);
            (parameter.name, value)
        });
        let tensors = fresh.collect();
        Self::assemble(config, Loaded { tensors, stored }, device)
    }

    /// Reads a Hub-style directory; bf16 and fp16 weights are widened to f32.
    ///
    /// # Errors
    ///
    /// A file or tensor that is missing, damaged or of the wrong shape: each named.
    pub fn load(dir: &Path, device: Device) -> Result<Self> {
        Self::load_as(dir, device, Storage::Widened)
    }

    /// A model that answers and does not train: matrices in the type that it answers in.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn load_to_answer(dir: &Path, device: Device) -> Result<Self> {
        Self::load_by(dir, device, |config| match config.precision {
            Precision::Fp32 => Storage::Widened,
            Precision::Bf16 => Storage::Narrow,
        })
    }

    /// The same, with matrices in memory as `storage` says.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn load_as(dir: &Path, device: Device, storage: Storage) -> Result<Self> {
        Self::load_by(dir, device, |_| storage)
    }

    fn load_by(dir: &Path, device: Device, storage: impl Fn(&Config) -> Storage) -> Result<Self> {
        if dir.is_file() {
            return Err(checkpoint::not_a_folder(dir));
        }
        let mut config = Config::load(dir)?;
        let storage = storage(&config);
        let loaded = checkpoint::load(dir, &mut config, device, storage)?;
        Ok(Self::assemble(config, loaded, device))
    }

    fn assemble(config: Config, loaded: Loaded, device: Device) -> Self {
        let Loaded { tensors: parameters, stored } = loaded;
        let weights = Weights::new(parameters.iter().map(|(name, t)| (name.as_str(), t)), None);
        let tower = Tower::new(&config, &weights);
        let projector = Projector::new(&weights);
        let decoder = Decoder::new(&config.language, &weights);
        Self {
            config,
            tower,
            projector,
            decoder,
            parameters,
            stored,
            adapters: vec![],
            lora: None,
            masters: HashMap::new(),
            device,
            noise: Cell::new(None),
            recompute: Cell::new(false),
        }
    }

    /// The parts made anew from the lists of tensors.
    pub(super) fn reassembled(mut self) -> Self {
        let scales = self.lora.as_ref().map(|lora| (lora.scale(), lora.dropout.get()));
        let all = self.parameters.iter().chain(&self.adapters);
        let weights = Weights::new(all.map(|(name, tensor)| (name.as_str(), tensor)), scales);
        let tower = Tower::new(&self.config, &weights);
        let projector = Projector::new(&weights);
        let decoder = Decoder::new(&self.config.language, &weights);
        (self.tower, self.projector, self.decoder) = (tower, projector, decoder);
        self
    }

    /// The same tensors in a model of its own: no weight is copied.
    pub(super) fn shared(&self) -> Self {
        let share = |list: &[(String, Tensor)]| -> Vec<(String, Tensor)> {
            list.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
        };
        let loaded = Loaded { tensors: share(&self.parameters), stored: self.stored.clone() };
        let mut model = Self::assemble(self.config.clone(), loaded, self.device);
        model.adapters = share(&self.adapters);
        model.lora.clone_from(&self.lora);
        model.reassembled()
    }

    /// Every tensor with its name in InternVL's original layout, in file order, adapters
    /// last. Leaves: an optimizer may change them in place.
    pub fn parameters(&self) -> Vec<(&str, &Tensor)> {
        let all = self.parameters.iter().chain(&self.adapters);
        all.map(|(name, tensor)| (name.as_str(), tensor)).collect()
    }

    /// Whether passes keep each layer's input alone (gradient checkpointing).
    pub fn set_recompute(&self, recompute: bool) {
        self.recompute.set(recompute);
    }

    /// Dropout and DropPath for the passes to come; none turns them off.
    pub fn set_noise(&self, noise: Option<Noise>) {
        self.noise.set(noise);
    }

    fn pass(&self, precision: Precision) -> Pass {
        let kind = kind_of(precision);
        Pass { kind, noise: self.noise.get(), recompute: self.recompute.get() }
    }

    /// Makes the tensors of some modules require a gradient, and the others not.
    pub fn set_trainable(&self, modules: &[Module]) {
        for (name, tensor) in &self.parameters {
            let _ = tensor.set_requires_grad(modules.contains(&Self::module_of(name)));
        }
    }

    /// The part that a tensor belongs to.
    pub fn module_of(name: &str) -> Module {
        parameters::module_of(name)
    }

    /// Where its tensors live.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The decoder, for generation.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Image features before the projector, in fp32.
    ///
    /// # Shapes
    ///
    /// pixels `[tiles, 3, side, side]`, normalised → `[tiles, image_tokens, 4·vision_width]`.
    pub fn image_features(&self, pixels: &Tensor) -> Tensor {
        self.image_features_in(pixels, Precision::Fp32)
    }

    /// The same, with matrix products in `precision`; the result is f32.
    pub fn image_features_in(&self, pixels: &Tensor, precision: Precision) -> Tensor {
        let patches = self.vision_patches_in(pixels, precision);
        let side = pixels.size()[2] / self.config.vision.patch as i64;
        let shuffle = self.config.shuffle as i64;
        vision::pixel_shuffle(&patches, side, shuffle, self.config.shuffle_swaps_back)
    }

    /// The tower's selected hidden state without the class token, with matrix products in
    /// `precision`; the result is f32.
    ///
    /// # Shapes
    ///
    /// pixels `[tiles, 3, side, side]` → `[tiles, patches, vision_width]`.
    pub fn vision_patches_in(&self, pixels: &Tensor, precision: Precision) -> Tensor {
        let hidden = self.tower.forward(pixels, self.pass(precision));
        let patches = hidden.size()[1] - 1;
        hidden.narrow(1, 1, patches)
    }

    /// Projected image tokens: what stands at `<IMG_CONTEXT>` positions.
    ///
    /// # Shapes
    ///
    /// features `[tiles, image_tokens, 4·vision_width]` → `[tiles, image_tokens, width]` f32.
    pub fn project(&self, features: &Tensor, precision: Precision) -> Tensor {
        self.projector.forward(features, kind_of(precision))
    }

    /// Log-probabilities of every answer given its group's prompt, which is run once.
    ///
    /// # Shapes
    ///
    /// features `[rows, image_tokens, 4·vision_width]`, of which each group uses its `tiles`.
    ///
    /// # Errors
    ///
    /// A prompt whose `<IMG_CONTEXT>` count is not its tiles', an empty prompt or answer,
    /// a token beyond the vocabulary: each names the group.
    pub fn answer_logps(
        &self,
        groups: &[Group],
        features: &Tensor,
        precision: Precision,
    ) -> Result<AnswerLogps> {
        let kind = kind_of(precision);
        if groups.is_empty() {
            let none = Tensor::zeros([0], (Kind::Float, self.device));
            return Ok(AnswerLogps { sums: none.copy(), counts: vec![], tokens: Some(none) });
        }
        let mut rows = Vec::with_capacity(groups.len());
        let mut lengths = Vec::with_capacity(groups.len());
        let (mut targets, mut counts) = (Vec::new(), Vec::new());
        for (index, group) in groups.iter().enumerate() {
            if group.answers.is_empty() || group.answers.iter().any(|answer| answer.is_empty()) {
                return Err(Error::new(format!("group {index} has an answer without tokens")));
            }
            let mut branches = Vec::new();
            for answer in &group.answers {
                let (last, before) = answer.split_last().expect("checked above");
                // On a GPU a target beyond the vocabulary would end the process.
                if !(0..self.config.language.vocabulary as i64).contains(last) {
                    return Err(Error::new(format!(
                        "an answer of group {index} ends in token {last}, beyond the vocabulary"
                    )));
                }
                branches.extend_from_slice(before);
                targets.extend_from_slice(answer);
                counts.push(answer.len());
            }
            let answers = group.answers.iter().map(|answer| answer.len()).collect();
            lengths.push(Lengths { prompt: group.prompt.len(), answers });
            rows.push(Prompt { ids: group.prompt, tiles: group.tiles.clone(), branches });
        }
        let embedded = self.embed(&rows, features, precision)?;
        let packing = Packing::new(lengths);
        let hidden = self.decoder.predict(embedded, packing, self.pass(precision));
        let targets = Tensor::from_slice(&targets).to_device(self.device);
        let tokens = ops::linear_logp(&hidden, &self.decoder.head, &targets, kind);
        let owner: Vec<i64> = counts
            .iter()
            .enumerate()
            .flat_map(|(answer, &count)| std::iter::repeat_n(answer as i64, count))
            .collect();
        let owner = Tensor::from_slice(&owner).to_device(self.device);
        let zeros = Tensor::zeros([counts.len() as i64], (Kind::Float, self.device));
        let sums = zeros.index_add(0, &owner, &tokens);
        Ok(AnswerLogps { sums, counts, tokens: Some(tokens) })
    }

    /// Everything a forward pass makes of one sequence, in fp32: for comparisons with other
    /// implementations (`prefab verify model`).
    ///
    /// # Errors
    ///
    /// As [`Self::answer_logps`].
    pub fn trace(&self, ids: &[i64], tiles: Range<usize>, features: &Tensor) -> Result<Trace> {
        self.trace_answer(ids, &[], tiles, features)
    }

    /// The same of a prompt and an answer, in which the image token is one like any other.
    ///
    /// # Errors
    ///
    /// As [`Self::answer_logps`].
    pub fn trace_answer(
        &self,
        ids: &[i64],
        answer: &[i64],
        tiles: Range<usize>,
        features: &Tensor,
    ) -> Result<Trace> {
        let prompt = Prompt { ids, tiles, branches: answer.to_vec() };
        let embedded = self.embed(&[prompt], features, Precision::Fp32)?;
        let lengths = Lengths { prompt: ids.len() + answer.len(), answers: vec![] };
        let packing = Packing::new(vec![lengths]).every_row();
        let mut inputs = Vec::new();
        let mut keep = |x: &Tensor, _, _| inputs.push(x.shallow_clone());
        let last = self.decoder.forward(embedded, &packing, Kind::Float, &mut keep);
        let logits = ops::linear(&last, &self.decoder.head, None, Kind::Float);
        Ok(Trace { inputs, last, logits })
    }

    /// The same weights, as if the decoder had been trained on sequences of that length:
    /// where dynamic rotary scaling takes effect.
    pub fn with_trained_length(&self, positions: usize) -> Self {
        let mut model = self.shared();
        model.config.language.positions = positions;
        model.reassembled()
    }

    /// Every hidden state of the tower, class token included: after the embeddings, then
    /// after each layer, also beyond the selected one. `[tiles, 1 + patches, vision_width]` each.
    pub fn vision_states(&self, pixels: &Tensor) -> Vec<Tensor> {
        self.tower.states(pixels)
    }
}
