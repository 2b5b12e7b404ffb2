//! The correctness labeller of InternVL's data pipeline.

use super::case::{Case, raised, score};
use super::{Group, Ours, Rule, whole};
use crate::data::record::Question;
use crate::eval::extract::{boxed, reasoned};
use crate::eval::matching::{self, is_year, math_equal, modes};
use crate::eval::metric::labeller::{self, Mode};
use crate::eval::metric::{anls, relaxed, vqa};
use crate::eval::python::number::float;
use crate::eval::python::text::{collapse, len, strip};
use crate::eval::{choice, quantity};
use crate::{Error, Result};
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
        ours: Some(Ours { value: check, part: whole, rules: CHECK }),
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
            rules: &[DECIMAL, LETTER_STYLE],
        }),
    },
    Group {
        metric: "labeller_math_score",
        variant: Some("raw"),
        peer: |case| Ok(labeller::math(case.text("gold")?, case.text("prediction")?).into()),
        ours: Some(Ours {
            value: |case| Ok(math_equal(case.text("gold")?, case.text("prediction")?).into()),
            part: whole,
            rules: &[INTEGERS, ZERO, NOT_FINITE, DRESS, PERCENT, SPACE],
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
            rules: &[YEARS, PERCENT, ZERO, NOT_FINITE, SEPARATORS, SPACE],
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
        }),
    },
    Group {
        metric: "labeller_parse_answer",
        variant: Some("boxed_versions"),
        peer: parse,
        ours: Some(Ours {
            value: |case| {
                let parsed =
                    labeller::parse(case.text("response")?, case.text("prompt_version")?).ok();
                let answer = parsed.and_then(|_| boxed(case.fields["response"].as_str()?));
                Ok(answer.map_or_else(
                    || json!({ "error": "no box" }),
                    |answer| json!({ "rationale": null, "answer": answer }),
                ))
            },
            part: whole,
            rules: &[NO_BOX],
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
        ours: Some(Ours { value: our_modes, part: common_modes, rules: &[ANY_CASE, INFOVQA] }),
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
    let ours = |mode: Mode| match mode {
        Mode::Vqa => matching::Mode::Vqa,
        Mode::Relaxed => matching::Mode::Relaxed,
        Mode::Anls => matching::Mode::Anls,
        Mode::Letter => matching::Mode::Letter,
        Mode::Math => matching::Mode::Math,
    };
    let scores = |mode: Mode| ours(mode).score(gold, prediction) > matching::THRESHOLD;
    let right = relaxed::equal_but_case(gold, prediction) || named(case)?.into_iter().any(scores);
    Ok(u8::from(right).into())
}

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

const CHECK: &[Rule] = &[
    SIMILARITY,
    DECIMAL,
    YEARS,
    INTEGERS,
    PERCENT,
    ZERO,
    NOT_FINITE,
    DRESS,
    SEPARATORS,
    NOTHING,
    LETTER_STYLE,
    SPACE,
];

fn has_mode(case: &Case<'_>, mode: Mode) -> Result<bool> {
    let any = case.group["metric"] == "labeller_check_answer";
    Ok(!any || named(case)?.contains(&mode))
}

fn pair<'c>(case: &'c Case<'_>) -> Result<(&'c str, &'c str)> {
    Ok((case.text("gold")?, case.text("prediction")?))
}

fn both_numbers(case: &Case<'_>, holds: impl Fn(f64, f64) -> bool) -> Result<bool> {
    let (gold, prediction) = pair(case)?;
    let numbers = quantity::read(gold).zip(quantity::read(prediction));
    Ok(numbers.is_some_and(|(gold, prediction)| holds(gold.value, prediction.value)))
}

fn either(case: &Case<'_>, holds: impl Fn(&str) -> bool) -> Result<bool> {
    let (gold, prediction) = pair(case)?;
    Ok(holds(gold) || holds(prediction))
}

const SIMILARITY: Rule = Rule {
    name: "label_similarity_not_distance",
    about: "ANLS is the similarity: near texts match and far ones do not",
    holds: |case| {
        let (gold, prediction) = pair(case)?;
        let near = anls::anls(gold, prediction) > labeller::THRESHOLD;
        let normal = |text: &str| collapse(&text.to_lowercase());
        let distance = crate::eval::text::edit_distance(&normal(gold), &normal(prediction)) as f64;
        let length = len(&gold.to_uppercase()).max(len(&prediction.to_uppercase())) as f64;
        Ok(has_mode(case, Mode::Anls)? && near != (distance / length > labeller::THRESHOLD))
    },
};
const DECIMAL: Rule = Rule {
    name: "label_decimal_is_no_option",
    about: "what stands before a decimal point is no option letter",
    holds: |case| {
        let prediction = strip(case.text("prediction")?);
        let cut = prediction.chars().nth(1) == Some('.') || prediction.starts_with('(');
        let first = prediction.chars().find(|c| *c != '(');
        Ok(has_mode(case, Mode::Letter)? && cut && first.is_some_and(|c| !c.is_ascii_alphabetic()))
    },
};
const YEARS: Rule = Rule {
    name: "label_years_are_exact",
    about: "a year from 1900 to 2099 is exact, and what is no year is no text: 20.5 and 20%",
    holds: |case| {
        let gold = case.text("gold")?;
        let year = relaxed::number(gold).is_some_and(|value| is_year(gold, value));
        Ok(has_mode(case, Mode::Relaxed)? && (year || (len(gold) == 4 && gold.starts_with("20"))))
    },
};
const INTEGERS: Rule = Rule {
    name: "label_integers_are_exact",
    about: "whole numbers are exact: 1001 is not 1000",
    holds: |case| {
        let whole = |a: f64, b: f64| a.fract() == 0.0 && b.fract() == 0.0 && a != b;
        Ok(has_mode(case, Mode::Math)? && both_numbers(case, whole)?)
    },
};
const PERCENT: Rule = Rule {
    name: "label_percent_is_a_hundredth",
    about: "a percent sign divides by 100; only in mathematics may one side lack it",
    holds: |case| either(case, |text| text.contains('%')),
};
const ZERO: Rule = Rule {
    name: "relaxed_zero_is_a_number",
    about: "a zero compares by value: 0.0 is 0",
    holds: |case| both_numbers(case, |gold, prediction| gold == 0.0 && prediction == 0.0),
};
const NOT_FINITE: Rule = Rule {
    name: "relaxed_nan_and_inf_are_words",
    about: "what is no finite number compares as text",
    holds: |case| {
        either(case, |text| {
            let plain =
                labeller::DROPPED.iter().fold(text.to_owned(), |text, part| text.replace(part, ""));
            float(&plain).is_some_and(|number| !number.is_finite())
        })
    },
};
const DRESS: Rule = Rule {
    name: "label_numbers_in_any_form",
    about: "fractions, number words, separators, a real minus sign and units belong to a number, and marks around it do not",
    holds: |case| {
        let dressed = |text: &str| {
            let plain =
                labeller::DROPPED.iter().fold(text.to_owned(), |text, part| text.replace(part, ""));
            float(&plain).is_some() != quantity::read(text).is_some()
                || (float(text).is_none() && quantity::read(text).is_some())
        };
        Ok(has_mode(case, Mode::Math)? && either(case, dressed)?)
    },
};
const SEPARATORS: Rule = Rule {
    name: "relaxed_separators_and_minus_are_read",
    about: "thousand separators and a real minus sign belong to a number",
    holds: |case| {
        let read = |text: &str| {
            float(text.trim_end_matches('%')).is_none() && relaxed::number(text).is_some()
        };
        Ok(has_mode(case, Mode::Relaxed)? && either(case, read)?)
    },
};
const NOTHING: Rule = Rule {
    name: "label_nothing_equals_nothing_by_mode_only",
    about: "answers that normalize to nothing do not reset what other modes say",
    holds: |case| either(case, |text| vqa::normalize(text).is_empty()),
};
const LETTER_STYLE: Rule = Rule {
    name: "option_letter_in_any_style",
    about: "a letter is read in any case and dress, in the known answer too: b, `B`, \"B\", $B$, (B) cow",
    holds: |case| {
        let (gold, prediction) = pair(case)?;
        let (known, said) = (
            choice::letter::lead(gold, MOST_LETTERS),
            choice::letter::lead(prediction, MOST_LETTERS),
        );
        let edge =
            |text: &str| text.trim_matches(|c: char| !c.is_alphanumeric()).len() < text.len();
        Ok(has_mode(case, Mode::Letter)?
            && ((known.is_some() && said.is_some()) || edge(gold) || edge(prediction)))
    },
};
const MOST_LETTERS: usize = choice::MOST;
const SPACE: Rule = Rule {
    name: "relaxed_space_around_is_ignored",
    about: "white space around either answer says nothing",
    holds: |case| either(case, |text| strip(text) != text),
};
const NO_BOX: Rule = Rule {
    name: "label_no_box_is_no_answer",
    about: "a response without a box that closes has no answer",
    holds: |case| {
        let text = if case.fields.get("text").is_some() {
            case.text("text")?
        } else {
            case.text("response")?
        };
        let open = text.rfind("\\boxed{").map(|place| &text[place..]);
        Ok(open.is_none_or(|inner| inner.matches('{').count() > inner.matches('}').count()))
    },
};
const ANY_CHARACTER: Rule = Rule {
    name: "option_letter_must_be_offered",
    about: "a single character is an option only where it is one of the letters",
    holds: |case| {
        let text = strip(case.text("text")?).trim_matches('*');
        Ok(len(strip(text)) == 1)
    },
};
const WORD: Rule = Rule {
    name: "option_word_is_no_letter",
    about: "an article, a pronoun or the first letter of a word is no option",
    holds: |case| {
        let text = strip(strip(case.text("text")?).trim_matches('*'));
        let mut characters = text.chars();
        let first = characters.next();
        Ok(first.is_some_and(char::is_alphabetic)
            && characters.next().is_some()
            && choice::letter::lead(text, LETTERS).is_none())
    },
};
const LETTER_TEXT: Rule = Rule {
    name: "option_letter_in_any_style",
    about: "a letter is read in any case and dress, in the known answer too: b, `B`, \"B\", $B$, (B) cow",
    holds: |case| {
        let text = case.text("text")?;
        let dress = |c: char| "`\"'$#_([{（【\\".contains(c) || !c.is_ascii();
        Ok(text.contains(dress))
    },
};
const ANY_CASE: Rule = Rule {
    name: "label_data_set_in_any_case",
    about: "a data set's name is known in any case",
    holds: |case| {
        let name = case.text("dataset")?;
        let known =
            ["chartqa", "docvqa", "infographics", "sroie", "clevr_math", "geos", "geometry"];
        Ok(known.iter().any(|part| name.to_lowercase().contains(part)))
    },
};
const INFOVQA: Rule = Rule {
    name: "label_infovqa_is_a_document",
    about: "InfoVQA's short name is that of its long one",
    holds: |case| Ok(case.text("dataset")?.to_lowercase().contains("infovqa")),
};
