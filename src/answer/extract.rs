//! Final answers: what part of a response is the answer.
//!
//! The rules are those of MMPR's correctness labeller, which decide both which
//! sampled answers become pairs and which greedy answers count: a response that
//! breaks one has no answer, and is a *format negative* (as a candidate) or
//! *unparsable* (as a benchmark answer).

use super::python::text::{is_space, len, strip, strip_prefix_ignoring_case};
use crate::spec::candidates::Prompt;

/// What introduces a final answer, in the order in which they are looked for.
pub const MARKERS: [&str; 3] = ["Final answer:", "Final Answer:", "答案:"];

/// Further markers of questions from files, tried after [`MARKERS`]: a wide colon, a space before
/// either, Korean.
pub const FILE_MARKERS: [&str; 26] = [
    "Final answer：",
    "Final Answer：",
    "Final answer :",
    "Final Answer :",
    "答案：",
    "答案 :",
    "答案 ：",
    "최종 답변:",
    "최종 답변：",
    "최종 답변 :",
    "최종 답안:",
    "최종 답안：",
    "최종 답안 :",
    "최종 정답:",
    "최종 정답：",
    "최종 정답 :",
    "최종 답:",
    "최종 답：",
    "최종 답 :",
    "정답:",
    "정답：",
    "정답 :",
    "정답 ：",
    "답:",
    "답：",
    "답 :",
];

/// A reasoned response taken apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reasoned<'a> {
    /// What comes before the last marker, without white space around it.
    pub rationale: &'a str,
    /// What comes after it, on one line; may be empty.
    pub answer: &'a str,
}

/// Takes a reasoned response apart; none where it breaks a format rule.
///
/// The first of [`MARKERS`] that occurs is the one that counts. It occurs once
/// or twice, the response holds two line breaks or more, something is said
/// before the last marker, and the answer after it is one line. Line breaks at the
/// ends of the response count, as they do for the pipeline.
///
/// # Source
///
/// Wang et al. 2024, arXiv:2411.10442, section 3; the rules as InternVL's data pipeline applies them.
pub fn reasoned(response: &str) -> Option<Reasoned<'_>> {
    let marker = MARKERS.into_iter().find(|marker| response.contains(marker))?;
    one_line(parted(response, marker)?)
}

/// [`reasoned`] by one marker, the answer of any length.
fn parted<'a>(response: &'a str, marker: &str) -> Option<Reasoned<'a>> {
    if response.matches(marker).count() > 2 || response.matches('\n').count() < 2 {
        return None;
    }
    let (rationale, answer) = response.rsplit_once(marker)?;
    Some(Reasoned { rationale: strip(rationale), answer: strip(answer) })
}

/// A response of a rationale and one line behind it.
fn one_line(parts: Reasoned<'_>) -> Option<Reasoned<'_>> {
    (!parts.rationale.is_empty() && !parts.answer.contains('\n')).then_some(parts)
}

/// The rationale and the final answer of a response; none where it has none that can be read.
///
/// Asked directly, the whole response is the answer, if it is one line. An
/// empty answer is none: MMPR's labeller lets it pass, and then compares it.
pub fn parts(prompt: Prompt, response: &str) -> Option<Reasoned<'_>> {
    let parts = match prompt {
        Prompt::Cot => reasoned(response)?,
        Prompt::Direct => direct(response),
        // As the published rule has it; a box alone is no reasoned answer.
        Prompt::Boxed if len(response) > SHORT => in_box(response)?,
        // No final answer is asked for.
        Prompt::Boxed | Prompt::Open | Prompt::Background | Prompt::Visual | Prompt::Grounded => {
            return None;
        }
    };
    let answers = !parts.answer.is_empty() && !parts.answer.contains('\n');
    answers.then_some(parts)
}

/// The length that a boxed response must exceed, in characters (InternVL's data pipeline).
const SHORT: usize = 20;

fn direct(response: &str) -> Reasoned<'_> {
    Reasoned { rationale: "", answer: strip(response) }
}

/// [`parts`] of a response to a question from a file.
///
/// With [`FILE_MARKERS`] beside [`MARKERS`] and, where no marker occurs, a `\boxed{…}` behind
/// a rationale. Emphasis around the answer and its marker goes.
pub fn file_parts(prompt: Prompt, response: &str) -> Option<Reasoned<'_>> {
    let found = match prompt {
        Prompt::Direct => direct(response),
        Prompt::Cot => {
            let markers = MARKERS.iter().chain(&FILE_MARKERS);
            match markers.copied().find(|marker| response.contains(marker)) {
                Some(marker) => {
                    let found = parted(response, marker)?;
                    one_line(Reasoned {
                        rationale: without_emphasis(found.rationale),
                        answer: without_emphasis(found.answer),
                    })?
                }
                None => in_box(response)?,
            }
        }
        Prompt::Boxed | Prompt::Open | Prompt::Background | Prompt::Visual | Prompt::Grounded => {
            return parts(prompt, response);
        }
    };
    let answer = without_emphasis(found.answer);
    (!answer.is_empty() && !answer.contains('\n')).then_some(Reasoned { answer, ..found })
}

fn without_emphasis(text: &str) -> &str {
    text.trim_matches(|c| c == '*' || is_space(c))
}

/// What the last box holds, behind what is said before it; none where nothing is.
fn in_box(response: &str) -> Option<Reasoned<'_>> {
    let answer = strip(boxed(response)?);
    let before = &response[..response.rfind(BOX)?];
    let rationale = before.trim_matches(|c: char| is_space(c) || "$*\\[(".contains(c));
    let says = rationale.chars().any(char::is_alphanumeric);
    says.then_some(Reasoned { rationale, answer })
}

/// What opens a box.
const BOX: &str = "\\boxed{";

/// What stands in the last `\boxed{…}` whose braces close; none where there is none.
pub fn boxed(text: &str) -> Option<&str> {
    let inner = &text[text.rfind(BOX)? + BOX.len()..];
    let mut depth = 1;
    for (place, c) in inner.char_indices() {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        if depth == 0 {
            return Some(&inner[..place]);
        }
    }
    None
}

/// Where a benchmark's answer stands in a response: behind the last marker, else in the last
/// box, else everywhere. Unlike [`parts`] it breaks no format rule to leave them out.
pub fn lenient(response: &str) -> &str {
    let behind = |place: usize| {
        let rest = &response[place..];
        ["final answer:", "answer:"]
            .iter()
            .find_map(|marker| strip_prefix_ignoring_case(rest, marker))
            .or_else(|| {
                MARKERS.iter().chain(&FILE_MARKERS).find_map(|marker| rest.strip_prefix(marker))
            })
    };
    let places = response.char_indices().rev().map(|(place, _)| place);
    let found = places.into_iter().find_map(behind).map(|rest| {
        let emphasis = |c: char| is_space(c) || c == '*';
        let line = rest.trim_start_matches(emphasis).split('\n').next().unwrap_or_default();
        line.trim_end_matches(emphasis)
    });
    match found {
        Some(line) => boxed(line).unwrap_or(line),
        None => boxed(response).unwrap_or(strip(response)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn final_answer(prompt: Prompt, response: &str) -> Option<&str> {
        parts(prompt, response).map(|parts| parts.answer)
    }

    fn file_answer(prompt: Prompt, response: &str) -> Option<&str> {
        file_parts(prompt, response).map(|parts| parts.answer)
    }

    #[track_caller]
    fn cot(response: &str, answer: Option<&str>) {
        assert_eq!(final_answer(Prompt::Cot, response), answer, "{response:?}");
    }

    #[test]
    fn a_reasoned_answer_stands_after_the_last_marker() {
        cot("There are 2.\nAnd 3.\nFinal answer: 5", Some("5"));
        cot("a\nFinal answer: 4\nNo, wait.\nFinal answer: 5\n", Some("5"));
        cot("一\n二\n答案: 红", Some("红"));
        cot("a\nb\n**Final answer: 5**", Some("5**"));
    }

    #[test]
    fn each_broken_rule_leaves_no_answer() {
        cot("There are 2.\nAnd 3.\nSo 5.", None); // no marker
        cot("There are 2. Final answer: 5", None); // one line
        cot("a\nFinal answer: 5", None); // one line break only
        cot("Final answer: 5\n\nbecause\n", None); // nothing before, three lines after
        cot("\n\n\nFinal answer: 5", None); // an empty rationale
        cot("a\nb\nFinal answer: 5\nor 6", None); // an answer of two lines
        cot("a\nb\nFinal answer:", None); // an empty answer
        cot("a\nFinal answer: 1\nFinal answer: 2\nFinal answer: 3", None); // three markers
        cot("a\nb\nfinal answer: 5", None); // the marker is case-sensitive
        cot("", None);
    }

    #[test]
    fn the_first_marker_of_the_list_counts() {
        // "Final answer:" wins although "Final Answer:" comes later, so two lines follow it.
        cot("x\ny\nFinal answer: A\nFinal Answer: B", None);
    }

    #[test]
    fn a_boxed_answer_is_the_last_one_with_its_own_braces() {
        let boxed = |response| final_answer(Prompt::Boxed, response);
        assert_eq!(boxed("So\nAnswer: \\boxed{\\frac{1}{2}}."), Some("\\frac{1}{2}"));
        assert_eq!(boxed("\\boxed{3}, no: \\boxed{ 4 }"), Some("4"));
        for none in [
            "It is four, as I see it.",
            "So it must be \\boxed{4",
            "So it must be \\boxed{}",
            "So it must be \\boxed 4",
            // Too short for a rationale, and none at all.
            "\\boxed{5}",
            "So \\boxed{5}",
            "\\boxed{a long answer without a rationale}",
        ] {
            assert_eq!(boxed(none), None, "{none}");
        }
    }

    #[test]
    fn a_direct_answer_is_one_whole_line() {
        assert_eq!(final_answer(Prompt::Direct, " 5 \n"), Some("5"));
        assert_eq!(final_answer(Prompt::Direct, "5\nor 6"), None);
        assert_eq!(final_answer(Prompt::Direct, " \n "), None);
    }

    #[test]
    fn files_have_more_markers_and_boxes() {
        for (response, answer) in [
            ("一\n二\n答案：红", Some("红")),
            ("하나\n둘\n정답: 3", Some("3")),
            ("하나\n둘\n최종 답: **3**", Some("3")),
            ("하나\n둘\n정답 : 5", Some("5")),
            ("하나\n둘\n최종 답안: 5", Some("5")),
            ("一\n二\n答案 : 红", Some("红")),
            ("a\nb\nFinal answer：5", Some("5")),
            ("a\nb\n**Final answer:** 5", Some("5")),
            ("a\nb\n**Final answer:**\n5", Some("5")),
            ("a\nb\n**Final answer:**\n\n**5**\n", Some("5")),
            ("**Final answer:** 5\n\n", None),
            ("It is half.\n\\boxed{\\frac{1}{2}}", Some("\\frac{1}{2}")),
            ("$\\boxed{5}$", None),
            ("a\nb\nFinal answer: 5\nor 6", None),
            ("정답: 3", None),
            ("a\nb\nc", None),
        ] {
            assert_eq!(file_answer(Prompt::Cot, response), answer, "{response:?}");
        }
        assert_eq!(file_answer(Prompt::Direct, "**B**"), Some("B"));
        assert_eq!(boxed("\\boxed{1}\\boxed{2"), None);
        assert_eq!(boxed("\\boxed{a}b}"), Some("a"));
    }

    #[test]
    fn a_benchmark_takes_the_last_marker() {
        for (response, answer) in [
            ("Answer: X\nFinal answer: Y", "Y"),
            ("so FINAL ANSWER:\n\n b \nc", "b"),
            ("**Final answer:** **5**", "5"),
            ("Final answer: \\boxed{7}.", "7"),
            ("thus \\boxed{8}", "8"),
            ("정답：2", "2"),
            ("정답 : 2", "2"),
            (" no marker ", "no marker"),
            ("Final answer:", ""),
        ] {
            assert_eq!(lenient(response), answer, "{response:?}");
        }
    }
}
