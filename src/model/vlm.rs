//! The whole model: image features, and log-probabilities of answers.

use super::config::Config;
use super::language::{Decoder, Lookup};
use super::packing::{Lengths, Packing};
use super::projector::Projector;
use super::vision::{self, Tower};
use super::{checkpoint, native, ops, parameters};
use crate::error::Context;
use crate::spec::model::Module;
use crate::spec::train::Precision;
use crate::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// A vision-language model of InternVL2's shape, its weights in f32.
#[derive(Debug)]
pub struct Vlm {
    /// What it is.
    pub config: Config,
    parameters: Vec<(String, Tensor)>,
    tower: Tower,
    projector: Projector,
    decoder: Decoder,
    device: Device,
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
        let parameters = parameters::list(&config)
            .into_iter()
            .map(|parameter| {
                let value = parameter.initial(seed, device);
                (parameter.name, value)
            })
            .collect();
        Self::assemble(config, parameters, device)
    }

    /// Reads a Hub-style directory; bf16 and fp16 weights are widened to f32.
    ///
    /// # Errors
    ///
    /// A file or tensor that is missing, damaged or of the wrong shape: each named.
    pub fn load(dir: &Path, device: Device) -> Result<Self> {
        let mut config = Config::load(dir)?;
        let parameters = checkpoint::load(dir, &mut config, device)?;
        Ok(Self::assemble(config, parameters, device))
    }

    fn assemble(config: Config, parameters: Vec<(String, Tensor)>, device: Device) -> Self {
        let by_name: HashMap<&str, &Tensor> =
            parameters.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let tensor = |name: &str| {
            by_name.get(name).unwrap_or_else(|| panic!("the list has `{name}`")).shallow_clone()
        };
        let tensor: Lookup = &tensor;
        let tower = Tower::new(&config, tensor);
        let projector = Projector::new(tensor);
        let decoder = Decoder::new(&config.language, tensor);
        Self { config, tower, projector, decoder, parameters, device }
    }

    /// Writes `config.json` and `model.safetensors` (f32), in the layout it was read from.
    ///
    /// # Errors
    ///
    /// A folder that cannot be written to.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let doing = || format!("writing `{}`", dir.display());
        std::fs::create_dir_all(dir).with_context(doing)?;
        std::fs::write(dir.join("config.json"), self.config.to_json()).with_context(doing)?;
        let mut entries = Vec::new();
        for (name, tensor) in &self.parameters {
            let names = native::parts(name, self.config.layout);
            let rows = tensor.size()[0] / names.len() as i64;
            for (part, name) in names.into_iter().enumerate() {
                let tensor = tensor.detach().narrow(0, part as i64 * rows, rows);
                entries.push(checkpoint::Entry {
                    name,
                    shape: tensor.size(),
                    write: Box::new(move |out| checkpoint::write_values(&tensor, out)),
                });
            }
        }
        checkpoint::write(&dir.join("model.safetensors"), entries)
    }

    /// Every tensor with its name in InternVL's original layout, in file order. Leaves:
    /// an optimizer may change them in place.
    pub fn parameters(&self) -> Vec<(&str, &Tensor)> {
        self.parameters.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect()
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

    /// The tower's selected hidden state without the class token, in fp32.
    ///
    /// # Shapes
    ///
    /// pixels `[tiles, 3, side, side]` → `[tiles, patches, vision_width]`.
    pub fn vision_patches(&self, pixels: &Tensor) -> Tensor {
        self.vision_patches_in(pixels, Precision::Fp32)
    }

    /// The same, with matrix products in `precision`; the result is f32.
    pub fn vision_patches_in(&self, pixels: &Tensor, precision: Precision) -> Tensor {
        let hidden = self.tower.forward(pixels, kind_of(precision));
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
        let packing = Packing::new(lengths, kind, self.device);
        let hidden = self.decoder.predict(embedded, &packing, kind);
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
        let prompt = Prompt { ids, tiles, branches: vec![] };
        let embedded = self.embed(&[prompt], features, Precision::Fp32)?;
        let lengths = Lengths { prompt: ids.len(), answers: vec![] };
        let packing = Packing::new(vec![lengths], Kind::Float, self.device).every_row();
        let mut inputs = Vec::new();
        let mut keep = |x: &Tensor, _, _| inputs.push(x.shallow_clone());
        let last = self.decoder.forward(embedded, &packing, Kind::Float, &mut keep);
        let logits = ops::linear(&last, &self.decoder.head, None, Kind::Float);
        Ok(Trace { inputs, last, logits })
    }

    /// The same weights, as if the decoder had been trained on sequences of that length:
    /// where dynamic rotary scaling takes effect.
    pub fn with_trained_length(&self, positions: usize) -> Self {
        let mut config = self.config.clone();
        config.language.positions = positions;
        let shared =
            self.parameters.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
        Self::assemble(config, shared.collect(), self.device)
    }

    /// Every hidden state of the tower, class token included: after the embeddings, then
    /// after each layer, also beyond the selected one. `[tiles, 1 + patches, vision_width]` each.
    pub fn vision_states(&self, pixels: &Tensor) -> Vec<Tensor> {
        self.tower.states(pixels, Kind::Float)
    }

    /// Embeddings of a flat row of tokens: each prompt, image features in their places,
    /// then its branches. In a branch `<IMG_CONTEXT>` is a token like any other.
    ///
    /// # Shapes
    ///
    /// → `[tokens, width]` f32.
    pub(crate) fn embed(
        &self,
        prompts: &[Prompt],
        features: &Tensor,
        precision: Precision,
    ) -> Result<Tensor> {
        // Runs of text and of image tokens, in order; the ids of all text.
        let (mut runs, mut text, mut tiles) = (Vec::new(), Vec::new(), Vec::new());
        for (index, prompt) in prompts.iter().enumerate() {
            self.check_prompt(index, prompt, features)?;
            tiles.extend(prompt.tiles.clone().map(|row| row as i64));
            let is_image = |id: &i64| *id == self.config.image_token;
            for run in prompt.ids.chunk_by(|a, b| is_image(a) == is_image(b)) {
                runs.push((is_image(&run[0]), run.len() as i64));
                text.extend(run.iter().filter(|id| !is_image(id)));
            }
            if !prompt.branches.is_empty() {
                runs.push((false, prompt.branches.len() as i64));
                text.extend_from_slice(&prompt.branches);
            }
        }
        let text = Tensor::from_slice(&text).to_device(self.device);
        let text = Tensor::embedding(&self.decoder.embedding, &text, -1, false, false);
        if tiles.is_empty() {
            return Ok(text);
        }
        let rows = match tiles.iter().copied().eq(0..features.size()[0]) {
            true => features.to_device(self.device),
            false => {
                let tiles = Tensor::from_slice(&tiles).to_device(features.device());
                features.index_select(0, &tiles).to_device(self.device)
            }
        };
        let images = self.project(&rows, precision).flatten(0, 1); // [image tokens of all, width]
        let split = |x: Tensor, image: bool| {
            let of_kind = runs.iter().filter(|run| run.0 == image).map(|run| run.1);
            x.split_with_sizes(of_kind.collect::<Vec<i64>>().as_slice(), 0).into_iter()
        };
        let (mut text, mut images) = (split(text, false), split(images, true));
        let pieces: Vec<Tensor> = runs
            .iter()
            .map(|(image, _)| if *image { images.next() } else { text.next() })
            .map(|piece| piece.expect("there is a piece for each run"))
            .collect();
        Ok(Tensor::cat(&pieces, 0))
    }

    /// Refuses a prompt that does not fit its tiles, the vocabulary or the features.
    fn check_prompt(&self, index: usize, prompt: &Prompt, features: &Tensor) -> Result<()> {
        if prompt.ids.is_empty() {
            return Err(Error::new(format!("group {index} has an empty prompt")));
        }
        let found = prompt.ids.iter().filter(|&&id| id == self.config.image_token).count();
        let wanted = prompt.tiles.len() * self.config.image_tokens;
        if found != wanted {
            let tiles = prompt.tiles.len();
            return Err(Error::new(format!(
                "group {index} has {found} image tokens in its prompt where its {tiles} tiles give {wanted}"
            ))
            .hint("a prompt cut short, or a template made for another number of image tokens a tile"));
        }
        let vocabulary = 0..self.config.language.vocabulary as i64;
        if let Some(id) =
            prompt.ids.iter().chain(&prompt.branches).find(|id| !vocabulary.contains(id))
        {
            return Err(Error::new(format!(
                "group {index} has token {id}, beyond the vocabulary of {}",
                vocabulary.end
            )));
        }
        let rows = features.size()[0];
        if prompt.tiles.end as i64 > rows && !prompt.tiles.is_empty() {
            return Err(Error::new(format!(
                "group {index} wants image features up to row {} of {rows}",
                prompt.tiles.end
            )));
        }
        Ok(())
    }
}
