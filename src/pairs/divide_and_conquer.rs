//! Divide-and-conquer pairs: the answer with fewer denied claims against one with more.
//!
//! # Formula
//!
//! ```text
//! score = (claims that the judge affirms) − (claims) = −(claims that it denies)
//! chosen, rejected: any two answers with score(chosen) − score(rejected) ≥ min_difference
//! ```
//!
//! Lengths are balanced over the whole set: pairs with `(|rejected| − |chosen|) / |rejected| > t`,
//! in words, are dropped, `t` on a grid from 0 to 0.98 by 0.02 so that mean lengths differ least.
//!
//! # Source
//!
//! Yu et al. 2024, arXiv:2405.17220 (RLAIF-V), section 2.2 and its released code. Departures:
//! generated scenes are split by their grammar and free text by rules, where RLAIF-V trained two
//! models; an answer without any claim has no score, where the formula would make it the best;
//! the draw is keyed by question.

use super::claims::{self, Grammar};
use super::judge::{Ask, Judge, Opinion};
use super::record::{Side, built, provenance};
use super::stats::Stats;
use super::{Kind, Paired, Shop, choose};
use crate::Result;
use crate::answer::matching::is_open;
use crate::spec::pairs::{Asked, Source, Split};
use crate::statistics;
use serde_json::json;
use std::collections::{HashMap, HashSet};

/// An answer and what was claimed in it.
struct Divided {
    question: usize,
    answer: usize,
    /// Claims as people read them.
    claims: Vec<String>,
    /// Place of each claim's question among all that were asked.
    asked: Vec<usize>,
}

impl Divided {
    /// The claims that the judge denies.
    fn denied(&self, opinions: &[Option<Opinion>]) -> Vec<&str> {
        let claims = self.claims.iter().zip(&self.asked);
        let denied = claims.filter(|(_, at)| opinions[**at].is_some_and(|said| !said.is_yes()));
        denied.map(|(claim, _)| claim.as_str()).collect()
    }
}

/// Pairs of every question that the settings mean.
///
/// # Errors
///
/// A judge that fails for more claims than it may.
pub fn pairs(shop: &Shop<'_>, stats: &mut Stats) -> Result<Vec<Paired>> {
    let judge = Judge::open(shop)?;
    let mut divided = divide(shop, &judge, stats)?;
    // A claim about a picture is asked once, whichever answers make it.
    let mut asks: Vec<Ask<'_>> = Vec::new();
    let mut place: HashMap<(usize, String), usize> = HashMap::new();
    let grammar = Grammar::of(&shop.sampled.questions);
    for one in &mut divided {
        let question = &shop.sampled.questions[one.question];
        for claim in &one.claims {
            let text = match grammar.knows(question) {
                true => claims::exists(claim),
                false => claims::holds(claim),
            };
            let next = asks.len();
            let at = *place.entry((one.question, text.clone())).or_insert(next);
            if at == next {
                asks.push(Ask { about: Some(question), question: text });
            }
            one.asked.push(at);
        }
    }
    let opinions = judge.yes_or_no("claims", &asks)?;
    // The judge writes one token a claim.
    stats.spend(Source::DivideAndConquer, asks.len());
    let judged = || opinions.iter().flatten();
    stats.judged(judged().count(), judged().filter(|opinion| !opinion.is_yes()).count());
    divided.retain(|one| {
        let judged = one.asked.iter().all(|&at| opinions[at].is_some());
        let task = &shop.sampled.questions[one.question].task;
        stats.skipped(task, "unjudged", usize::from(!judged));
        judged
    });

    let settings = &shop.settings.divide_and_conquer;
    let mut paired = Vec::new();
    for answers in divided.chunk_by(|a, b| a.question == b.question) {
        let mut pairs = Vec::new();
        for (at, one) in answers.iter().enumerate() {
            for other in &answers[at + 1..] {
                let [a, b] = [one, other].map(|answer| answer.denied(&opinions).len());
                let (better, worse) = if a <= b { (one, other) } else { (other, one) };
                if a.abs_diff(b) >= settings.min_difference {
                    pairs.push((better, worse));
                }
            }
        }
        let question = &shop.sampled.questions[answers[0].question];
        let purpose = format!("pairs/divide_and_conquer/{}", question.id);
        let (count, most) = (pairs.len(), settings.max_per_question);
        let kept = choose(pairs, most, statistics::random(&purpose, shop.settings.seed));
        stats.skipped(&question.task, "over_cap", count - kept.len());
        paired.extend(kept.into_iter().map(|(better, worse)| {
            pair(shop, (better, better.denied(&opinions)), (worse, worse.denied(&opinions)))
        }));
    }
    if settings.balance {
        let before: Vec<String> = paired.iter().map(|pair| pair.built.task.clone()).collect();
        let keep = balanced(&paired);
        for (task, _) in before.iter().zip(&keep).filter(|(_, keep)| !**keep) {
            stats.skipped(task, "longer_rejected", 1);
        }
        let mut keep = keep.into_iter();
        paired.retain(|_| keep.next().expect("one for each"));
    }
    Ok(paired)
}

/// The answers of the questions that are asked about, split into claims.
fn divide(shop: &Shop<'_>, judge: &Judge<'_>, stats: &mut Stats) -> Result<Vec<Divided>> {
    let (settings, sampled) = (&shop.settings.divide_and_conquer, shop.sampled);
    let grammar = Grammar::of(&sampled.questions);
    let mut divided = Vec::new();
    let mut undivided = HashSet::new();
    for (place, question) in sampled.questions.iter().enumerate() {
        let of_kind = settings.of == Asked::Any || is_open(question);
        if !of_kind || sampled.of(place).is_empty() {
            continue;
        }
        let answers: Vec<_> = sampled.of(place).iter().map(|&a| &sampled.answers[a]).collect();
        stats.spend(Source::DivideAndConquer, answers.iter().map(|answer| answer.tokens).sum());
        for answer in sampled.distinct(sampled.of(place)) {
            let text = &sampled.answers[answer].text;
            if sampled.is_degenerate(answer) {
                stats.looping(&question.task, answer);
                continue;
            }
            let claims = match grammar.knows(question) {
                true => grammar.objects(text),
                false => claims::sentences(text),
            };
            divided.push(Divided { question: place, answer, claims, asked: Vec::new() });
        }
    }
    if settings.split == Split::Judge {
        let free = |one: &&mut Divided| !grammar.knows(&sampled.questions[one.question]);
        let mut free: Vec<&mut Divided> = divided.iter_mut().filter(free).collect();
        let texts: Vec<String> = free
            .iter()
            .map(|one| {
                let question = &sampled.questions[one.question].question;
                claims::divide(question, &sampled.answers[one.answer].text)
            })
            .collect();
        for (one, written) in free.iter_mut().zip(judge.write("split", &texts)?) {
            let Some(written) = written else {
                undivided.insert(one.answer);
                continue;
            };
            one.claims = claims::lines(&written.text);
            stats.spend(Source::DivideAndConquer, written.tokens);
        }
    }
    divided.retain(|one| {
        let failed = undivided.contains(&one.answer);
        let task = &sampled.questions[one.question].task;
        stats.skipped(task, "unjudged", usize::from(failed));
        !failed
    });
    divided.retain(|one| {
        let claims = !one.claims.is_empty();
        let task = &sampled.questions[one.question].task;
        stats.skipped(task, "without_claims", usize::from(!claims));
        claims
    });
    Ok(divided)
}

fn pair(
    shop: &Shop<'_>,
    (better, few): (&Divided, Vec<&str>),
    (worse, many): (&Divided, Vec<&str>),
) -> Paired {
    let question = &shop.sampled.questions[better.question];
    let (chosen, rejected) =
        (&shop.sampled.answers[better.answer], &shop.sampled.answers[worse.answer]);
    let kind = Kind::DivideAndConquer;
    let meta = |of: &Divided, answer, denied: Vec<&str>| {
        let mut meta = provenance(question, kind, answer);
        meta["claims"] = json!(of.claims.len());
        meta["denied"] = json!(denied);
        meta
    };
    let built = built(
        shop,
        question,
        kind,
        chosen.prompt,
        Side::of(chosen, meta(better, chosen, few)),
        Side::of(rejected, meta(worse, rejected, many)),
    );
    Paired { question: better.question, chosen: better.answer, built }
}

/// Which pairs stay so that mean lengths differ least.
fn balanced(pairs: &[Paired]) -> Vec<bool> {
    let words = |text: &str| text.split_whitespace().count() as f64;
    let lengths: Vec<(f64, f64)> = pairs
        .iter()
        .map(|pair| (words(&pair.built.pair.chosen), words(&pair.built.pair.rejected)))
        .collect();
    balance(&lengths)
}

/// The same of (chosen, rejected) lengths.
fn balance(lengths: &[(f64, f64)]) -> Vec<bool> {
    let stays = |threshold: f64| {
        lengths.iter().map(move |(chosen, rejected)| {
            *rejected > 0.0 && (rejected - chosen) / rejected <= threshold
        })
    };
    // Mean difference by mean rejected length: both means are over the same pairs.
    let off = |threshold: f64| {
        let kept = lengths.iter().zip(stays(threshold)).filter(|(_, stays)| *stays);
        let (chosen, rejected) =
            kept.fold((0.0, 0.0), |(c, r), ((chosen, rejected), _)| (c + chosen, r + rejected));
        if rejected > 0.0 { (chosen - rejected).abs() / rejected } else { f64::INFINITY }
    };
    const STEPS: usize = 50;
    let thresholds = (0..STEPS).map(|step| step as f64 * 0.02);
    let best = thresholds.min_by(|a, b| off(*a).total_cmp(&off(*b))).expect("a grid has steps");
    stays(best).collect()
}

#[cfg(test)]
mod tests {
    use super::balance;

    #[test]
    fn lengths_are_balanced_on_the_grid() {
        // All: chosen 30, rejected 60. Up to 1/3 longer: 26 against 30, off by 2/15. Up to 0:
        // 10 against 10, off by nothing.
        let lengths = [(10.0, 10.0), (10.0, 15.0), (6.0, 5.0), (4.0, 30.0)];
        // t = 0 keeps the first and third: 16 against 15, off by 1/15 = 0.067; t ≥ 0.34 keeps the
        // second too: 26 against 30, off by 0.133; t ≥ 0.88 keeps all: 30 against 60.
        assert_eq!(balance(&lengths), [true, false, true, false]);
        // t = 0 leaves 20 against 10; t ≥ 0.34 leaves 30 against 25, off by 0.2.
        let lengths = [(20.0, 10.0), (10.0, 15.0)];
        assert_eq!(balance(&lengths), [true, true]);
        assert_eq!(balance(&[]), [true; 0]);
    }
}
