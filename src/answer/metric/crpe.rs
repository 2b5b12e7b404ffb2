//! CRPE: existence and relation questions, each asked in four rotations of its options.
//!
//! A question counts when all four rotations are right, so that a habit of answering "A" scores nothing.

use crate::answer::choice::letter::{Pick, lead, pick};
use crate::answer::choice::occurrence;
use crate::answer::python::text::{at, from, len};
use crate::answer::python::{Exception, PyResult};
use std::collections::BTreeMap;

/// Categories, and the key for all of them.
pub const CATEGORIES: [&str; 5] = ["exist", "subject", "predicate", "object", "total"];

/// Options of a question.
const OPTIONS: usize = 4;

/// Rotations of a question.
pub const ROTATIONS: usize = 4;

/// Whether a prediction picks the known option.
///
/// The known answer is a letter, a letter with its text (`A. cat`), or a text. A letter in
/// the prediction decides; without one, the known text must occur in it as words.
///
/// # Source
///
/// Wang et al. 2024, arXiv:2402.19474 (CRPE), with the letters as [`crate::answer::choice`] reads them.
pub fn is_right(gold: &str, prediction: &str) -> bool {
    let known = lead(gold, OPTIONS);
    let text = known.map_or(gold, |known| known.rest).trim().to_lowercase();
    match pick(prediction, OPTIONS) {
        Pick::One(index) => known.is_some_and(|known| known.index == index),
        Pick::Several => false,
        Pick::None => occurrence(&prediction.to_lowercase(), &text).is_some(),
    }
}

/// VLMEvalKit's `is_correct`.
///
/// # Errors
///
/// An `IndexError` for an empty prediction, or an empty known answer beside a letter.
pub fn is_right_vlmevalkit(gold: &str, prediction: &str) -> PyResult<bool> {
    let first = at(prediction, 0).ok_or(Exception("IndexError"))?;
    if len(prediction) == 1 || matches!(first, 'A'..='D') {
        return at(gold, 0).map(|known| known == first).ok_or(Exception("IndexError"));
    }
    Ok(prediction.to_lowercase().contains(&from(gold, 4).to_lowercase()))
}

/// One rotation: known answer, prediction, category.
pub type Row<'a> = (&'a str, &'a str, &'a str);

/// Share of questions with all rotations right, by category; none where a category has no question.
///
/// A question's category is that of its first row.
///
/// # Errors
///
/// A number of rows that four does not divide, or a category that is none of [`CATEGORIES`].
pub fn shares(rows: &[Row<'_>]) -> Result<BTreeMap<&'static str, Option<f64>>, String> {
    shares_by(rows, is_right)
}

/// [`shares`] with another way to judge a row.
///
/// # Errors
///
/// As [`shares`].
pub fn shares_by(
    rows: &[Row<'_>],
    is_right: impl Fn(&str, &str) -> bool,
) -> Result<BTreeMap<&'static str, Option<f64>>, String> {
    if !rows.len().is_multiple_of(ROTATIONS) {
        return Err(format!("{} rows are no multiple of {ROTATIONS} rotations", rows.len()));
    }
    let mut counts = Counts::default();
    for (number, question) in rows.chunks(ROTATIONS).enumerate() {
        let all_right = question.iter().all(|(gold, prediction, _)| is_right(gold, prediction));
        let row = number * ROTATIONS + 1;
        counts.add(question[0].2, all_right).map_err(|_| {
            format!("row {row} has the category `{}`, which CRPE does not have", question[0].2)
        })?;
    }
    Ok(counts.shares())
}

/// VLMEvalKit's table: a question's category is that of the last row looked at, which is the
/// first wrong one.
///
/// # Errors
///
/// An `AssertionError` for a number of rows that four does not divide, a `KeyError` for an unknown
/// category, an `IndexError` for an empty prediction.
pub fn shares_vlmevalkit(rows: &[Row<'_>]) -> PyResult<BTreeMap<&'static str, Option<f64>>> {
    if !rows.len().is_multiple_of(ROTATIONS) {
        return Err(Exception("AssertionError"));
    }
    let mut counts = Counts::default();
    for question in rows.chunks(ROTATIONS) {
        let mut all_right = true;
        let mut category = "";
        for &(gold, prediction, row_category) in question {
            category = row_category;
            all_right = is_right_vlmevalkit(gold, prediction)?;
            if !all_right {
                break;
            }
        }
        counts.add(category, all_right)?;
    }
    Ok(counts.shares())
}

/// Right and all questions, by category.
#[derive(Default)]
struct Counts([(usize, usize); CATEGORIES.len()]);

impl Counts {
    fn add(&mut self, category: &str, right: bool) -> PyResult<()> {
        let known = CATEGORIES.iter().position(|&known| known == category);
        let index = known.ok_or(Exception("KeyError"))?;
        for index in [index, CATEGORIES.len() - 1] {
            self.0[index].0 += usize::from(right);
            self.0[index].1 += 1;
        }
        Ok(())
    }

    fn shares(&self) -> BTreeMap<&'static str, Option<f64>> {
        let share = |&(right, all): &(usize, usize)| (all > 0).then(|| right as f64 / all as f64);
        CATEGORIES.into_iter().zip(self.0.iter().map(share)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_decides_and_else_the_text() {
        for (gold, prediction, right) in [
            ("A", "A", true),
            ("A", "(A)", true),
            ("A. cat", "A. dog", true),
            ("A. cat", "The cat", true),
            ("A. cat", "B. cat", false),
            ("(A) cat", "A", true),
            ("B. red car", "the red car", true),
            ("B. red car", "Because it is red", false),
            ("A", "A cat", false),
            ("D", "I cannot tell", false),
            ("A", "", false),
            ("cat", "The cat", true),
            ("cat", "category", false),
            ("B", "B, C", false),
            ("B", "A. cat\nB. dog\nThe answer is B", true),
            ("A. cat", "A. cat\nB. dog\nThe answer is B", false),
        ] {
            assert_eq!(is_right(gold, prediction), right, "{gold:?} {prediction:?}");
        }
    }

    #[test]
    fn vlmevalkit_cuts_at_four_characters() {
        assert_eq!(is_right_vlmevalkit("A", "xyz"), Ok(true));
        assert_eq!(is_right_vlmevalkit("B. on", "answer: B"), Ok(true));
        assert_eq!(is_right_vlmevalkit("A", ""), Err(Exception("IndexError")));
    }

    #[test]
    fn a_question_needs_all_four_rotations() {
        let rows = [
            ("A", "A", "exist"),
            ("B", "B", "exist"),
            ("C", "C", "exist"),
            ("D", "D", "exist"),
            ("A", "A", "subject"),
            ("B", "A", "object"),
            ("C", "C", "subject"),
            ("D", "D", "subject"),
        ];
        let ours = shares(&rows).unwrap();
        assert_eq!((ours["exist"], ours["subject"], ours["object"]), (Some(1.0), Some(0.0), None));
        assert_eq!(ours["total"], Some(0.5));
        let theirs = shares_vlmevalkit(&rows).unwrap();
        assert_eq!((theirs["subject"], theirs["object"]), (None, Some(0.0)));
        assert!(shares(&rows[..3]).unwrap_err().contains("3 rows"));
        assert_eq!(shares_vlmevalkit(&rows[..3]), Err(Exception("AssertionError")));
        assert!(shares(&[("A", "A", "size"); 4]).unwrap_err().contains("`size`"));
    }
}
