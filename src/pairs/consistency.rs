//! Right answers whose rationale contradicts them: lucky guesses, and slips of the last line.
//! They teach that reasoning does not matter, so `pairs.correctness.consistency` can drop them.
//!
//! The rule looks for what surely contradicts (`contradiction.rs`). The judge is asked whether the reasoning leads to the answer.
//!
//! # Source
//!
//! InternVL's first data pipeline (2024) had a judge drop such positives; the review of the
//! paper shows two pairs with contradictions on the chosen side.

use super::contradiction::contradiction;
use super::judge::{Ask, Judge};
use super::{Sampled, Shop};
use crate::Result;
use crate::spec::pairs::Consistency;
use std::collections::HashSet;

/// Right answers that are not chosen.
#[derive(Default)]
pub struct Dropped {
    /// They contradict themselves.
    pub contradict: HashSet<usize>,
    /// The judge's server failed for them.
    pub unjudged: HashSet<usize>,
}

/// Which of the right answers contradict themselves; none where nobody is to look.
///
/// # Errors
///
/// A judge that fails.
pub fn contradicting(shop: &Shop<'_>, right: &[Vec<usize>]) -> Result<Option<Dropped>> {
    let answers = || right.iter().flatten().copied();
    Ok(match shop.settings.correctness.consistency {
        Consistency::None => None,
        Consistency::Rule => {
            let contradicts = |&place: &usize| {
                let (question, answer) =
                    (shop.sampled.question_of(place), &shop.sampled.answers[place]);
                contradiction(question, answer.prompt, &answer.text).is_some()
            };
            let contradict = answers().filter(contradicts).collect();
            Some(Dropped { contradict, ..Dropped::default() })
        }
        Consistency::Judge => Some(judged(shop, answers().collect())?),
    })
}

/// Those that a judge finds inconsistent. Each text is asked about once a question.
fn judged(shop: &Shop<'_>, answers: Vec<usize>) -> Result<Dropped> {
    let sampled = shop.sampled;
    let asks: Vec<Ask> = answers
        .iter()
        .map(|&answer| Ask { about: None, question: asked(sampled, answer) })
        .collect();
    let opinions = Judge::open(shop)?.yes_or_no("consistency", &asks)?;
    let mut dropped = Dropped::default();
    for (answer, opinion) in answers.into_iter().zip(opinions) {
        match opinion {
            None => drop(dropped.unjudged.insert(answer)),
            Some(opinion) if !opinion.is_yes() => drop(dropped.contradict.insert(answer)),
            Some(_) => {}
        }
    }
    Ok(dropped)
}

/// What the judge is asked about an answer; it needs no picture.
fn asked(sampled: &Sampled, answer: usize) -> String {
    format!(
        "Question: {}\n\nResponse: {}\n\nDoes the reasoning in this response lead to its final \
         answer, without contradicting it?",
        sampled.question_of(answer).question,
        sampled.answers[answer].text
    )
}
