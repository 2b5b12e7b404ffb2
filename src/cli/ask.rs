//! `prefab ask CHECKPOINT IMAGE QUESTION`: what a model says, greedily.

use super::{checkpoint, prompt, say};
use crate::data::image;
use crate::data::tokenizer::Tokenizer;
use crate::error::{Kind, Result};
use crate::model::Vlm;
use crate::run::device::{self, Choice};
use crate::sample::{Generation, Request, generate};
use crate::spec::candidates::Prompt;
use std::path::PathBuf;

/// Whom to ask, and what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A checkpoint's folder, or a key of the store: `policy-…`
    checkpoint: PathBuf,
    /// The picture
    image: PathBuf,
    /// The question
    question: String,
    /// Ask for the answer alone (direct) or for reasoning first (cot)
    #[arg(short, long, default_value = "cot", value_parser = prompt)]
    prompt: Prompt,
    /// Chat template [default: config.json's]
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// Longest answer, in tokens
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: u32,
    /// cpu, cuda or cuda:N
    #[arg(short, long, value_name = "NAME", default_value = "cpu")]
    device: Choice,
    /// Where artifacts are kept
    #[arg(long, value_name = "DIR", default_value = ".prefab")]
    store: PathBuf,
}

/// Prints the answer.
///
/// # Errors
///
/// If there is no such model or picture, or one that the other does not fit.
pub fn run(args: &Args) -> Result<()> {
    let (text, ended) = answer(args).map_err(|error| error.kind(Kind::Spec))?;
    say(&format!("{text}\n"));
    if !ended {
        tracing::warn!("cut off after {} tokens; `--max-tokens` gives it more", args.max_tokens);
    }
    Ok(())
}

/// The answer, and whether it came to its end.
fn answer(args: &Args) -> Result<(String, bool)> {
    let folder = checkpoint::folder(&args.checkpoint, &args.store)?;
    let device = device::open(args.device)?;
    let tokenizer = Tokenizer::load(&folder)?;
    let mut model = Vlm::load_to_answer(&folder, device)?;
    if let Some(template) = &args.template {
        model.config = model.config.clone().with_template(template);
    }
    let prompter = model.config.prompter(&tokenizer)?;
    let pixels = image::pixels_of(&args.image, &model.config.tiling())?; // [tiles, 3, side, side]
    let tiles = pixels.size()[0] as usize;
    let pixels = pixels.to_device(device);
    let features = tch::no_grad(|| model.image_features_in(&pixels, model.config.precision));
    let text = prompter.question_text(&args.question, 1, args.prompt);
    let request = Request {
        prompt: prompter.encode_prompt_with(&text, &[tiles])?,
        tiles: 0..tiles,
        samples: 1,
        ..Request::default()
    };
    let settings =
        Generation::greedy(model.config.precision, args.max_tokens as usize, 1, tokenizer.eos());
    let generated = generate(&model, &[request], &features, &settings, &|_, _| ())?;
    let answer = generated.first().expect("one request gets one answer");
    Ok((tokenizer.decode(&answer.tokens), answer.ended))
}
