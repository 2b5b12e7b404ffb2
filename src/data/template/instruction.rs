//! Instructions for a direct answer, which data sets and benchmarks put behind their questions.

/// For a short answer.
pub const SHORT: &str = "Answer the question using a single word or phrase.";
/// For one of several options.
pub const LETTER: &str = "Answer with the option's letter from the given choices directly.";
/// For yes or no.
const YES_NO: &str = "Please answer Yes or No.";
/// For an answer that no other form is read by.
const BOXED: &str = "Please answer the question and put the final answer within \\boxed{}.";

/// A question and what is put behind it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Parted<'a> {
    /// The question alone.
    pub question: &'a str,
    /// All instructions behind it, as they were written; none: empty.
    pub written: &'a str,
    /// The last of them that says what kind of answer is wanted: a word, a letter, yes or no.
    pub kind: Option<&'static str>,
}

/// Parts a question from the instructions for a direct answer at its end, however many, in
/// whatever case and with or without their point.
///
/// # Source
///
/// InternVL's data pipeline, which strips the same four: a question has another instruction for
/// each form that it is asked in.
pub fn parted(text: &str) -> Parted<'_> {
    let text = text.trim_end();
    let (mut question, mut last) = (text, None);
    let before = |text, end: &'static str| Some((without_end(text, end)?, end));
    while let Some((rest, end)) =
        [SHORT, LETTER, YES_NO, BOXED].into_iter().find_map(|end| before(question, end))
    {
        (question, last) = (rest.trim_end(), last.or(Some(end)));
    }
    let written = text[question.len()..].trim_start();
    Parted { question, written, kind: last.filter(|end| *end != BOXED) }
}

/// What stands before an ending, which may be written in other letters' case and without its point.
fn without_end<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    let bare = |text: &str| text.trim_end().trim_end_matches('.').trim_end().len();
    let (text, end) = (&text[..bare(text)], &end[..bare(end)]);
    let (before, tail) = text.split_at_checked(text.len().checked_sub(end.len())?)?;
    tail.eq_ignore_ascii_case(end).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_for_direct_answers_are_taken_off() {
        for (text, question, written, kind) in [
            (
                "What is it?\nAnswer the question using a single word or phrase.",
                "What is it?",
                SHORT,
                Some(SHORT),
            ),
            (
                "Which?\nA. x\nB. y\nAnswer with the option's letter from the given choices directly.",
                "Which?\nA. x\nB. y",
                LETTER,
                Some(LETTER),
            ),
            ("Is it?  Please answer Yes or No. ", "Is it?", YES_NO, Some(YES_NO)),
            ("Is it? Please answer yes or no.", "Is it?", "Please answer yes or no.", Some(YES_NO)),
            (
                "5+5? Please answer the question and put the final answer within \\boxed{}.",
                "5+5?",
                BOXED,
                None,
            ),
            (
                "Is it? Please answer Yes or No.\nAnswer the question using a single word or phrase.",
                "Is it?",
                "Please answer Yes or No.\nAnswer the question using a single word or phrase.",
                Some(SHORT),
            ),
            (
                "Which?\nanswer with the option's letter from the given choices directly",
                "Which?",
                "answer with the option's letter from the given choices directly",
                Some(LETTER),
            ),
            (
                "How many?\nAnswer the question using a single word or phrase .",
                "How many?",
                "Answer the question using a single word or phrase .",
                Some(SHORT),
            ),
            ("図?\nPLEASE ANSWER YES OR NO.", "図?", "PLEASE ANSWER YES OR NO.", Some(YES_NO)),
            ("Please answer Yes or No. Is it?", "Please answer Yes or No. Is it?", "", None),
            ("How many? ", "How many?", "", None),
        ] {
            assert_eq!(parted(text), Parted { question, written, kind });
        }
    }
}
