//! Correctness pairs: a right answer against a wrong one to the same question.
//!
//! # Source
//!
//! Wang et al. 2024, arXiv:2411.10442, section 3.1, as InternVL's data pipeline does it:
//! all right answers times all wrong ones, less those whose right final answer is part of the
//! wrong one, and at most so many a question. Departures: the draw is keyed by question, so that
//! one question's pairs do not depend on another's; doubles are dropped before the draw, in
//! order; and an unparsable answer has no final answer to be part of (there it is the
//! word "None", which swallows "no" and "one").

use super::stats::Stats;
use super::{Built, Kind, Truth, choose};
use crate::Error;
use crate::Result;
use crate::data::record::{Answer, Images, Pair, Question, Verdict};
use crate::data::template::Prompter;
use crate::eval::matching::is_open;
use crate::eval::statistics;
use crate::spec::pairs::Pairs;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Pairs of every question, correctness pairs before format pairs, and what was left out.
///
/// # Errors
///
/// A candidate whose question the corpus does not have.
pub fn pairs(
    settings: &Pairs,
    prompter: &Prompter<'_>,
    questions: &[Question],
    candidates: &[Answer],
) -> Result<(Vec<Built>, Stats)> {
    let mut stats = Stats::default();
    let mut built = Vec::new();
    let by_question = group(questions, candidates)?;
    for (question, answers) in questions.iter().zip(by_question) {
        if answers.is_empty() {
            continue;
        }
        // Rules cannot tell right from wrong among many good answers: the paper leaves these out too.
        if is_open(question) {
            stats.skipped(&question.task, "open_questions", 1);
            continue;
        }
        if settings.correctness.exclude.contains(&question.task) {
            stats.skipped(&question.task, "excluded_questions", 1);
            continue;
        }
        stats.asked(&question.task, &answers);
        let of = |verdict| answers.iter().copied().filter(move |a| a.verdict == Some(verdict));
        let right: Vec<&Answer> = of(Verdict::Right).collect();
        let wrong = of(Verdict::Wrong).collect();
        let mut cross =
            |kind, worse| cross(settings, prompter, question, kind, &right, worse, &mut stats);
        built.extend(cross(Kind::Correctness, &wrong));
        if settings.correctness.format_negatives {
            built.extend(cross(Kind::Format, &of(Verdict::Unparsable).collect()));
        }
    }
    Ok((built, stats))
}

/// The candidates of each question, in file order.
fn group<'a>(questions: &[Question], candidates: &'a [Answer]) -> Result<Vec<Vec<&'a Answer>>> {
    let place: HashMap<&str, usize> =
        questions.iter().enumerate().map(|(index, q)| (q.id.as_str(), index)).collect();
    let mut groups = vec![Vec::new(); questions.len()];
    for answer in candidates {
        let &index = place.get(answer.question.as_str()).ok_or_else(|| {
            let id = &answer.question;
            Error::new(format!("candidates answer question `{id}`, which the corpus does not have"))
                .hint("the candidates were sampled for another corpus: sample them again")
        })?;
        groups[index].push(answer);
    }
    Ok(groups)
}

/// All right answers times all worse ones, filtered and drawn.
fn cross(
    settings: &Pairs,
    prompter: &Prompter<'_>,
    question: &Question,
    kind: Kind,
    right: &[&Answer],
    worse: &Vec<&Answer>,
    stats: &mut Stats,
) -> Vec<Built> {
    let (chosen, rejected) = (distinct(right), distinct(worse));
    let num_doubles = right.len() * worse.len() - chosen.len() * rejected.len();
    stats.skipped(&question.task, "duplicate", num_doubles);
    let mut crossed = Vec::new();
    for &chosen in &chosen {
        for &rejected in &rejected {
            if is_entailed(chosen, rejected) {
                stats.skipped(&question.task, "entailed", 1);
            } else {
                crossed.push((chosen, rejected));
            }
        }
    }
    let purpose = format!("pairs/{}/{}", kind.name(), question.id);
    let num_crossed = crossed.len();
    let most = settings.correctness.max_per_question;
    let kept = choose(crossed, most, statistics::random(&purpose, settings.seed));
    stats.skipped(&question.task, "over_cap", num_crossed - kept.len());
    kept.into_iter()
        .map(|(chosen, rejected)| Built {
            pair: record(prompter, question, kind, chosen, rejected),
            kind,
            task: question.task.clone(),
            tokens: Some((chosen.tokens, rejected.tokens)),
            truth: truth(question, &chosen.text, &rejected.text),
        })
        .collect()
}

/// The first of each text, in order.
fn distinct<'a>(answers: &[&'a Answer]) -> Vec<&'a Answer> {
    let mut kept: Vec<&Answer> = Vec::new();
    for &answer in answers {
        if kept.iter().all(|known| known.text != answer.text) {
            kept.push(answer);
        }
    }
    kept
}

/// Whether the right final answer is part of the wrong one, which then may be right after all.
fn is_entailed(chosen: &Answer, rejected: &Answer) -> bool {
    match (&chosen.final_answer, &rejected.final_answer) {
        (Some(right), Some(wrong)) => wrong.to_lowercase().contains(&right.to_lowercase()),
        _ => false,
    }
}

fn record(
    prompter: &Prompter<'_>,
    question: &Question,
    kind: Kind,
    chosen: &Answer,
    rejected: &Answer,
) -> Pair {
    Pair {
        image: Images(question.images.clone()),
        question: prompter.question_text_with(
            &question.question,
            question.images.len(),
            chosen.prompt,
        ),
        chosen: chosen.text.clone(),
        rejected: rejected.text.clone(),
        answer_gt: question.answer.clone(),
        chosen_meta: Some(provenance(question, kind, chosen)),
        rejected_meta: Some(provenance(question, kind, rejected)),
    }
}

fn provenance(question: &Question, kind: Kind, answer: &Answer) -> Value {
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
