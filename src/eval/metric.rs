//! How a number of scores.csv follows from what answers were counted as.

/// What an answer adds to the sums that metrics are made of; a benchmark names its own columns.
pub type Counts = [f64; 12];

/// A number of scores.csv.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// The word used in CSV files and chart axes: `reasoning.accuracy` without its benchmark.
    pub name: &'static str,
    /// How it follows from the counts.
    pub value: Value,
}

/// How a metric follows from summed counts.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// Successes and trials, each question at most one trial.
    Share(usize, usize),
    /// A sum over another that it is a part of, whatever a question adds: between 0 and 1.
    Part(usize, usize),
    /// Another number between 0 and 1: the formula, and what counts in it, which is above 0 for a
    /// picture that says something of it.
    Within(fn(&Counts) -> Option<f64>, fn(&Counts) -> f64),
    /// Any sum over any other.
    Ratio(usize, usize),
    /// Anything else; none where it is undefined.
    Of(fn(&Counts) -> Option<f64>),
}

impl Value {
    /// The metric's value for some sums.
    pub fn of(self, sums: &Counts) -> Option<f64> {
        match self {
            Self::Share(part, whole) | Self::Part(part, whole) | Self::Ratio(part, whole) => {
                ratio(sums[part], sums[whole])
            }
            Self::Within(formula, _) | Self::Of(formula) => formula(sums),
        }
    }

    /// What counts in it, of a number between 0 and 1; none of others.
    pub(super) fn trials(self, sums: &Counts) -> Option<f64> {
        match self {
            Self::Share(_, whole) | Self::Part(_, whole) => Some(sums[whole]),
            Self::Within(_, trials) => Some(trials(sums)),
            Self::Ratio(..) | Self::Of(_) => None,
        }
    }
}

/// A quotient; none where the denominator is zero.
pub(super) fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole != 0.0).then(|| part / whole)
}
