//! Pairs as MMPR's records, each with where it comes from.

use super::{Kind, Truth};
use crate::data::record::{Answer, Images, Pair, Question};
use crate::data::template::Prompter;
use crate::sample::prompts::asked;
use crate::spec::candidates::Prompt;
use serde_json::{Value, json};

/// A record; `chosen` and `rejected` are texts with their provenance.
pub fn record(
    prompter: &Prompter<'_>,
    question: &Question,
    prompt: Prompt,
    chosen: (&str, Value),
    rejected: (&str, Value),
) -> Pair {
    Pair {
        image: Images(question.images.clone()),
        question: asked(prompter, question, prompt),
        chosen: chosen.0.to_owned(),
        rejected: rejected.0.to_owned(),
        answer_gt: question.answer.clone(),
        chosen_meta: Some(chosen.1),
        rejected_meta: Some(rejected.1),
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
pub fn truth(question: &Question, chosen: &str, rejected: &str) -> Option<Truth> {
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
