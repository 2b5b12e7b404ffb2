//! Differences between policies on the same questions: how large, and whether chance explains
//! them. Reads the verdicts that the scores stage keeps a question.

use super::chart::frame;
use super::runs::{JobRecord, Runs, read_csv};
use super::select::{Column, student};
use crate::{Error, Result};
use statrs::distribution::{ContinuousCDF, StudentsT};
use std::collections::BTreeMap;

/// Scores by (prompt, question), each with its picture.
type Verdicts = BTreeMap<(String, String), (String, f64)>;

/// What one label (a variant at one point of the sweep) scored, seed by seed.
#[derive(Debug, PartialEq)]
pub struct Contender {
    /// `MPO`, `DPO, beta 0.1`.
    pub label: String,
    variant: String,
    /// Whether it is the base.
    pub is_base: bool,
    swept: Vec<String>,
    seeds: Vec<Verdicts>,
}

/// A paired difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Mean score of the one less that of the other.
    pub mean: f64,
    /// Standard error, of pictures and of seeds.
    pub error: f64,
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
pub fn contenders(runs: &Runs, benchmark: &str) -> Result<Vec<Contender>> {
    let mut all: Vec<Contender> = Vec::new();
    for job in &runs.jobs {
        let Some(path) = &job.verdicts else { continue };
        let verdicts = read(path, benchmark)?;
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
    all.sort_by_key(|contender| !contender.is_base);
    Ok(all)
}

impl Contender {
    /// Whether a spec means it by `name`: the whole label, or the variant.
    pub fn is_named(&self, name: &str) -> bool {
        self.label == name || self.variant == name
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
    let shared =
        |other: &Contender| other.swept.iter().zip(&one.swept).filter(|(a, b)| a == b).count();
    // The first of equals: `max_by_key` keeps the last.
    all.iter().rev().copied().max_by_key(|other| shared(other))
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

fn read(path: &std::path::Path, benchmark: &str) -> Result<Verdicts> {
    let (header, rows) = read_csv(path)?;
    let at = |name: &str| {
        header.iter().position(|column| column == name).ok_or_else(|| {
            Error::new(format!("reading {}: it has no column `{name}`", path.display()))
        })
    };
    let [of, question, prompt, image, score] =
        [at("benchmark")?, at("question")?, at("prompt")?, at("image")?, at("score")?];
    let rows = rows.iter().filter(|row| row[of] == *benchmark);
    let scored = rows.filter_map(|row| {
        let score: f64 = row[score].parse().ok()?;
        // A question without a picture is a cluster of its own.
        let cluster = if row[image].is_empty() { &row[question] } else { &row[image] };
        Some(((row[prompt].into(), row[question].into()), (cluster.into(), score)))
    });
    Ok(scored.collect())
}

/// `one` less `other` under one prompt, over the questions that both have; `None` with fewer than
/// two pictures.
///
/// # Formula
///
/// ```text
/// Var(mean) = (MS_seed + MS_picture − MS_rest) / (S·C)
/// ```
///
/// Seeds and pictures are crossed random effects; Satterthwaite's rule gives the degrees of
/// freedom of Student's t. With one seed only pictures count. `other` is averaged over its seeds.
///
/// # Source
///
/// Satterthwaite 1946, doi:10.2307/3002019.
pub fn difference(one: &Contender, other: &Contender, prompt: &str) -> Option<Difference> {
    let mut pictures: BTreeMap<&str, (f64, Vec<f64>)> = BTreeMap::new();
    let mut n = 0;
    for (key, (picture, _)) in one.seeds.first()?.iter().filter(|((p, _), _)| p == prompt) {
        let scores = |side: &Contender| -> Option<Vec<f64>> {
            side.seeds.iter().map(|seed| seed.get(key).map(|(_, score)| *score)).collect()
        };
        let (Some(ones), Some(others)) = (scores(one), scores(other)) else { continue };
        let against = others.iter().sum::<f64>() / others.len() as f64;
        let (size, sums) = pictures.entry(picture).or_insert_with(|| (0.0, vec![0.0; ones.len()]));
        *size += 1.0;
        n += 1;
        for (sum, score) in sums.iter_mut().zip(&ones) {
            *sum += score - against;
        }
    }
    let (s, c) = (one.seeds.len() as f64, pictures.len() as f64);
    if c < 2.0 {
        return None;
    }
    let mean = pictures.values().flat_map(|(_, sums)| sums).sum::<f64>() / (s * n as f64);
    // Pictures with many questions weigh more: the mean is a ratio of sums, linearized here.
    let scale = c / n as f64;
    let cells: Vec<Vec<f64>> = pictures
        .values()
        .map(|(size, sums)| sums.iter().map(|sum| (sum - mean * size) * scale).collect())
        .collect();
    let (variance, freedom) = crossed(&cells, s, c);
    let error = variance.max(0.0).sqrt();
    let half = student(freedom) * error;
    let p = if error > 0.0 {
        let t = StudentsT::new(0.0, 1.0, freedom.max(1.0)).expect("freedom is positive");
        2.0 * t.cdf(-(mean / error).abs())
    } else {
        f64::from(mean == 0.0)
    };
    Some(Difference { mean, error, interval: (mean - half, mean + half), p, n })
}

/// Variance of the grand mean of centred cells `[picture][seed]`, and its degrees of freedom.
fn crossed(cells: &[Vec<f64>], s: f64, c: f64) -> (f64, f64) {
    let square = |value: f64| value * value;
    let pictures: f64 = cells.iter().map(|row| square(row.iter().sum::<f64>() / s) * s).sum();
    let ms_picture = pictures / (c - 1.0);
    if s < 2.0 {
        return (ms_picture / c, c - 1.0);
    }
    let seed_mean = |seed: usize| cells.iter().map(|row| row[seed]).sum::<f64>() / c;
    let seeds: f64 = (0..s as usize).map(|seed| square(seed_mean(seed)) * c).sum();
    let total: f64 = cells.iter().flatten().map(|&cell| square(cell)).sum();
    let ms_seed = seeds / (s - 1.0);
    let ms_rest = (total - pictures - seeds) / ((s - 1.0) * (c - 1.0));
    // Seeds that differ less than chance would have it do not make the pictures surer.
    let combined = (ms_seed + ms_picture - ms_rest).max(ms_picture);
    let spread = square(ms_seed) / (s - 1.0)
        + square(ms_picture) / (c - 1.0)
        + square(ms_rest) / ((s - 1.0) * (c - 1.0));
    let freedom = if spread > 0.0 { square(combined) / spread } else { c - 1.0 };
    (combined / (s * c), freedom)
}

/// The smallest true difference that a comparison with this standard error finds four times out
/// of five at the 5 % level.
pub fn smallest(error: f64) -> f64 {
    (1.959_963_984_540_054 + 0.841_621_233_572_914_2) * error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::statistics::holm;

    fn contender(seeds: &[&[f64]]) -> Contender {
        let verdicts = |scores: &&[f64]| {
            let one = |(i, score): (usize, &f64)| {
                (("cot".to_owned(), format!("q{i}")), (format!("picture {}", i / 2), *score))
            };
            scores.iter().enumerate().map(one).collect()
        };
        let seeds = seeds.iter().map(verdicts).collect();
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
    fn equal_answers_differ_by_nothing() {
        let one = contender(&[&[1.0, 0.0, 1.0, 1.0]]);
        let difference = difference(&one, &one, "cot").unwrap();
        assert_eq!((difference.mean, difference.p), (0.0, 1.0));
    }

    #[test]
    fn holm_multiplies_the_smallest_by_all_and_never_descends() {
        assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
    }
}
