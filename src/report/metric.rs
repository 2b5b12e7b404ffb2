//! What is known of a metric by its name: title, unit, which way is better.
//!
//! To add one: a line in `KNOWN`. Others are shown under their own name, without unit.

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    /// A fraction; charts show per cent.
    Share,
    /// Natural-log units.
    Nats,
    /// None, or an unknown one.
    Plain,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Better {
    /// More.
    Higher,
    /// Less.
    Lower,
    /// Neither by itself.
    Neither,
}

/// What a chart needs to know of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// In words, lower case.
    pub title: String,
    /// Its unit.
    pub unit: Unit,
    /// Its direction.
    pub better: Better,
    /// The least and the most that it can be.
    pub bounds: (f64, f64),
}

use Better::{Higher, Lower, Neither};
use Unit::{Nats, Plain, Share};

/// Names, titles, units and directions.
const KNOWN: &[(&str, &str, Unit, Better)] = &[
    ("accuracy", "accuracy", Share, Higher),
    ("precision", "precision", Share, Higher),
    ("recall", "recall", Share, Higher),
    ("f1", "F1", Share, Higher),
    ("mean_f1", "F1, mean of the splits", Share, Higher),
    ("relative", "score over the reference's", Share, Higher),
    ("grade", "grade", Share, Higher),
    ("score", "score, 1 to 10", Plain, Higher),
    ("reference", "score of the reference", Plain, Neither),
    ("rating", "rating, 0 to 6", Plain, Higher),
    ("hallucination_rate", "answers with a hallucination", Share, Lower),
    ("failed", "answers that could not be graded", Share, Lower),
    ("yes_ratio", "share of yes", Share, Neither),
    ("unparsable", "answers without a final answer", Share, Lower),
    ("truncated", "answers cut at the length limit", Share, Lower),
    ("response_rate", "descriptions with a made-up object", Share, Lower),
    ("mention_rate", "made-up objects among those mentioned", Share, Lower),
    ("any_right", "questions with a right answer among the samples", Share, Higher),
    ("mixed", "questions with right answers and others", Share, Neither),
    ("with_both", "questions with a right and a wrong answer", Share, Neither),
    ("chosen_careful", "chosen answers that equal the true rationale", Share, Higher),
    ("chosen_careful_lines", "chosen answers right throughout", Share, Higher),
    ("chosen_sloppy", "chosen answers with the slip", Share, Lower),
    ("rejected_sloppy", "rejected answers with the slip", Share, Neither),
    ("rewards/chosen", "reward of chosen answers", Nats, Neither),
    ("rewards/rejected", "reward of rejected answers", Nats, Neither),
    ("rewards/margins", "reward margin", Nats, Higher),
    ("rewards/accuracies", "pairs ranked rightly", Share, Higher),
    ("logps/chosen", "log-probability of chosen answers", Nats, Neither),
    ("logps/rejected", "log-probability of rejected answers", Nats, Neither),
    ("tokens", "tokens of an answer", Plain, Neither),
    ("faithful", "descriptions without a made-up object", Share, Higher),
    ("coverage", "objects present that are named", Share, Higher),
    ("objects", "objects named in a description", Plain, Neither),
    ("accuracy_own", "accuracy after its own beginning", Share, Higher),
    ("accuracy_gap", "accuracy after the true beginning less after its own", Share, Lower),
    ("logp", "log-probability a token of the true rest", Nats, Higher),
    ("logp_own", "log-probability a token of the true rest, after its own beginning", Nats, Higher),
    ("logp_gap", "nats a token that the true beginning helps", Nats, Lower),
    ("nll_loss", "negative log-likelihood of a chosen token", Nats, Lower),
    ("direct", "accuracy, Direct", Share, Higher),
    ("cot", "accuracy, CoT", Share, Higher),
    ("loss", "loss", Nats, Lower),
    ("grad_norm", "gradient norm", Plain, Neither),
    ("learning_rate", "learning rate", Plain, Neither),
];

impl Metric {
    /// By name; an unknown name is its own title.
    pub fn named(name: &str) -> Self {
        let bare = name.strip_prefix("validation/").unwrap_or(name);
        let bare = bare.rsplit_once('.').map_or(bare, |(_, last)| last);
        let known = KNOWN.iter().find(|(known, ..)| *known == bare);
        let (title, unit, better) = match known {
            Some(&(_, title, unit, better)) => (title.to_owned(), unit, better),
            None if bare.ends_with("accuracy") => (bare.replace(['_', '/'], " "), Share, Higher),
            None => (bare.replace('_', " "), Plain, Neither),
        };
        let title = if bare == name || !name.starts_with("validation/") {
            title
        } else {
            format!("validation {title}")
        };
        let bounds = match (unit, bare) {
            (Share, "accuracy_gap") => (-1.0, 1.0),
            // Answers may be graded above the reference's.
            (Share, "relative") => (0.0, f64::INFINITY),
            (Share, _) => (0.0, 1.0),
            (Nats | Plain, _) => (f64::NEG_INFINITY, f64::INFINITY),
        };
        Self { title, unit, better, bounds }
    }

    /// The same for a quantity of a chart: `Accuracy on reasoning`.
    pub fn heading(&self, measured: &str) -> String {
        let title = capital(&self.title);
        match measured.split_once('.') {
            Some((benchmark, _)) => format!("{title} on {benchmark}"),
            None => title,
        }
    }

    /// Axis title: the metric's and its unit.
    pub fn axis(&self) -> String {
        let title = capital(&self.title);
        match self.unit {
            Share => format!("{title} (%)"),
            Nats => format!("{title} (nats)"),
            Plain => title,
        }
    }

    /// A value as written on charts.
    pub fn write(&self, value: f64) -> String {
        match self.unit {
            Share => super::number::percent(value),
            // Hundredths: there is room for four digits beside a bar.
            Nats | Plain if value.abs() >= 0.1 => {
                super::number::short((value * 100.0).round() / 100.0)
            }
            Nats | Plain => super::number::short(value),
        }
    }

    /// How the numbers of one chart are written, all with the decimals that one of them needs.
    pub fn writer(&self, values: &[f64]) -> impl Fn(f64) -> String + use<> {
        let (metric, decimals) = (self.clone(), super::number::decimals(values));
        move |value| match (metric.unit, decimals) {
            (Nats | Plain, Some(decimals)) => format!("{value:.decimals$}").replace('-', "−"),
            _ => metric.write(value),
        }
    }

    /// An axis tick.
    pub fn tick(&self, value: f64) -> String {
        match self.unit {
            Share => super::number::short(super::number::clean(value * 100.0)),
            Nats | Plain => super::number::short(value),
        }
    }
}

/// With a capital first letter.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + letters.as_str()
    })
}

/// A prompt, variant or column value as people write it.
pub fn spoken(value: &str) -> String {
    match value {
        "direct" => "Direct".into(),
        "cot" => "CoT".into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_per_cent_on_axes_only() {
        let accuracy = Metric::named("accuracy");
        assert_eq!(accuracy.axis(), "Accuracy (%)");
        assert_eq!((accuracy.write(0.5931), accuracy.tick(0.2)), ("59.3".into(), "20".into()));
    }

    #[test]
    fn shares_have_an_end_and_their_differences_two() {
        let bounds = |name: &str| Metric::named(name).bounds;
        assert_eq!(bounds("reasoning.accuracy"), (0.0, 1.0));
        assert_eq!(bounds("shift.75.accuracy_gap"), (-1.0, 1.0));
        assert_eq!(bounds("llava_bench.relative"), (0.0, f64::INFINITY));
        assert_eq!(bounds("rewards/margins"), (f64::NEG_INFINITY, f64::INFINITY));
    }

    #[test]
    fn numbers_of_one_chart_have_one_precision() {
        let written = |name: &str, values: &[f64]| -> Vec<String> {
            values.iter().copied().map(Metric::named(name).writer(values)).collect()
        };
        assert_eq!(written("tokens", &[14.0, 0.3, 0.31]), ["14.00", "0.30", "0.31"]);
        assert_eq!(written("logps/chosen", &[-12.5, -3.0]), ["−12.5", "−3.0"]);
        assert_eq!(written("accuracy", &[0.5, 0.25]), ["50.0", "25.0"]);
        assert_eq!(written("learning_rate", &[5e-6, 1e-5]), ["5e−6", "1e−5"]);
    }

    #[test]
    fn unknown_metrics_keep_their_name() {
        let odd = Metric::named("wing_span");
        assert_eq!((odd.axis().as_str(), odd.unit), ("Wing span", Unit::Plain));
        assert_eq!(Metric::named("validation/cot").axis(), "Validation accuracy, CoT (%)");
    }
}
