//! POPE: what an answer says, and the counts.

use super::case::{Case, number};
use super::{Group, Ours, Part, Parts, Rule, whole};
use crate::Result;
use crate::answer::metric::vqa::normalize_punctuation;
use crate::answer::metric::yes_no::{
    self, Tally, by_category, by_category_vlmevalkit, internvl, judged, settled, spoken,
    vlmevalkit, yes_or_no,
};
use crate::answer::python::text::words;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The groups of this file.
pub const GROUPS: &[Group] = &[
    Group {
        metric: "pope_extract",
        variant: Some("internvl"),
        peer: |case| Ok(small(Some(internvl(case.text("text")?))).into()),
        ours: Some(Ours {
            value: |case| Ok(small(settled(case.text("text")?)).into()),
            part: whole,
            rules: INTERNVL,
            parts: None,
        }),
    },
    Group {
        metric: "pope_extract",
        variant: Some("vlmevalkit"),
        peer: |case| Ok(large(vlmevalkit(case.text("text")?)).into()),
        ours: Some(Ours {
            value: |case| Ok(large(settled(case.text("text")?)).into()),
            part: whole,
            rules: VLMEVALKIT,
            parts: None,
        }),
    },
    Group {
        metric: "pope_judge_fallback",
        variant: Some("vlmevalkit"),
        peer: |case| Ok(answer(judged(&case.texts("judge_outputs")?, vlmevalkit))),
        ours: Some(Ours {
            value: |case| Ok(answer(judged(&case.texts("judge_outputs")?, settled))),
            part: whole,
            rules: VLMEVALKIT,
            parts: None,
        }),
    },
    Group {
        metric: "pope_batch",
        variant: Some("internvl"),
        peer: |case| fractions(case, |text| Some(internvl(text)), true),
        ours: Some(Ours {
            value: |case| fractions(case, settled, false),
            part: whole,
            rules: &[DENOMINATOR],
            parts: Some(Parts {
                rest: |case| fractions(case, |text| Some(internvl(text)), false),
                differing: |case| differing(case, |text| Some(internvl(text)), INTERNVL),
            }),
        }),
    },
    Group {
        metric: "pope_batch",
        variant: Some("vlmevalkit"),
        peer: |case| percentages(case, vlmevalkit, by_category_vlmevalkit, 0.0.into()),
        ours: Some(Ours {
            value: |case| percentages(case, settled, by_category, Value::Null),
            part: whole,
            rules: &[ONCE, DENOMINATOR],
            parts: Some(Parts {
                rest: |case| percentages(case, vlmevalkit, by_category, Value::Null),
                differing: |case| differing(case, vlmevalkit, VLMEVALKIT),
            }),
        }),
    },
];

const INTERNVL: &[Rule] = &[LANGUAGES, BOTH, QUOTED, NEITHER, NOT, TAKEN_BACK, UNHEARD];
const VLMEVALKIT: &[Rule] = &[LANGUAGES, BOTH, QUOTED, MARKS, TAKEN_BACK];

/// The texts of a batch that ours and a peer read differently.
fn differing(
    case: &Case<'_>,
    peer: fn(&str) -> Option<bool>,
    rules: &'static [Rule],
) -> Result<Vec<Part>> {
    let texts = case.texts("texts")?.into_iter();
    let differ = texts.filter(|text| peer(text) != settled(text));
    Ok(differ.map(|text| Part { fields: json!({ "text": text }), rules }).collect())
}

const LANGUAGES: Rule = Rule {
    name: "yes_no_in_chinese_and_korean",
    about: "the words for yes and no of Chinese and Korean are read",
    holds: |case| {
        any_text(case, |text| {
            spoken(&text.to_lowercase())
                .any(|word| !word.is_ascii() && yes_no::said(word).is_some())
        })
    },
};
const BOTH: Rule = Rule {
    name: "yes_no_both_words_are_weighed",
    about: "where both words occur the opening decides, and without one there is no answer",
    holds: |case| any_text(case, |text| heard(text) == (true, true)),
};
const QUOTED: Rule = Rule {
    name: "yes_no_quotes_around_do_not_count",
    about: "a yes or no in single quotes that opens a sentence is one",
    holds: |case| {
        any_text(case, |text| {
            text.contains('\'') && heard(text) == (false, false) && yes_or_no(text).is_some()
        })
    },
};
const NEITHER: Rule = Rule {
    name: "yes_no_neither_word_is_no_answer",
    about: "an answer with neither word is no yes: it is no answer, and counts as wrong",
    holds: |case| any_text(case, |text| heard(text) == (false, false)),
};
const NOT: Rule = Rule {
    name: "yes_no_not_is_no_no",
    about: "\"not\" alone is no no",
    holds: |case| {
        any_text(case, |text| {
            heard(text) == (true, false)
                && spoken(text).any(|word| word.eq_ignore_ascii_case("not"))
        })
    },
};
const TAKEN_BACK: Rule = Rule {
    name: "yes_no_taken_back_is_no_answer",
    about: "\"not yes\", \"yes, but no\" and \"no idea\" are no answers",
    holds: |case| any_text(case, |text| yes_or_no(text).is_some() && settled(text).is_none()),
};
const UNHEARD: Rule = Rule {
    name: "yes_no_the_whole_text_is_heard",
    about: "a no counts in any case, beside any mark and behind the first sentence",
    holds: |case| any_text(case, |text| heard(text) == (false, true) && internvl(text)),
};
const MARKS: Rule = Rule {
    name: "yes_no_marks_part_words",
    about: "every mark parts words: **Yes** and yes.No hold the words yes and no",
    holds: |case| {
        any_text(case, |text| {
            let plain = normalize_punctuation(&text.to_lowercase());
            let has = |wanted: &str| words(&plain).any(|word| word == wanted);
            heard(text) != (has("yes"), has("no"))
        })
    },
};
const DENOMINATOR: Rule = Rule {
    name: "yes_no_undefined_is_no_number",
    about: "a rate whose denominator is zero is undefined, and no score",
    holds: |case| {
        let said = case.texts("texts")?;
        let labels = case.texts("labels")?;
        let yes = |label: &String| label.eq_ignore_ascii_case("yes");
        let groups = categories(case)?;
        let mut names: Vec<&str> =
            groups.iter().flatten().flat_map(|name| name.split(',')).collect();
        names.push("");
        Ok(names.iter().any(|name| {
            let inside = |index: usize| {
                groups.get(index).is_none_or(|group| {
                    group.is_some_and(|group| group.split(',').any(|part| part == *name))
                }) || name.is_empty()
            };
            let rows = || (0..labels.len().min(said.len())).filter(|&index| inside(index));
            let reads = |index: usize| match groups.is_empty() {
                true => Some(internvl(&said[index])),
                false => vlmevalkit(&said[index]),
            };
            let none_there = rows().all(|index| !yes(&labels[index]));
            let none_said = rows().all(|index| reads(index) != Some(true));
            let none_right =
                rows().all(|index| !(yes(&labels[index]) && reads(index) == Some(true)));
            none_there || none_said || none_right
        }))
    },
};
const ONCE: Rule = Rule {
    name: "yes_no_a_row_counts_once",
    about: "a row of several categories counts once over all",
    holds: |case| Ok(categories(case)?.iter().flatten().any(|name| name.contains(','))),
};

/// Whether the words yes and no occur, parted by whatever is no letter.
fn heard(text: &str) -> (bool, bool) {
    let lower = text.to_lowercase();
    let has = |wanted: &str| spoken(&lower).any(|word| word == wanted);
    (has("yes"), has("no"))
}

fn any_text(case: &Case<'_>, holds: impl Fn(&str) -> bool) -> Result<bool> {
    for field in ["texts", "judge_outputs"] {
        if case.fields.get(field).is_some() {
            return Ok(case.texts(field)?.iter().any(|text| holds(text)));
        }
    }
    Ok(holds(case.text("text")?))
}

fn small(said: Option<bool>) -> &'static str {
    match said {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    }
}

fn large(said: Option<bool>) -> &'static str {
    match said {
        Some(true) => "Yes",
        Some(false) => "No",
        None => "Unknown",
    }
}

fn answer((said, calls): (Option<bool>, usize)) -> Value {
    json!({ "answer": large(said), "calls": calls })
}

/// What was said and what is there, row by row.
fn rows(
    case: &Case<'_>,
    read: fn(&str) -> Option<bool>,
    there: &str,
) -> Result<Vec<(Option<bool>, bool)>> {
    let labels = case.texts("labels")?;
    let said = case.texts("texts")?;
    Ok(said.iter().zip(&labels).map(|(text, label)| (read(text), label == there)).collect())
}

/// InternVL's figures. Its labels are no or something else, which is yes.
fn fractions(case: &Case<'_>, read: fn(&str) -> Option<bool>, raises: bool) -> Result<Value> {
    let answers: Vec<_> =
        rows(case, read, "no")?.into_iter().map(|(said, absent)| (said, !absent)).collect();
    let tally = Tally::of(answers.iter().copied());
    let said = case.texts("texts")?;
    let extracted: Vec<&str> = said.iter().map(|text| small(read(text))).collect();
    let mut fields = Map::new();
    fields.insert("extracted".into(), extracted.into());
    let count = |fields: &mut Map<String, Value>| {
        for (name, value) in [
            ("tp", tally.true_yes),
            ("fp", tally.false_yes),
            ("tn", tally.true_no),
            ("fn", tally.false_no),
        ] {
            fields.insert(name.into(), value.into());
        }
    };
    if raises {
        if !said.is_empty() {
            count(&mut fields);
        }
        let rates = [tally.precision(), tally.recall()];
        if rates.contains(&None) || tally.true_yes == 0 {
            fields.insert("error".into(), "ZeroDivisionError".into());
            return Ok(fields.into());
        }
    } else {
        count(&mut fields);
    }
    for (name, rate) in [
        ("f1", tally.f1()),
        ("accuracy", tally.accuracy()),
        ("precision", tally.precision()),
        ("recall", tally.recall()),
        ("yes_ratio", tally.yes_ratio()),
    ] {
        fields.insert(name.into(), number(rate));
    }
    Ok(fields.into())
}

fn categories<'c>(case: &'c Case<'_>) -> Result<Vec<Option<&'c str>>> {
    match case.fields.get("categories") {
        None => Ok(Vec::new()),
        Some(_) => Ok(case.list("categories")?.iter().map(Value::as_str).collect()),
    }
}

/// Tallies of a batch, by group.
type ByGroup = fn(&[(Option<bool>, bool)], &[Option<&str>]) -> BTreeMap<String, yes_no::Tally>;

/// VLMEvalKit's figures.
fn percentages(
    case: &Case<'_>,
    read: fn(&str) -> Option<bool>,
    group: ByGroup,
    undefined: Value,
) -> Result<Value> {
    let rate = |rate: Option<f64>| rate.map_or(undefined.clone(), |rate| (rate * 100.0).into());
    let table = |tally: &Tally| {
        json!({
            "f1": rate(tally.f1()),
            "acc": rate(tally.accuracy()),
            "precision": rate(tally.precision()),
            "recall": rate(tally.recall()),
        })
    };
    let tallies = group(&rows(case, read, "Yes")?, &categories(case)?);
    Ok(tallies
        .iter()
        .map(|(name, tally)| (name.clone(), table(tally)))
        .collect::<Map<_, _>>()
        .into())
}
