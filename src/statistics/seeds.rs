//! Means over training seeds and questions: crossed random effects.

use super::{CONFIDENCE, Interval, Scored};
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal, StudentsT};
use std::collections::BTreeMap;

/// A mean over training seeds and questions, and what chance may have added to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grand {
    /// The mean.
    pub mean: f64,
    /// Its standard error, of pictures and of seeds.
    pub error: f64,
    /// Degrees of freedom of that error.
    pub freedom: f64,
    /// Pictures behind it.
    pub pictures: usize,
}

impl Grand {
    /// Where the mean lies: Student's t. Of pictures that all say the same, as where two policies
    /// answer alike, there is no error to go by; how many others there may be that none of `n` showed
    /// has an exact bound, and each of them lies between −1 and 1, as differences of scores do.
    ///
    /// # Formula
    ///
    /// ```text
    /// mean ± t·error
    /// without an error: mean − u·(1 + mean) to mean + u·(1 − mean), which is ±u around zero;
    /// u = 1 − ((1 − CONFIDENCE) / 2)^(1/n), about 3.7/n
    /// ```
    ///
    /// # Source
    ///
    /// Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404.
    pub fn interval(&self) -> Interval {
        let (below, above) = if self.error > 0.0 {
            let half = student(self.freedom) * self.error;
            (half, half)
        } else {
            let tail = (1.0 - CONFIDENCE) / 2.0;
            let others = 1.0 - tail.powf(1.0 / self.pictures as f64);
            (others * (1.0 + self.mean), others * (1.0 - self.mean))
        };
        Interval { low: self.mean - below, high: self.mean + above }
    }

    /// Two-sided probability of a mean this far from zero if it were zero. Without an error it is that
    /// of all pictures on one side, as coins fall.
    pub fn p(&self) -> f64 {
        if self.error > 0.0 {
            2.0 * student_of(self.freedom).cdf(-(self.mean / self.error).abs())
        } else if self.mean == 0.0 {
            1.0
        } else {
            2.0 * 0.5f64.powf(self.pictures as f64)
        }
    }
}

/// The quantile of Student's t that leaves `(1 − CONFIDENCE) / 2` above it.
pub fn student(freedom: f64) -> f64 {
    student_of(freedom).inverse_cdf(f64::midpoint(1.0, CONFIDENCE))
}

fn student_of(freedom: f64) -> StudentsT {
    StudentsT::new(0.0, 1.0, freedom.max(1.0)).expect("degrees of freedom are positive")
}

/// The smallest true difference that Student's t, two-sided at `level`, finds four times out of five,
/// of a comparison with this standard error of so many degrees of freedom.
///
/// With Holm's correction over `m` comparisons the level of the first is α/m. Where seeds disagree the
/// error itself is hardly known: with five degrees of freedom this is a quarter above what normal
/// quantiles say, and half as much again at the level of six comparisons.
///
/// # Formula
///
/// ```text
/// δ · error, with P(T > t_{ν, 1 − level/2}) = 0.8 for T of the noncentral t distribution (ν, δ):
/// E_s Φ(δ − t·s) = 0.8, ν·s² of χ²_ν, the mean taken over its even quantiles
/// ```
pub fn smallest(error: f64, freedom: f64, level: f64) -> f64 {
    const POWER: f64 = 0.8;
    const POINTS: usize = 200;
    let freedom = freedom.max(1.0);
    let beyond = student_of(freedom).inverse_cdf(1.0 - level / 2.0);
    let spread = ChiSquared::new(freedom).expect("degrees of freedom are positive");
    let even = |point: usize| (point as f64 + 0.5) / POINTS as f64;
    let scales: Vec<f64> =
        (0..POINTS).map(|point| (spread.inverse_cdf(even(point)) / freedom).sqrt()).collect();
    let normal = Normal::new(0.0, 1.0).expect("the standard normal distribution exists");
    let power = |shift: f64| {
        scales.iter().map(|scale| normal.cdf(shift - beyond * scale)).sum::<f64>() / POINTS as f64
    };
    let (mut low, mut high) = (0.0, beyond + 1.0);
    while power(high) < POWER {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if power(middle) < POWER { low = middle } else { high = middle }
    }
    high * error
}

/// Where a mean over training seeds lies, from each seed's value and, where there is one, the value's
/// own interval over questions: both, on each side. Of one seed it is that interval; without
/// intervals only the seeds count, and seeds that are all equal then say nothing.
///
/// Slightly wide: chance that is of a seed and a question together is in the seeds' spread and in
/// their intervals. [`over_seeds_and_questions`] takes it apart, where every question has a score.
///
/// # Formula
///
/// ```text
/// half = √(h_seed² + h_question²), below and above
/// h_seed = t(S − 1)·s / √S, for S values of standard deviation s
/// h_question = mean over seeds of value − low (below) or high − value (above)
/// ```
///
/// # Source
///
/// Zou and Donner 2008, doi:10.1002/sim.3095: how limits of a sum follow from those of its parts.
pub fn over_seeds(seeds: &[(f64, Option<Interval>)]) -> Option<Interval> {
    let [(first, interval), rest @ ..] = seeds else { return None };
    if rest.is_empty() {
        return *interval;
    }
    let count = seeds.len() as f64;
    let mean = seeds.iter().map(|(value, _)| value).sum::<f64>() / count;
    let own: Option<Vec<Interval>> = seeds.iter().map(|(_, interval)| *interval).collect();
    let (below, above) = match own {
        Some(own) => {
            let low = own.iter().map(|one| one.low).sum::<f64>() / count;
            let high = own.iter().map(|one| one.high).sum::<f64>() / count;
            ((mean - low).max(0.0), (high - mean).max(0.0))
        }
        None if rest.iter().all(|(value, _)| value == first) => return None,
        None => (0.0, 0.0),
    };
    let squares: f64 = seeds.iter().map(|(value, _)| (value - mean).powi(2)).sum();
    let spread = student(count - 1.0) * (squares / (count - 1.0) / count).sqrt();
    Some(Interval { low: mean - spread.hypot(below), high: mean + spread.hypot(above) })
}

/// A mean over training seeds and questions with its standard error; none with fewer than two
/// pictures.
///
/// `seeds` holds one list a seed, all on the same questions in the same order.
/// Seeds and pictures are crossed random effects; their mean squares add up to the
/// variance of the grand mean, and Satterthwaite's rule gives its degrees of freedom.
/// With one seed only the questions count.
///
/// # Formula
///
/// ```text
/// Var(mean) = (MS_seed + MS_picture − MS_rest) / (S·C)
/// ```
///
/// # Panics
///
/// If the lists differ in length: they are not crossed.
///
/// # Source
///
/// Satterthwaite 1946, doi:10.2307/3002019.
pub fn over_seeds_and_questions(seeds: &[Vec<Scored<'_>>]) -> Option<Grand> {
    let (mean, cells) = cells(seeds)?;
    let (s, c) = (seeds.len() as f64, cells.len() as f64);
    let (variance, freedom) = crossed(&cells, s, c);
    Some(Grand { mean, error: variance.max(0.0).sqrt(), freedom, pictures: cells.len() })
}

/// The mean of one arm less that of another on the same questions, each with seeds of its own; none
/// with fewer than two pictures.
///
/// Pictures are paired; seeds are not, so each arm's add their own variance. An arm with one seed
/// adds none: a base, which all start from, or one whose seeds nobody can tell apart.
///
/// # Formula
///
/// ```text
/// Var(difference) = MS_picture(mean over seeds of one − of other) / C
///                 + Σ_arms max(0, MS_seed − MS_rest) / (S·C)
/// ```
///
/// # Panics
///
/// If the lists differ in length.
pub fn between(ones: &[Vec<Scored<'_>>], others: &[Vec<Scored<'_>>]) -> Option<Grand> {
    let ((one, left), (other, right)) = (cells(ones)?, cells(others)?);
    let c = left.len() as f64;
    let mean_of = |row: &Vec<f64>| row.iter().sum::<f64>() / row.len() as f64;
    let paired = left.iter().zip(&right).map(|(a, b)| (mean_of(a) - mean_of(b)).powi(2));
    let pictures = paired.sum::<f64>() / (c - 1.0) / c;
    let (mut variance, mut spread) = (pictures, pictures.powi(2) / (c - 1.0));
    for cells in [&left, &right] {
        let s = cells[0].len() as f64;
        let Some(squares) = Squares::of(cells).filter(|_| s > 1.0) else { continue };
        let (seed, rest) = (squares.seed / (s * c), squares.rest / (s * c));
        variance += (seed - rest).max(0.0);
        spread += seed.powi(2) / (s - 1.0) + rest.powi(2) / ((s - 1.0) * (c - 1.0));
    }
    let freedom = if spread > 0.0 { variance.powi(2) / spread } else { c - 1.0 };
    let error = variance.max(0.0).sqrt();
    Some(Grand { mean: one - other, error, freedom, pictures: left.len() })
}

/// The mean over all, and its centred cells `[picture][seed]`.
fn cells(seeds: &[Vec<Scored<'_>>]) -> Option<(f64, Vec<Vec<f64>>)> {
    let num_questions = seeds.first()?.len();
    let mut rows: BTreeMap<&str, (f64, Vec<f64>)> = BTreeMap::new();
    for (seed, scores) in seeds.iter().enumerate() {
        assert_eq!(scores.len(), num_questions, "every seed answers the same questions");
        for scored in scores {
            let (size, sums) =
                rows.entry(scored.cluster).or_insert_with(|| (0.0, vec![0.0; seeds.len()]));
            sums[seed] += scored.score;
            *size += if seed == 0 { 1.0 } else { 0.0 };
        }
    }
    let (s, c) = (seeds.len() as f64, rows.len() as f64);
    if c < 2.0 {
        return None;
    }
    let total: f64 = rows.values().flat_map(|(_, sums)| sums).sum();
    let mean = total / (s * num_questions as f64);
    // Pictures with many questions weigh more: the mean is a ratio of sums, linearized here.
    let scale = c / num_questions as f64;
    let cells = rows
        .values()
        .map(|(size, sums)| sums.iter().map(|sum| (sum - mean * size) * scale).collect())
        .collect();
    Some((mean, cells))
}

/// Mean squares of centred cells.
struct Squares {
    picture: f64,
    seed: f64,
    rest: f64,
}

impl Squares {
    /// Of several seeds; none of one.
    fn of(cells: &[Vec<f64>]) -> Option<Self> {
        let (s, c) = (cells.first()?.len(), cells.len() as f64);
        if s < 2 {
            return None;
        }
        let square = |value: f64| value * value;
        let pictures = of_pictures(cells);
        let seed_mean = |seed: usize| cells.iter().map(|row| row[seed]).sum::<f64>() / c;
        let seeds: f64 = (0..s).map(|seed| square(seed_mean(seed)) * c).sum();
        let total: f64 = cells.iter().flatten().map(|&cell| square(cell)).sum();
        let s = s as f64;
        Some(Self {
            picture: pictures / (c - 1.0),
            seed: seeds / (s - 1.0),
            rest: (total - pictures - seeds) / ((s - 1.0) * (c - 1.0)),
        })
    }
}

fn of_pictures(cells: &[Vec<f64>]) -> f64 {
    let sum = |row: &Vec<f64>| {
        let s = row.len() as f64;
        let mean = row.iter().sum::<f64>() / s;
        mean * mean * s
    };
    cells.iter().map(sum).sum()
}

/// Variance of the grand mean of centred cells `[picture][seed]`, and its degrees of freedom.
fn crossed(cells: &[Vec<f64>], s: f64, c: f64) -> (f64, f64) {
    let Some(squares) = Squares::of(cells) else {
        return (of_pictures(cells) / (c - 1.0) / c, c - 1.0);
    };
    let square = |value: f64| value * value;
    let Squares { picture, seed, rest } = squares;
    // Seeds or pictures that differ less than chance would have it do not make the others surer.
    let combined = (seed + picture - rest).max(picture).max(rest);
    let spread = square(seed) / (s - 1.0)
        + square(picture) / (c - 1.0)
        + square(rest) / ((s - 1.0) * (c - 1.0));
    let freedom = if spread > 0.0 { square(combined) / spread } else { c - 1.0 };
    (combined / (s * c), freedom)
}
