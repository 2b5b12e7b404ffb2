//! Predictions that name one option by its letter and another by its text: `B. root`, `blue (A)`.

use super::letter::{Lead, lead, named};
use super::mention::stands;
use super::{MOST, bare, same_text, whole_text};
use crate::answer::matching::vqa_equal;
use crate::answer::python::text::strip;

/// Whether a prediction names one option by its letter and another by its text, in either order.
pub fn contradicts_itself(choices: &[String], prediction: &str) -> bool {
    letter_first(choices, prediction) || text_first(choices, prediction)
}

/// `B. root`, `B is the root`, where B is another option.
fn letter_first(choices: &[String], prediction: &str) -> bool {
    let count = choices.len().min(MOST);
    // "B is the root": a letter that a sentence begins with.
    let subject = || {
        let (first, rest) = strip(prediction).split_once(' ')?;
        let found = lead(first, count).filter(|found| found.rest.is_empty())?;
        rest.starts_with("is ").then_some(Lead { rest, ..found })
    };
    let Some(Lead { index, rest }) = named(prediction, count).or_else(subject) else {
        return false;
    };
    let mut said = rest;
    while let Some((word, behind)) = said.split_once(' ')
        && ["", "is", "it", "it's", "=", "the", "a", "an"].contains(&word.to_lowercase().as_str())
    {
        said = behind;
    }
    let is = |choice: &String| same_text(choice, said) || vqa_equal(choice, said);
    !is(&choices[index]) && choices.iter().any(is)
}

/// `blue (A)`, `blue, option A`, where A is another option.
fn text_first(choices: &[String], prediction: &str) -> bool {
    let Some((said, index)) = last_letter(prediction, choices.len().min(MOST)) else {
        return false;
    };
    // The letter may be part of an option: "vitamin (A)".
    if whole_text(choices, prediction).next().is_some() {
        return false;
    }
    let said = bare(said.trim_end_matches([',', ';', ':', '-', '–', '—', ' ', '，', '、', '：']));
    let ends = |choice: &String| {
        let choice = bare(choice);
        let place = said.len().checked_sub(choice.len()).filter(|_| said.ends_with(&choice))?;
        (!choice.is_empty() && stands(&said, place, &choice)).then_some(choice.len())
    };
    // "dark red" is no mention of "red".
    let longest = choices.iter().filter_map(ends).max();
    longest.is_some() && ends(&choices[index]) != longest
}

/// The letter that a text ends with, in brackets or behind a word for an option, and what precedes.
fn last_letter(text: &str, count: usize) -> Option<(&str, usize)> {
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || ".。*_`\"'$!".contains(c));
    let place = match text.chars().next_back()? {
        ')' | ']' | '）' | '】' => text.rfind(['(', '[', '（', '【'])?,
        // White space of other scripts is wider than a byte.
        _ => text
            .char_indices()
            .rfind(|(_, c)| c.is_whitespace())
            .map(|(at, c)| at + c.len_utf8())?,
    };
    let (before, last) = text.split_at(place);
    let letter = lead(last, count).filter(|letter| letter.rest.is_empty())?;
    let is_bracketed = last.starts_with(['(', '[', '（', '【']);
    let without_word = |word: &&str| {
        let before = before.trim_end();
        let at = before.len().checked_sub(word.len())?;
        before.get(at..)?.eq_ignore_ascii_case(word).then(|| &before[..at])
    };
    let named = ["option", "choice", "answer"].iter().find_map(without_word);
    let said = named.or_else(|| is_bracketed.then_some(before))?;
    Some((said, letter.index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_and_the_text_of_another_option_contradict() {
        let colours = ["red", "dark red", "blue", "13", "3", "vitamin (A)"].map(str::to_owned);
        for against in [
            "A. blue",
            "B (red)",
            "blue (A)",
            "blue, option A",
            "**Blue** (A).",
            "The answer is blue (A)",
            "It is dark red (A)",
            "13 [E]",
            "blue - choice (A)",
            "blue（A）",
            "blue，option\u{3000}A",
        ] {
            assert!(contradicts_itself(&colours, against), "{against}");
        }
        for fine in [
            "blue (C)",
            "It is blue, option C.",
            "dark red (B)",
            "13 (D)",
            "3 (E)",
            "vitamin (A)",
            "green (A)",
            "not the blue one (A)",
            "blue, like the sky (a clear one)",
            "A",
            "(A)",
            "option A",
            "bluered (C)",
            "",
        ] {
            assert!(!contradicts_itself(&colours, fine), "{fine}");
        }
    }
}
