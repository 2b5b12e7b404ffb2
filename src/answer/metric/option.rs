//! Multiple choice as the peers read it: VLMEvalKit's `can_infer` and InternVL's
//! post-processing. Ours is [`crate::answer::choice`].

use crate::answer::python::text::{
    at, is_space, len, matches_letter, strip, strip_prefix_ignoring_case, words,
};
use crate::answer::python::{Exception, PyResult};

/// Options in the order in which they are shown: letter and text.
pub type Options = [(String, String)];

/// A prediction that says one of these picks nothing (VLMEvalKit's list).
pub const REFUSALS: [&str; 4] = [
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
];

/// What a failed call of a judge leaves as its answer.
const FAILED_CALL: &str = "Failed to obtain answer via API";

/// What VLMEvalKit answers for a refusal.
const REFUSED: &str = "Z";

/// The tokens among which VLMEvalKit looks for letters.
pub fn tokens(answer: &str) -> Vec<String> {
    let spaced = answer.replace(|c| ".()[],:;!*#{}".contains(c), " ");
    words(&spaced).map(str::to_owned).collect()
}

/// VLMEvalKit's `can_infer_option`: one letter near the end, or the phrase "answer is X". `Z` is a
/// refusal. `verbose` is what the environment variable of that name switches on.
pub fn infer_option(answer: &str, options: &Options, verbose: bool) -> Option<String> {
    if answer.contains(FAILED_CALL) {
        return None;
    }
    if REFUSALS.iter().any(|refusal| answer.contains(refusal)) {
        return Some(REFUSED.to_owned());
    }
    let tokens = tokens(answer);
    let place = |letter: &str| tokens.iter().position(|token| token == letter);
    let mut named = options.iter().filter(|(letter, _)| place(letter).is_some());
    match (named.next(), named.next()) {
        (Some((letter, _)), None) => {
            if verbose && tokens.len() > 3 && place("A").is_some() {
                return None;
            }
            if place(letter).is_some_and(|place| place + 5 > tokens.len()) {
                return Some(letter.clone());
            }
        }
        (None, _) if place(REFUSED).is_some() => return Some(REFUSED.to_owned()),
        _ => {}
    }
    let letter = answer_is(answer)?.chars().next()?.to_ascii_uppercase().to_string();
    options.iter().any(|(known, _)| *known == letter).then_some(letter)
}

/// What follows the first "answer is" that a letter A to D stands right behind, in any case and with no
/// word boundary; that letter is first.
pub fn answer_is(answer: &str) -> Option<&str> {
    answer.char_indices().find_map(|(place, _)| {
        let rest = strip_prefix_ignoring_case(&answer[place..], "answer")?;
        let rest = strip_prefix_ignoring_case(some_space(rest)?, "is")?;
        let rest = some_space(rest)?.trim_start_matches('*');
        let letter = rest.chars().next()?;
        "abcd".chars().any(|known| matches_letter(letter, known)).then_some(rest)
    })
}

/// Behind white space, of which there is some.
fn some_space(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(is_space);
    (rest.len() < text.len()).then_some(rest)
}

/// VLMEvalKit's `can_infer_text`: the one option whose text occurs in an answer that is not much longer.
///
/// # Errors
///
/// An `AssertionError` for a key that is no capital letter.
pub fn infer_text(answer: &str, options: &Options) -> PyResult<Option<String>> {
    let answer = answer.to_lowercase();
    if len(&answer) > 2 * options.iter().map(|(_, text)| len(text)).sum::<usize>() {
        return Ok(None);
    }
    if options.iter().any(|(letter, _)| !"ABCDEFGHIJKLMNOPQRSTUVWXYZ".contains(letter.as_str())) {
        return Err(Exception("AssertionError"));
    }
    let mut found = options.iter().filter(|(_, text)| answer.contains(&text.to_lowercase()));
    match (found.next(), found.next()) {
        (Some((letter, _)), None) => Ok(Some(letter.clone())),
        _ => Ok(None),
    }
}

/// VLMEvalKit's `can_infer`.
///
/// # Errors
///
/// As [`infer_text`].
pub fn infer(answer: &str, options: &Options, verbose: bool) -> PyResult<Option<String>> {
    match infer_option(answer, options, verbose) {
        Some(letter) => Ok(Some(letter)),
        None => infer_text(answer, options),
    }
}

/// InternVL's `post_process` for ScienceQA and M3CoT: what is compared with the letter.
///
/// # Errors
///
/// An `IndexError` for two characters that begin with a bracket.
pub fn post_process(prediction: &str, options: &Options) -> PyResult<String> {
    let prediction = strip(prediction);
    let length = len(prediction);
    let Some(first) = at(prediction, 0).filter(|_| length > 1) else {
        return Ok(prediction.to_owned());
    };
    if options.iter().any(|(letter, _)| letter.chars().eq([first])) {
        return Ok(first.to_string());
    }
    if let Some((letter, _)) = options.iter().find(|(_, text)| prediction.contains(text.as_str())) {
        return Ok(letter.clone());
    }
    if at(prediction, 1) == Some('.') {
        return Ok(first.to_string());
    }
    if first == '(' {
        let close = at(prediction, 2).ok_or(Exception("IndexError"))?;
        if close == ')' {
            return Ok(at(prediction, 1).map(String::from).unwrap_or_default());
        }
    }
    Ok(prediction.to_owned())
}

/// InternVL's extractor for reasoned answers: the line behind the first "Final answer:" or
/// "Answer:", in any case; the whole text where there is none.
pub fn first_marker(text: &str) -> &str {
    let behind = |place: usize| {
        ["final answer:", "answer:"]
            .iter()
            .find_map(|marker| strip_prefix_ignoring_case(&text[place..], marker))
    };
    match text.char_indices().find_map(|(place, _)| behind(place)) {
        Some(rest) => {
            strip(rest.trim_start_matches(is_space).split('\n').next().unwrap_or_default())
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(texts: &[&str]) -> Vec<(String, String)> {
        ('A'..).zip(texts).map(|(letter, text)| (letter.to_string(), (*text).to_owned())).collect()
    }

    #[test]
    fn vlmevalkit_infers_letters_then_texts() {
        let four = options(&["nucleus", "cell wall", "root", "leaf"]);
        for (answer, letter) in [
            ("(C)", Some("C")),
            ("So it must be B.", Some("B")),
            ("A or B", None),
            ("A man rides along the long road", None),
            ("the answer is because", Some("B")),
            ("I can't process this file.", Some("Z")),
            ("None of these Z", Some("Z")),
            ("the Cell Wall", Some("B")),
            ("root or leaf", None),
            ("the ANſWER is *c", Some("C")),
            ("Failed to obtain answer via API. A", None),
        ] {
            assert_eq!(infer(answer, &four, false), Ok(letter.map(str::to_owned)), "{answer}");
        }
        assert_eq!(infer_option("The answer is A", &four, true), None);
        assert_eq!(infer("y", &options(&["", "x"]), false), Ok(Some("A".into())));
        let odd = [("1".to_owned(), "x".to_owned())];
        assert_eq!(infer_text("x", &odd), Err(Exception("AssertionError")));
    }

    #[test]
    fn internvl_looks_at_the_first_character() {
        let four = options(&["3", "13", "30", "4"]);
        for (prediction, expected) in [
            ("B", "B"),
            ("Because", "B"),
            ("It is 13", "A"),
            ("(C)", "C"),
            ("E.", "E"),
            ("", ""),
            ("none", "none"),
        ] {
            assert_eq!(post_process(prediction, &four).as_deref(), Ok(expected), "{prediction}");
        }
        assert_eq!(post_process("(x", &four), Err(Exception("IndexError")));
    }

    #[test]
    fn the_first_marker_counts() {
        assert_eq!(first_marker("Answer: X\nFinal answer: Y"), "X");
        assert_eq!(first_marker("so FINAL ANSWER:\n\n b \nc"), "b");
        assert_eq!(first_marker("no marker "), "no marker ");
    }
}
