//! Dropout next-token prediction: an answer against its own beginning, continued without the
//! picture. What the blind continuation makes up is what the picture should have prevented.
//!
//! The answer is cut at a share of its words, between spaces, as InternVL's pipeline cuts it;
//! the same model continues. With the picture, or from nothing, it is a control.
//!
//! The pipeline continues once (`draws = 1`), and an answer whose continuation says the same has
//! no pair: sure answers are left out, the more of them the more words are kept. Here such an
//! answer is continued again, with other random numbers, `draws` times at most: a continuation
//! drawn from those that differ, and the chosen answers stay the same whatever is kept.
//!
//! What a model is all but sure of is the same however often it is drawn: the last words of an
//! answer, or any with the picture. `apart` draws from what differs at once (`apart.rs`).
//!
//! Continuations are mostly shorter than what they replace; `length = "match"` forbids the
//! end token until the chosen answer's length, and stops there.
//!
//! # Source
//!
//! Wang et al. 2024, arXiv:2411.10442, section 3.1, and its released code.

mod apart;
mod writer;

use super::record::{Side, built, provenance};
use super::stats::Stats;
use super::{Built, Kind, Shop, no_pairs};
use crate::Result;
use crate::answer::matching::is_open;
use crate::answer::python::text::strip;
use crate::data::record::{Answer, Question};
use crate::data::template::IMAGE;
use crate::spec::pairs::{Chosen, Length, Source};
use serde_json::json;
use std::collections::HashSet;
use writer::{Continued, Writer};

/// An answer that is cut and continued.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Its question.
    pub question: usize,
    /// The answer.
    pub answer: usize,
    /// Which continuation of the question's answers this is.
    pub copy: u64,
}

/// Why an answer has no pair.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reason {
    /// Its continuations say what it says itself.
    Same,
    /// They say what another pair of the answer rejects already.
    Taken,
    /// Nothing stands in them: no words were kept, and none were written.
    Empty,
    /// The kept words are as long as an answer may be.
    NoRoom,
    /// A server failed for it.
    Failed,
}

impl Reason {
    /// The word used in statistics.
    fn name(self) -> &'static str {
        match self {
            Self::Same => "identical",
            Self::Taken => "same_pair",
            Self::Empty => "empty_answer",
            Self::NoRoom => "no_room",
            Self::Failed => "failed",
        }
    }

    /// Whether a further continuation may come to something else.
    fn may_heal(self) -> bool {
        matches!(self, Self::Same | Self::Taken | Self::Empty)
    }
}

/// What continuing an answer came to.
#[derive(Debug)]
struct Outcome {
    /// The continuation that is another text, or why there is none.
    other: Result<Continued, Reason>,
    /// How many continuations there were.
    draws: usize,
    /// Tokens of them all.
    written: usize,
}

impl Default for Outcome {
    fn default() -> Self {
        // Nothing else has been said yet.
        Self { other: Err(Reason::Same), draws: 0, written: 0 }
    }
}

/// The answers that the settings mean: those of other pairs, or the first ones.
pub fn cuts(shop: &Shop<'_>, of: Chosen, paired: &[(usize, usize)], stats: &mut Stats) -> Vec<Cut> {
    let sampled = shop.sampled;
    let mut chosen: Vec<(usize, usize)> = Vec::new();
    match of {
        Chosen::Correctness | Chosen::DivideAndConquer => chosen.extend(paired),
        Chosen::Open | Chosen::Any => {
            for (place, question) in sampled.questions.iter().enumerate() {
                if of == Chosen::Open && !is_open(question) {
                    continue;
                }
                let answers = sampled.distinct(sampled.of(place));
                let (loops, sound): (Vec<usize>, Vec<usize>) =
                    answers.into_iter().partition(|&answer| sampled.is_degenerate(answer));
                loops.iter().for_each(|&answer| stats.looping(&question.task, answer));
                let (full, empty): (Vec<usize>, Vec<usize>) = sound
                    .into_iter()
                    .partition(|&answer| !strip(&sampled.answers[answer].text).is_empty());
                stats.skipped(&question.task, "empty_answer", empty.len());
                let most = shop.settings.dropout_ntp.per_question;
                chosen.extend(full.into_iter().take(most).map(|answer| (place, answer)));
            }
        }
    }
    let mut copies = std::collections::HashMap::<usize, u64>::new();
    chosen
        .into_iter()
        .map(|(question, answer)| {
            let copy = copies.entry(question).or_default();
            *copy += 1;
            Cut { question, answer, copy: *copy - 1 }
        })
        .collect()
}

/// A pair of each answer that was cut, but for those whose continuations all say the same.
///
/// # Errors
///
/// A model that fails, or a server for more answers than it may; answers whose kept words leave
/// none of them room for more.
pub fn pairs(shop: &Shop<'_>, cuts: &[Cut], stats: &mut Stats) -> Result<Vec<Built>> {
    let settings = &shop.settings.dropout_ntp;
    let outcomes = outcomes(shop, cuts)?;
    if let Some(told) = check_room(&outcomes, settings.max_tokens)? {
        shop.ctx.progress.warn(&told);
    }
    let mut pairs = Vec::new();
    for (cut, outcome) in cuts.iter().zip(outcomes) {
        let (question, answer) = of(shop, *cut);
        if outcome.draws > 0 {
            stats.spend(Source::DropoutNtp, answer.tokens + outcome.written);
        }
        let other = match outcome.other {
            Ok(other) => other,
            Err(reason) => {
                stats.skipped(&question.task, reason.name(), 1);
                continue;
            }
        };
        let kind = Kind::DropoutNtp;
        let mut meta = json!({
            "question": question.id,
            "task": question.task,
            "kind": kind.name(),
            "prompt": answer.prompt.name(),
            "continues": answer.sample,
            "kept": kept(&answer.text, settings.ratio.get()),
            "draw": outcome.draws,
            "image": settings.image,
            "tokens": other.tokens,
        });
        if settings.length == Length::Match {
            meta["length"] = "match".into();
        } else {
            meta["ended"] = other.ended.into();
        }
        if other.apart {
            meta["apart"] = true.into();
        }
        let chosen = Side::of(answer, provenance(question, kind, answer));
        let rejected = Side { text: &other.text, tokens: other.tokens, meta };
        pairs.push(built(shop, question, kind, answer.prompt, chosen, rejected));
    }
    Ok(pairs)
}

/// Continues each answer until that makes another text, or often enough. All are continued once
/// before any is again: batches stay full, and no chunk of work decides who is continued.
fn outcomes(shop: &Shop<'_>, cuts: &[Cut]) -> Result<Vec<Outcome>> {
    let writer = Writer::open(shop)?;
    let begun = |cut: &Cut| match writer.has_room(shop, *cut) {
        true => Outcome::default(),
        false => Outcome { other: Err(Reason::NoRoom), ..Outcome::default() },
    };
    let mut outcomes: Vec<Outcome> = cuts.iter().map(begun).collect();
    // Two continuations of one answer that say the same would be one pair twice.
    let mut known = HashSet::new();
    for draw in 0..shop.settings.dropout_ntp.draws {
        let is_open =
            |&index: &usize| outcomes[index].other.as_ref().is_err_and(|reason| reason.may_heal());
        let open: Vec<usize> = (0..cuts.len()).filter(is_open).collect();
        if open.is_empty() {
            break;
        }
        let some: Vec<Cut> = open.iter().map(|&index| cuts[index]).collect();
        let has_failed = |outcome: &&Outcome| matches!(outcome.other, Err(Reason::Failed));
        let failed = outcomes.iter().filter(has_failed).count();
        let continued = writer.draw(shop, draw, &some, (cuts.len(), failed))?;
        for (index, continued) in open.into_iter().zip(continued) {
            let Cut { question, answer, .. } = cuts[index];
            let Outcome { other, draws, written } = &mut outcomes[index];
            let Some(continued) = continued else {
                *other = Err(Reason::Failed);
                continue;
            };
            *draws += 1;
            *written += continued.written;
            let chosen = strip(&shop.sampled.answers[answer].text);
            let text = strip(&continued.text);
            *other = if text.is_empty() {
                Err(Reason::Empty)
            } else if text == chosen {
                Err(Reason::Same)
            } else if known.insert((question, chosen, text.to_owned())) {
                Ok(continued)
            } else {
                Err(Reason::Taken)
            };
        }
    }
    Ok(outcomes)
}

/// What to say of answers that could not go on, where there are some; refuses to go on without all
/// of them.
fn check_room(outcomes: &[Outcome], max_tokens: usize) -> Result<Option<String>> {
    let full = |outcome: &&Outcome| matches!(outcome.other, Err(Reason::NoRoom));
    let (count, all) = (outcomes.iter().filter(full).count(), outcomes.len());
    if count == 0 {
        return Ok(None);
    }
    let told = format!(
        "the kept words of {count} of {all} answers fill `pairs.dropout_ntp.max_tokens`, which is \
         {max_tokens} and counts them too"
    );
    if count == all {
        return Err(no_pairs(
            &told,
            "raise `max_tokens` of `[pairs.dropout_ntp]`, such as to that of `[candidates]`, or \
             lower its `ratio`",
        ));
    }
    Ok(Some(format!("{told}: they have no pair; raise it to have them")))
}

fn of<'a>(shop: &'a Shop<'_>, cut: Cut) -> (&'a Question, &'a Answer) {
    (&shop.sampled.questions[cut.question], &shop.sampled.answers[cut.answer])
}

/// The beginning of a text: a share of its words, which only spaces separate.
pub fn kept(text: &str, ratio: f64) -> &str {
    let words = text.split(' ').count();
    let wanted = (words as f64 * ratio) as usize;
    let end = match wanted {
        0 => 0,
        _ => text.match_indices(' ').nth(wanted - 1).map_or(text.len(), |(at, _)| at),
    };
    strip(&text[..end])
}

/// A question without its pictures and the lines that introduce them.
pub fn without_pictures(asked: &str) -> String {
    let introduces = |line: &&str| {
        let rest = line.trim_end_matches('\n').strip_suffix(IMAGE).unwrap_or(line);
        let number = rest.strip_prefix("Image-").and_then(|rest| rest.strip_suffix(": "));
        rest.is_empty() || number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
    };
    let lines =
        asked.split_inclusive('\n').filter(|line| !(line.contains(IMAGE) && introduces(line)));
    strip(&lines.collect::<String>().replace(IMAGE, "")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_spaces_separate() {
        // Seven pieces, half of which are three: a line break separates no words.
        let text = "There are\n3 red ones. And 4 blue.";
        assert_eq!(text.split(' ').count(), 7);
        assert_eq!(kept(text, 0.5), "There are\n3 red");
        assert_eq!(kept(text, 0.0), "");
        assert_eq!(kept(text, 0.99), "There are\n3 red ones. And 4");
        assert_eq!(kept("one", 0.5), "");
        // A double space makes an empty word, as `split(' ')` has it.
        assert_eq!(kept("a  b c", 0.5), "a");
    }

    #[test]
    fn pictures_leave_with_their_lines() {
        assert_eq!(without_pictures("<image>\nWhat?\nThink."), "What?\nThink.");
        let two = "Image-1: <image>\nImage-2: <image>\nWhat differs?";
        assert_eq!(without_pictures(two), "What differs?");
        assert_eq!(without_pictures("Compare <image> with <image>."), "Compare  with .");
    }
}
