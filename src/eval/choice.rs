//! Multiple choice: which option a prediction picks.

use super::text::{strip, words};

/// A prediction that says one of these picks nothing (VLMEvalKit's list).
const REFUSALS: [&str; 4] = [
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
];

/// The option's letter: `A` for the first.
fn letter(index: usize) -> String {
    let offset = u8::try_from(index).expect("a question has fewer than 26 options");
    char::from(b'A' + offset).to_string()
}

/// Which option a known answer names: by its letter, else by its text.
pub fn index(choices: &[String], answer: &str) -> Option<usize> {
    let answer = strip(answer);
    let by_letter = (0..choices.len().min(26)).find(|&index| letter(index) == bare(answer));
    by_letter.or_else(|| {
        choices.iter().position(|choice| strip(choice).to_lowercase() == answer.to_lowercase())
    })
}

/// Which option a prediction picks: exactly one letter near its end, else "answer is X",
/// else exactly one option's text. None where it picks none, or more than one.
///
/// # Source
///
/// The order of VLMEvalKit's `can_infer`. Departures: an option text that is empty
/// matches nothing, and "answer is X" needs X to end there.
pub fn infer(choices: &[String], prediction: &str) -> Option<usize> {
    let refuses = REFUSALS.iter().any(|refusal| prediction.contains(refusal));
    if choices.is_empty() || choices.len() > 26 || refuses {
        return None;
    }
    by_letter(choices, prediction)
        .or_else(|| by_phrase(choices, prediction))
        .or_else(|| by_text(choices, prediction))
}

fn by_letter(choices: &[String], prediction: &str) -> Option<usize> {
    let spaced = prediction.replace(|c| ".()[],:;!*#{}".contains(c), " ");
    let tokens: Vec<&str> = words(&spaced).collect();
    let mut named = (0..choices.len()).filter(|&index| tokens.contains(&letter(index).as_str()));
    let (picked, None) = (named.next()?, named.next()) else { return None };
    let at = tokens.iter().position(|&token| token == letter(picked))?;
    // "A cat sits on the mat" picks nothing: the letter must be among the last four tokens.
    (at + 5 > tokens.len()).then_some(picked)
}

fn by_phrase(choices: &[String], prediction: &str) -> Option<usize> {
    let lower = prediction.to_lowercase();
    let (_, after) = lower.rsplit_once("answer is ")?;
    let token = after.split(|c: char| !c.is_alphanumeric()).find(|token| !token.is_empty())?;
    (0..choices.len()).find(|&index| letter(index).eq_ignore_ascii_case(token))
}

fn by_text(choices: &[String], prediction: &str) -> Option<usize> {
    let prediction = prediction.to_lowercase();
    let total: usize = choices.iter().map(|choice| choice.chars().count()).sum();
    // A long text may mention an option without picking it.
    if prediction.chars().count() > 2 * total {
        return None;
    }
    let mut found = choices.iter().enumerate().filter(|(_, choice)| {
        !strip(choice).is_empty() && prediction.contains(&choice.to_lowercase())
    });
    let (picked, None) = (found.next()?.0, found.next()) else { return None };
    Some(picked)
}

/// Whether both are the same option letter, or the same text: `(B) cow` is `B`.
pub fn same_letter(gold: &str, prediction: &str) -> bool {
    bare(gold) == bare(prediction)
}

/// The letter of `B.`, `B. cow`, `(B)` or `(B) cow`; other text as it is.
fn bare(text: &str) -> &str {
    let text = strip(text);
    let is_option = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_uppercase);
    let is = |at: usize, mark: u8| text.as_bytes().get(at) == Some(&mark);
    if is_option(0) && is(1, b'.') {
        &text[..1]
    } else if is(0, b'(') && is_option(1) && is(2, b')') {
        &text[1..2]
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices() -> Vec<String> {
        ["nucleus", "cell wall", "root", "leaf"].map(str::to_owned).into()
    }

    #[test]
    fn one_letter_near_the_end_is_a_pick() {
        assert_eq!(infer(&choices(), "(C)"), Some(2));
        assert_eq!(infer(&choices(), "So it must be B."), Some(1));
        assert_eq!(infer(&choices(), "A or B"), None);
        assert_eq!(infer(&choices(), "A man rides along the long road"), None);
    }

    #[test]
    fn the_phrase_needs_a_letter_of_its_own() {
        assert_eq!(infer(&choices(), "the answer is b, since plants have them there"), Some(1));
        assert_eq!(infer(&choices(), "the answer is because"), None);
    }

    #[test]
    fn one_option_text_is_a_pick() {
        assert_eq!(infer(&choices(), "The Cell Wall"), Some(1));
        assert_eq!(infer(&choices(), "root or leaf"), None);
        assert_eq!(infer(&["".into(), "x".into()], "y"), None);
    }

    #[test]
    fn letters_are_compared_without_their_text() {
        assert!(same_letter("(B) cow", "B. a cow") && same_letter("B", " B "));
        assert!(!same_letter("3", "3.14") && !same_letter("A", "B"));
    }
}
