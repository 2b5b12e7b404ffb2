//! Final answers: what part of a response is the answer.
//!
//! The rules are those of MMPR's correctness labeller, which decide both which
//! sampled answers become pairs and which greedy answers count: a response that
//! breaks one has no answer, and is a *format negative* (as a candidate) or
//! *unparsable* (as a benchmark answer).

use super::text::strip;
use crate::spec::candidates::Prompt;

/// What introduces a final answer, in the order in which they are looked for.
pub const MARKERS: [&str; 3] = ["Final answer:", "Final Answer:", "答案:"];

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
    if response.matches(marker).count() > 2 || response.matches('\n').count() < 2 {
        return None;
    }
    let (rationale, answer) = response.rsplit_once(marker)?;
    let (rationale, answer) = (strip(rationale), strip(answer));
    (!rationale.is_empty() && !answer.contains('\n')).then_some(Reasoned { rationale, answer })
}

/// What the last `\\boxed{…}` holds, braces in it balanced.
pub fn boxed(response: &str) -> Option<&str> {
    const OPENS: &str = "\\boxed{";
    let inside = &response[response.rfind(OPENS)? + OPENS.len()..];
    let mut depth = 1;
    let end = inside.char_indices().find(|(_, c)| {
        depth += i32::from(*c == '{') - i32::from(*c == '}');
        depth == 0
    })?;
    Some(&inside[..end.0])
}

/// The final answer of a response; none where it has none that can be read.
///
/// Asked directly, the whole response is the answer, if it is one line. An
/// empty answer is none: MMPR's labeller lets it pass, and then compares it.
pub fn final_answer(prompt: Prompt, response: &str) -> Option<&str> {
    let answer = match prompt {
        Prompt::Cot => reasoned(response)?.answer,
        Prompt::Direct => strip(response),
        Prompt::Boxed => strip(boxed(response)?),
        // No final answer is asked for.
        Prompt::Open | Prompt::Background | Prompt::Visual | Prompt::Grounded => return None,
    };
    (!answer.is_empty() && !answer.contains('\n')).then_some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for none in ["4", "\\boxed{4", "\\boxed{}", "\\boxed 4"] {
            assert_eq!(boxed(none), None, "{none}");
        }
    }

    #[test]
    fn a_direct_answer_is_one_whole_line() {
        assert_eq!(final_answer(Prompt::Direct, " 5 \n"), Some("5"));
        assert_eq!(final_answer(Prompt::Direct, "5\nor 6"), None);
        assert_eq!(final_answer(Prompt::Direct, " \n "), None);
    }
}
