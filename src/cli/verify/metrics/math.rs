//! MathVista.

use super::case::{Case, raised};
use super::{Group, Ours, Rule, option, whole};
use crate::Result;
use crate::answer::metric::mathvista::{self, Problem, bracketed_letter};
use crate::answer::python::Py;
use crate::answer::python::number::{float, int};
use crate::answer::python::text::strip;
use crate::answer::quantity;
use serde_json::Value;

/// The groups of this file.
pub const GROUPS: &[Group] = &[
    Group {
        metric: "mathvista_normalise",
        variant: Some("internvl"),
        peer: |case| {
            let given = Given::of(case)?;
            Ok(raised(
                mathvista::normalize_internvl(&given.problem(), &case.py("extraction")?),
                |value| Value::from(&value),
            ))
        },
        ours: Some(Ours {
            value: |case| {
                let given = Given::of(case)?;
                Ok(mathvista::normalize(&given.problem(), &case.py("extraction")?)
                    .map_or(Value::Null, Value::from))
            },
            part: whole,
            rules: NORMALIZE,
            parts: None,
        }),
    },
    Group {
        metric: "mathvista_score",
        variant: Some("internvl"),
        peer: |case| {
            let given = Given::of(case)?;
            let (extraction, gold) = (case.py("extraction")?, case.py("gold")?);
            let normal = mathvista::normalize_internvl(&given.problem(), &extraction);
            Ok(raised(normal, |value| (value == gold).into()))
        },
        ours: Some(Ours {
            value: |case| {
                let given = Given::of(case)?;
                Ok(mathvista::is_right(
                    &given.problem(),
                    &case.py("extraction")?,
                    &case.py("gold")?,
                )
                .into())
            },
            part: whole,
            rules: SCORE,
            parts: None,
        }),
    },
    Group {
        metric: "mathvista_most_similar",
        variant: Some("internvl"),
        peer: |case| Ok(mathvista::most_similar(case.text("text")?, &case.texts("choices")?).into()),
        ours: None,
    },
    Group {
        metric: "mathvista_quick_extract",
        variant: Some("internvl"),
        peer: |case| {
            let given = Given::of(case)?;
            Ok(mathvista::extract_internvl(&given.problem(), case.text("response")?).into())
        },
        ours: Some(Ours {
            value: |case| {
                let given = Given::of(case)?;
                Ok(mathvista::extract(&given.problem(), case.text("response")?).into())
            },
            part: whole,
            rules: &[MARKERS, DRESS],
            parts: None,
        }),
    },
    Group {
        metric: "mathvista_post_check",
        variant: Some("vlmevalkit"),
        peer: |case| {
            let given = Given::of(case)?;
            let checked = mathvista::post_check_vlmevalkit(
                &given.problem(),
                &case.py("response")?,
                &given.gold,
                case.flag("prefetch")?,
            );
            Ok(raised(checked, |value| Value::from(&value)))
        },
        ours: Some(Ours { value: post_check, part: whole, rules: POST, parts: None }),
    },
];

/// The fields of a MathVista case.
struct Given {
    question_type: String,
    answer_type: String,
    precision: Py,
    choices: Vec<String>,
    gold: Py,
}

impl Given {
    fn of(case: &Case<'_>) -> Result<Self> {
        let optional = |field: &str| case.fields.get(field).map_or(Py::None, Py::from);
        Ok(Self {
            question_type: case.text("question_type")?.to_owned(),
            answer_type: case.text("answer_type")?.to_owned(),
            precision: optional("precision"),
            choices: case.texts_or_none("choices")?,
            gold: match case.fields.get("gold_option") {
                Some(letter) => letter.into(),
                None => optional("gold"),
            },
        })
    }

    fn problem(&self) -> Problem<'_> {
        Problem {
            question_type: &self.question_type,
            answer_type: &self.answer_type,
            precision: &self.precision,
            choices: &self.choices,
        }
    }
}

/// VLMEvalKit's check in our terms: an option's letter, or a right value; false otherwise.
fn post_check(case: &Case<'_>) -> Result<Value> {
    let given = Given::of(case)?;
    let (problem, response) = (given.problem(), case.py("response")?);
    let prefetch = case.flag("prefetch")?;
    if problem.question_type == "multi_choice" {
        let picked = crate::answer::choice::infer(&given.choices, &response.str())
            .map(|index| crate::answer::choice::name(index).to_string());
        return Ok(if prefetch {
            picked.map_or(false.into(), Value::from)
        } else {
            (picked == Some(given.gold.str())).into()
        });
    }
    let right = mathvista::is_right(&problem, &response, &given.gold);
    if !prefetch || !right {
        return Ok(right.into());
    }
    let value = mathvista::normalize(&problem, &response).unwrap_or_default();
    Ok(match problem.answer_type {
        "integer" => Value::from(&Py::Int(value)),
        "float" => Value::from(&Py::Float(float(&value).unwrap_or(f64::NAN))),
        _ => value.into(),
    })
}

const NORMALIZE: &[Rule] =
    &[NOT_FINITE, TRUTH, EMPTY, OPTION_TEXT, LETTERS, NUMBERS, PRECISION, TEXT_FORM];
const SCORE: &[Rule] =
    &[NOT_FINITE, TRUTH, EMPTY, OPTION_TEXT, LETTERS, NUMBERS, PRECISION, BY_VALUE, TEXT_CASE];
const POST: &[Rule] = &[
    FREE_TEXT,
    NOT_FINITE,
    NUMBERS,
    TRUNCATED,
    option::REFUSAL,
    option::EMPTY_OPTION,
    option::BOUNDARY,
    option::ARTICLE,
    option::DENIED,
    option::WHOLE,
    option::LEAD,
    option::STYLE,
    option::LIST,
    option::PHRASE,
    option::PARTS,
    option::COVERED,
    option::DENIED_TEXT,
    option::VALUE,
    option::WRAPPED,
];

fn is_choice(case: &Case<'_>) -> Result<bool> {
    Ok(case.text("question_type")? == "multi_choice")
}

fn is_number_type(case: &Case<'_>) -> Result<bool> {
    Ok(matches!(case.text("answer_type")?, "integer" | "float") && !is_choice(case)?)
}

/// What was extracted or answered.
fn said(case: &Case<'_>) -> Result<Py> {
    case.py(if case.fields.get("extraction").is_some() { "extraction" } else { "response" })
}

/// Any text that must be a number.
fn any_number(case: &Case<'_>, holds: impl Fn(&Py) -> bool) -> Result<bool> {
    Ok(is_number_type(case)?
        && (holds(&said(case)?) || case.fields.get("gold").is_some_and(|gold| holds(&gold.into()))))
}

const NOT_FINITE: Rule = Rule {
    name: "mathvista_nan_and_inf_are_no_numbers",
    about: "what is no finite number is no numeric answer",
    holds: |case| {
        any_number(case, |value| match value {
            Py::Str(text) => float(text).is_some_and(|number| !number.is_finite()),
            Py::Float(number) => !number.is_finite(),
            _ => false,
        })
    },
};
const TRUTH: Rule = Rule {
    name: "mathvista_truth_value_is_no_number",
    about: "True is not 1, and nothing is not the text None",
    holds: |case| Ok(matches!(said(case)?, Py::Bool(_) | Py::None)),
};
const EMPTY: Rule = Rule {
    name: "mathvista_empty_answer_picks_nothing",
    about: "an empty answer picks no option",
    holds: |case| Ok(is_choice(case)? && strip(&said(case)?.str()).is_empty()),
};
const OPTION_TEXT: Rule = Rule {
    name: "mathvista_option_text_before_letter",
    about: "an answer that is an option's text is that option, even where the text is a letter or a bracket",
    holds: |case| {
        let text = said(case)?.str();
        let choices = case.texts_or_none("choices")?;
        Ok(is_choice(case)? && choices.iter().any(|choice| strip(choice) == strip(&text)))
    },
};
const LETTERS: Rule = Rule {
    name: "mathvista_letter_in_any_style",
    about: "options are read as in multiple choice: letters in any dress, texts in any case",
    holds: |case| {
        let text = said(case)?.str();
        let choices = case.texts_or_none("choices")?;
        let picked = crate::answer::choice::infer(&choices, &text);
        let named = bracketed_letter(&text).unwrap_or_else(|| strip(&text).to_owned());
        let peers = ('A'..).zip(&choices).position(|(letter, _)| named.chars().eq([letter]));
        Ok(is_choice(case)? && picked != peers && (picked.is_some() || peers.is_some()))
    },
};
const NUMBERS: Rule = Rule {
    name: "mathvista_numbers_in_any_form",
    about: "thousand separators, a real minus sign, units, fractions and words belong to a number, in a list too",
    holds: |case| {
        let is_dressed = |value: &Py| match value {
            Py::Str(text) => float(text).is_none() && quantity::read(text).is_some(),
            _ => false,
        };
        let is_list = case.text("answer_type")? == "list" && !is_choice(case)?;
        let gold = case.fields.get("gold").map(Py::from);
        Ok(any_number(case, is_dressed)?
            || (is_list && (is_dressed(&said(case)?) || gold.as_ref().is_some_and(is_dressed))))
    },
};
const PRECISION: Rule = Rule {
    name: "mathvista_no_precision_no_rounding",
    about: "a float without a precision is compared as it is",
    holds: |case| Ok(is_number_type(case)? && matches!(case.py("precision")?, Py::None)),
};
const TEXT_FORM: Rule = Rule {
    name: "mathvista_text_is_text",
    about: "a free answer is a text without white space around it",
    holds: |case| {
        let said = said(case)?;
        Ok(!is_number_type(case)?
            && !is_choice(case)?
            && (!matches!(said, Py::Str(_)) || strip(&said.str()) != said.str()))
    },
};
const BY_VALUE: Rule = Rule {
    name: "mathvista_numbers_by_value",
    about: "numbers compare by value at the known precision: 1.0 is 1, and lists by their elements",
    holds: |case| {
        let (said, gold) = (said(case)?.str(), case.py("gold")?.str());
        let reads = |text: &str| float(text).is_some() || quantity::list(text).is_some();
        Ok(!is_choice(case)? && case.text("answer_type")? != "text" && reads(&said) && reads(&gold))
    },
};
const TEXT_CASE: Rule = Rule {
    name: "mathvista_text_but_for_case",
    about: "text and options compare but for case, kind and white space around",
    holds: |case| {
        let (said, gold) = (said(case)?, case.py("gold")?);
        let plain = |value: &Py| strip(&value.str()).to_lowercase();
        let padded = |text: &str| strip(text) != text;
        let choices = case.texts_or_none("choices")?;
        Ok(plain(&said) == plain(&gold)
            || padded(&gold.str())
            || choices.iter().any(|choice| padded(choice)))
    },
};
const MARKERS: Rule = Rule {
    name: "mathvista_last_marker_wins",
    about: "the last marker in any language or a box introduces the answer",
    holds: |case| {
        let lower = case.text("response")?.to_lowercase();
        Ok(lower.contains("answer:")
            || lower.contains("\\boxed{")
            || lower.contains('答')
            || lower.contains('답'))
    },
};
const DRESS: Rule = Rule {
    name: "mathvista_text_is_text",
    about: "a free answer is a text without white space around it",
    holds: |case| Ok(strip(case.text("response")?) != case.text("response")?),
};
const FREE_TEXT: Rule = Rule {
    name: "mathvista_free_text_is_compared",
    about: "a free text or list is compared with the known answer, not the word None",
    holds: |case| Ok(!is_choice(case)? && !is_number_type(case)?),
};
const TRUNCATED: Rule = Rule {
    name: "mathvista_integer_is_truncated",
    about: "an integer answer may be written as a float, and is truncated as the authors do",
    holds: |case| {
        any_number(
            case,
            |value| matches!(value, Py::Str(text) if int(text).is_none() && float(text).is_some()),
        )
    },
};
