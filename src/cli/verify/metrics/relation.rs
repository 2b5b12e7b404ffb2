//! Reasoned answers, and CRPE.

use super::case::{Case, number, raised};
use super::{Group, Ours, Part, Parts, Rule, whole};
use crate::Result;
use crate::answer::choice;
use crate::answer::choice::letter::{Pick, lead, named, pick};
use crate::answer::extract::lenient;
use crate::answer::metric::{crpe, option};
use crate::answer::python::text::strip;
use crate::answer::python::{Exception, Py};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The groups of this file.
pub const GROUPS: &[Group] = &[
    Group {
        metric: "cot_answer_extract",
        variant: Some("internvl_scienceqa"),
        peer: |case| Ok(option::first_marker(case.text("text")?).into()),
        ours: Some(Ours {
            value: |case| Ok(lenient(case.text("text")?).into()),
            part: whole,
            rules: &[LAST_MARKER, MORE_MARKERS, EMPHASIS, BOX, SPACE],
            parts: None,
        }),
    },
    Group {
        metric: "crpe_row",
        variant: Some("vlmevalkit"),
        peer: |case| {
            let right = crpe::is_right_vlmevalkit(case.text("gold")?, case.text("prediction")?);
            Ok(raised(right, Value::from))
        },
        ours: Some(Ours {
            value: |case| Ok(crpe::is_right(case.text("gold")?, case.text("prediction")?).into()),
            part: whole,
            rules: CRPE,
            parts: None,
        }),
    },
    Group {
        metric: "crpe_batch",
        variant: Some("vlmevalkit"),
        peer: |case| with_rows(case, |rows| raised(crpe::shares_vlmevalkit(rows), table)),
        ours: Some(Ours {
            value: |case| {
                with_rows(case, |rows| match crpe::shares(rows) {
                    Ok(shares) => table(shares),
                    Err(error) => json!({ "error": error }),
                })
            },
            part: whole,
            rules: &[CATEGORY],
            parts: Some(Parts { rest: by_peers_rows, differing: differing_rows }),
        }),
    },
];

const CRPE: &[Rule] = &[
    EMPTY_PREDICTION,
    EMPTY_GOLD,
    ARTICLE,
    SEVERAL,
    KNOWN_LETTER,
    KNOWN_WORD,
    SHORT_GOLD,
    CUT,
    CRPE_WORD,
    CRPE_STYLE,
    CRPE_STATED,
    CRPE_DENIED,
];

const LAST_MARKER: Rule = Rule {
    name: "marker_last_wins",
    about: "of several markers the last one counts",
    holds: |case| {
        let lower = case.text("text")?.to_lowercase();
        // "Final answer:" holds "answer:" and is one marker.
        Ok(lower.matches("answer:").count() > 1)
    },
};
const MORE_MARKERS: Rule = Rule {
    name: "marker_in_other_languages",
    about: "Chinese and Korean markers introduce an answer too",
    holds: |case| {
        Ok(["答案", "答：", "답"]
            .iter()
            .any(|marker| case.fields["text"].as_str().is_some_and(|text| text.contains(marker))))
    },
};
const EMPHASIS: Rule = Rule {
    name: "marker_emphasis_goes",
    about: "asterisks around an answer are emphasis",
    holds: |case| Ok(case.text("text")?.contains('*')),
};
const BOX: Rule = Rule {
    name: "marker_box_holds_the_answer",
    about: "a box holds the answer: \\boxed{5} is 5",
    holds: |case| Ok(case.text("text")?.contains("\\boxed{")),
};
const SPACE: Rule = Rule {
    name: "marker_space_around_goes",
    about: "white space around a text without a marker goes",
    holds: |case| Ok(strip(case.text("text")?) != case.text("text")?),
};

const EMPTY_PREDICTION: Rule = Rule {
    name: "crpe_empty_prediction_is_wrong",
    about: "an empty prediction is wrong",
    holds: |case| Ok(case.text("prediction")?.is_empty()),
};
const ARTICLE: Rule = Rule {
    name: "crpe_article_is_no_option",
    about: "the article A is no option",
    holds: |case| Ok(case.text("prediction")?.trim_start().starts_with("A ")),
};
const SHORT_GOLD: Rule = Rule {
    name: "crpe_letter_has_no_text",
    about: "a known answer that is a letter alone has no text that could occur",
    holds: |case| {
        let prediction = case.text("prediction")?;
        // The peer looks for the text behind the fourth character, which occurs everywhere.
        let looks_for_text = prediction.chars().nth(1).is_some() && !begins_with_letter(prediction);
        Ok(looks_for_text && case.text("gold")?.chars().count() <= 4)
    },
};
const EMPTY_GOLD: Rule = Rule {
    name: "crpe_empty_known_answer_is_no_option",
    about: "an empty known answer matches nothing",
    holds: |case| Ok(case.text("gold")?.is_empty()),
};
const SEVERAL: Rule = Rule {
    name: "option_several_letters_are_no_pick",
    about: "a list of letters picks nothing",
    holds: |case| Ok(pick(case.text("prediction")?, crpe::ROTATIONS) == Pick::Several),
};
const KNOWN_WORD: Rule = Rule {
    name: "crpe_known_word_is_no_letter",
    about: "a known answer that begins with a word has no letter",
    holds: |case| {
        let gold = case.text("gold")?;
        Ok(lead(gold, crpe::ROTATIONS).is_none() && begins_with_letter(gold))
    },
};
const KNOWN_LETTER: Rule = Rule {
    name: "crpe_known_letter_in_any_style",
    about: "the known letter is read in any dress: (A) cat is A",
    holds: |case| {
        let gold = case.text("gold")?;
        let known = lead(gold, crpe::ROTATIONS).map(|lead| choice::name(lead.index));
        Ok(known.is_some_and(|letter| !gold.starts_with(letter)))
    },
};
const CUT: Rule = Rule {
    name: "crpe_known_text_is_whole",
    about: "the known text is what follows the letter and its delimiter, and occurs as words",
    holds: |case| {
        let gold = case.text("gold")?;
        let text = lead(gold, crpe::ROTATIONS).map_or(gold, |lead| lead.rest);
        let cut: String = gold.chars().skip(4).collect();
        Ok(cut != text && pick(case.text("prediction")?, crpe::ROTATIONS) == Pick::None)
    },
};
const CRPE_WORD: Rule = Rule {
    name: "crpe_word_is_no_letter",
    about: "the first letter of a word is no option",
    holds: |case| {
        let prediction = case.text("prediction")?.trim();
        Ok(lead(prediction, crpe::ROTATIONS).is_none() && begins_with_letter(prediction))
    },
};
const CRPE_STYLE: Rule = Rule {
    name: "crpe_letter_in_any_style",
    about: "a letter is read in any dress, and compared with the known letter",
    holds: |case| {
        let prediction = case.text("prediction")?;
        let picked = pick(prediction, crpe::ROTATIONS);
        Ok(matches!(picked, Pick::One(_)) && !begins_with_letter(prediction))
    },
};
const CRPE_STATED: Rule = Rule {
    name: "option_phrase_introduces_the_letter",
    about: "a letter that is said to be the answer outweighs another in front",
    holds: |case| {
        let prediction = case.text("prediction")?;
        let [front, said] = [lead, named].map(|read| read(prediction, crpe::ROTATIONS));
        Ok(front.map(|lead| lead.index) != said.map(|lead| lead.index))
    },
};
const CRPE_DENIED: Rule = Rule {
    name: "option_denied_letter_is_no_pick",
    about: "\"B, is wrong\" picks nothing",
    holds: |case| {
        let said = named(case.text("prediction")?, crpe::ROTATIONS);
        Ok(said.is_some_and(|said| choice::denial::follows(said.rest)))
    },
};
const CATEGORY: Rule = Rule {
    name: "crpe_category_of_the_question",
    about: "a question's category is that of its first row, not of the first wrong one",
    holds: |case| {
        let rows = case.list("rows")?;
        let categories = case.of_rows(rows, "category", Value::as_str)?;
        Ok(categories
            .chunks(crpe::ROTATIONS)
            .any(|question| question.iter().any(|name| name != &question[0])))
    },
};
/// Ours with the peer's judgement of each row, an exception included.
fn by_peers_rows(case: &Case<'_>) -> Result<Value> {
    let is_right = |gold: &str, said: &str| crpe::is_right_vlmevalkit(gold, said) == Ok(true);
    with_rows(case, |rows| match crpe::shares_vlmevalkit(rows) {
        Err(error @ Exception("IndexError")) => json!({ "error": error.0 }),
        _ => match crpe::shares_by(rows, is_right) {
            Ok(shares) => table(shares),
            Err(error) => json!({ "error": error }),
        },
    })
}

/// The rows that are judged differently, an exception of the peer's among them.
fn differing_rows(case: &Case<'_>) -> Result<Vec<Part>> {
    let rows = case.list("rows")?;
    let text = |field: &str| case.of_rows(rows, field, |value| Some(Py::from(value).str()));
    let pairs = text("gold")?.into_iter().zip(text("prediction")?);
    let differ = pairs.filter(|(gold, said)| {
        crpe::is_right_vlmevalkit(gold, said) != Ok(crpe::is_right(gold, said))
    });
    let part = |(gold, said): (String, String)| Part {
        fields: json!({ "gold": gold, "prediction": said }),
        rules: CRPE,
    };
    Ok(differ.map(part).collect())
}

/// Whether the peer takes a text's first character for an option.
fn begins_with_letter(text: &str) -> bool {
    text.starts_with(|c| ('A'..='D').contains(&c))
}

fn with_rows(case: &Case<'_>, count: impl Fn(&[crpe::Row<'_>]) -> Value) -> Result<Value> {
    let rows = case.list("rows")?;
    let text = |field: &str| case.of_rows(rows, field, |value| Some(Py::from(value).str()));
    let (golds, predictions, categories) = (text("gold")?, text("prediction")?, text("category")?);
    let rows: Vec<crpe::Row<'_>> = golds
        .iter()
        .zip(&predictions)
        .zip(&categories)
        .map(|((gold, prediction), category)| {
            (gold.as_str(), prediction.as_str(), category.as_str())
        })
        .collect();
    Ok(count(&rows))
}

fn table(shares: BTreeMap<&'static str, Option<f64>>) -> Value {
    shares
        .into_iter()
        .map(|(name, share)| (name.to_owned(), number(share)))
        .collect::<Map<_, _>>()
        .into()
}
