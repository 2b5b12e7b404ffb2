//! MathVista: an extracted answer is brought to the known answer's type and compared.

use crate::answer::choice;
use crate::answer::extract::lenient;
use crate::answer::metric::option::{self, first_marker};
use crate::answer::python::number::{float, float_repr, int, round, truncate};
use crate::answer::python::text::strip;
use crate::answer::python::{Exception, Py, PyResult};
use crate::answer::quantity::{self, Quantity};
use crate::answer::text::edit_distance;

/// What is asked and how its answer is typed.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// `multi_choice` or `free_form`.
    pub question_type: &'a str,
    /// `integer`, `float`, `list` or `text`.
    pub answer_type: &'a str,
    /// Decimals of a float.
    pub precision: &'a Py,
    /// The options of a multiple-choice question.
    pub choices: &'a [String],
}

impl Problem<'_> {
    fn is_multiple_choice(&self) -> bool {
        self.question_type == "multi_choice"
    }
}

/// An answer brought to its type: an option's text, or a number as Python writes it; none
/// where it is nothing of the kind.
///
/// Integers are truncated toward zero and floats rounded half to even, as the authors' script does.
/// Departures from it: numbers may have thousand separators, a real minus sign, a unit or be words; a
/// float without a precision is not rounded; an extraction that is itself an option's text is that option;
/// an empty one picks nothing.
///
/// # Source
///
/// Lu et al. 2024, arXiv:2310.02255, section 4.1 and its scoring script.
pub fn normalize(problem: &Problem<'_>, extraction: &Py) -> Option<String> {
    let text = extraction.str();
    if problem.is_multiple_choice() {
        return pick(problem.choices, &text);
    }
    match problem.answer_type {
        "integer" => truncate(number(extraction)?),
        "float" => {
            let value = number(extraction)?;
            Some(float_repr(precision(problem).map_or(value, |digits| round(value, digits))))
        }
        _ if matches!(extraction, Py::None) => None,
        _ => Some(strip(&text).to_owned()),
    }
}

/// The option that an extraction names: by its text, by a letter, else the nearest in edit distance.
fn pick(choices: &[String], text: &str) -> Option<String> {
    let text = strip(text);
    if text.is_empty() || choices.is_empty() {
        return None;
    }
    if let Some(exact) = choices.iter().find(|choice| strip(choice) == text) {
        return Some(exact.clone());
    }
    let index = choice::infer(choices, text);
    // A letter beyond the options is as near to a text as a letter is, without its brackets.
    let letter = bracketed_letter(text);
    let text = letter.as_deref().unwrap_or(text);
    Some(
        index
            .map_or_else(|| most_similar(text, choices).to_owned(), |index| choices[index].clone()),
    )
}

/// A finite number, written as one or in words; truth values and lists are none.
pub fn number(extraction: &Py) -> Option<f64> {
    let number = match extraction {
        Py::Float(number) => Some(*number),
        Py::Int(digits) => digits.parse().ok(),
        Py::Str(text) => float(text).or_else(|| Some(quantity::read(text)?.value)),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

fn precision(problem: &Problem<'_>) -> Option<i32> {
    match problem.precision {
        Py::Float(digits) if digits.fract() == 0.0 => Some(*digits as i32),
        Py::Int(digits) => digits.parse().ok(),
        Py::Str(digits) => int(digits)?.parse().ok(),
        _ => None,
    }
}

/// Whether an extracted answer is right: numbers by value at the known precision, options and
/// text but for case, lists element by element.
pub fn is_right(problem: &Problem<'_>, extraction: &Py, gold: &Py) -> bool {
    let Some(ours) = normalize(problem, extraction) else { return false };
    let gold_text = gold.str();
    if problem.is_multiple_choice() {
        return strip(&ours) == strip(&gold_text);
    }
    match problem.answer_type {
        "integer" => number(gold) == float(&ours),
        "float" => {
            let rounded =
                |value: f64| precision(problem).map_or(value, |digits| round(value, digits));
            number(gold).map(rounded) == float(&ours)
        }
        _ => {
            strip(&ours).to_lowercase() == strip(&gold_text).to_lowercase()
                || (problem.answer_type == "list" && is_same_list(&gold_text, &ours))
        }
    }
}

/// Whether two texts are the same number, or lists of the same numbers: `14%` is not `14`, and units
/// that both have must be the same, currencies among them.
fn is_same_list(gold: &str, said: &str) -> bool {
    let numbers = |text: &str| -> Option<Vec<Quantity>> {
        quantity::read(text).map(|one| vec![one]).or_else(|| quantity::list(text))
    };
    let Some((gold, said)) = numbers(gold).zip(numbers(said)) else { return false };
    let mut pairs = gold.iter().zip(&said);
    gold.len() == said.len()
        && pairs.all(|(gold, said)| {
            gold.value == said.value
                && gold.percent == said.percent
                && gold.unit.zip(said.unit).is_none_or(|(a, b)| a == b)
        })
}

/// The choice at the smallest edit distance; the earliest of several.
pub fn most_similar<'a>(text: &str, choices: &'a [String]) -> &'a str {
    choices.iter().min_by_key(|choice| edit_distance(text, choice)).map_or("", String::as_str)
}

/// The authors' script, as InternVL carries it.
///
/// # Errors
///
/// A `ValueError` for a multiple-choice question without options.
pub fn normalize_internvl(problem: &Problem<'_>, extraction: &Py) -> PyResult<Py> {
    if problem.is_multiple_choice() {
        let text = match extraction {
            Py::Str(text) => strip(text).to_owned(),
            other => other.str(),
        };
        let letter = bracketed_letter(&text).unwrap_or(text);
        let named = ('A'..).zip(problem.choices).find(|(name, _)| letter.chars().eq([*name]));
        if problem.choices.is_empty() {
            return Err(Exception("ValueError"));
        }
        let text = named.map_or_else(|| most_similar(&letter, problem.choices), |(_, text)| text);
        return Ok(Py::Str(text.to_owned()));
    }
    let number = || match extraction {
        Py::Str(text) => float(text),
        Py::Float(number) => Some(*number),
        other => other.integer().and_then(|digits| digits.parse().ok()),
    };
    Ok(match problem.answer_type {
        "integer" => number().and_then(truncate).map_or(Py::None, Py::Str),
        "float" => {
            let digits = match problem.precision {
                Py::Str(text) => int(text),
                Py::Float(digits) => truncate(*digits),
                other => other.integer().map(str::to_owned),
            };
            let digits = digits.and_then(|digits| digits.parse().ok());
            let rounded = number().zip(digits).map(|(number, digits)| round(number, digits));
            rounded.map_or(Py::None, |rounded| Py::Str(float_repr(rounded)))
        }
        "list" => Py::Str(extraction.str()),
        _ => extraction.clone(),
    })
}

/// `(b) dog` names B: the first letter in brackets anywhere.
pub fn bracketed_letter(text: &str) -> Option<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.windows(3).find_map(|window| match window {
        ['(', letter, ')'] if letter.is_ascii_alphabetic() => {
            Some(letter.to_ascii_uppercase().to_string())
        }
        _ => None,
    })
}

/// What a response's answer is, by rule: a number where the type asks for one and the whole
/// response is one, else what [`lenient`] finds.
pub fn extract(problem: &Problem<'_>, response: &str) -> String {
    let found = lenient(response);
    typed_number(problem, found).unwrap_or_else(|| found.to_owned())
}

/// InternVL's quick extraction.
pub fn extract_internvl(problem: &Problem<'_>, response: &str) -> String {
    if problem.is_multiple_choice() && problem.choices.iter().any(|choice| choice == response) {
        return response.to_owned();
    }
    typed_number(problem, response).unwrap_or_else(|| first_marker(response).to_owned())
}

fn typed_number(problem: &Problem<'_>, text: &str) -> Option<String> {
    match problem.answer_type {
        "integer" => int(text),
        "float" => float(text).map(float_repr),
        _ => None,
    }
}

/// VLMEvalKit's `post_check`: with `prefetch`, what it extracts, or `False`; without, whether
/// it is right. A multiple-choice question's known answer is its letter.
///
/// # Errors
///
/// A `TypeError` for what is no text, an `AssertionError` for more than 26 options.
pub fn post_check_vlmevalkit(
    problem: &Problem<'_>,
    response: &Py,
    gold: &Py,
    prefetch: bool,
) -> PyResult<Py> {
    let (mut result, mut known) = (Py::None, gold.clone());
    if problem.is_multiple_choice() {
        let letters = (0u32..).filter_map(|index| char::from_u32(65 + index)).map(String::from);
        let options: Vec<(String, String)> = letters.zip(problem.choices.iter().cloned()).collect();
        let picked = option::infer(&response.str(), &options, false)?;
        result = picked.map_or(Py::Bool(false), Py::Str);
        if prefetch {
            return Ok(result);
        }
    } else {
        let read: fn(&Py) -> PyResult<Option<Py>> = match problem.answer_type {
            "integer" => integer_of,
            "float" => float_of,
            _ => |value| Ok(Some(Py::Str(value.str()))),
        };
        let is_number = matches!(problem.answer_type, "integer" | "float");
        // Other types turn the result, still `None`, into text, and not the response.
        let source = if is_number { response } else { &Py::None };
        if let Some(value) = read(source)? {
            result = value;
            if let Some(value) = read(gold)? {
                known = value;
            }
        }
    }
    Ok(match (result == known, prefetch) {
        (true, true) => result,
        (right, _) => Py::Bool(right),
    })
}

/// `int(value)`; none for a `ValueError`.
fn integer_of(value: &Py) -> PyResult<Option<Py>> {
    match value {
        Py::Str(text) => Ok(int(text).map(Py::Int)),
        Py::Float(number) if number.is_infinite() => Err(Exception("OverflowError")),
        Py::Float(number) => Ok(truncate(*number).map(Py::Int)),
        other => {
            let digits = other.integer().ok_or(Exception("TypeError"))?;
            Ok(Some(Py::Int(digits.to_owned())))
        }
    }
}

/// `float(value)`; none for a `ValueError`.
fn float_of(value: &Py) -> PyResult<Option<Py>> {
    match value {
        Py::Str(text) => Ok(float(text).map(Py::Float)),
        Py::Float(number) => Ok(Some(Py::Float(*number))),
        other => {
            let digits = other.integer().ok_or(Exception("TypeError"))?;
            Ok(digits.parse().ok().map(Py::Float))
        }
    }
}
