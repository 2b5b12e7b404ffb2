//! Relaxed accuracy (ChartQA): numbers within 5 % of the known one, other text equal but for case.
//!
//! VLMEvalKit and InternVL carry the same function from pix2struct; InternVL's evaluator hands it
//! its arguments the wrong way round, and InternVL's labeller changes its reading of numbers.

use crate::answer::python::eval::list;
use crate::answer::python::number::float;
use crate::answer::python::text::{len, strip};
use crate::answer::python::{Exception, Py, PyResult};
use crate::answer::text::generous_number;

/// The share by which a number may be off.
pub const SHARE: f64 = 0.05;

/// Relaxed accuracy of one known answer.
///
/// Percentages are divided by 100, so `50%` is `0.5`. A known zero is a number, which only zero
/// matches. Thousand separators and a real minus sign are read; `nan` and `inf` are words.
///
/// # Formula
///
/// ```text
/// right = |prediction − gold| / |gold| ≤ 0.05, in doubles and in this order;  text: equal but for case
/// ```
///
/// # Source
///
/// Masry et al. 2022, arXiv:2203.10244, section 5.1, after Methani et al. 2020.
pub fn relaxed(gold: &str, prediction: &str) -> bool {
    within(SHARE, number(gold), number(prediction))
        .unwrap_or_else(|| equal_but_case(gold, prediction))
}

/// The number that an answer is, percentages as shares.
pub fn number(text: &str) -> Option<f64> {
    let text = strip(text);
    let value = match text.strip_suffix('%') {
        Some(percent) => generous_number(percent)? / 100.0,
        None => generous_number(text)?,
    };
    Some(value).filter(|value| value.is_finite())
}

/// Whether a number lies within a share of the known one; none where one is not a number.
///
/// The order of operations is that of the published scorers, since a prediction on the boundary
/// falls to either side by the last bit.
pub fn within(share: f64, gold: Option<f64>, prediction: Option<f64>) -> Option<bool> {
    let (gold, prediction) = (gold?, prediction?);
    if gold == 0.0 {
        return Some(prediction == 0.0);
    }
    Some((prediction - gold).abs() / gold.abs() <= share)
}

/// Equal but for case and white space around.
pub fn equal_but_case(gold: &str, prediction: &str) -> bool {
    strip(gold).to_lowercase() == strip(prediction).to_lowercase()
}

/// The peers' function, neither text stripped.
pub fn correctness(target: &str, prediction: &str) -> bool {
    compare(target, prediction, SHARE, |text| match text.ends_with('%') {
        true => float(text.trim_end_matches('%')).map(|number| number / 100.0),
        false => float(text),
    })
}

/// A zero target falls to text, and so does whatever `float` refuses.
pub(super) fn compare(
    target: &str,
    prediction: &str,
    share: f64,
    read: impl Fn(&str) -> Option<f64>,
) -> bool {
    match (read(prediction), read(target)) {
        (Some(prediction), Some(target)) if target != 0.0 => {
            (prediction - target).abs() / target.abs() <= share
        }
        _ => prediction.to_lowercase() == target.to_lowercase(),
    }
}

/// VLMEvalKit's score: a known answer that reads as a Python list is several; the
/// prediction is stripped, the known answer is not.
///
/// # Errors
///
/// A `ValueError` for an empty list.
pub fn vlmevalkit(gold: &str, prediction: &str) -> PyResult<f64> {
    let golds = list(gold).unwrap_or_else(|| vec![Py::Str(gold.to_owned())]);
    let golds: Vec<String> = golds.iter().map(Py::str).collect();
    vlmevalkit_of(&golds, prediction)
}

/// The same against several known answers.
///
/// # Errors
///
/// A `ValueError` where there are none.
pub fn vlmevalkit_of(golds: &[String], prediction: &str) -> PyResult<f64> {
    best(golds.iter().map(|gold| correctness(gold, strip(prediction))))
}

/// InternVL's evaluator: the prediction is the target, so that 5 % are 5 % of the prediction.
///
/// # Errors
///
/// A `ValueError` where there are no known answers.
pub fn internvl_of(golds: &[String], prediction: &str) -> PyResult<f64> {
    best(golds.iter().map(|gold| correctness(strip(prediction), gold)))
}

fn best(scores: impl Iterator<Item = bool>) -> PyResult<f64> {
    let best = scores.max().ok_or(Exception("ValueError"))?;
    Ok(f64::from(u8::from(best)))
}

/// InternVL's labeller: a percent sign is dropped, and a known answer of four characters that begins
/// with `20` is a year, which compares as text.
pub fn labeller(target: &str, prediction: &str) -> bool {
    if len(target) == 4 && target.starts_with("20") {
        return prediction.to_lowercase() == target.to_lowercase();
    }
    compare(target, prediction, SHARE, |text| float(text.trim_end_matches('%')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_percent_of_the_known_number() {
        for (gold, prediction, right) in [
            ("100", "105", true),
            ("100", "95", true),
            ("100", "105.1", false),
            ("100", "94.9", false),
            // 0.0525 − 0.05 = 0.0024999999999999953 in doubles, a hair under 5 %.
            ("0.05", "0.0525", true),
            ("50%", "0.52", true),
            ("50%", "50", false),
            ("0.5", "50%", true),
            ("0", "0.0", true),
            ("0", "0.01", false),
            ("0%", "-0", true),
            ("\u{2212}5", "-5.2", true),
            ("1,000", "1049", true),
            ("-20", "-21", true),
            ("-20", "20", false),
            ("Red", "red ", true),
            ("red", "", false),
            ("", "", true),
            ("nan", "NaN", true),
            ("inf", "1", false),
            ("2001 cars", "2002 cars", false),
        ] {
            assert_eq!(relaxed(gold, prediction), right, "{gold:?} {prediction:?}");
        }
    }

    #[test]
    fn the_peers_differ_where_their_notes_say() {
        assert_eq!(vlmevalkit("0", "0.0"), Ok(0.0));
        assert_eq!(vlmevalkit("[0.5, 0.6]", "50%"), Ok(1.0));
        assert_eq!(vlmevalkit("[]", "50%"), Err(Exception("ValueError")));
        assert_eq!(vlmevalkit(" 5", "5"), Ok(1.0));
        assert_eq!(vlmevalkit(" red", "red"), Ok(0.0));
        // 95 is 5.26 % off itself; 105.2 less 5 % is below 100.
        assert_eq!(internvl_of(&["100".into()], "95"), Ok(0.0));
        assert_eq!(internvl_of(&["100".into()], "105.2"), Ok(1.0));
        assert_eq!(internvl_of(&[], "5"), Err(Exception("ValueError")));
        assert!(labeller("50%", "50") && !labeller("2016", "2015") && !labeller("20.5", "20.50"));
        assert!(!correctness("nan", "nan") && !correctness("inf", "inf"));
    }
}
