//! Average normalized Levenshtein similarity: DocVQA, InfoVQA and ST-VQA.

use crate::answer::python::text::{collapse, len, strip};
use crate::answer::python::{Exception, PyResult};
use crate::answer::text::edit_distance;

/// Similarities below it count as 0.
pub const THRESHOLD: f64 = 0.5;

/// Similarity to one known answer.
///
/// # Formula
///
/// ```text
/// s = 1 − distance(gold, prediction) / max(|gold|, |prediction|);  s < 0.5 counts as 0
/// ```
///
/// Both are lower-cased, white space collapsed; two empty answers are alike.
///
/// # Source
///
/// Biten et al. 2019, arXiv:1905.13648, section 4, with the threshold as DocVQA's evaluator
/// applies it: one half counts. That evaluator divides by lengths from before
/// normalization, and InternVL's labeller takes the distance for the similarity. Neither is kept.
pub fn anls(gold: &str, prediction: &str) -> f64 {
    let (gold, prediction) = (normal(gold), normal(prediction));
    let longest = len(&gold).max(len(&prediction));
    if longest == 0 {
        return 1.0;
    }
    kept(1.0 - edit_distance(&gold, &prediction) as f64 / longest as f64)
}

/// The best of several known answers; 0 where there are none.
pub fn best(golds: &[String], prediction: &str) -> f64 {
    golds.iter().map(|gold| anls(gold, prediction)).fold(0.0, f64::max)
}

fn normal(text: &str) -> String {
    collapse(&text.to_lowercase())
}

fn kept(similarity: f64) -> f64 {
    if similarity < THRESHOLD { 0.0 } else { similarity }
}

/// The distance that VLMEvalKit and InternVL divide by the longer raw text, upper-cased.
pub(super) fn peers_distance(gold: &str, prediction: &str) -> (usize, usize) {
    let length = len(&gold.to_uppercase()).max(len(&prediction.to_uppercase()));
    (edit_distance(&normal(gold), &normal(prediction)), length)
}

/// DocVQA and InfoVQA in VLMEvalKit and InternVL.
///
/// # Errors
///
/// A `ValueError` where there are no known answers.
pub fn peers(golds: &[String], prediction: &str) -> PyResult<f64> {
    let share = |gold: &String| match peers_distance(gold, prediction) {
        (_, 0) => 0.0,
        (distance, length) => distance as f64 / length as f64,
    };
    let least = golds.iter().map(share).reduce(f64::min).ok_or(Exception("ValueError"))?;
    Ok(kept(1.0 - least))
}

/// ST-VQA in InternVL: lower-cased and stripped, inner white space kept.
///
/// # Errors
///
/// A `ZeroDivisionError` where both are empty, a `ValueError` where there are no known answers.
pub fn stvqa(golds: &[String], prediction: &str) -> PyResult<f64> {
    let mut best = Err(Exception("ValueError"));
    for gold in golds {
        let (gold, prediction) = (gold.to_lowercase(), prediction.to_lowercase());
        let (gold, prediction) = (strip(&gold), strip(&prediction));
        let longest = len(gold).max(len(prediction));
        if longest == 0 {
            return Err(Exception("ZeroDivisionError"));
        }
        let similarity = kept(1.0 - edit_distance(prediction, gold) as f64 / longest as f64);
        best = Ok(similarity.max(best.unwrap_or(0.0)));
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarity_is_one_less_distance_over_length() {
        for (gold, prediction, expected) in [
            ("abcd", "abcd", 1.0),
            ("abcd", "ABCD ", 1.0),
            ("abcd", "abcx", 0.75),
            ("abcd", "abxx", 0.5),
            ("abcd", "axxx", 0.0),
            ("ab", "abcd", 0.5),
            ("a  b", "a b", 1.0),
            ("", "", 1.0),
            ("", "a", 0.0),
            ("Straße", "strasse", 1.0 - 2.0 / 7.0),
            ("12/03/98", "12/03/99", 0.875),
            ("日本語", "日本", 1.0 - 1.0 / 3.0),
        ] {
            let value = anls(gold, prediction);
            assert!((value - expected).abs() < 1e-12, "{gold:?} {prediction:?}: {value}");
        }
        assert_eq!(best(&["x".into(), "abcd".into()], "abcd"), 1.0);
        assert_eq!(best(&[], "abcd"), 0.0);
    }

    #[test]
    fn the_peers_divide_by_other_lengths() {
        // "a b" against "a  b": distance 0 of the collapsed texts, whatever the length.
        assert_eq!(peers(&["a  b".into()], "a b"), Ok(1.0));
        // One edit in four raw characters, three collapsed ones.
        assert_eq!(peers(&["a  c".into()], "a b"), Ok(0.75));
        assert!((anls("a  c", "a b") - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(stvqa(&["a  b".into()], "a b"), Ok(0.75));
        assert_eq!(stvqa(&[" ".into()], ""), Err(Exception("ZeroDivisionError")));
        assert_eq!(stvqa(&[], ""), Err(Exception("ValueError")));
        assert_eq!(peers(&["".into()], ""), Ok(1.0));
        assert_eq!(peers(&[], ""), Err(Exception("ValueError")));
    }
}
