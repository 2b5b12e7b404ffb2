//! Right answers whose rationale contradicts them: lucky guesses, and slips of the last line.
//! They teach that reasoning does not matter, so `pairs.correctness.consistency` can drop them.
//!
//! The rule looks for what surely contradicts: a sum that does not add up, and a conclusion
//! that names another number, option or yes than the final answer. What it cannot read
//! passes. The judge is asked whether the reasoning leads to the answer.
//!
//! # Source
//!
//! InternVL's first data pipeline (2024) had a judge drop such positives; the review of the
//! paper shows two pairs with contradictions on the chosen side.

use super::arithmetic::wrong_sum;
use super::judge::{Ask, Judge};
use super::{Sampled, Shop};
use crate::Result;
use crate::eval::extract::reasoned;
use crate::eval::metric::vqa::number_word;
use crate::eval::metric::yes_no::yes_or_no;
use crate::eval::text::generous_number;
use crate::spec::candidates::Prompt;
use crate::spec::pairs::Consistency;
use std::collections::HashSet;

/// Words of a sentence that concludes.
const CONCLUDES: [&str; 14] = [
    "therefore",
    "thus",
    "hence",
    "so",
    "answer",
    "total",
    "result",
    "equals",
    "sum",
    "altogether",
    "conclusion",
    "finally",
    "overall",
    "combined",
];

/// Which of the right answers contradict themselves; none where nobody is to look.
///
/// # Errors
///
/// A judge that fails.
pub fn contradicting(shop: &Shop<'_>, right: &[Vec<usize>]) -> Result<Option<HashSet<usize>>> {
    let answers = || right.iter().flatten().copied();
    Ok(match shop.settings.correctness.consistency {
        Consistency::None => None,
        Consistency::Rule => {
            let contradicts = |&answer: &usize| {
                let answer = &shop.sampled.answers[answer];
                contradiction(answer.prompt, &answer.text).is_some()
            };
            Some(answers().filter(contradicts).collect())
        }
        Consistency::Judge => Some(judged(shop, answers().collect())?),
    })
}

/// Those that a judge finds inconsistent. Each text is asked about once a question.
fn judged(shop: &Shop<'_>, answers: Vec<usize>) -> Result<HashSet<usize>> {
    let sampled = shop.sampled;
    let asks: Vec<Ask> = answers
        .iter()
        .map(|&answer| Ask { images: &[], question: asked(sampled, answer) })
        .collect();
    let opinions = Judge::open(shop)?.yes_or_no("consistency", &asks)?;
    let denied = answers.into_iter().zip(opinions).filter(|(_, opinion)| !opinion.is_yes());
    Ok(denied.map(|(answer, _)| answer).collect())
}

/// What the judge is asked about an answer; it needs no picture.
fn asked(sampled: &Sampled, answer: usize) -> String {
    format!(
        "Question: {}\n\nResponse: {}\n\nDoes the reasoning in this response lead to its final \
         answer, without contradicting it?",
        sampled.question_of(answer).question,
        sampled.answers[answer].text
    )
}

/// What a reasoned answer says against itself, if anything.
pub fn contradiction(prompt: Prompt, text: &str) -> Option<String> {
    if prompt == Prompt::Direct {
        return None;
    }
    let parts = reasoned(text)?;
    if let Some(sum) = wrong_sum(parts.rationale) {
        return Some(format!("`{sum}` does not add up"));
    }
    let last = last_sentence(parts.rationale);
    number(parts.rationale, last, parts.answer)
        .or_else(|| option(last, parts.answer))
        .or_else(|| denial(last, parts.answer))
}

/// The last sentence, or line, that says something.
fn last_sentence(rationale: &str) -> &str {
    let line = rationale.lines().rev().find(|line| line.chars().any(char::is_alphanumeric));
    let line = line.unwrap_or_default().trim();
    let body = line.trim_end_matches(|c: char| !c.is_alphanumeric());
    let mut ends = body.match_indices(['.', '!', '?', ';', '。', '！', '？', '；']);
    // A point between digits ends no sentence.
    let breaks = |&(at, mark): &(usize, &str)| {
        mark != "." || body[at + mark.len()..].starts_with(char::is_whitespace)
    };
    ends.rfind(breaks).map_or(line, |(at, mark)| line[at + mark.len()..].trim())
}

/// A number that the last sentence concludes and the answer is not.
fn number(rationale: &str, last: &str, answer: &str) -> Option<String> {
    let wanted = value(answer)?;
    let (all, concluded) = (numbers(rationale), numbers(last));
    // Only where per cent are spoken of may 50 mean 0.5.
    let percent = [rationale, answer].iter().any(|text| {
        let text = text.to_lowercase();
        ["%", "percent", "per cent"].iter().any(|sign| text.contains(sign))
    });
    let same = |a: f64, b: f64| same(a, b) || percent && (same(a * 100.0, b) || same(a, b * 100.0));
    let &said = concluded.last()?;
    if concluded.iter().any(|&number| same(number, wanted)) {
        return None;
    }
    let words: Vec<String> = words(last).collect();
    let concludes =
        last.contains('=') || words.iter().any(|word| CONCLUDES.contains(&word.as_str()));
    let ends_so = ends_in_number(last);
    let nowhere = !all.iter().any(|&number| same(number, wanted)) && !follows(&concluded, wanted);
    (concludes && ends_so || nowhere && (concludes || ends_so))
        .then(|| format!("the reasoning ends in {said}, and the answer is {answer}"))
}

/// Whether a sentence ends in `is 10`, `= 10`, `: 10`, a unit at most behind it.
fn ends_in_number(sentence: &str) -> bool {
    let text = sentence.trim_end_matches(|c: char| !c.is_alphanumeric());
    let last: Vec<&str> = text.split_whitespace().rev().take(3).collect();
    let at = last.iter().position(|word| value(word).is_some());
    let Some(at) = at.filter(|&at| at < 2) else { return false };
    last.get(at + 1).is_some_and(|before| {
        ["is", "are", "was", "=", "equals", "be"].contains(before) || before.ends_with(':')
    })
}

/// Whether a number follows from a sentence's own by one step, which may be left to the reader.
fn follows(numbers: &[f64], wanted: f64) -> bool {
    let total: f64 = numbers.iter().sum();
    let of_two = |a: f64, b: f64| [a + b, a - b, b - a, a * b, a / b, b / a];
    let pairs = numbers
        .iter()
        .enumerate()
        .flat_map(|(at, &a)| numbers[at + 1..].iter().flat_map(move |&b| of_two(a, b)));
    numbers.len() > 1 && pairs.chain([total]).any(|number| same(number, wanted))
}

/// Equal as printed.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 5e-3 * a.abs().max(b.abs())
}

/// The numbers of a text, number words among them.
fn numbers(text: &str) -> Vec<f64> {
    let is_of_number = |c: char| c.is_alphanumeric() || ".,/-\u{2212}".contains(c);
    text.split(|c: char| !is_of_number(c))
        .flat_map(|piece| {
            let piece = piece.trim_matches(['.', ',', '/']);
            // A word may hold a number: `b3` is a place, `5cm` a length.
            let digits = piece.trim_end_matches(|c: char| c.is_alphabetic());
            value(piece).or_else(|| value(digits)).or_else(|| value(digits.trim_start_matches('-')))
        })
        .collect()
}

/// What a short text is worth as a number.
fn value(text: &str) -> Option<f64> {
    let text = text.trim().trim_matches(['*', '$', '`', '"', '€', '£']);
    let text = text.trim_end_matches(['%', '°', '.']);
    if text.is_empty()
        || !text.starts_with(|c: char| c.is_alphanumeric() || "-+\u{2212}.".contains(c))
    {
        return None;
    }
    let fraction = || {
        let (over, under) = text.split_once('/')?;
        Some(generous_number(over)? / generous_number(under)?)
    };
    let word = || number_word(&text.to_lowercase()).filter(|_| text != "none")?.parse().ok();
    generous_number(text).or_else(fraction).or_else(word).filter(|number: &f64| number.is_finite())
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase)
}

/// An option that the last sentence calls the answer, and the answer is another.
fn option(last: &str, answer: &str) -> Option<String> {
    let bare = |text: &str| {
        let text = text.trim_matches(|c: char| !c.is_alphanumeric());
        let mut letters = text.chars();
        let (letter, None) = (letters.next()?, letters.next()) else { return None };
        letter.is_ascii_uppercase().then_some(letter)
    };
    let head = answer
        .split(['.', ')', ':'])
        .find(|part| !part.trim_matches(['(', ' ', '*']).is_empty())?;
    let wanted = bare(head)?;
    let words: Vec<&str> = last.split_whitespace().collect();
    let mut named = words.iter().enumerate().filter_map(|(at, word)| {
        let before = at.checked_sub(1).map(|at| words[at].to_lowercase());
        let letter = bare(word)?;
        let introduced = before.is_some_and(|before| {
            ["is", "option", "choice", "answer", "answer:", "be"].contains(&before.as_str())
        });
        introduced.then_some(letter)
    });
    let (said, None) = (named.next()?, named.next()) else { return None };
    (said != wanted)
        .then(|| format!("the reasoning ends in option {said}, and the answer is {answer}"))
}

/// A yes or no that the last sentence calls the answer, and the answer is the other.
fn denial(last: &str, answer: &str) -> Option<String> {
    let wanted = match answer.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().as_str() {
        "yes" => true,
        "no" => false,
        _ => return None,
    };
    let lower = last.to_lowercase();
    let opening = words(last).next().filter(|word| word == "yes" || word == "no");
    let called = lower.rsplit_once("answer is").map(|(_, after)| after.to_owned());
    let said = match (called, opening) {
        (Some(called), _) => yes_or_no(&called)?,
        (None, Some(opening)) => opening == "yes",
        (None, None) => return None,
    };
    let word = if said { "yes" } else { "no" };
    (said != wanted).then(|| format!("the reasoning ends in {word}, and the answer is {answer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rationale: &str, answer: &str, contradicts: bool) {
        let text = format!("{rationale}\n\nFinal answer: {answer}");
        let found = contradiction(Prompt::Cot, &text);
        assert_eq!(found.is_some(), contradicts, "{text:?}: {found:?}");
    }

    #[test]
    fn a_text_that_reasons_10_and_answers_1000_contradicts_itself() {
        check("The bar reaches the line of 10.\nTherefore, the value is 10.", "1000", true);
        check("The scale runs from 0 to 1000.\nSo the answer is 10.", "1000", true);
        check("Each side is 2 and there are 5.\n2 × 5 = 10.", "1000", true);
        check("First look at the axis.\nThe height of the bar is 10.", "1000", true);
    }

    #[test]
    fn a_sum_that_does_not_add_up_contradicts_itself() {
        check("There are 9 red ones and 9 blue ones.\n9 + 9 = 14.", "14", true);
        check("Add the prices.\n3.50 + 2.25 = 6.75. The total is 6.75.", "6.75", true);
        check("Add the prices.\n3.50 + 2.25 = 5.75. The total is 5.75.", "5.75", false);
    }

    #[test]
    fn what_agrees_or_cannot_be_read_passes() {
        check("red shapes: b1 1, c2 2.\nred shapes: 2.", "2", false);
        check("pear 3, apple 4, fig 9.\n3 + 4 = 7, 7 + 9 = 16.", "16", false);
        check("Look at both.\nThere are 3 red and 2 blue shapes.", "5", false);
        check("Half of them are left.\nSo 1/2 of the 8 are red, that is 50%.", "0.5", false);
        check("We count.\nTherefore there are ten of them.", "10", false);
        check("c1 blue circle, d1 yellow circle.\nyellow circle: d1.", "yes", false);
        check("The plant needs light.\nIt grows towards the window.", "B", false);
        check("In 2010 the bar is the tallest.\nIt was the year of the most sales.", "2010", false);
        check("Look.\nThe company sold 1,200 in total.", "1200", false);
    }

    #[test]
    fn options_and_yes_or_no_are_heard() {
        check("Heat rises.\nSo the answer is B.", "C", true);
        check("Heat rises.\nSo the correct option is (B).", "B", false);
        check("Heat rises.\nSo the answer is B.", "(B) warm air", false);
        check("There is one.\nTherefore the answer is no.", "Yes", true);
        check("There is one.\nYes, there is a dog.", "no", true);
        check("There is none.\nThere is no dog in the picture.", "no", false);
    }
}
