//! The correctness labeller of InternVL's data pipeline.

mod rules;

use super::case::{Case, raised, score};
use super::{Group, Ours, Part, Parts, whole};
use crate::answer::choice;
use crate::answer::extract::{boxed, parts, reasoned};
use crate::answer::matching::{self, math_equal, modes};
use crate::answer::metric::labeller::{self, Mode};
use crate::answer::metric::relaxed;
use crate::data::record::Question;
use crate::spec::candidates::Prompt;
use crate::{Error, Result};
use rules::{
    ANY_CASE, ANY_CHARACTER, BARE_BOX, BOX_SPACE, INFOVQA, LETTER_TEXT, NO_BOX, NO_THOUGHTS, WORD,
};
use serde_json::{Value, json};

/// The groups of this file.
pub const GROUPS: &[Group] = &[
    Group {
        metric: "labeller_check_answer",
        variant: None,
        peer: |case| {
            let right =
                labeller::check(case.text("gold")?, case.text("prediction")?, &named(case)?);
            Ok(u8::from(right).into())
        },
        ours: Some(Ours { value: check, part: whole, rules: &[], parts: Some(BY_MODE) }),
    },
    Group {
        metric: "labeller_multi_choice_score",
        variant: Some("raw"),
        peer: |case| {
            Ok(score(labeller::multi_choice(case.text("gold")?, case.text("prediction")?)))
        },
        ours: Some(Ours {
            value: |case| {
                Ok(score(choice::same_letter(case.text("gold")?, case.text("prediction")?)))
            },
            part: whole,
            rules: rules::LETTER,
            parts: None,
        }),
    },
    Group {
        metric: "labeller_math_score",
        variant: Some("raw"),
        peer: |case| Ok(labeller::math(case.text("gold")?, case.text("prediction")?).into()),
        ours: Some(Ours {
            value: |case| Ok(math_equal(case.text("gold")?, case.text("prediction")?).into()),
            part: whole,
            rules: rules::MATH,
            parts: None,
        }),
    },
    Group {
        metric: "labeller_relaxed",
        variant: Some("raw"),
        peer: |case| Ok(relaxed::labeller(case.text("gold")?, case.text("prediction")?).into()),
        ours: Some(Ours {
            value: |case| {
                Ok(matching::chart_equal(case.text("gold")?, case.text("prediction")?).into())
            },
            part: whole,
            rules: rules::RELAXED,
            parts: None,
        }),
    },
    Group {
        metric: "labeller_parse_answer",
        variant: Some("final_answer_marker"),
        peer: parse,
        ours: Some(Ours {
            value: |case| {
                Ok(match reasoned(case.text("response")?) {
                    Some(parts) => json!({ "rationale": parts.rationale, "answer": parts.answer }),
                    None => json!({ "error": "no final answer" }),
                })
            },
            part: whole,
            rules: &[],
            parts: None,
        }),
    },
    Group {
        metric: "labeller_parse_answer",
        variant: Some("boxed_versions"),
        peer: parse,
        ours: Some(Ours {
            value: |case| {
                // There is no form of thoughts here, so that nothing is read from one.
                let is_known = is_boxed_form(case)?;
                let found = parts(Prompt::Boxed, case.text("response")?).filter(|_| is_known);
                Ok(found.map_or_else(
                    || json!({ "error": "no box" }),
                    |found| json!({ "rationale": null, "answer": found.answer }),
                ))
            },
            part: whole,
            rules: &[NO_THOUGHTS, NO_BOX, BARE_BOX, BOX_SPACE],
            parts: None,
        }),
    },
    Group {
        metric: "labeller_boxed",
        variant: Some("extract"),
        peer: |case| {
            let text = case.text("text")?;
            Ok(boxed(text).unwrap_or(text).into())
        },
        ours: Some(Ours {
            value: |case| Ok(boxed(case.text("text")?).map_or(Value::Null, Value::from)),
            part: whole,
            rules: &[NO_BOX],
            parts: None,
        }),
    },
    Group {
        metric: "labeller_letter",
        variant: Some("post_process"),
        peer: |case| Ok(raised(labeller::letter(case.text("text")?), Value::from)),
        ours: Some(Ours {
            value: |case| {
                let lead = choice::letter::lead(case.text("text")?, LETTERS);
                Ok(lead.map_or_else(
                    || json!({ "error": "no letter" }),
                    |lead| choice::name(lead.index).to_string().into(),
                ))
            },
            part: whole,
            rules: &[ANY_CHARACTER, WORD, LETTER_TEXT],
            parts: None,
        }),
    },
    Group {
        metric: "labeller_fix_answer",
        variant: Some("fix_answer"),
        peer: |case| {
            let fixed = labeller::fix(
                case.text("response")?,
                case.text("answer_pred")?,
                case.text("gold")?,
            );
            Ok(raised(fixed, Value::from))
        },
        ours: None,
    },
    Group {
        metric: "labeller_mode",
        variant: Some("get_mode"),
        peer: |case| Ok(labeller::modes(case.text("dataset")?).into()),
        ours: Some(Ours {
            value: our_modes,
            part: common_modes,
            rules: &[ANY_CASE, INFOVQA],
            parts: None,
        }),
    },
    Group {
        metric: "labeller_use_latex",
        variant: Some("use_latex_score"),
        peer: |case| Ok(labeller::uses_latex(case.text("text")?).into()),
        ours: None,
    },
];

/// Letters that the labeller knows: A to N.
const LETTERS: usize = 14;

/// Whether a variant is a list of modes: `vqa+mc+math`.
pub fn reads(variant: &str) -> bool {
    variant.split('+').all(|name| Mode::named(name).is_some())
}

/// Whether a response was asked for in a box without a thought before.
fn is_boxed_form(case: &Case<'_>) -> Result<bool> {
    Ok(matches!(case.text("prompt_version")?, "en_v2" | "zh_v2"))
}

fn named(case: &Case<'_>) -> Result<Vec<Mode>> {
    let modes = case.variant.split('+').map(Mode::named).collect::<Option<_>>();
    modes.ok_or_else(|| {
        Error::new(format!("{}: `{}` is no list of modes", case.place, case.variant))
    })
}

fn parse(case: &Case<'_>) -> Result<Value> {
    let parsed = labeller::parse(case.text("response")?, case.text("prompt_version")?);
    Ok(raised(parsed, |parsed| json!({ "rationale": parsed.rationale, "answer": parsed.answer })))
}

/// Ours for the same modes.
fn check(case: &Case<'_>) -> Result<Value> {
    let (gold, prediction) = (case.text("gold")?, case.text("prediction")?);
    let right = named(case)?.into_iter().any(|mode| is_right(gold, prediction, mode));
    Ok(u8::from(right).into())
}

/// Whether ours calls an answer right by one mode.
fn is_right(gold: &str, prediction: &str, mode: Mode) -> bool {
    let ours = match mode {
        Mode::Vqa => matching::Mode::Vqa,
        Mode::Relaxed => matching::Mode::Relaxed,
        Mode::Anls => matching::Mode::Anls,
        Mode::Letter => matching::Mode::Letter,
        Mode::Math => matching::Mode::Math,
    };
    relaxed::equal_but_case(gold, prediction) || ours.score(gold, prediction) > matching::THRESHOLD
}

/// The modes of a case, each judged alone.
const BY_MODE: Parts = Parts {
    rest: |case| {
        let (gold, prediction) = (case.text("gold")?, case.text("prediction")?);
        let mut modes = named(case)?.into_iter();
        Ok(u8::from(modes.any(|mode| labeller::check(gold, prediction, &[mode]))).into())
    },
    differing: |case| {
        let (gold, prediction) = (case.text("gold")?, case.text("prediction")?);
        let differs = |mode: &Mode| {
            labeller::check(gold, prediction, &[*mode]) != is_right(gold, prediction, *mode)
        };
        let part = |mode| Part {
            fields: json!({ "gold": gold, "prediction": prediction }),
            rules: rules::of(mode),
        };
        Ok(named(case)?.into_iter().filter(differs).map(part).collect())
    },
};

/// A data set's modes under the labeller's names. Ours have one for mathematics, and one more, yes/no.
fn our_modes(case: &Case<'_>) -> Result<Value> {
    let question = Question { source: case.text("dataset")?.to_owned(), ..Question::default() };
    let name = |mode: &matching::Mode| match mode {
        matching::Mode::Relaxed => Some("relaxed_accuracy"),
        matching::Mode::Vqa => Some("vqa_score"),
        matching::Mode::Anls => Some("anls"),
        matching::Mode::Letter => Some("mc_score"),
        matching::Mode::Math => Some("math_score"),
        matching::Mode::Exact | matching::Mode::YesNo => None,
    };
    Ok(modes(&question).iter().filter_map(name).collect::<Vec<_>>().into())
}

/// The recorded modes with every mathematical one under one name.
fn common_modes(_: &Case<'_>, recorded: &Value) -> Result<Value> {
    let mut names: Vec<&str> = Vec::new();
    for name in recorded.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let name =
            if matches!(name, "math_verify_score" | "latex_score") { "math_score" } else { name };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names.into())
}
