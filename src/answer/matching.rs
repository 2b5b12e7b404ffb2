//! Whether a final answer matches the known one.
//!
//! A question has modes ([`modes`]), those of its data set in [`sources`]; an answer is right when
//! it equals a known answer but for case, or when one mode scores it above [`THRESHOLD`]. A new
//! mode is a variant of [`Mode`], a function, and a line in [`Mode::score`].

use super::choice;
use super::extract::{Reasoned, file_parts, parts};
use super::formula;
use super::metric::anls::anls;
use super::metric::relaxed::{self, equal_but_case, within};
use super::metric::vqa::{self, number_word};
use super::metric::yes_no::{said, settled, yes_or_no};
use super::python::text::{collapse, strip};
use super::quantity;
use super::signs::signs;
use super::text::generous_number;
use super::time::{same_time, without_year_sign};
use crate::data::record::{Answer, Question, Verdict};
use crate::spec::candidates::Prompt;
use crate::tasks::Family;
use crate::tasks::sources::{self, is_generated};

pub use crate::tasks::sources::Mode;

/// A mode's score above this is a match (InternVL's data pipeline).
pub const THRESHOLD: f64 = 0.9;

impl Mode {
    /// From 0 (differs) to 1 (matches).
    pub fn score(self, gold: &str, prediction: &str) -> f64 {
        let matches = match self {
            Self::Anls => return anls(gold, prediction),
            Self::Exact => exact(gold, prediction),
            Self::Vqa => vqa_equal(gold, prediction),
            Self::Relaxed => chart_equal(gold, prediction),
            Self::Letter => choice::same_letter(gold, prediction),
            Self::Math => math_equal(gold, prediction),
            Self::YesNo => {
                let known = gold.to_lowercase();
                let known = said(known.trim_matches(|c: char| !c.is_alphanumeric()));
                known.is_some() && known == yes_or_no(prediction)
            }
        };
        f64::from(u8::from(matches))
    }
}

/// The modes of a question, by the data set that it comes from.
///
/// # Source
///
/// The table of InternVL's data pipeline, by the data set's name. Departures: names are compared
/// without case and marks; yes/no golds accept a sentence; generated questions have exact answers.
pub fn modes(question: &Question) -> &'static [Mode] {
    if is_generated(question) {
        return &[Mode::Exact, Mode::YesNo];
    }
    sources::of(question).map_or(sources::MIXED, |set| set.modes)
}

/// Extracts the final answer of a response and judges it: the one place where
/// right and wrong are decided, for candidates, pairs and scores alike.
///
/// An open-ended question gets a verdict on its answer as a whole, which says little: callers
/// that keep verdicts use [`answer`].
pub fn judge(question: &Question, prompt: Prompt, text: &str) -> (Option<String>, Verdict) {
    let Some(prediction) = taken_apart(question, prompt, text).map(|parts| parts.answer) else {
        return (None, Verdict::Unparsable);
    };
    let verdict = if is_right(question, prediction) { Verdict::Right } else { Verdict::Wrong };
    (Some(prediction.to_owned()), verdict)
}

/// A response's rationale and final answer, by the rules for generated questions or for those of files.
pub fn taken_apart<'a>(question: &Question, prompt: Prompt, text: &'a str) -> Option<Reasoned<'a>> {
    let extract = if is_generated(question) { parts } else { file_parts };
    extract(prompt, text)
}

/// The form by whose rules an answer is read: its own, and for one of the multimodal forms that of
/// reasoned answers, where one is marked all the same. None where there is no final answer to read.
pub fn form(question: &Question, prompt: Prompt, text: &str) -> Option<Prompt> {
    match prompt {
        Prompt::Background | Prompt::Visual | Prompt::Grounded => {
            taken_apart(question, Prompt::Cot, text).map(|_| Prompt::Cot)
        }
        other => other.marks_answer().then_some(other),
    }
}

/// Whether a question is open-ended: no answer is known, or it is one of many good ones.
pub fn is_open(question: &Question) -> bool {
    let of_open_family = || Family::named(&question.task).is_ok_and(|family| family.open);
    question.answer.is_none() || (question.generated.is_some() && of_open_family())
}

/// What somebody wrote when asked.
#[derive(Clone, Debug)]
pub struct Said {
    /// Everything that was written.
    pub text: String,
    /// Its number of tokens, the end token included.
    pub tokens: usize,
    /// Whether the end was reached before the length limit.
    pub ended: bool,
}

/// An answer with its final answer and verdict. It has neither where the question is
/// open-ended, or where its form asks for no final answer and none is marked all the same.
pub fn answer(question: &Question, prompt: Prompt, sample: usize, said: Said) -> Answer {
    let Said { text, tokens, ended } = said;
    let form = form(question, prompt, &text).filter(|_| !is_open(question));
    let (final_answer, verdict) = match form {
        Some(form) => {
            let (prediction, verdict) = judge(question, form, &text);
            (prediction, Some(verdict))
        }
        None => (None, None),
    };
    let question = question.id.clone();
    Answer { question, prompt, sample, text, tokens, ended, final_answer, verdict }
}

/// Whether a final answer matches the known answer or an alias. One to a question from a file may not
/// take its yes or no back.
pub fn is_right(question: &Question, prediction: &str) -> bool {
    let golds = || question.answer.iter().chain(&question.aliases);
    if golds().any(|gold| strip(gold).to_lowercase() == strip(prediction).to_lowercase()) {
        return true;
    }
    // Options come from files; generated questions name theirs as words, which compare as words.
    let choices: &[String] = if question.generated.is_none() { &question.choices } else { &[] };
    if choice::contradicts_itself(choices, prediction) {
        return false;
    }
    let takes_back = yes_or_no(prediction).is_some() && settled(prediction).is_none();
    let counts = |&&mode: &&Mode| is_generated(question) || mode != Mode::YesNo || !takes_back;
    let modes = || modes(question).iter().filter(counts);
    if golds().any(|gold| modes().any(|mode| mode.score(gold, prediction) > THRESHOLD)) {
        return true;
    }
    choice::infer(choices, prediction)
        .is_some_and(|picked| golds().any(|gold| choice::index(choices, gold) == Some(picked)))
}

/// Equal but for case, spacing, wrapping marks and a final period; number words
/// are numbers, and numbers compare by value.
pub fn exact(gold: &str, prediction: &str) -> bool {
    let normal = |text: &str| {
        let wrapping = ['*', '`', '"', '\'', '$'];
        let text = text.to_lowercase();
        let text = strip(&text).trim_matches(wrapping);
        let text = collapse(text.strip_suffix('.').unwrap_or(text).trim_matches(wrapping));
        number_word(&text).filter(|_| text != "none").unwrap_or(text)
    };
    let (gold, prediction) = (normal(gold), normal(prediction));
    let as_numbers = || Some(generous_number(&gold)? == generous_number(&prediction)?);
    gold == prediction || as_numbers().unwrap_or(false)
}

/// [`vqa::equal`], where that normalizer does not lose what was said: it drops signs ([`signs`]),
/// and A as an article. Numbers must have one value, and a letter is an option.
pub fn vqa_equal(gold: &str, prediction: &str) -> bool {
    let (gold, prediction) = (&straight(gold), &straight(prediction));
    let is_letter = strip(gold).len() == 1 && strip(gold).chars().all(char::is_alphabetic);
    let differ = || {
        let prediction = quantity::unmarked(gold, prediction);
        let (gold, prediction) = (quantity::read(gold), quantity::read(prediction));
        gold.zip(prediction).is_some_and(|(gold, prediction)| gold.value != prediction.value)
    };
    let same_signs = || signs(gold) == signs(prediction);
    !is_letter && vqa::equal(gold, prediction) && same_signs() && !differ()
}

/// With one apostrophe for those of any shape.
fn straight(text: &str) -> String {
    text.replace(['\u{2018}', '\u{2019}', '\u{02bc}'], "'")
}

/// [`relaxed::relaxed`], with years compared exactly: 5 % of 2015 is a century. A number may be
/// written in any form that [`quantity`] reads, and marks around a text say nothing.
pub fn chart_equal(gold: &str, prediction: &str) -> bool {
    let (gold, prediction) = (without_year_sign(gold), without_year_sign(prediction));
    let year = |text: &str| relaxed::number(text).filter(|value| is_year(text, *value));
    if let (Some(gold), Some(prediction)) = (year(gold), relaxed::number(prediction)) {
        return gold == prediction;
    }
    if let Some(near) = within(relaxed::SHARE, relaxed::number(gold), relaxed::number(prediction)) {
        return near;
    }
    exact(&straight(gold), &straight(prediction))
        || near_in_any_form(gold, prediction)
        || same_list(gold, prediction)
}

/// Whether a known list and another, in brackets or not, have the same elements.
fn same_list(gold: &str, prediction: &str) -> bool {
    let inner = |text| strip(text).strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let Some(gold) = inner(gold) else { return false };
    let prediction = inner(prediction).unwrap_or(prediction);
    let (golds, said) = (gold.split(','), prediction.split(','));
    golds.clone().count() > 1
        && golds.clone().count() == said.clone().count()
        && golds.zip(said).all(|(gold, said)| chart_equal(strip(gold), strip(said)))
}

/// Whether both are numbers in any form, percentages as shares, within 5 % and of one unit.
fn near_in_any_form(gold: &str, prediction: &str) -> bool {
    if quantity::is_decade(gold) != quantity::is_decade(prediction) {
        return false;
    }
    let prediction = quantity::unmarked(gold, prediction);
    let share = |text: &str| {
        let read = quantity::read(text).filter(|_| !quantity::is_range_or_date(text))?;
        let times = if read.percent { 0.01 } else { 1.0 };
        Some(quantity::Quantity { value: read.value * times, percent: false, ..read })
    };
    let near =
        |gold, prediction| within(relaxed::SHARE, Some(gold), Some(prediction)) == Some(true);
    let year = relaxed::number(gold).is_some_and(|value| is_year(gold, value));
    let (Some(gold), Some(prediction)) = (share(gold), share(prediction)) else { return false };
    let same = |a: f64, b: f64| if year { a == b } else { near(a, b) };
    quantity::same_quantity(gold, prediction, same)
}

/// Whether a text is a year: four digits from 1900 to 2099.
pub fn is_year(text: &str, value: f64) -> bool {
    let text = strip(text);
    text.len() == 4 && value.fract() == 0.0 && (1900.0..2100.0).contains(&value)
}

/// With one sign for infinity.
fn with_infinity(text: &str) -> String {
    let text = strip(text).trim_matches('$').replace("\\infty", "∞");
    let text = if text.to_lowercase().contains("infinity") {
        text.to_lowercase().replace("infinity", "∞")
    } else {
        text
    };
    if text.contains('∞') { text.replace(' ', "") } else { text }
}

/// Equal numbers in any form that [`quantity`] reads, within 0.1 % of the known one; whole numbers
/// exactly; else the same [`formula`], or equal text but for case.
pub fn math_equal(gold: &str, prediction: &str) -> bool {
    let same = |gold: f64, prediction: f64| {
        if gold.fract() == 0.0 && prediction.fract() == 0.0 {
            return gold == prediction;
        }
        within(1e-3, Some(gold), Some(prediction)) == Some(true)
    };
    let (gold, prediction) = (without_year_sign(gold), without_year_sign(prediction));
    same_time(gold, prediction)
        || quantity::equal(gold, prediction, same).unwrap_or_else(|| {
            let (endless, other) = (with_infinity(gold), with_infinity(prediction));
            equal_but_case(&endless, &other) || formula::equal(gold, prediction)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn math_reads_any_form_of_a_number() {
        assert!(math_equal("90°", "\\angle 90") && math_equal("1000", "1000.9 cm"));
        assert!(math_equal("5", "five") && math_equal("0.5", "\\frac{1}{2}"));
        assert!(
            !math_equal("1000", "1001.1") && !math_equal("1000", "1001") && !math_equal("5", "fix")
        );
    }

    #[test]
    fn what_the_vqa_normalizer_loses_still_counts() {
        assert!(vqa_equal("5", "five") && vqa_equal("a dog", "The dog."));
        assert!(vqa_equal("McDonald's", "McDonald\u{2019}s") && vqa_equal("3", "3!"));
        assert!(!vqa_equal("5", "-5") && !vqa_equal("1250", "12,50") && !vqa_equal("b", "A, B"));
        assert!(!vqa_equal("a-b", "a+b") && !vqa_equal("12", "(1,2)") && !vqa_equal("1,2", "12"));
    }

    #[test]
    fn only_yes_and_no_are_yes_and_no() {
        let matches = |gold: &str, prediction: &str| Mode::YesNo.score(gold, prediction) == 1.0;
        assert!(matches("Yes.", "yes, there is") && matches("no", "There is no dog"));
        assert!(!matches("no smoking", "no entry") && !matches("yes please", "yes"));
        assert!(!matches("No. 5", "no"));
    }

    #[test]
    fn years_of_a_chart_are_exact() {
        assert!(chart_equal("2015", "2015.0") && chart_equal("100", "104"));
        assert!(!chart_equal("2015", "2016") && chart_equal("2015.5", "2016"));
        assert!(!chart_equal("2015", "2016 units"));
    }

    #[test]
    fn numbers_of_a_chart_are_read_in_any_dress() {
        for (gold, prediction) in [
            ("$50", "50"),
            ("Yes", "yes."),
            ("50%", "50 percent"),
            ("1,200", "1.2k"),
            ("12", "12 km"),
            ("[2007, 2008]", "[2007,2008]"),
            ("[2007, 2008]", "2007, 2008"),
            ("[Yes, No]", "yes, no"),
            ("[10, 20]", "[10.2, 20]"),
            ("3", "3!"),
            ("McDonald's", "McDonald\u{2019}s"),
        ] {
            assert!(chart_equal(gold, prediction), "{gold} {prediction}");
        }
        for (gold, prediction) in [
            ("$50", "€50"),
            ("50%", "50"),
            ("2010-2015", "2011-2016"),
            ("5 cm", "5 m"),
            ("A", "B"),
            ("[2007, 2008]", "2008, 2007"),
            ("[2007, 2008]", "2007"),
            ("1990", "1990s"),
            ("6", "3!"),
        ] {
            assert!(!chart_equal(gold, prediction), "{gold} {prediction}");
        }
    }

    #[test]
    fn a_data_set_is_matched_alike_however_its_name_is_written() {
        for source in ["CLEVR-Math", "CLEVR_math", "clevr_math_en_20240402"] {
            let answer = Some("7.2".into());
            let question = Question { answer, source: source.into(), ..Question::default() };
            assert!(is_right(&question, "7"), "{source}");
        }
        let answer = Some("National Geographic".into());
        let question = Question { answer, source: "InfographicVQA".into(), ..Question::default() };
        assert!(is_right(&question, "National Geographics"));
    }

    #[test]
    fn generated_answers_match_exactly() {
        let question = Question {
            answer: Some("12".into()),
            source: "generated".into(),
            ..Question::default()
        };
        assert!(is_right(&question, " 12. ") && is_right(&question, "**12**"));
        assert!(is_right(&question, "12.0"));
        assert!(!is_right(&question, "12 apples") && !is_right(&question, "121"));
        let (answer, verdict) =
            judge(&question, Prompt::Cot, "7 and 5\nare twelve\nFinal answer: 12");
        assert_eq!((answer.as_deref(), verdict), (Some("12"), Verdict::Right));
        assert_eq!(judge(&question, Prompt::Cot, "12").1, Verdict::Unparsable);
    }

    #[test]
    fn a_file_question_takes_its_letter_or_its_text() {
        let question = Question {
            answer: Some("cat".into()),
            choices: vec!["dog".into(), "cat".into(), "cow".into()],
            source: "scienceqa".into(),
            ..Question::default()
        };
        for right in ["cat", "B", "(B)", "B. cat", "The answer is B", "it is a cat"] {
            assert!(is_right(&question, right), "{right}");
        }
        for wrong in ["C", "dog", "B or C", "neither"] {
            assert!(!is_right(&question, wrong), "{wrong}");
        }
    }
}
