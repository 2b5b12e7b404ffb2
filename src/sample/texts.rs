//! Texts in, texts out: what a model writes without a picture, for judges and splitters.

use super::{Generated, Generation, Request, generate};
use crate::Result;
use crate::data::tokenizer::Tokenizer;
use crate::model::Vlm;

/// What a model writes to each text, greedily, in its own precision: the tokens as text, and
/// how many they are.
///
/// # Errors
///
/// A text with words that the tokenizer does not know, or an unknown chat template.
pub fn write_texts(
    model: &Vlm,
    tokenizer: &Tokenizer,
    texts: &[impl AsRef<str>],
    max_tokens: usize,
    batch: usize,
) -> Result<Vec<(String, usize)>> {
    let config = &model.config;
    let prompter = config.prompter(tokenizer)?;
    let request = |text: &str| {
        let prompt = prompter.encode_prompt_with(text, &[]).map_err(|error| {
            error.context("asking the judge").hint(
                "an embedded size knows only the words that it was taught: name a checkpoint that \
                 reads free text, or a server",
            )
        })?;
        Ok(Request { prompt, samples: 1, ..Request::default() })
    };
    let requests: Vec<Request> =
        texts.iter().map(|text| request(text.as_ref())).collect::<Result<_>>()?;
    let settings = Generation::greedy(config.precision, max_tokens, batch, tokenizer.eos());
    let size = [0, config.image_tokens as i64, config.feature_width() as i64];
    let none = tch::Tensor::zeros(size, (tch::Kind::Float, model.device()));
    let written = generate(model, &requests, &none, &settings, &|_, _| ())?;
    let text = |one: Generated| (tokenizer.decode(&one.tokens), one.tokens.len());
    Ok(written.into_iter().map(text).collect())
}
