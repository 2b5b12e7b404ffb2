//! The correctness labeller of InternVL's data pipeline, as it is: how MMPR was labelled.
//!
//! Ours is [`crate::answer::matching`] and [`crate::answer::extract`], which keep its rules and
//! none of its slips.

use super::{anls, relaxed, vqa};
use crate::answer::extract::boxed;
use crate::answer::python::number::float;
use crate::answer::python::text::{at, is_alpha, is_digit, is_space, len, strip};
use crate::answer::python::{Exception, PyResult};

const VALUE: Exception = Exception("ValueError");
const ASSERTION: Exception = Exception("AssertionError");

/// A score above it is correct.
pub const THRESHOLD: f64 = 0.9;

/// The length that a boxed response or a thought must exceed, in characters.
const SHORT: usize = 20;

/// A way to compare.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// `vqa_score`.
    Vqa,
    /// `relaxed_accuracy`.
    Relaxed,
    /// `anls`.
    Anls,
    /// `mc_score`.
    Letter,
    /// `math_score`.
    Math,
}

impl Mode {
    /// The mode of a name, long (`vqa_score`) or short (`vqa`).
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "vqa_score" | "vqa" => Self::Vqa,
            "relaxed_accuracy" | "relaxed" => Self::Relaxed,
            "anls" => Self::Anls,
            "mc_score" | "mc" => Self::Letter,
            "math_score" | "math" => Self::Math,
            _ => return None,
        })
    }
}

/// `check_answer`: whether any mode scores above [`THRESHOLD`]. Equality but for case is right at once.
pub fn check(gold: &str, prediction: &str, modes: &[Mode]) -> bool {
    if prediction.to_lowercase() == gold.to_lowercase() {
        return true;
    }
    let flag = |right: bool| f64::from(u8::from(right));
    let mut best: f64 = 0.0;
    // In the peer's order, since an answer that normalizes to nothing resets what came before.
    if modes.contains(&Mode::Vqa) {
        let (gold, prediction) =
            (vqa::normalize_internvl(gold), vqa::normalize_internvl(prediction));
        best = flag(gold == prediction && !gold.is_empty());
    }
    if modes.contains(&Mode::Relaxed) {
        best = best.max(flag(relaxed::labeller(gold, prediction)));
    }
    if modes.contains(&Mode::Anls) {
        let (distance, length) = anls::peers_distance(gold, prediction);
        best = best.max(distance as f64 / length as f64);
    }
    if modes.contains(&Mode::Letter) {
        best = best.max(flag(multi_choice(gold, prediction)));
    }
    if modes.contains(&Mode::Math) {
        best = best.max(flag(math(gold, prediction)));
    }
    best > THRESHOLD
}

/// `multi_choice_score`: what stands before a second character `.`, or between brackets, is the letter.
pub fn multi_choice(gold: &str, prediction: &str) -> bool {
    let (gold, prediction) = (strip(gold).to_lowercase(), strip(prediction));
    if prediction.to_lowercase() == gold {
        return true;
    }
    let mut said = prediction.to_owned();
    if at(&said, 1) == Some('.') {
        said = said.chars().take(1).collect();
    }
    if at(&said, 0) == Some('(') && at(&said, 2) == Some(')') {
        said = said.chars().skip(1).take(1).collect();
    }
    said.to_lowercase() == gold
}

/// Texts that `math_score` deletes before it reads a number.
pub const DROPPED: [&str; 6] = ["degrees", "degree", "\\angle", "°", "%", "cm"];

/// `math_score`: numbers within 0.1 %.
pub fn math(gold: &str, prediction: &str) -> bool {
    relaxed::compare(gold, prediction, 1e-3, |text| {
        float(&DROPPED.iter().fold(text.to_owned(), |text, part| text.replace(part, "")))
    })
}

/// The modes of a data set, by parts of its name, case-sensitively.
pub fn modes(dataset: &str) -> &'static [&'static str] {
    let named = |parts: &[&str]| parts.iter().any(|part| dataset.contains(part));
    if named(&["chartqa"]) {
        &["relaxed_accuracy"]
    } else if named(&["docvqa", "infographics"]) {
        &["anls"]
    } else if named(&["SROIE", "CLEVR_math", "geos", "geometry"]) {
        &["relaxed_accuracy", "vqa_score", "mc_score", "math_verify_score"]
    } else if named(&["mavis"]) {
        &["vqa_score", "mc_score", "math_score", "latex_score", "math_verify_score"]
    } else {
        &["vqa_score", "mc_score", "math_score", "math_verify_score"]
    }
}

/// Whether the labeller would compare as LaTeX: a backslash, or one fraction of digits.
pub fn uses_latex(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.chars().all(is_digit);
    let halves: Vec<&str> = text.split('/').map(|part| part.trim_matches(is_space)).collect();
    text.contains('\\')
        || matches!(halves[..], [above, below] if is_number(above) && is_number(below))
}

/// What `parse_answer` finds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parsed {
    /// What precedes the last marker; none in the boxed versions.
    pub rationale: Option<String>,
    /// The answer; may be empty.
    pub answer: String,
}

/// `parse_answer` for a prompt version.
///
/// # Errors
///
/// An `AssertionError` or `ValueError` for a broken format rule, a `NotImplementedError` for an unknown
/// version.
pub fn parse(response: &str, version: &str) -> PyResult<Parsed> {
    let answer = |response: &str| boxed(response).unwrap_or(response).to_owned();
    match version {
        "en" | "zh" => marked(response),
        "en_v2" | "zh_v2" if len(response) > SHORT => {
            Ok(Parsed { rationale: None, answer: answer(response) })
        }
        "en_r1" | "zh_r1" if is_thought(response) => {
            Ok(Parsed { rationale: None, answer: answer(response) })
        }
        "en_v2" | "zh_v2" | "en_r1" | "zh_r1" => Err(VALUE),
        _ => Err(Exception("NotImplementedError")),
    }
}

fn marked(response: &str) -> PyResult<Parsed> {
    let markers = ["Final answer:", "Final Answer:", "答案:"];
    let marker = markers.into_iter().find(|marker| response.contains(marker)).unwrap_or("答案:");
    if response.matches(marker).count() > 2 || response.matches('\n').count() < 2 {
        return Err(ASSERTION);
    }
    let (rationale, answer) = response.rsplit_once(marker).ok_or(VALUE)?;
    let (rationale, answer) = (strip(rationale), strip(answer));
    if rationale.is_empty() || answer.contains('\n') {
        return Err(ASSERTION);
    }
    Ok(Parsed { rationale: Some(rationale.to_owned()), answer: answer.to_owned() })
}

/// `check_r1_format`: one think block of more than 20 characters, its tag counted, then a box.
fn is_thought(response: &str) -> bool {
    const OPEN: &str = "<think>";
    const CLOSE: &str = "</think>";
    let Some((thought, after)) = response.split_once(CLOSE) else { return false };
    let once = |tag: &str| response.matches(tag).count() == 1;
    response.starts_with(OPEN)
        && once(OPEN)
        && once(CLOSE)
        && !after.is_empty()
        && boxed(strip(after)).is_some()
        && len(strip(thought)) > SHORT
}

/// `post_process`: the option letter, A to N, that an answer begins with.
///
/// # Errors
///
/// A `RuntimeError` where there is none. Any single character is one.
pub fn letter(text: &str) -> PyResult<String> {
    let text = strip(strip(text).trim_matches('*')).to_uppercase();
    let is_option = |place: usize| at(&text, place).filter(|c| ('A'..='N').contains(c));
    let parted = at(&text, 1).is_some_and(|second| !is_alpha(second));
    if len(&text) == 1 {
        Ok(text)
    } else if let Some(first) = is_option(0).filter(|_| parted) {
        Ok(first.to_string())
    } else if let (Some('('), Some(')'), Some(inner)) = (at(&text, 0), at(&text, 2), is_option(1)) {
        Ok(inner.to_string())
    } else {
        Err(Exception("RuntimeError"))
    }
}

/// `fix_answer`: the response with the known answer in the place of one that contains it.
///
/// # Errors
///
/// A `ValueError` for an empty answer that is to be replaced, and for a response of one line.
pub fn fix(response: &str, answer: &str, gold: &str) -> PyResult<String> {
    let (mut said, mut known) = (answer.to_lowercase(), gold.to_lowercase());
    let upper = known.to_uppercase();
    if len(&upper) == 1 && upper.starts_with(|c| ('A'..='N').contains(&c)) {
        let Ok(letter) = letter(answer) else { return Ok(response.to_owned()) };
        (said, known) = (letter, upper);
    }
    let plain = |text: &str| text.trim_matches('.').replace(',', "");
    let mut fixed = response.to_owned();
    if said.contains(&known) || plain(&said).contains(&plain(&known)) {
        if answer.is_empty() {
            return Err(VALUE);
        }
        if let Some((before, after)) = response.rsplit_once(answer) {
            fixed = format!("{before}{gold}{after}");
        }
        fixed = strip(strip(&fixed).trim_matches('*')).to_owned();
    }
    let (others, last) = fixed.rsplit_once('\n').ok_or(VALUE)?;
    if last.contains("**Final") {
        let joined = format!("{others}\n{}", last.replace("**Final", "Final"));
        return Ok(strip(&joined).to_owned());
    }
    Ok(fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modes_have_their_slips() {
        use Mode::{Anls, Letter, Math, Relaxed, Vqa};
        for (gold, prediction, modes, right) in [
            ("the", "THE", [Vqa].as_slice(), true),
            ("the", "a", &[Vqa], false),
            ("dog", "a dog.", &[Vqa], true),
            ("50%", "52", &[Relaxed], true),
            ("2016", "2015", &[Relaxed], false),
            ("0", "0.0", &[Relaxed], false),
            ("abc", "xyz", &[Anls], true),
            ("abc", "abc ", &[Anls], false),
            ("7", "7.34", &[Letter], true),
            ("B", "(b)", &[Letter], true),
            ("90", "90 degrees", &[Math], true),
            ("52.5%", "52.5", &[Math], true),
            ("1000", "1001.1", &[Math], false),
        ] {
            assert_eq!(check(gold, prediction, modes), right, "{gold:?} {prediction:?} {modes:?}");
        }
    }

    #[test]
    fn responses_are_parsed_by_version() {
        let parsed = parse("x\ny\nFinal Answer: A\nFinal answer: B", "zh").unwrap();
        assert_eq!(
            (parsed.rationale.as_deref(), parsed.answer.as_str()),
            (Some("x\ny\nFinal Answer: A"), "B")
        );
        assert_eq!(parse("one line. Final answer: A", "en"), Err(ASSERTION));
        assert_eq!(parse("a\nb\nc", "en"), Err(VALUE));
        assert_eq!(parse("a\nb\nc", "fr"), Err(Exception("NotImplementedError")));
        let thought = "<think>a thought of some length</think> \\boxed{5}";
        assert_eq!(parse(thought, "en_r1").map(|parsed| parsed.answer), Ok("5".into()));
        assert_eq!(parse("<think>short</think>\\boxed{5}", "en_r1"), Err(VALUE));
        assert_eq!(parse("\\boxed{5}", "en_v2"), Err(VALUE));
    }

    #[test]
    fn letters_and_fixes() {
        assert_eq!(letter("**b.**").as_deref(), Ok("B"));
        assert_eq!(letter("3").as_deref(), Ok("3"));
        assert_eq!(letter("A man").as_deref(), Ok("A"));
        assert_eq!(letter("Bob"), Err(Exception("RuntimeError")));
        assert_eq!(
            fix("x\n**Final answer:** The dog", "The dog", "dog").as_deref(),
            Ok("x\nFinal answer:** dog")
        );
        assert_eq!(
            fix("x\nFinal answer: 30,594", "30,594", "30594").as_deref(),
            Ok("x\nFinal answer: 30594")
        );
        assert_eq!(fix("Final answer: dog", "dog", "dog"), Err(VALUE));
        assert!(
            uses_latex(" 3 / 4 ")
                && uses_latex("\\pi")
                && !uses_latex("1/2/3")
                && !uses_latex("-1/2")
        );
    }
}
