//! A model here, for the sources that let one write or judge.

use crate::Result;
use crate::data::template::Prompter;
use crate::data::tokenizer::Tokenizer;
use crate::model::features::{Features, of_pictures};
use crate::model::{Group, Vlm};
use crate::run::stage::StageContext;
use crate::spec::eval::Split;
use crate::spec::train::Precision;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tch::Tensor;

/// A model with its tokenizer, and the pictures of the train split.
pub struct Local {
    /// Text to tokens.
    pub tokenizer: Tokenizer,
    /// The weights.
    pub model: Vlm,
    features: Option<Features>,
    corpus: PathBuf,
}

/// Some pictures as a model sees them, and which rows are whose.
pub struct Seen {
    /// `[rows, image_tokens, 4·vision_width]`.
    pub features: Tensor,
    /// Rows of each request.
    pub tiles: Vec<Range<usize>>,
}

impl Local {
    /// The model that answered.
    ///
    /// # Errors
    ///
    /// Files that are missing or damaged.
    pub fn base(ctx: &StageContext) -> Result<Self> {
        let features = ctx.inputs.get("features").map(|dir| Features::open(dir)).transpose()?;
        Self::load(ctx.input("base"), features, ctx)
    }

    /// Another checkpoint, which sees pictures through its own tower.
    ///
    /// # Errors
    ///
    /// As [`Self::base`].
    pub fn checkpoint(dir: &Path, ctx: &StageContext) -> Result<Self> {
        Self::load(dir, None, ctx)
    }

    fn load(dir: &Path, features: Option<Features>, ctx: &StageContext) -> Result<Self> {
        let corpus = ctx.input("corpus").to_path_buf();
        let (tokenizer, model) = (Tokenizer::load(dir)?, Vlm::load(dir, ctx.device)?);
        Ok(Self { tokenizer, model, features, corpus })
    }

    /// Puts questions to it.
    ///
    /// # Errors
    ///
    /// An unknown chat template.
    pub fn prompter(&self) -> Result<Prompter<'_>> {
        let config = &self.model.config;
        Prompter::new(&self.tokenizer, &config.template, config.image_tokens)
    }

    /// The pictures of some requests, one tile each.
    ///
    /// # Errors
    ///
    /// A picture without features, or one that cannot be decoded.
    pub fn see<'a>(&self, requests: impl IntoIterator<Item = &'a [String]>) -> Result<Seen> {
        let (mut paths, mut tiles) = (Vec::new(), Vec::new());
        for images in requests {
            tiles.push(paths.len()..paths.len() + images.len());
            paths.extend(images.iter().map(String::as_str));
        }
        let (features, model) = (self.features.as_ref(), &self.model);
        let features = of_pictures(features, model, &self.corpus, Split::Train, &paths)?;
        Ok(Seen { features, tiles })
    }

    /// Probability of each of some tokens right after each prompt: `[prompts][tokens]`.
    ///
    /// # Errors
    ///
    /// A prompt that does not fit its pictures.
    pub fn next(&self, prompts: &[Vec<i64>], tokens: &[i64], seen: &Seen) -> Result<Vec<Vec<f64>>> {
        let _no_grad = tch::no_grad_guard();
        let answers: Vec<&[i64]> = tokens.iter().map(std::slice::from_ref).collect();
        let groups: Vec<Group<'_>> = prompts
            .iter()
            .zip(&seen.tiles)
            .map(|(prompt, tiles)| Group { prompt, tiles: tiles.clone(), answers: answers.clone() })
            .collect();
        let logps = self.model.answer_logps(&groups, &seen.features, Precision::Fp32)?;
        let sums: Vec<f32> =
            Vec::try_from(&logps.sums).expect("log-probabilities are a row of f32");
        let chunks = sums.chunks(tokens.len());
        Ok(chunks.map(|row| row.iter().map(|logp| f64::from(*logp).exp()).collect()).collect())
    }
}
