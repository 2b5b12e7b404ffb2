//! Whether a final answer matches the known one.
//!
//! A question has modes ([`modes`]); an answer is right when it equals a known
//! answer but for case, or when one mode scores it above [`THRESHOLD`]. A new
//! mode is a variant of [`Mode`], a function, and a line in [`Mode::score`].

use super::choice;
use super::extract::final_answer;
use super::text::{collapse, edit_distance, generous_number, number_word, strip, vqa_normalize};
use crate::data::record::{Question, Verdict};
use crate::spec::candidates::Prompt;
use crate::tasks::Family;

/// A mode's score above this is a match (InternVL's data pipeline).
pub const THRESHOLD: f64 = 0.9;

/// A way to compare a prediction with one known answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Equal after light normalization, or as numbers: generated questions, whose answers are known exactly.
    Exact,
    /// Equal after the VQA normalizer.
    Vqa,
    /// Numbers within 5 %: charts.
    Relaxed,
    /// The same option letter.
    Letter,
    /// Numbers within 0.1 %, units ignored.
    Math,
    /// Average normalized Levenshtein similarity: scanned documents.
    Anls,
    /// Yes against no, however it is said.
    YesNo,
}

impl Mode {
    /// From 0 (differs) to 1 (matches).
    pub fn score(self, gold: &str, prediction: &str) -> f64 {
        let matches = match self {
            Self::Anls => return anls(gold, prediction),
            Self::Exact => exact(gold, prediction),
            Self::Vqa => vqa_equal(gold, prediction),
            Self::Relaxed => relaxed(gold, prediction),
            Self::Letter => choice::same_letter(gold, prediction),
            Self::Math => math_equal(gold, prediction),
            Self::YesNo => {
                let said = yes_or_no(prediction);
                said.is_some() && said == yes_or_no(gold)
            }
        };
        f64::from(u8::from(matches))
    }
}

/// The modes of a question, by the data set that it comes from.
///
/// # Source
///
/// The table of InternVL's data pipeline, by parts of the data set's name. Departures: names are
/// compared without case; yes/no golds accept a sentence; generated questions have exact answers.
pub fn modes(question: &Question) -> &'static [Mode] {
    use Mode::{Anls, Exact, Letter, Math, Relaxed, Vqa, YesNo};
    if question.generated.is_some() || question.source == "generated" {
        return &[Exact, YesNo];
    }
    let source = question.source.to_lowercase();
    let named = |parts: &[&str]| parts.iter().any(|part| source.contains(part));
    if named(&["chartqa"]) {
        &[Relaxed]
    } else if named(&["docvqa", "infographics", "infovqa"]) {
        &[Anls]
    } else if named(&["sroie", "clevr_math", "geos", "geometry"]) {
        &[Relaxed, Vqa, Letter]
    } else {
        &[Vqa, Letter, Math, YesNo]
    }
}

/// Extracts the final answer of a response and judges it: the one place where
/// right and wrong are decided, for candidates, pairs and scores alike.
///
/// An open-ended question gets a verdict on its answer as a whole, which says little: callers
/// that keep verdicts use [`verdict`].
pub fn judge(question: &Question, prompt: Prompt, text: &str) -> (Option<String>, Verdict) {
    let Some(prediction) = final_answer(prompt, text) else {
        return (None, Verdict::Unparsable);
    };
    let verdict = if is_right(question, prediction) { Verdict::Right } else { Verdict::Wrong };
    (Some(prediction.to_owned()), verdict)
}

/// Whether a question is open-ended: no answer is known, or it is one of many good ones.
pub fn is_open(question: &Question) -> bool {
    let of_open_family = || Family::named(&question.task).is_ok_and(|family| family.open);
    question.answer.is_none() || (question.generated.is_some() && of_open_family())
}

/// [`judge`], with neither answer nor verdict where the question is open-ended.
pub fn verdict(
    question: &Question,
    prompt: Prompt,
    text: &str,
) -> (Option<String>, Option<Verdict>) {
    if is_open(question) {
        return (None, None);
    }
    let (prediction, verdict) = judge(question, prompt, text);
    (prediction, Some(verdict))
}

/// Whether a final answer matches the known answer or an alias.
pub fn is_right(question: &Question, prediction: &str) -> bool {
    let golds = || question.answer.iter().chain(&question.aliases);
    if golds().any(|gold| strip(gold).to_lowercase() == strip(prediction).to_lowercase()) {
        return true;
    }
    let modes = modes(question);
    if golds().any(|gold| modes.iter().any(|mode| mode.score(gold, prediction) > THRESHOLD)) {
        return true;
    }
    // Options come from files; generated questions name theirs as words, which compare as words.
    question.generated.is_none()
        && choice::infer(&question.choices, prediction).is_some_and(|picked| {
            golds().any(|gold| choice::index(&question.choices, gold) == Some(picked))
        })
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

/// Equal after the VQA normalizer; two answers that normalize to nothing are not.
pub fn vqa_equal(gold: &str, prediction: &str) -> bool {
    let prediction = vqa_normalize(prediction);
    !prediction.is_empty() && prediction == vqa_normalize(gold)
}

/// The VQA challenge's soft accuracy against ten annotators' answers.
///
/// # Formula
///
/// ```text
/// accuracy = mean over i of min(1, #{j ≠ i : answer_j = prediction} / 3)
/// ```
///
/// # Source
///
/// Antol et al. 2015, arXiv:1505.00468, in its leave-one-out form.
pub fn vqa_accuracy(annotations: &[String], prediction: &str) -> f64 {
    let prediction = vqa_normalize(prediction);
    let agrees: Vec<bool> =
        annotations.iter().map(|answer| vqa_normalize(answer) == prediction).collect();
    let total = agrees.iter().filter(|&&agrees| agrees).count();
    if let [only] = agrees.as_slice() {
        // Leaving out the only annotator would leave nobody to agree with.
        return f64::from(u8::from(*only));
    }
    let of_others = |left_out: &bool| (total - usize::from(*left_out)).min(3) as f64 / 3.0;
    agrees.iter().map(of_others).sum::<f64>() / agrees.len().max(1) as f64
}

/// ChartQA's relaxed accuracy: numbers within 5 % of the known one, other text equal but for case.
///
/// Percentages are divided by 100, so `50%` is `0.5`. A known zero compares as a number;
/// the published scorers compare it as text.
///
/// # Source
///
/// Masry et al. 2022, arXiv:2203.10244, section 5.1.
pub fn relaxed(gold: &str, prediction: &str) -> bool {
    let value = |text: &str| {
        let text = strip(text);
        match text.strip_suffix('%') {
            Some(percent) => generous_number(percent).map(|number| number / 100.0),
            None => generous_number(text),
        }
    };
    within(0.05, value(gold), value(prediction)).unwrap_or_else(|| equal_but_case(gold, prediction))
}

/// Numbers within 0.1 % of the known one, degrees, angle and percent signs and centimetres ignored.
pub fn math_equal(gold: &str, prediction: &str) -> bool {
    let value = |text: &str| {
        let units = ["degrees", "degree", "\\angle", "°", "%", "cm"];
        generous_number(&units.iter().fold(text.to_owned(), |text, unit| text.replace(unit, "")))
    };
    within(0.001, value(gold), value(prediction))
        .unwrap_or_else(|| equal_but_case(gold, prediction))
}

/// Whether a number lies within a share of the known one; none where one is not a number.
///
/// The order of operations is that of the published scorers, since a prediction on the boundary
/// falls to either side by the last bit.
fn within(share: f64, gold: Option<f64>, prediction: Option<f64>) -> Option<bool> {
    let (gold, prediction) = (gold?, prediction?);
    if gold == 0.0 {
        return Some(prediction == 0.0);
    }
    Some((prediction - gold).abs() / gold.abs() <= share)
}

fn equal_but_case(gold: &str, prediction: &str) -> bool {
    strip(gold).to_lowercase() == strip(prediction).to_lowercase()
}

/// Normalized Levenshtein similarity of one known answer, 0 below one half.
///
/// # Formula
///
/// ```text
/// s = 1 − distance(gold, prediction) / max(|gold|, |prediction|);  s < 0.5 counts as 0
/// ```
///
/// # Source
///
/// Biten et al. 2019, arXiv:1905.13648, section 4. InternVL's data pipeline takes the distance for the
/// similarity, so that answers which differ most match; and published evaluators divide by
/// lengths from before normalization. Neither is kept.
pub fn anls(gold: &str, prediction: &str) -> f64 {
    let normal = |text: &str| collapse(&text.to_lowercase());
    let (gold, prediction) = (normal(gold), normal(prediction));
    let longest = gold.chars().count().max(prediction.chars().count());
    if longest == 0 {
        return 1.0;
    }
    let similarity = 1.0 - edit_distance(&gold, &prediction) as f64 / longest as f64;
    if similarity < 0.5 { 0.0 } else { similarity }
}

/// What a yes/no answer says: `Some(true)` is yes. None where it says neither or both.
///
/// An opening counts first: a sentence that begins with yes or no and stops there or at a comma
/// ("Yes, there is no other"). Without one, exactly one of the two words must occur.
pub fn yes_or_no(text: &str) -> Option<bool> {
    let lower = text.to_lowercase();
    let said = |word: &str| match word {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    let openings = lower.split(['.', '\n', ';', '!', '?', '/', '|']).filter_map(|sentence| {
        let opening = sentence.split([',', ':']).next().unwrap_or_default();
        said(opening.trim_matches(|c: char| !c.is_alphanumeric()))
    });
    one_of(openings).or_else(|| {
        let words = lower.split(|c: char| !c.is_alphanumeric() && c != '\'');
        one_of(words.filter_map(said))
    })
}

/// The one value that all are; none where there is none, or where they differ.
fn one_of(mut values: impl Iterator<Item = bool>) -> Option<bool> {
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relaxed_accuracy_is_five_percent_of_the_known_number() {
        assert!(relaxed("100", "105") && relaxed("100", "95") && relaxed("50%", "0.52"));
        assert!(relaxed("0", "0.0") && relaxed("Yes", "yes") && relaxed("-20", "\u{2212}19.02"));
        assert!(!relaxed("100", "105.1") && !relaxed("100", "94.9") && !relaxed("0", "0.01"));
        assert!(!relaxed("50%", "50") && !relaxed("yes", "5") && !relaxed("10", ""));
    }

    #[test]
    fn anls_rewards_nearness_and_forgets_what_is_far() {
        assert_eq!(anls("Hello World", "hello  world"), 1.0);
        assert_eq!(anls("abcd", "abcx"), 0.75); // one of four
        assert_eq!(anls("ab", "ax"), 0.5); // kept: not below one half
        assert_eq!(anls("abcd", "axyz"), 0.0);
        assert_eq!(anls("", " "), 1.0);
        assert_eq!(anls("a", ""), 0.0);
    }

    #[test]
    fn vqa_accuracy_leaves_each_annotator_out_once() {
        let answers = |red: usize| {
            let red = std::iter::repeat_n("red".to_owned(), red);
            red.chain(std::iter::repeat_n("blue".to_owned(), 10)).take(10).collect::<Vec<_>>()
        };
        // Two agree: eight others see 2/3, the two see 1/3: (8·2 + 2·1) / 30 = 0.6.
        for (red, accuracy) in [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)] {
            assert!((vqa_accuracy(&answers(red), "The red.") - accuracy).abs() < 1e-12, "{red}");
        }
    }

    #[test]
    fn math_ignores_units_and_a_thousandth() {
        assert!(math_equal("90°", "\\angle 90") && math_equal("1000", "1000.9 cm"));
        assert!(!math_equal("1000", "1001.1") && !math_equal("5", "five"));
    }

    #[test]
    fn yes_and_no_are_heard_in_sentences() {
        assert_eq!(yes_or_no("Yes, there is no other."), Some(true));
        assert_eq!(yes_or_no("There is no dog."), Some(false));
        assert_eq!(yes_or_no("**No**"), Some(false));
        for unclear in ["either yes or no", "Yes. No.", "yes/no", "yes no", "I do not know"] {
            assert_eq!(yes_or_no(unclear), None, "{unclear}");
        }
        assert_eq!(yes_or_no("know"), None);
        assert_eq!(yes_or_no(""), None);
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
