//! LLaVA-Bench: a judge scores a reference answer and ours, 1 to 10 each; the measure is their ratio.

use crate::answer::python::number::{float, round};
use crate::answer::python::{Exception, PyResult};
use std::collections::BTreeMap;

/// Highest score.
pub const HIGHEST: f64 = 10.0;

/// Scores of the reference and of the model.
pub type Scores = (f64, f64);

/// A judge's two scores: the only two numbers on the first line that holds any text, each in
/// `[0, 10]`; none where the line says something else.
///
/// # Source
///
/// Liu et al. 2023, arXiv:2304.08485, section 5.1, whose script splits the line on single spaces.
pub fn scores(text: &str) -> Option<Scores> {
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    let marks = |c: char| c.is_whitespace() || ",;/*[]()".contains(c);
    let mut numbers = Vec::new();
    for part in line.split(marks).filter(|part| !part.is_empty()) {
        match part.trim_end_matches(':') {
            "and" | "&" | "Scores" | "scores" | "Score" => {}
            part => numbers.extend(part.split(':').map(float)),
        }
    }
    let [Some(reference), Some(model)] = numbers[..] else { return None };
    let fits = |score: f64| (0.0..=HIGHEST).contains(&score);
    (fits(reference) && fits(model)).then_some((reference, model))
}

/// What the peers return when they cannot read two scores.
pub const FAILED: Scores = (-1.0, -1.0);

/// The peers' scores: the first line, a comma as a space, exactly two fields between single spaces.
pub fn scores_peers(text: &str) -> Scores {
    let line = text.split('\n').next().unwrap_or_default().replace(',', " ");
    let fields: Vec<&str> = line.split(' ').collect();
    match fields[..] {
        [reference, model] => float(reference).zip(float(model)).unwrap_or(FAILED),
        _ => FAILED,
    }
}

/// Means of a category; each is none where nothing was scored or it divides by zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Means {
    /// `100 · mean(model) / mean(reference)`.
    pub relative: Option<f64>,
    /// Mean score of the reference, times ten.
    pub reference: Option<f64>,
    /// Mean score of the model, times ten.
    pub model: Option<f64>,
    /// Replies without scores.
    pub failed: usize,
}

/// One scored question: its category and scores, none where the judge failed.
pub type Row<'a> = (&'a str, Option<Scores>);

/// Means by category, `overall` for all; failed replies are counted and left out.
pub fn summary(rows: &[Row<'_>]) -> BTreeMap<String, Means> {
    let mut groups: BTreeMap<String, Vec<Option<Scores>>> = BTreeMap::new();
    for (category, scores) in rows {
        for name in ["overall", category] {
            groups.entry(name.to_owned()).or_default().push(*scores);
        }
    }
    groups.into_iter().map(|(name, scores)| (name, means(&scores))).collect()
}

fn means(scores: &[Option<Scores>]) -> Means {
    let read: Vec<Scores> = scores.iter().flatten().copied().collect();
    let failed = scores.len() - read.len();
    if read.is_empty() {
        return Means { failed, ..Means::default() };
    }
    let count = read.len() as f64;
    let reference = read.iter().map(|scores| scores.0).sum::<f64>() / count;
    let model = read.iter().map(|scores| scores.1).sum::<f64>() / count;
    Means {
        relative: (reference != 0.0).then(|| model / reference * 100.0),
        reference: Some(reference * 10.0),
        model: Some(model * 10.0),
        failed,
    }
}

/// VLMEvalKit's table: a failed reply's `-1 -1` stays in the means, and a zero divides as numpy does.
pub fn summary_vlmevalkit(rows: &[(&str, Scores)]) -> BTreeMap<String, (f64, f64, f64)> {
    grouped(rows, "overall", "")
        .into_iter()
        .map(|(name, (reference, model))| {
            (name, (model / reference * 100.0, model * 10.0, reference * 10.0))
        })
        .collect()
}

/// InternVL's table: means are rounded to three decimals before the ratio is taken and rounded to one.
///
/// # Errors
///
/// A `ZeroDivisionError` where a reference's mean rounds to zero.
pub fn summary_internvl(rows: &[(&str, Scores)]) -> PyResult<BTreeMap<String, (f64, f64, f64)>> {
    let table = |(name, (reference, model)): (String, Scores)| {
        let (reference, model) = (round(reference, 3), round(model, 3));
        if reference == 0.0 {
            return Err(Exception("ZeroDivisionError"));
        }
        let printed = [model / reference * 100.0, reference * 10.0, model * 10.0];
        let [relative, reference, model] = printed.map(|value| round(value, 1));
        Ok((name, (relative, reference, model)))
    };
    grouped(rows, "all", "llava_bench_").into_iter().map(table).collect()
}

/// Mean scores of the reference and the model, by category.
fn grouped(rows: &[(&str, Scores)], all: &str, prefix: &str) -> BTreeMap<String, Scores> {
    let mut sums: BTreeMap<String, (f64, f64, f64)> = BTreeMap::new();
    for (category, (reference, model)) in rows {
        for name in [all.to_owned(), format!("{prefix}{category}")] {
            let sum = sums.entry(name).or_default();
            *sum = (sum.0 + reference, sum.1 + model, sum.2 + 1.0);
        }
    }
    sums.into_iter().map(|(name, sum)| (name, (sum.0 / sum.2, sum.1 / sum.2))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_scores_are_read_in_any_layout() {
        for (text, read) in [
            ("8 9", Some((8.0, 9.0))),
            ("8, 9", Some((8.0, 9.0))),
            ("\n7\t8.5\nBoth are good. 1 2", Some((7.0, 8.5))),
            ("[10 5]", Some((10.0, 5.0))),
            ("**3 4**", Some((3.0, 4.0))),
            ("8 and 9", Some((8.0, 9.0))),
            ("Scores: 3 3", Some((3.0, 3.0))),
            ("5:2", Some((5.0, 2.0))),
            ("8 9 3", None),
            ("-5 2", None),
            ("11 2", None),
            ("nan 3", None),
            ("8", None),
            ("Assistant 1: 8 Assistant 2: 6", None),
            ("", None),
        ] {
            assert_eq!(scores(text), read, "{text:?}");
        }
        assert_eq!(scores_peers("8, 9"), FAILED);
        assert_eq!(scores_peers("3,7\r\nText"), (3.0, 7.0));
        assert_eq!(scores_peers("9 7.\r"), (9.0, 7.0));
    }

    #[test]
    fn failures_do_not_lower_a_mean() {
        let rows = [("conv", Some((7.0, 9.0))), ("complex", None)];
        let ours = summary(&rows);
        assert!((ours["overall"].relative.unwrap() - 900.0 / 7.0).abs() < 1e-12);
        assert_eq!((ours["overall"].failed, ours["complex"].relative), (1, None));
        let theirs = summary_vlmevalkit(&[("conv", (7.0, 9.0)), ("complex", FAILED)]);
        assert!((theirs["overall"].0 - 400.0 / 3.0).abs() < 1e-9);
        let printed = summary_internvl(&[("conv", (7.0, 9.0))]).unwrap();
        assert_eq!(printed["llava_bench_conv"], (128.6, 70.0, 90.0));
        assert_eq!(summary_internvl(&[("conv", (0.0, 9.0))]), Err(Exception("ZeroDivisionError")));
    }
}
