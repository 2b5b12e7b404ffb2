//! Pairs as MMPR's records, each with where it comes from.

use super::{Built, Kind, Shop, Truth};
use crate::data::record::{Answer, Images, Pair, Question};
use crate::sample::prompts::asked;
use crate::spec::candidates::Prompt;
use crate::tasks::sources;
use serde_json::{Value, json};

/// One side of a pair.
pub struct Side<'a> {
    pub text: &'a str,
    pub tokens: usize,
    /// Where it comes from.
    pub meta: Value,
}

impl<'a> Side<'a> {
    /// A sampled answer.
    pub fn of(answer: &'a Answer, meta: Value) -> Self {
        Self { text: &answer.text, tokens: answer.tokens, meta }
    }
}

/// A pair of answers to a question that was put in the form `prompt`.
pub fn built(
    shop: &Shop<'_>,
    question: &Question,
    kind: Kind,
    prompt: Prompt,
    chosen: Side<'_>,
    rejected: Side<'_>,
) -> Built {
    Built {
        pair: Pair {
            image: Images(question.images.clone()),
            question: asked(shop.prompter.template(), question, prompt),
            chosen: chosen.text.to_owned(),
            rejected: rejected.text.to_owned(),
            answer_gt: question.answer.clone(),
            max_tiles: sources::tiles(question, shop.max_tiles),
            chosen_meta: Some(chosen.meta),
            rejected_meta: Some(rejected.meta),
        },
        kind,
        task: question.task.clone(),
        tokens: Some((chosen.tokens, rejected.tokens)),
        truth: truth(question, chosen.text, rejected.text),
    }
}

/// Where a sampled answer comes from.
pub fn provenance(question: &Question, kind: Kind, answer: &Answer) -> Value {
    json!({
        "question": question.id,
        "task": question.task,
        "kind": kind.name(),
        "prompt": answer.prompt.name(),
        "sample": answer.sample,
        "verdict": answer.verdict,
        "final": answer.final_answer,
        "tokens": answer.tokens,
    })
}

/// How both answers compare with the rationales of a generated question.
fn truth(question: &Question, chosen: &str, rejected: &str) -> Option<Truth> {
    let truth = question.generated.as_ref()?;
    let (chosen, rejected, careful) = (chosen.trim(), rejected.trim(), truth.rationale.trim());
    Some(Truth {
        is_careful: chosen == careful,
        is_careful_in_any_order: lines(chosen) == lines(careful),
        is_sloppy: truth.sloppy.as_deref().map(|sloppy| {
            let sloppy = sloppy.trim();
            (chosen == sloppy, rejected == sloppy)
        }),
    })
}

/// The lines of a text, sorted.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.sort_unstable();
    lines
}
