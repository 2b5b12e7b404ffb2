//! The VQA challenge's normalizer and soft accuracy, for TextVQA and its kind.
//!
//! Ours is the answer processor of the TextVQA server. Two peers have their own: InternVL's
//! copy of that processor, and VLMEvalKit's, which skips its first step and reads some rules otherwise.

use super::contraction::contraction;
use crate::answer::python::text::{at, is_digit, strip, words};
use crate::answer::python::{Exception, PyResult};

/// Marks that the processors take out; VLMEvalKit's and InternVL's tables are the same.
const MARKS: &str = ";/[]\"{}()=+\\_-><@`,?!";

/// Words that become digits, by value; "none" is 0 too.
const NUMBER_WORDS: [&str; 11] =
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

/// Replacements after which the peers stop taking out periods: a regex flag (32) in the count's place.
const PEERS_PERIODS: usize = 32;

/// The digits of a number word from zero to ten (and "none").
pub fn number_word(word: &str) -> Option<String> {
    let value =
        if word == "none" { Some(0) } else { NUMBER_WORDS.iter().position(|&known| known == word) };
    value.map(|value| value.to_string())
}

/// An answer as VQA and TextVQA compare it: lower case, without articles and
/// punctuation, number words as digits, contractions mended.
///
/// # Source
///
/// The rules of the VQA challenge's evaluator (Antol et al. 2015, arXiv:1505.00468) as TextVQA's
/// server applies them. One departure: it removes at most 32 periods, by an argument in
/// the wrong place; here all go that no digit follows.
pub fn normalize(text: &str) -> String {
    server(text, usize::MAX)
}

/// InternVL's normalizer: the server's, with its slip.
pub fn normalize_internvl(text: &str) -> String {
    server(text, PEERS_PERIODS)
}

/// VLMEvalKit's normalizer: commas and question marks are punctuation, `'s` stays, a period
/// after a digit stays, and one `digit,digit` makes every mark vanish without a space.
pub fn normalize_vlmevalkit(text: &str) -> String {
    let text = text.replace(['\n', '\t'], " ");
    digits_and_articles(&normalize_punctuation(strip(&text)))
}

/// The punctuation half of VLMEvalKit's normalizer, which its yes/no reader uses by itself.
pub fn normalize_punctuation(text: &str) -> String {
    without_periods(&without_marks(text, has_digit_comma_digit(text)), true, PEERS_PERIODS)
}

fn server(text: &str, most_periods: usize) -> String {
    let lower = text.to_lowercase().replace([',', '?'], "").replace("'s", " 's");
    let lower = strip(&lower).replace(['\n', '\t'], " ");
    // Its rule for commas between digits can never apply: the commas are gone.
    let plain = without_marks(strip(&lower), false);
    digits_and_articles(&without_periods(&plain, false, most_periods))
}

/// Whether a comma stands between digits.
pub fn has_digit_comma_digit(text: &str) -> bool {
    text.match_indices(',').any(|(place, _)| {
        text[..place].chars().next_back().is_some_and(is_digit)
            && at(&text[place + 1..], 0).is_some_and(is_digit)
    })
}

/// A mark that stands beside a space anywhere goes without a trace; another one parts words.
fn without_marks(text: &str, vanish: bool) -> String {
    let mut plain = text.to_owned();
    for mark in MARKS.chars() {
        let beside_space = text.contains(&format!("{mark} ")) || text.contains(&format!(" {mark}"));
        plain = plain.replace(mark, if beside_space || vanish { "" } else { " " });
    }
    plain
}

/// Without the first periods that no digit follows (and, for VLMEvalKit, that follow no digit).
fn without_periods(text: &str, keeps_after_digit: bool, most: usize) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut dropped = 0;
    let mut rest = text.chars().peekable();
    let mut before = None;
    while let Some(c) = rest.next() {
        let beside_digit = rest.peek().copied().is_some_and(is_digit)
            || (keeps_after_digit && before.is_some_and(is_digit));
        if c == '.' && !beside_digit && dropped < most {
            dropped += 1;
        } else {
            kept.push(c);
        }
        before = Some(c);
    }
    kept
}

fn digits_and_articles(text: &str) -> String {
    words(&text.to_lowercase())
        .map(|word| number_word(word).unwrap_or_else(|| word.to_owned()))
        .filter(|word| !matches!(word.as_str(), "a" | "an" | "the"))
        .map(|word| contraction(&word).map_or(word, str::to_owned))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Equal after the normalizer; two answers that normalize to nothing are not.
pub fn equal(gold: &str, prediction: &str) -> bool {
    let prediction = normalize(prediction);
    !prediction.is_empty() && prediction == normalize(gold)
}

/// The VQA challenge's soft accuracy against its annotators' answers, of which there are ten.
///
/// # Formula
///
/// ```text
/// accuracy = mean over i of min(1, #{j ≠ i : answer_j = prediction} / 3)
/// ```
///
/// A lone answer is compared, not left out.
///
/// # Source
///
/// Antol et al. 2015, arXiv:1505.00468, in its leave-one-out form.
pub fn accuracy(answers: &[String], prediction: &str) -> f64 {
    let prediction = normalize(prediction);
    let agrees: Vec<bool> = answers.iter().map(|answer| normalize(answer) == prediction).collect();
    if let [only] = agrees.as_slice() {
        return f64::from(u8::from(*only));
    }
    if agrees.is_empty() { 0.0 } else { leave_one_out(&agrees) }
}

/// InternVL's TextVQA accuracy.
///
/// # Errors
///
/// An `AssertionError` unless there are ten answers.
pub fn accuracy_internvl(answers: &[String], prediction: &str) -> PyResult<f64> {
    if answers.len() != 10 {
        return Err(Exception("AssertionError"));
    }
    let prediction = normalize_internvl(prediction);
    let agrees: Vec<bool> =
        answers.iter().map(|answer| normalize_internvl(answer) == prediction).collect();
    Ok(leave_one_out(&agrees))
}

/// VLMEvalKit's: a lone answer is left out of its own comparison, so that it scores 0.
pub fn accuracy_vlmevalkit(answers: &[String], prediction: &str) -> f64 {
    let prediction = normalize_vlmevalkit(prediction);
    let agrees: Vec<bool> =
        answers.iter().map(|answer| normalize_vlmevalkit(answer) == prediction).collect();
    leave_one_out(&agrees)
}

/// Mean over the annotators of the share that the others give; `NaN` where there are none.
fn leave_one_out(agrees: &[bool]) -> f64 {
    let total = agrees.iter().filter(|&&agrees| agrees).count();
    let of_others = |left_out: &bool| (total - usize::from(*left_out)).min(3) as f64 / 3.0;
    agrees.iter().map(of_others).sum::<f64>() / agrees.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normalizer_follows_its_published_rules() {
        for (text, normal) in [
            ("The COCA COLA?", "coca cola"),
            ("(twenty),", "twenty"),
            ("u.s.a 1/2", "usa 1 2"),
            ("red!bus", "red bus"),
            ("back\\slash ? -5", "back slash 5"),
            ("None of the two", "0 of 2"),
            ("5.", "5"),
            (".5", ".5"),
            ("3.14", "3.14"),
            ("john's", "john 's"),
            ("1,234", "1234"),
            ("dont", "don't"),
            ("wouldnt've", "wouldn't've"),
            ("somebody'd", "somebodyd"),
            ("..a..", ""),
            ("", ""),
        ] {
            assert_eq!(normalize(text), normal, "{text:?}");
        }
    }

    #[test]
    fn vlmevalkit_reads_some_rules_otherwise() {
        for (text, normal) in [
            ("5.", "5."),
            ("5,000 red-bus", "5000 redbus"),
            ("red-bus", "red bus"),
            ("john's", "john's"),
            ("what?why", "what why"),
        ] {
            assert_eq!(normalize_vlmevalkit(text), normal, "{text:?}");
        }
    }

    #[test]
    fn the_peers_stop_at_32_periods() {
        let text = "a".to_owned() + &". b".repeat(40);
        assert_eq!(normalize(&text).matches('.').count(), 0);
        assert_eq!(normalize_internvl(&text).matches('.').count(), 8);
        assert_eq!(normalize_vlmevalkit(&text).matches('.').count(), 8);
    }

    #[test]
    fn three_annotators_nearly_make_an_answer_right() {
        let answers = |agree: usize| -> Vec<String> {
            (0..10).map(|i| if i < agree { "red".into() } else { format!("x{i}") }).collect()
        };
        // Leave-one-out means: 1 agrees: 9/10·1/3; 2: (8·2/3 + 2·1/3)/10; 3: (7·1 + 3·2/3)/10.
        for (agree, expected) in [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)] {
            assert!((accuracy(&answers(agree), "RED.") - expected).abs() < 1e-12, "{agree}");
        }
        assert_eq!(accuracy(&["Red".into()], "the red"), 1.0);
        assert_eq!(accuracy_vlmevalkit(&["red".into()], "red"), 0.0);
        assert_eq!(accuracy(&[], "red"), 0.0);
        assert_eq!(accuracy_internvl(&answers(4)[..9], "red"), Err(Exception("AssertionError")));
        // An empty answer agrees with what normalizes to nothing, as the server has it.
        assert_eq!(accuracy(&vec!["the".into(); 10], ""), 1.0);
    }
}
