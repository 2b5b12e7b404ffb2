//! Differences between policies on the same questions: how large, and whether chance explains
//! them. Reads the verdicts that the scores stage keeps a question.

use super::chart::frame;
use super::metric::{Metric, spoken};
use super::runs::{JobRecord, Runs};
use super::select::{Column, is_overall};
use super::table::read_csv;
use crate::spec::lists::paired;
use crate::statistics::{
    CONFIDENCE, Interval, Scored, between, over_seeds_and_questions, smallest,
};
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Scores by (prompt, question, task), each with its picture. `shift` asks a question once a share.
type Verdicts = BTreeMap<(String, String, String), (String, f64)>;

/// Which verdicts are compared.
#[derive(Clone, Debug, Default)]
pub struct Scope<'a> {
    /// The benchmark.
    pub benchmark: &'a str,
    /// The task, or none for all of them.
    pub task: Option<&'a str>,
    /// The policies' seeds, or none for all of them; a base is always among them.
    pub seeds: Option<BTreeSet<u64>>,
}

impl<'a> Scope<'a> {
    /// All questions and seeds of what is measured; none where it is no score of each question.
    pub fn of(measured: &'a str) -> Option<Self> {
        let (benchmark, task) = paired(measured)?;
        Some(Self { benchmark, task: task.filter(|task| !is_overall(task)), seeds: None })
    }
}

/// What one label (a variant at one point of the sweep) scored, seed by seed.
#[derive(Debug, PartialEq)]
pub struct Contender {
    /// `MPO`, `DPO, beta 0.1`.
    pub label: String,
    variant: String,
    /// Whether it is the base.
    pub is_base: bool,
    swept: Vec<String>,
    /// What each seed scored, in the seeds' order.
    seeds: Vec<(u64, Verdicts)>,
}

/// A paired difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Mean score of the one less that of the other.
    pub mean: f64,
    /// Standard error, of pictures and of seeds.
    pub error: f64,
    /// Degrees of freedom of that error.
    pub freedom: f64,
    /// 95 % interval.
    pub interval: (f64, f64),
    /// Two-sided probability of a difference this large if there were none.
    pub p: f64,
    /// Questions that both answered.
    pub n: usize,
}

/// All labels of an experiment with the verdicts of one benchmark, the base first.
///
/// # Errors
///
/// If a verdict file cannot be read.
pub fn contenders(runs: &Runs, scope: &Scope<'_>) -> Result<Vec<Contender>> {
    let mut all: Vec<Contender> = Vec::new();
    for job in &runs.jobs {
        let Some(path) = &job.verdicts else { continue };
        if !job.is_base && scope.seeds.as_ref().is_some_and(|seeds| !seeds.contains(&job.seed)) {
            continue;
        }
        let verdicts = (job.seed, read(path, scope)?);
        let label = label(runs, job);
        match all.iter_mut().find(|known| known.label == label) {
            Some(known) => known.seeds.push(verdicts),
            None => {
                let seeds = vec![verdicts];
                let (variant, swept) = (job.variant.clone(), job.swept.clone());
                all.push(Contender { label, variant, is_base: job.is_base, swept, seeds });
            }
        }
    }
    for contender in &mut all {
        contender.seeds.sort_by_key(|(seed, _)| *seed);
    }
    all.sort_by_key(|contender| !contender.is_base);
    Ok(all)
}

impl Contender {
    /// Whether a spec means it by `name`: the whole label, or the variant.
    pub fn is_named(&self, name: &str) -> bool {
        self.label == name || self.variant == name
    }

    /// The seeds, in order.
    fn numbers(&self) -> impl Iterator<Item = u64> {
        self.seeds.iter().map(|(seed, _)| *seed)
    }

    /// How many seeds it was trained with.
    pub fn seeds(&self) -> usize {
        self.seeds.len()
    }
}

/// The base that a contender started from.
pub fn base_of<'a>(all: &'a [Contender], one: &Contender) -> Option<&'a Contender> {
    let bases: Vec<&Contender> = all.iter().filter(|contender| contender.is_base).collect();
    nearest_of(&bases, one)
}

/// Where there are several to compare with, the one that shares most swept values.
pub fn nearest_of<'a>(all: &[&'a Contender], one: &Contender) -> Option<&'a Contender> {
    // The first of equals: `max_by_key` keeps the last.
    all.iter().rev().copied().max_by_key(|other| shared_values(other, one))
}

/// Whether others share as many swept values with it as the nearest does: the first of equals is
/// taken, which must be said.
pub fn is_one_of_several(all: &[&Contender], one: &Contender) -> bool {
    let shared: Vec<usize> = all.iter().map(|other| shared_values(other, one)).collect();
    let most = shared.iter().max();
    shared.iter().filter(|count| Some(*count) == most).count() > 1
}

fn shared_values(one: &Contender, other: &Contender) -> usize {
    one.swept.iter().zip(&other.swept).filter(|(a, b)| a == b).count()
}

/// A job's name without its seed: variant and whatever is swept.
pub fn label(runs: &Runs, job: &JobRecord) -> String {
    let mut columns = vec![Column::Variant];
    let trained = || runs.jobs.iter().filter(|job| !job.is_base);
    columns.extend((0..runs.swept.len()).filter_map(|k| {
        let first = trained().next().map(|job| &job.swept[k]);
        trained().any(|job| Some(&job.swept[k]) != first).then_some(Column::Swept(k))
    }));
    frame::label_of(runs, job, &columns)
}

fn read(path: &std::path::Path, scope: &Scope<'_>) -> Result<Verdicts> {
    let (header, rows) = read_csv(path)?;
    let at = |name: &str| {
        header.iter().position(|column| column == name).ok_or_else(|| {
            Error::new(format!("reading {}: it has no column `{name}`", path.display()))
        })
    };
    let [of, question, prompt, image, score, task] =
        ["benchmark", "question", "prompt", "image", "score", "task"].map(at);
    let [of, question, prompt, image, score, task] =
        [of?, question?, prompt?, image?, score?, task?];
    let in_scope = |row: &&csv::StringRecord| {
        // A question may be of several tasks.
        let is_of = |wanted| row[task].split(';').any(|own| own == wanted);
        row[of] == *scope.benchmark && scope.task.is_none_or(is_of)
    };
    let rows = rows.iter().filter(in_scope);
    let scored = rows.filter_map(|row| {
        let score: f64 = row[score].parse().ok()?;
        // A question without a picture is a cluster of its own.
        let cluster = if row[image].is_empty() { &row[question] } else { &row[image] };
        let key = (row[prompt].into(), row[question].into(), row[task].into());
        Some((key, (cluster.into(), score)))
    });
    Ok(scored.collect())
}

/// `one` less `other` under one prompt, over the questions that both have; `None` with fewer than
/// two pictures.
///
/// Trained with the same seeds, the two are paired seed by seed as they are question by question.
/// With other seeds each adds its own variance of seeds ([`between`]); one of a single seed, such
/// as the base, adds none. Two that answer alike differ by 0, give or take what none of their
/// pictures showed ([`Grand::interval`](crate::statistics::Grand::interval)).
pub fn difference(one: &Contender, other: &Contender, prompt: &str) -> Option<Difference> {
    let mut ones: Vec<Vec<Scored<'_>>> = vec![Vec::new(); one.seeds.len()];
    let mut others: Vec<Vec<Scored<'_>>> = vec![Vec::new(); other.seeds.len()];
    let mut questions: BTreeSet<&str> = BTreeSet::new();
    for (key, (cluster, _)) in one.seeds.first()?.1.iter().filter(|(key, _)| key.0 == prompt) {
        let scores = |side: &Contender| -> Option<Vec<f64>> {
            side.seeds.iter().map(|(_, seed)| seed.get(key).map(|(_, score)| *score)).collect()
        };
        let (Some(here), Some(there)) = (scores(one), scores(other)) else { continue };
        questions.insert(&key.1);
        for (lists, scores) in [(&mut ones, here), (&mut others, there)] {
            for (list, score) in lists.iter_mut().zip(scores) {
                list.push(Scored { cluster, score });
            }
        }
    }
    let grand = match one.numbers().eq(other.numbers()) {
        true => over_seeds_and_questions(&less(&ones, &others))?,
        false => between(&ones, &others)?,
    };
    let Interval { low, high } = grand.interval();
    Some(Difference {
        mean: grand.mean,
        error: grand.error,
        freedom: grand.freedom,
        interval: (low, high),
        p: grand.p(),
        n: questions.len(),
    })
}

/// The true difference that a comparison would find four times out of five, as one of a family, by
/// prompt: `3.5 (CoT)`. Each prompt's is the median over its comparisons of [`smallest`] at the level
/// that Holm's correction has for the first, α over the family's size.
pub fn findable(metric: &Metric, family: &[(&str, &Difference)]) -> Vec<String> {
    let level = (1.0 - CONFIDENCE) / family.len().max(1) as f64;
    let mut prompts: Vec<&str> = Vec::new();
    for (prompt, _) in family {
        if !prompts.contains(prompt) {
            prompts.push(prompt);
        }
    }
    let least = |prompt: &&str| {
        // What a comparison of equal answers would have found, nobody knows.
        let of_it = family.iter().filter(|(of, one)| of == prompt && one.error > 0.0);
        let mut all: Vec<f64> =
            of_it.map(|(_, one)| smallest(one.error, one.freedom, level)).collect();
        all.sort_by(f64::total_cmp);
        let name = if prompts.len() > 1 { format!(" ({})", spoken(prompt)) } else { String::new() };
        // Paired scores lie between 0 and 1: a larger difference there cannot be.
        let least = all.get(all.len() / 2).filter(|least| **least <= 1.0)?;
        Some(metric.write(*least) + &name)
    };
    prompts.iter().filter_map(least).collect()
}

/// Seed by seed and question by question.
fn less<'a>(ones: &[Vec<Scored<'a>>], others: &[Vec<Scored<'a>>]) -> Vec<Vec<Scored<'a>>> {
    let question = |(a, b): (&Scored<'a>, &Scored<'a>)| Scored { score: a.score - b.score, ..*a };
    let seed =
        |(a, b): (&Vec<Scored<'a>>, &Vec<Scored<'a>>)| a.iter().zip(b).map(question).collect();
    ones.iter().zip(others).map(seed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(seeds: &[&[f64]]) -> Contender {
        numbered((0..).zip(seeds.iter().copied()))
    }

    fn numbered<'a>(seeds: impl Iterator<Item = (u64, &'a [f64])>) -> Contender {
        let verdicts = |(seed, scores): (u64, &[f64])| {
            let one = |(i, score): (usize, &f64)| {
                let key = ("cot".to_owned(), format!("q{i}"), String::new());
                (key, (format!("picture {}", i / 2), *score))
            };
            (seed, scores.iter().enumerate().map(one).collect())
        };
        let seeds = seeds.map(verdicts).collect();
        Contender {
            label: String::new(),
            variant: String::new(),
            is_base: false,
            swept: vec![],
            seeds,
        }
    }

    #[test]
    fn questions_of_one_picture_count_as_one_cluster() {
        let one = contender(&[&[1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]]);
        let base = contender(&[&[0.0; 8]]);
        let difference = difference(&one, &base, "cot").unwrap();
        // Picture means 1, 1, 0, 1: mean 0.75, variance of the mean 0.25 / 4.
        assert!((difference.mean - 0.75).abs() < 1e-12 && difference.n == 8);
        assert!((difference.error - 0.25).abs() < 1e-12, "{difference:?}");
    }

    #[test]
    fn seeds_that_disagree_widen_the_error() {
        let base = contender(&[&[0.0; 8]]);
        let half: &[f64] = &[1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0];
        let same = contender(&[half, half, half]);
        let moved = |by: f64| half.iter().map(|score| score + by).collect::<Vec<f64>>();
        let apart = contender(&[&moved(0.2), half, &moved(-0.2)]);
        let error = |one| difference(one, &base, "cot").unwrap().error;
        // MS_picture is 1 in both; MS_seed is 4 · 0.08 / 2 where they disagree.
        assert!((error(&same) - (1.0f64 / 12.0).sqrt()).abs() < 1e-12);
        assert!((error(&apart) - (1.16f64 / 12.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn the_other_sides_seeds_count_too() {
        let half: &[f64] = &[1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0];
        let moved = |by: f64| half.iter().map(|score| score + by).collect::<Vec<f64>>();
        let (up, down) = (moved(0.2), moved(-0.2));
        let error = |a: &Contender, b: &Contender| difference(a, b, "cot").unwrap().error;
        let same = contender(&[half, half, half]);
        // The same seeds in another order: apart by 0.2, 0 and -0.2, seed by seed.
        let apart = contender(&[&up, half, &down]);
        assert!((error(&same, &apart) - (0.16f64 / 12.0).sqrt()).abs() < 1e-12);
        assert_eq!(error(&same, &apart), error(&apart, &same));
        assert_eq!(error(&apart, &apart), 0.0, "what moves both is no difference");
        // Other seeds: the variance of each arm's mean, 0.04 / 3.
        let others = numbered([7, 8, 9].into_iter().zip([&up[..], half, &down[..]]));
        assert!((error(&same, &others) - (0.16f64 / 12.0).sqrt()).abs() < 1e-12);
        assert!((error(&apart, &others) - (0.32f64 / 12.0).sqrt()).abs() < 1e-12);
        assert!((error(&others, &apart) - (0.32f64 / 12.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn the_nearest_is_one_of_several_where_others_share_as_much() {
        let at = |swept: &[&str]| Contender {
            swept: swept.iter().map(|&value| value.to_owned()).collect(),
            ..contender(&[])
        };
        let (low, high) = (at(&["0.1", "2"]), at(&["0.5", "2"]));
        let others = [&low, &high];
        assert_eq!(nearest_of(&others, &at(&["0.5", "1"])), Some(&high));
        assert!(!is_one_of_several(&others, &at(&["0.5", "1"])));
        assert!(is_one_of_several(&others, &at(&["", ""])), "a base is swept over nothing");
        assert!(!is_one_of_several(&others[..1], &at(&["", ""])));
    }

    #[test]
    fn equal_answers_differ_by_nothing() {
        let one = contender(&[&[1.0, 0.0, 1.0, 1.0]]);
        let difference = difference(&one, &one, "cot").unwrap();
        assert_eq!((difference.mean, difference.p), (0.0, 1.0));
        // By hand, of two pictures: 1 − √0.025 = 0.84189.
        let (low, high) = difference.interval;
        assert!((low + 0.841_886).abs() < 1e-6 && (high - 0.841_886).abs() < 1e-6);
    }
}
