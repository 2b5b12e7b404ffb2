//! A model here, for the sources that let one write or judge.

use super::judge::Written;
use crate::Result;
use crate::data::questions::read_split;
use crate::data::record::Question;
use crate::data::template::Prompter;
use crate::data::tokenizer::Tokenizer;
use crate::model::features::{all_shown, shown};
use crate::model::{Group, Pictures, Seen, Tower, Vlm};
use crate::sample::texts::write_texts;
use crate::spec::eval::Split;
use crate::stage::StageContext;
use std::path::Path;

/// A model with its tokenizer, and the pictures of the train split.
pub struct Local {
    /// Text to tokens.
    pub tokenizer: Tokenizer,
    /// The weights.
    pub model: Vlm,
    pictures: Pictures,
}

impl Local {
    /// The model that answered.
    ///
    /// # Errors
    ///
    /// Files that are missing or damaged.
    pub fn base(ctx: &StageContext) -> Result<Self> {
        let (tokenizer, model) = load(ctx.input("base"), ctx)?;
        let questions = read_split(ctx.input("corpus"), Split::Train)?;
        let views = all_shown(&questions, &model.config);
        let pictures = Pictures::open(ctx, &model.config, Split::Train, Tower::Frozen, &views)?;
        Ok(Self { tokenizer, model, pictures })
    }

    /// Another checkpoint, which sees pictures through its own tower.
    ///
    /// # Errors
    ///
    /// As [`Self::base`].
    pub fn checkpoint(dir: &Path, ctx: &StageContext) -> Result<Self> {
        let (tokenizer, model) = load(dir, ctx)?;
        let pictures = Pictures::files(ctx, &model.config, Tower::Frozen)?;
        Ok(Self { tokenizer, model, pictures })
    }

    /// Puts questions to it.
    ///
    /// # Errors
    ///
    /// An unknown chat template.
    pub fn prompter(&self) -> Result<Prompter<'_>> {
        self.model.config.prompter(&self.tokenizer)
    }

    /// The pictures of some requests: those of a question, or none.
    ///
    /// # Errors
    ///
    /// A picture without features, or one that cannot be decoded.
    pub fn see<'a>(
        &self,
        requests: impl IntoIterator<Item = Option<&'a Question>>,
    ) -> Result<Seen> {
        let views = |question| shown(question, self.pictures.tiling());
        let requests = requests.into_iter();
        self.pictures
            .see_as(&self.model, requests.map(|question| question.map_or_else(Vec::new, views)))
    }

    /// What it writes about each text, greedily and without a picture.
    ///
    /// # Errors
    ///
    /// A text that it has no words for.
    pub fn write(
        &self,
        texts: &[String],
        max_tokens: usize,
        batch: usize,
    ) -> Result<Vec<Option<Written>>> {
        let written = write_texts(&self.model, &self.tokenizer, texts, max_tokens, batch)?;
        Ok(written.into_iter().map(|(text, tokens)| Some(Written { text, tokens })).collect())
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
        let precision = self.model.config.precision;
        let logps = self.model.answer_logps(&groups, &seen.features, precision)?;
        let sums: Vec<f32> =
            Vec::try_from(&logps.sums).expect("log-probabilities are a row of f32");
        let chunks = sums.chunks(tokens.len());
        Ok(chunks.map(|row| row.iter().map(|logp| f64::from(*logp).exp()).collect()).collect())
    }
}

fn load(dir: &Path, ctx: &StageContext) -> Result<(Tokenizer, Vlm)> {
    Ok((Tokenizer::load(dir)?, Vlm::load_to_answer(dir, ctx.device)?))
}
