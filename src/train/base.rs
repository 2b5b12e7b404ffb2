//! The base stage: the model that everything starts from.
//!
//! Three parts, as the released models were made: the vision tower learns to
//! see ([`super::vision`]); frozen, it encodes every picture once; projector and
//! decoder learn to answer. Part of the reasoned answers come from a teacher
//! with systematic slips, so that the base reasons worse than it answers, as the
//! paper's does, and has something to unlearn.

use super::lesson::{self, Lesson, Taught};
use super::order::{Order, draw, share_of};
use super::vision::{self, Labels};
use crate::data::image::View;
use crate::data::questions::read_questions;
use crate::data::record::Question;
use crate::data::template::{Prompter, Template};
use crate::data::tokenizer::Tokenizer;
use crate::error::Context;
use crate::model::companions::{copy_files, is_companion, is_weights};
use crate::model::sizes::Row;
use crate::model::{Config, Group, Pictures, Storage, Tower, Vlm};
use crate::sample::prompts::asked;
use crate::spec::base::Base;
use crate::spec::candidates::Prompt;
use crate::spec::eval::Split;
use crate::spec::model::{Model, Module};
use crate::spec::train::Precision;
use crate::stage::StageContext;
use crate::tasks::multimodal;
use crate::{Error, Result};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Arithmetic of the language lesson; weights stay fp32.
const PRECISION: Precision = Precision::Bf16;

/// Pictures encoded together.
const ENCODED: usize = 128;

/// Makes the base: teaches an embedded size from the `corpus`, or imports a checkpoint.
///
/// # Errors
///
/// A corpus without base questions, a picture that cannot be read, what a guard
/// stops for, or a checkpoint that is not a model.
pub fn run(base: &Base, model: &Model, ctx: &StageContext) -> Result<()> {
    if let Some(checkpoint) = &model.checkpoint {
        return import(Path::new(checkpoint), model, ctx);
    }
    let corpus = ctx.input("corpus");
    let row = Row::of(model.size, &model.dims);
    let tokenizer = build_tokenizer(base, corpus, &row)?;
    let config = Config::of(model, tokenizer.vocabulary(), tokenizer.image_context())?;
    if let Some(rows) = model.dims.vocabulary.filter(|rows| *rows < config.language.vocabulary) {
        let words = config.language.vocabulary;
        ctx.progress.warn(&format!(
            "`model.dims.vocabulary` is {rows}, and the tokenizer has {words}: {words} it is"
        ));
    }
    let vlm = Vlm::new(config, base.seed, ctx.device);
    if base.steps == 0 && base.vision_steps == 0 {
        ctx.progress.warn("nothing is taught: `base.steps` is 0, the weights stay random");
        lesson::write(&ctx.out.join("base_steps.csv"), "")?;
        vlm.save(&ctx.out)?;
        return tokenizer.save(&ctx.out);
    }
    let questions = base_questions(corpus)?;
    let prompter = vlm.config.prompter(&tokenizer)?;
    let texts = Texts::of(base, &questions, &prompter)?;

    let wanted: Vec<View> = questions
        .iter()
        .flat_map(|question| &question.images)
        .map(|path| View::one(path))
        .collect();
    let labels = Labels::of(&questions, vlm.config.image_tokens)?;
    let mut rows = String::new();
    let pictures = if let Some(labels) = labels.as_ref().filter(|_| base.vision_steps > 0) {
        let pictures = Pictures::open(ctx, &vlm.config, Split::Base, Tower::Trains, &wanted)?;
        rows += &vision::teach(base, &vlm, &questions, labels, &pictures, ctx)?;
        vlm.set_trainable(&[Module::Projector, Module::Language]);
        encode(&vlm, &wanted, ctx)?
    } else {
        let why = match labels {
            Some(_) => "`base.vision_steps` is 0",
            None => "the corpus has no cell labels",
        };
        ctx.progress.warn(&format!(
            "{why}: the vision tower is trained from answers alone, with everything else"
        ));
        vlm.set_trainable(&[Module::Vision, Module::Projector, Module::Language]);
        Pictures::open(ctx, &vlm.config, Split::Base, Tower::Trains, &wanted)?
    };
    rows += &teach_language(base, &vlm, &questions, &texts, &pictures, ctx)?;

    lesson::write(&ctx.out.join("base_steps.csv"), &rows)?;
    vlm.save(&ctx.out)?;
    tokenizer.save(&ctx.out)
}

/// A checkpoint's folder: loaded once as a check, then copied as it is, so that
/// bf16 weights stay as large as they are.
fn import(checkpoint: &Path, model: &Model, ctx: &StageContext) -> Result<()> {
    let named = |error: Error| error.context(format!("importing `{}`", checkpoint.display()));
    let loaded = Vlm::load_as(checkpoint, Device::Cpu, Storage::AsStored).map_err(named)?;
    let read = loaded.config;
    let tokenizer = Tokenizer::load(checkpoint).map_err(named)?;
    let (tokens, rows) = (tokenizer.vocabulary(), read.language.vocabulary);
    if tokens > rows {
        return Err(named(Error::new(format!(
            "its tokenizer has {tokens} tokens, and its model only {rows} embeddings"
        )))
        .hint("the tokenizer's files must be the model's own"));
    }
    // A template that does not fit would be trained on, with marks read letter by letter.
    let mut config = read.clone();
    if let Some(template) = &model.template {
        config = config.with_template(template);
    }
    let template = config.prompter(&tokenizer).map_err(named)?.template().name;
    if config.template.is_none() {
        config = config.with_template(template);
    }
    if let Some(precision) = model.precision {
        config = config.with_precision(precision);
    }
    if let Some(max_tiles) = model.max_tiles {
        config = config.with_max_tiles(max_tiles.get());
    }
    // config.json as it is, unless the spec says otherwise.
    let is_kept = config == read;
    let is_wanted = |name: &str| is_weights(name) && (is_kept || name != "config.json");
    copy_files(checkpoint, &ctx.out, |name| is_wanted(name) || is_companion(name))?;
    if !is_kept {
        std::fs::write(ctx.out.join("config.json"), config.text())
            .context("writing config.json")?;
    }
    lesson::write(&ctx.out.join("base_steps.csv"), "")
}

/// The base split, or the training split where a corpus from files has none.
fn base_questions(corpus: &Path) -> Result<Vec<Question>> {
    let own = corpus.join("base.jsonl");
    let path = if own.exists() { own } else { corpus.join("train.jsonl") };
    let questions: Vec<Question> =
        read_questions(&path)?.into_iter().filter(|question| question.answer.is_some()).collect();
    if questions.is_empty() {
        return Err(Error::new(format!("`{}` has no question with an answer", path.display()))
            .hint("set `corpus.base` above 0, or give `model.checkpoint`"));
    }
    Ok(questions)
}

/// A tokenizer of every word that any split of a corpus artifact may need; for a released size as
/// large as its own.
///
/// # Errors
///
/// Questions that cannot be read.
pub fn build_tokenizer(base: &Base, corpus: &Path, row: &Row) -> Result<Tokenizer> {
    let template = Template::named(row.template())?;
    let mut texts: Vec<String> =
        Prompter::instructions(template.name)?.iter().map(|text| format!("\n{text}")).collect();
    let has_forms = base.multimodal.get() > 0.0;
    if has_forms {
        let forms = [Prompt::Background, Prompt::Visual, Prompt::Grounded];
        texts.extend(forms.map(|form| format!("\n{}", template.instruction(form))));
    }
    for split in Split::ALL {
        let path = corpus.join(format!("{}.jsonl", split.name()));
        if !path.exists() {
            continue;
        }
        for question in read_questions(&path)? {
            if let Some(generated) = question.generated.as_ref().filter(|_| has_forms) {
                let form = multimodal::rationale(&question, &generated.rationale);
                texts.extend(form.map(|(_, text)| text));
            }
            texts.push(question.question);
            texts.extend(question.answer);
            texts.extend(question.aliases);
            texts.extend(question.choices);
            if let Some(generated) = question.generated {
                texts.push(generated.rationale);
                texts.extend(generated.sloppy);
            }
        }
    }
    let texts = texts.iter().map(String::as_str);
    Ok(match template.is_plain() {
        true => Tokenizer::build(texts),
        false => Tokenizer::build_for(template, texts, row.decoder.vocabulary.unwrap_or(0)),
    })
}

/// One way to ask and answer a question, in tokens.
#[derive(Debug)]
struct Text {
    prompt: Vec<i64>,
    /// The prompt with its pictures left out.
    blind: Vec<i64>,
    answer: Vec<i64>,
}

/// Every question, asked directly and, where it has a rationale, for steps; and in the form of
/// its domain, where that is taught.
#[derive(Debug)]
struct Texts {
    direct: Vec<Text>,
    reasoned: Vec<Option<Text>>,
    formed: Vec<Option<Text>>,
}

impl Texts {
    fn of(base: &Base, questions: &[Question], prompter: &Prompter) -> Result<Self> {
        let text = |question: &Question, prompt: Prompt, answer: &str| -> Result<Text> {
            let images = question.images.len();
            let asked = asked(prompter.template(), question, prompt);
            Ok(Text {
                prompt: prompter.encode_prompt_with(&asked, &vec![1; images])?,
                blind: prompter.encode_prompt(&asked, 0)?,
                answer: prompter.encode_answer(answer),
            })
        };
        let (mut direct, mut reasoned, mut formed) = (Vec::new(), Vec::new(), Vec::new());
        for question in questions {
            let answer = question.answer.as_deref().expect("questions without answer are left out");
            direct.push(text(question, Prompt::Direct, answer)?);
            let rationale = rationale(base, question);
            let each = rationale.map(|rationale| text(question, Prompt::Cot, rationale));
            reasoned.push(each.transpose()?);
            let plain = rationale.filter(|_| base.multimodal.get() > 0.0);
            let form = plain.and_then(|plain| multimodal::rationale(question, plain));
            formed.push(form.map(|(form, own)| text(question, form, &own)).transpose()?);
        }
        Ok(Self { direct, reasoned, formed })
    }

    /// What question `row` is taught at that position of the lesson.
    fn at(&self, base: &Base, row: usize, position: u64) -> &Text {
        if draw("base form", base.seed, position) >= base.reasoned.get() {
            return &self.direct[row];
        }
        let in_form = draw("base multimodal", base.seed, position) < base.multimodal.get();
        let formed = self.formed[row].as_ref().filter(|_| in_form);
        formed.or(self.reasoned[row].as_ref()).unwrap_or(&self.direct[row])
    }
}

/// The rationale of a question's teacher, who stays the same for ever: slips
/// that came and went would average out.
fn rationale<'a>(base: &Base, question: &'a Question) -> Option<&'a str> {
    let generated = question.generated.as_ref()?;
    let slips = share_of("base teacher", base.seed, &question.id) < base.sloppy.get();
    let sloppy = generated.sloppy.as_deref().filter(|_| slips);
    Some(sloppy.unwrap_or(&generated.rationale))
}

/// Every picture once through the frozen tower.
fn encode(vlm: &Vlm, views: &[View], ctx: &StageContext) -> Result<Pictures> {
    let _no_grad = tch::no_grad_guard();
    let mut unique: Vec<&View> = views.iter().collect();
    unique.sort();
    unique.dedup();
    let files = Pictures::files(ctx, &vlm.config, Tower::Frozen)?;
    let mut features = Vec::new();
    for (index, chunk) in unique.chunks(ENCODED).enumerate() {
        features.push(files.features(vlm, chunk)?);
        let done = (index * ENCODED + chunk.len()) as u64;
        ctx.progress.report(done, unique.len() as u64, "pictures encoded");
    }
    let paths: Vec<String> = unique.into_iter().map(|view| view.path.clone()).collect();
    Ok(Pictures::in_memory(Tensor::cat(&features, 0), &paths, &vlm.config))
}

/// Projector and decoder learn to answer; one cosine.
fn teach_language(
    base: &Base,
    vlm: &Vlm,
    questions: &[Question],
    texts: &Texts,
    pictures: &Pictures,
    ctx: &StageContext,
) -> Result<String> {
    let mut order = Order::new("base language order", base.seed, questions.len(), base.batch);
    let lesson = Lesson {
        name: "language",
        parameters: vlm.parameters(),
        steps: base.steps,
        learning_rate: base.learning_rate.get(),
        ctx,
    };
    lesson.teach(|step| {
        let rows = order.rows_of(step);
        let (mut groups, mut views) = (Vec::new(), Vec::new());
        for (index, &row) in rows.iter().enumerate() {
            let position = (step * rows.len() + index) as u64;
            let text = texts.at(base, row, position);
            let first = views.len();
            let is_blind = draw("base image", base.seed, position) < base.image_dropout.get();
            let prompt = if is_blind { &text.blind } else { &text.prompt };
            if !is_blind {
                views.extend(questions[row].images.iter().map(|path| View::one(path)));
            }
            groups.push(Group { prompt, tiles: first..views.len(), answers: vec![&text.answer] });
        }
        let features = pictures.features(vlm, &views.iter().collect::<Vec<_>>())?; // [shown tiles, tokens, 4·vision_width]
        let logps = vlm.answer_logps(&groups, &features, PRECISION)?;
        let loss = square_averaged(&logps.sums, &logps.counts);
        Ok(Taught { loss, accuracy: Vec::new() })
    })
}

/// Negative log-likelihood of answers of very different lengths: `[]`, nats.
///
/// # Formula
///
/// ```text
/// L = −Σᵢ wᵢ · log p(yᵢ) / Σᵢ wᵢ|yᵢ|,   wᵢ = 1 / √|yᵢ|
/// ```
///
/// By plain token mean the one or two tokens of a direct answer weigh next to
/// nothing beside a rationale's thirty; by answer mean the rationales do.
///
/// # Source
///
/// "Square averaging" of Chen et al. 2024 (InternVL 2.5), arXiv:2412.05271, section 3.2.
fn square_averaged(sums: &Tensor, counts: &[usize]) -> Tensor {
    let weights: Vec<f32> = counts.iter().map(|&count| 1.0 / (count as f32).sqrt()).collect();
    let scale: f64 = counts.iter().map(|&count| (count as f64).sqrt()).sum();
    let weights = Tensor::from_slice(&weights).to_device(sums.device());
    -(sums * weights).sum(Kind::Float) / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn square_averaging_lies_between_token_and_answer_mean() {
        // One token at 1 nat, four at 2 nats each: (1·1 + ½·8) / (1 + 2) = 5 / 3.
        let loss = square_averaged(&Tensor::from_slice(&[-1.0f32, -8.0]), &[1, 4]);
        assert!((loss.double_value(&[]) - 5.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn a_question_keeps_its_teacher() {
        let base: Base = toml::from_str(
            "seed = 0\nvision_steps = 1\nvision_batch = 1\nvision_learning_rate = 1e-3\nsteps = 1\n\
             batch = 1\nlearning_rate = 1e-3\nreasoned = 0.5\nsloppy = 0.65\nimage_dropout = 0.0",
        )
        .unwrap();
        let question = |id: usize| Question {
            id: format!("base-count-{id}"),
            generated: Some(crate::data::record::Generated {
                rationale: "careful".into(),
                sloppy: Some("sloppy".into()),
                ..Default::default()
            }),
            ..Question::default()
        };
        let slips = (0..2000).filter(|&id| rationale(&base, &question(id)) == Some("sloppy"));
        let share = slips.count() as f64 / 2000.0;
        assert!((share - 0.65).abs() < 0.05, "{share}");
        assert!(rationale(&base, &Question::default()).is_none());
    }
}
