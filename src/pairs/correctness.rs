//! Correctness pairs: a right answer against a wrong one to the same question; and format
//! pairs, against one without a final answer that can be read.
//!
//! # Source
//!
//! Wang et al. 2024, arXiv:2411.10442, section 3.1, as InternVL's data pipeline does it:
//! all right answers times all wrong ones, less those whose right final answer is part of the
//! wrong one, and at most so many a question, of either kind. Departures: the draw is keyed by
//! question, so that one question's pairs do not depend on another's; doubles are dropped
//! before the draw, in order; an unparsable answer has no final answer to be part of (there it
//! is the word "None", which swallows "no" and "one"); and an answer that repeats itself until
//! it is cut off is a format negative, whatever can be read from it.

use super::record::{Side, built, provenance};
use super::stats::Stats;
use super::{Kind, Paired, Shop, choose, consistency};
use crate::Result;
use crate::answer::matching::is_open;
use crate::answer::python::text::strip;
use crate::data::record::{Question, Verdict};
use crate::spec::pairs::Source;
use crate::statistics;
use crate::tasks::sources;

/// Pairs of every question, correctness pairs before format pairs.
///
/// # Errors
///
/// A judge of consistency that fails.
pub fn pairs(shop: &Shop<'_>, stats: &mut Stats) -> Result<Vec<Paired>> {
    let sampled = shop.sampled;
    let asked: Vec<usize> = (0..sampled.questions.len())
        .filter(|&question| !sampled.of(question).is_empty())
        .filter(|&question| match left_out(shop, question) {
            Some(reason) => {
                stats.skipped(&sampled.questions[question].task, reason, 1);
                false
            }
            None => true,
        })
        .collect();
    if let Some(told) = stats.told_of_left_out(shop.settings) {
        shop.ctx.progress.warn(&told);
    }
    let of = |question: usize, verdict| -> Vec<usize> {
        let with = |&answer: &usize| sampled.answers[answer].verdict == Some(verdict);
        sampled.of(question).iter().copied().filter(with).collect()
    };
    let right: Vec<Vec<usize>> = asked
        .iter()
        .map(|&question| {
            let sound = |&answer: &usize| !sampled.is_degenerate(answer);
            of(question, Verdict::Right).into_iter().filter(sound).collect()
        })
        .collect();
    let dropped = consistency::contradicting(shop, &right)?;

    let mut built = Vec::new();
    for (&place, mut right) in asked.iter().zip(right) {
        let question = &sampled.questions[place];
        let task = &question.task;
        let answers: Vec<_> = sampled.of(place).iter().map(|&a| &sampled.answers[a]).collect();
        stats.asked(task, &answers);
        stats.spend(Source::Correctness, answers.iter().map(|answer| answer.tokens).sum());
        let is_empty = |a: &&usize| strip(&sampled.answers[**a].text).is_empty();
        let empty = sampled.of(place).iter().filter(is_empty).count();
        stats.skipped(task, "empty_answer", empty);
        let looping = sampled.of(place).iter().filter(|&&answer| sampled.is_degenerate(answer));
        looping.for_each(|&answer| stats.looping(task, answer));
        if let Some(dropped) = &dropped {
            let all = right.len();
            right.retain(|answer| !dropped.unjudged.contains(answer));
            let before = right.len();
            stats.skipped(task, "unjudged", all - before);
            right.retain(|answer| !dropped.contradict.contains(answer));
            stats.checked(task, before, before - right.len());
        }
        let is_sound = |answer: &usize| !sampled.is_degenerate(*answer);
        let wrong: Vec<usize> = of(place, Verdict::Wrong).into_iter().filter(is_sound).collect();
        let mut unreadable = of(place, Verdict::Unparsable);
        unreadable.extend(
            [Verdict::Right, Verdict::Wrong]
                .into_iter()
                .flat_map(|verdict| of(place, verdict))
                .filter(|answer| !is_sound(answer)),
        );
        built.extend(cross(shop, place, Kind::Correctness, &right, &wrong, stats));
        if shop.settings.correctness.format_negatives {
            unreadable.sort_unstable();
            built.extend(cross(shop, place, Kind::Format, &right, &unreadable, stats));
        }
    }
    Ok(built)
}

/// Why a question makes no pairs, if it makes none.
fn left_out(shop: &Shop<'_>, place: usize) -> Option<&'static str> {
    let (settings, question) = (&shop.settings.correctness, &shop.sampled.questions[place]);
    // Rules cannot tell right from wrong among many good answers: the paper leaves these out too.
    if is_open(question) {
        return Some("open_questions");
    }
    if settings.exclude.contains(&question.task) {
        return Some("excluded_questions");
    }
    if is_of_excluded_domain(shop, question) {
        return Some("excluded_domain_questions");
    }
    let answers = shop.sampled.of(place);
    let right = |&&answer: &&usize| shop.sampled.answers[answer].verdict == Some(Verdict::Right);
    let share = answers.iter().filter(right).count() as f64 / answers.len() as f64;
    (share > settings.max_right.get()).then_some("easy_questions")
}

/// Whether a question comes from a data set of a domain that is left out.
fn is_of_excluded_domain(shop: &Shop<'_>, question: &Question) -> bool {
    let of_files = question.generated.is_none();
    let domain = || sources::domain(question);
    of_files && domain().is_some_and(|d| shop.settings.correctness.exclude_domains.contains(&d))
}

/// All right answers times all worse ones, filtered and drawn.
fn cross(
    shop: &Shop<'_>,
    place: usize,
    kind: Kind,
    right: &[usize],
    worse: &[usize],
    stats: &mut Stats,
) -> Vec<Paired> {
    let (sampled, question) = (shop.sampled, &shop.sampled.questions[place]);
    // An answer without text is none that a trainer, or an import, takes.
    let says = |&answer: &usize| !strip(&sampled.answers[answer].text).is_empty();
    let worse: Vec<usize> = worse.iter().copied().filter(says).collect();
    let (chosen, rejected) = (sampled.distinct(right), sampled.distinct(&worse));
    let num_doubles = right.len() * worse.len() - chosen.len() * rejected.len();
    stats.skipped(&question.task, "duplicate", num_doubles);
    let mut crossed = Vec::new();
    for &chosen in &chosen {
        for &rejected in &rejected {
            if kind == Kind::Correctness && is_entailed(shop, chosen, rejected) {
                stats.skipped(&question.task, "entailed", 1);
            } else {
                crossed.push((chosen, rejected));
            }
        }
    }
    let purpose = format!("pairs/{}/{}", kind.name(), question.id);
    let num_crossed = crossed.len();
    let most = shop.settings.correctness.max_per_question;
    let kept = choose(crossed, most, statistics::random(&purpose, shop.settings.seed));
    stats.skipped(&question.task, "over_cap", num_crossed - kept.len());
    kept.into_iter().map(|(chosen, rejected)| paired(shop, place, kind, chosen, rejected)).collect()
}

/// Whether the right final answer is part of the wrong one, which then may be right after all.
fn is_entailed(shop: &Shop<'_>, chosen: usize, rejected: usize) -> bool {
    let last = |answer: usize| shop.sampled.answers[answer].final_answer.as_ref();
    match (last(chosen), last(rejected)) {
        (Some(right), Some(wrong)) => wrong.to_lowercase().contains(&right.to_lowercase()),
        _ => false,
    }
}

fn paired(shop: &Shop<'_>, place: usize, kind: Kind, chosen: usize, rejected: usize) -> Paired {
    let question = &shop.sampled.questions[place];
    let (better, worse) = (&shop.sampled.answers[chosen], &shop.sampled.answers[rejected]);
    let mut meta = provenance(question, kind, worse);
    if shop.sampled.is_degenerate(rejected) {
        meta["degenerate"] = true.into();
    }
    let chosen_side = Side::of(better, provenance(question, kind, better));
    let rejected_side = Side::of(worse, meta);
    let built = built(shop, question, kind, better.prompt, chosen_side, rejected_side);
    Paired { question: place, chosen, built }
}
