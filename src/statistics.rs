//! How sure a number is: intervals for one score, and tests for the difference of two.
//!
//! Questions about the same picture are not independent, so everything that
//! resamples does so by *cluster*: the picture. All randomness is keyed, so the
//! same verdicts give the same interval to the last bit.

mod seeds;

pub use seeds::{Grand, between, over_seeds, over_seeds_and_questions, smallest, student};

use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};
use std::collections::BTreeMap;

/// Resamples of every bootstrap.
pub const RESAMPLES: usize = 1000;

/// The share of intervals that should hold the truth.
pub const CONFIDENCE: f64 = 0.95;

/// Where a number lies with [`CONFIDENCE`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The ends of an interval with its value between them where rounding alone parts them: it may leave a
/// share of nothing 3e-18 below its interval. An end that is elsewhere stays there.
pub fn around(value: f64, low: Option<f64>, high: Option<f64>) -> [Option<f64>; 2] {
    const ROUNDING: f64 = 1e-12;
    let near = |end: f64, moved: f64| if (end - value).abs() < ROUNDING { moved } else { end };
    [low.map(|low| near(low, low.min(value))), high.map(|high| near(high, high.max(value)))]
}

/// The random numbers of one purpose.
pub fn random(purpose: &str, seed: u64) -> ChaCha8Rng {
    let key = blake3::Hasher::new()
        .update(purpose.as_bytes())
        .update(&[0])
        .update(&seed.to_le_bytes())
        .finalize();
    ChaCha8Rng::from_seed(*key.as_bytes())
}

/// The normal quantile that leaves `(1 − CONFIDENCE) / 2` above it: 1.96.
fn quantile() -> f64 {
    standard_normal().inverse_cdf(f64::midpoint(1.0, CONFIDENCE))
}

fn standard_normal() -> Normal {
    Normal::new(0.0, 1.0).expect("the standard normal distribution exists")
}

/// The interval of a share of independent trials; from exactly 0 where none succeeded, and to exactly 1
/// where all did.
///
/// # Formula
///
/// ```text
/// center = (p + z²/2n) / (1 + z²/n);  half = z √(p(1−p)/n + z²/4n²) / (1 + z²/n)
/// ```
///
/// # Source
///
/// Wilson 1927, doi:10.2307/2276774.
pub fn wilson(successes: f64, trials: f64) -> Option<Interval> {
    if trials <= 0.0 {
        return None;
    }
    let (z, share) = (quantile(), successes / trials);
    let scale = 1.0 + z * z / trials;
    let center = (share + z * z / (2.0 * trials)) / scale;
    let spread = share * (1.0 - share) / trials + z * z / (4.0 * trials * trials);
    let half = z * spread.sqrt() / scale;
    // Center and half are equal there but for rounding.
    let low = if successes > 0.0 { (center - half).max(0.0) } else { 0.0 };
    let high = if successes < trials { (center + half).min(1.0) } else { 1.0 };
    Some(Interval { low, high })
}

/// The percentile interval of a statistic of sums over clusters.
///
/// Each cluster is the sum of what its questions count; a resample draws as many
/// clusters as there are, with replacement, and the statistic sees their total.
/// Resamples where it is undefined (a ratio of nothing) are left out.
///
/// # Source
///
/// Efron 1979, doi:10.1214/aos/1176344552; by cluster as in Cameron, Gelbach and Miller 2008.
pub fn bootstrap<const N: usize>(
    clusters: &[[f64; N]],
    statistic: impl Fn(&[f64; N]) -> Option<f64>,
    mut random: ChaCha8Rng,
) -> Option<Interval> {
    if clusters.len() < 2 {
        return None;
    }
    let mut values = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let mut total = [0.0; N];
        for _ in 0..clusters.len() {
            let drawn = &clusters[random.random_range(0..clusters.len())];
            for (sum, value) in total.iter_mut().zip(drawn) {
                *sum += value;
            }
        }
        values.extend(statistic(&total));
    }
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    Some(Interval { low: percentile(&values, tail)?, high: percentile(&values, 1.0 - tail)? })
}

/// A quantile of sorted values, interpolated between neighbours.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = share * (sorted.len().checked_sub(1)?) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Some(below + (above - below) * at.fract())
}

/// One question's score, with the picture that it is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored<'a> {
    /// The picture (or whatever questions share).
    pub cluster: &'a str,
    /// Usually 1 for right and 0 for wrong.
    pub score: f64,
}

/// Two policies on the same questions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    /// Mean score of the second less that of the first.
    pub difference: f64,
    /// Its interval, by bootstrap over pictures; of pictures that all say the same, of which any
    /// resample says the same too, the exact one ([`Grand::interval`]).
    pub interval: Option<Interval>,
    /// Questions that only the first gets right (scores higher on).
    pub only_first: u64,
    /// Questions that only the second gets right (scores higher on).
    pub only_second: u64,
    /// The same by pictures, with its error; none with fewer than two.
    pub by_picture: Option<Grand>,
    /// Probability of a difference this large if both were alike: the larger of McNemar's, of
    /// questions one by one, and the one by pictures ([`over_seeds_and_questions`]), since questions
    /// about one picture flip together. 1 with fewer than two pictures.
    pub p: f64,
    /// Number of questions.
    pub n: usize,
}

/// Compares two policies on the same questions in the same order.
///
/// # Panics
///
/// If the two lists differ in length or in their pictures: they are not paired.
pub fn paired(first: &[Scored<'_>], second: &[Scored<'_>], random: ChaCha8Rng) -> Paired {
    assert_eq!(first.len(), second.len(), "paired scores answer the same questions");
    let mut clusters: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
    let mut differences = Vec::with_capacity(first.len());
    let (mut only_first, mut only_second, mut total) = (0, 0, 0.0);
    for (a, b) in first.iter().zip(second) {
        assert_eq!(a.cluster, b.cluster, "paired scores answer the same questions");
        let difference = b.score - a.score;
        differences.push(Scored { score: difference, ..*a });
        let sums = clusters.entry(a.cluster).or_default();
        sums[0] += difference;
        sums[1] += 1.0;
        total += difference;
        only_first += u64::from(difference < 0.0);
        only_second += u64::from(difference > 0.0);
    }
    let clusters: Vec<_> = clusters.into_values().collect();
    let by_picture = over_seeds_and_questions(&[differences]);
    let alike = by_picture.filter(|grand| grand.error == 0.0).map(|grand| grand.interval());
    Paired {
        difference: total / first.len().max(1) as f64,
        interval: alike.or_else(|| bootstrap(&clusters, |sums| Some(sums[0] / sums[1]), random)),
        only_first,
        only_second,
        by_picture,
        p: mcnemar(only_first, only_second).max(by_picture.map_or(1.0, |grand| grand.p())),
        n: first.len(),
    }
}

/// The exact two-sided McNemar test: whether the questions on which two policies
/// differ fall to either side like a fair coin.
///
/// # Source
///
/// McNemar 1947, doi:10.1007/BF02295996; the exact form is the binomial test.
pub fn mcnemar(only_first: u64, only_second: u64) -> f64 {
    let discordant = only_first + only_second;
    let coin = Binomial::new(0.5, discordant).expect("one half is a probability");
    (2.0 * coin.cdf(only_first.min(only_second))).min(1.0)
}

/// Adjusts p-values for how many there are, in their order: below 0.05 after this
/// means that one false alarm among all has a chance of at most 5 %.
///
/// # Source
///
/// Holm 1979, Scandinavian Journal of Statistics 6.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        let remaining = (p_values.len() - rank) as f64;
        largest = largest.max((p_values[index] * remaining).min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
#[path = "statistics_tests.rs"]
mod tests;
