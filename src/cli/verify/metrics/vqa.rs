//! VQA normalizers and accuracies.

use super::case::{Case, number, raised, score};
use super::{Group, Ours, Rule, whole};
use crate::Result;
use crate::answer::metric::{relaxed, vqa};
use crate::answer::python::eval::list;
use crate::answer::python::text::is_digit;
use crate::answer::python::{Exception, Py, PyResult};
use serde_json::{Value, json};

/// The groups of this file.
pub const GROUPS: &[Group] = &[
    Group {
        metric: "vqa_normalise",
        variant: Some("internvl_evalai"),
        peer: |case| Ok(vqa::normalize_internvl(case.text("text")?).into()),
        ours: Some(Ours { value: normal, part: whole, rules: &[EVERY_PERIOD], parts: None }),
    },
    Group {
        metric: "vqa_normalise",
        variant: Some("vlmevalkit"),
        peer: |case| Ok(vqa::normalize_vlmevalkit(case.text("text")?).into()),
        ours: Some(Ours { value: normal, part: whole, rules: NORMALIZER, parts: None }),
    },
    Group {
        metric: "vqa_accuracy",
        variant: Some("internvl_textvqa_10"),
        peer: |case| {
            let accuracy =
                vqa::accuracy_internvl(&case.texts("answers")?, case.text("prediction")?);
            Ok(raised(accuracy, Value::from))
        },
        ours: Some(Ours {
            value: accuracy,
            part: whole,
            rules: &[ANY_NUMBER, EVERY_PERIOD],
            parts: None,
        }),
    },
    Group {
        metric: "vqa_accuracy",
        variant: Some("vlmevalkit_textvqa_10"),
        peer: |case| {
            let accuracy =
                vqa::accuracy_vlmevalkit(&case.texts("answers")?, case.text("prediction")?);
            Ok(number(Some(accuracy)))
        },
        ours: Some(Ours { value: accuracy, part: whole, rules: ACCURACY, parts: None }),
    },
    Group {
        metric: "vqa_single_gold",
        variant: Some("vlmevalkit_methods"),
        peer: |case| Ok(methods(case.text("gold")?, case.text("prediction")?)),
        ours: Some(Ours { value: single, part: whole, rules: SINGLE, parts: None }),
    },
];

const COMMAS_FIRST: Rule = Rule {
    name: "vqa_commas_go_first",
    about: "commas and question marks are deleted before punctuation is looked at, as TextVQA's server does",
    holds: |case| any(case, |text| text.contains([',', '?'])),
};
const POSSESSIVE: Rule = Rule {
    name: "vqa_possessive_is_parted",
    about: "'s is a word of its own, as TextVQA's server has it",
    holds: |case| any(case, |text| text.to_lowercase().contains("'s")),
};
const DIGIT_COMMA: Rule = Rule {
    name: "vqa_a_number_spares_other_marks",
    about: "a comma between digits does not make every other mark vanish without a space",
    holds: |case| any(case, vqa::has_digit_comma_digit),
};
const PERIOD_AFTER_DIGIT: Rule = Rule {
    name: "vqa_period_after_digit_goes",
    about: "a period is kept only in a decimal: \"5.\" is 5",
    holds: |case| any(case, |text| periods(text).any(|(before, after)| before && !after)),
};
const EVERY_PERIOD: Rule = Rule {
    name: "vqa_every_period_goes",
    about: "all periods that end a word go, not the first 32",
    holds: |case| any(case, |text| periods(text).filter(|(_, after)| !after).count() > 32),
};
const ANY_NUMBER: Rule = Rule {
    name: "vqa_any_number_of_answers",
    about: "accuracy is the leave-one-out mean of however many answers there are",
    holds: |case| Ok(case.list("answers")?.len() != 10),
};
const LONE: Rule = Rule {
    name: "vqa_lone_answer_is_compared",
    about: "a single known answer is compared, not left out of its own comparison",
    holds: |case| {
        let equal =
            |gold: &str, prediction: &str| vqa::normalize(gold) == vqa::normalize(prediction);
        match case.fields.get("answers") {
            Some(_) => Ok(case.list("answers")?.len() < 2),
            None => Ok(equal(case.text("gold")?, case.text("prediction")?)),
        }
    },
};
const LIST: Rule = Rule {
    name: "a_list_is_one_answer",
    about: "a known answer that reads as a Python list is one text",
    holds: |case| Ok(list(case.text("gold")?).is_some()),
};

const NORMALIZER: &[Rule] =
    &[PERIOD_AFTER_DIGIT, DIGIT_COMMA, POSSESSIVE, COMMAS_FIRST, EVERY_PERIOD];
const ACCURACY: &[Rule] =
    &[LONE, PERIOD_AFTER_DIGIT, DIGIT_COMMA, POSSESSIVE, COMMAS_FIRST, EVERY_PERIOD];
const SINGLE: &[Rule] =
    &[LIST, LONE, PERIOD_AFTER_DIGIT, DIGIT_COMMA, POSSESSIVE, COMMAS_FIRST, EVERY_PERIOD];

/// Every period of a text: whether a digit stands before and behind it.
fn periods(text: &str) -> impl Iterator<Item = (bool, bool)> {
    text.match_indices('.').map(|(place, _)| {
        let before = text[..place].chars().next_back();
        let after = text[place + 1..].chars().next();
        (before.is_some_and(is_digit), after.is_some_and(is_digit))
    })
}

/// Whether something holds for any text of a case.
fn any(case: &Case<'_>, holds: impl Fn(&str) -> bool) -> Result<bool> {
    for field in ["text", "gold", "prediction"] {
        if case.fields.get(field).is_some() && holds(case.text(field)?) {
            return Ok(true);
        }
    }
    match case.fields.get("answers") {
        Some(_) => Ok(case.texts("answers")?.iter().any(|text| holds(text))),
        None => Ok(false),
    }
}

fn normal(case: &Case<'_>) -> Result<Value> {
    Ok(vqa::normalize(case.text("text")?).into())
}

fn accuracy(case: &Case<'_>) -> Result<Value> {
    Ok(vqa::accuracy(&case.texts("answers")?, case.text("prediction")?).into())
}

fn single(case: &Case<'_>) -> Result<Value> {
    let (gold, prediction) = (case.text("gold")?, case.text("prediction")?);
    Ok(json!({
        "vqa_score": vqa::accuracy(&[gold.to_owned()], prediction),
        "default": score(vqa::normalize(gold) == vqa::normalize(prediction)),
        "accuracy": score(relaxed::equal_but_case(gold, prediction)),
    }))
}

/// VLMEvalKit's three methods for one known answer, which it reads as a list where it can.
fn methods(gold: &str, prediction: &str) -> Value {
    let golds = list(gold).unwrap_or_else(|| vec![Py::Str(gold.to_owned())]);
    let texts = golds.iter().map(|gold| match gold {
        Py::Str(text) => Ok(text.clone()),
        // Numbers have no `replace`.
        _ => Err(Exception("AttributeError")),
    });
    let methods = texts.collect::<PyResult<Vec<String>>>().map(|golds| {
        let said = vqa::normalize_vlmevalkit(prediction);
        let equal = |gold: &String| vqa::normalize_vlmevalkit(gold) == said;
        let exact = |gold: &String| relaxed::equal_but_case(gold, prediction);
        let share = |right: usize| number(Some(right as f64 / golds.len() as f64));
        json!({
            "vqa_score": number(Some(vqa::accuracy_vlmevalkit(&golds, prediction))),
            "default": share(golds.iter().filter(|gold| equal(gold)).count()),
            "accuracy": share(golds.iter().filter(|gold| exact(gold)).count()),
        })
    });
    raised(methods, |value| value)
}
