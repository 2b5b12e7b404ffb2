//! Relaxed accuracy, ANLS and edit distance.

use super::case::{Case, raised, score};
use super::{Group, Ours, Rule, whole};
use crate::Result;
use crate::answer::metric::anls;
use crate::answer::metric::relaxed::{self, SHARE, within};
use crate::answer::python::eval::list;
use crate::answer::python::number::float;
use crate::answer::python::text::{collapse, len, strip};
use crate::answer::text::edit_distance;
use serde_json::{Value, json};

/// The groups of this file.
pub const GROUPS: &[Group] = &[
    Group {
        metric: "relaxed_accuracy",
        variant: Some("vlmevalkit_target_prediction"),
        peer: |case| {
            Ok(raised(
                relaxed::vlmevalkit(case.text("gold")?, case.text("prediction")?),
                Value::from,
            ))
        },
        ours: Some(Ours { value: relaxed_score, part: whole, rules: RELAXED, parts: None }),
    },
    Group {
        metric: "relaxed_accuracy",
        variant: Some("internvl_swapped"),
        peer: |case| {
            let golds = [case.text("gold")?.to_owned()];
            Ok(raised(relaxed::internvl_of(&golds, case.text("prediction")?), Value::from))
        },
        ours: Some(Ours { value: relaxed_score, part: whole, rules: SWAPPED, parts: None }),
    },
    Group {
        metric: "relaxed_accuracy",
        variant: Some("natural_order_raw"),
        peer: |case| Ok(relaxed::correctness(case.text("gold")?, case.text("prediction")?).into()),
        ours: Some(Ours {
            value: |case| Ok(relaxed::relaxed(case.text("gold")?, case.text("prediction")?).into()),
            part: whole,
            rules: RELAXED,
            parts: None,
        }),
    },
    Group {
        metric: "relaxed_accuracy_multi_gold",
        variant: Some("both"),
        peer: |case| {
            let (golds, prediction) = (case.texts("golds")?, case.text("prediction")?);
            Ok(json!({
                "vlmevalkit": raised(relaxed::vlmevalkit_of(&golds, prediction), Value::from),
                "internvl_swapped": raised(relaxed::internvl_of(&golds, prediction), Value::from),
            }))
        },
        ours: Some(Ours {
            value: |case| {
                let prediction = case.text("prediction")?;
                let right =
                    case.texts("golds")?.iter().any(|gold| relaxed::relaxed(gold, prediction));
                Ok(json!({ "vlmevalkit": score(right), "internvl_swapped": score(right) }))
            },
            part: whole,
            rules: SWAPPED,
            parts: None,
        }),
    },
    Group {
        metric: "anls",
        variant: Some("vlmevalkit_docvqa"),
        peer: anls_peers,
        ours: Some(ANLS),
    },
    Group {
        metric: "anls",
        variant: Some("internvl_infographicsvqa"),
        peer: anls_peers,
        ours: Some(ANLS),
    },
    Group {
        metric: "anls",
        variant: Some("internvl_stvqa"),
        peer: |case| {
            Ok(raised(anls::stvqa(&case.texts("golds")?, case.text("prediction")?), Value::from))
        },
        ours: Some(Ours {
            value: anls_best,
            part: whole,
            rules: &[EMPTY, INNER_SPACE],
            parts: None,
        }),
    },
    Group {
        metric: "levenshtein",
        variant: Some("shared"),
        peer: |case| Ok(edit_distance(case.text("a")?, case.text("b")?).into()),
        ours: None,
    },
];

const RELAXED: &[Rule] = &[LIST, ZERO, NOT_FINITE, SEPARATORS, PERCENTS, SPACE];
const SWAPPED: &[Rule] = &[OF_GOLD, ZERO, NOT_FINITE, SEPARATORS, PERCENTS, SPACE];

const LIST: Rule = Rule {
    name: "a_list_is_one_answer",
    about: "a known answer that reads as a Python list is one text",
    holds: |case| any_pair(case, |gold, _| list(gold).is_some()),
};
const ZERO: Rule = Rule {
    name: "relaxed_zero_is_a_number",
    about: "a zero compares by value: 0.0 is 0",
    holds: |case| {
        any_pair(case, |gold, prediction| {
            let numbers = relaxed::number(gold).zip(relaxed::number(prediction));
            numbers.is_some_and(|(gold, prediction)| gold == 0.0 || prediction == 0.0)
        })
    },
};
const NOT_FINITE: Rule = Rule {
    name: "relaxed_nan_and_inf_are_words",
    about: "what is no finite number compares as text",
    holds: |case| {
        any_text(case, |text| float(text.trim_end_matches('%')).is_some_and(|n| !n.is_finite()))
    },
};
const SEPARATORS: Rule = Rule {
    name: "relaxed_separators_and_minus_are_read",
    about: "thousand separators and a real minus sign belong to a number",
    holds: |case| {
        any_text(case, |text| {
            text.contains([',', '\u{2212}', '\u{2013}'])
                && float(text.trim_end_matches('%')).is_none()
                && relaxed::number(text).is_some()
        })
    },
};
const PERCENTS: Rule = Rule {
    name: "relaxed_one_percent_sign",
    about: "several percent signs are no number",
    holds: |case| any_text(case, |text| strip(text).ends_with("%%")),
};
const SPACE: Rule = Rule {
    name: "relaxed_space_around_is_ignored",
    about: "white space around either answer says nothing",
    holds: |case| {
        any_text(case, |text| {
            let padded = |text: &str| strip(text) != text;
            padded(text) || padded(strip(text).trim_end_matches('%'))
        })
    },
};
const OF_GOLD: Rule = Rule {
    name: "relaxed_five_percent_of_the_known_answer",
    about: "5 % are 5 % of the known answer, not of the prediction",
    holds: |case| {
        any_pair(case, |gold, prediction| {
            let (gold, prediction) = (relaxed::number(gold), relaxed::number(prediction));
            within(SHARE, gold, prediction) != within(SHARE, prediction, gold)
        })
    },
};

const ANLS: Ours = Ours { value: anls_best, part: whole, rules: &[LENGTH], parts: None };
const LENGTH: Rule = Rule {
    name: "anls_length_of_what_is_compared",
    about: "the distance is divided by the length of the normalized texts that it compares",
    holds: |case| {
        any_pair(case, |gold, prediction| {
            let normal = |text: &str| len(&collapse(&text.to_lowercase()));
            let raw = |text: &str| len(&text.to_uppercase());
            normal(gold).max(normal(prediction)) != raw(gold).max(raw(prediction))
        })
    },
};
const EMPTY: Rule = Rule {
    name: "anls_empty_equals_empty",
    about: "two empty answers are alike",
    holds: |case| {
        any_pair(case, |gold, prediction| strip(gold).is_empty() && strip(prediction).is_empty())
    },
};
const INNER_SPACE: Rule = Rule {
    name: "anls_inner_space_collapses",
    about: "runs of white space are one space",
    holds: |case| any_text(case, |text| collapse(text) != strip(text)),
};

/// Every known answer with the prediction.
fn any_pair(case: &Case<'_>, holds: impl Fn(&str, &str) -> bool) -> Result<bool> {
    let prediction = case.text("prediction")?;
    match case.fields.get("golds") {
        Some(_) => Ok(case.texts("golds")?.iter().any(|gold| holds(gold, prediction))),
        None => Ok(holds(case.text("gold")?, prediction)),
    }
}

fn any_text(case: &Case<'_>, holds: impl Fn(&str) -> bool) -> Result<bool> {
    any_pair(case, |gold, prediction| holds(gold) || holds(prediction))
}

fn relaxed_score(case: &Case<'_>) -> Result<Value> {
    Ok(score(relaxed::relaxed(case.text("gold")?, case.text("prediction")?)))
}

fn anls_peers(case: &Case<'_>) -> Result<Value> {
    Ok(raised(anls::peers(&case.texts("golds")?, case.text("prediction")?), Value::from))
}

fn anls_best(case: &Case<'_>) -> Result<Value> {
    Ok(anls::best(&case.texts("golds")?, case.text("prediction")?).into())
}
