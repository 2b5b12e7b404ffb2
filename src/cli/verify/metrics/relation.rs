//! Reasoned answers, and CRPE.

use super::case::{Case, number, raised};
use super::option::LIST;
use super::{Group, Ours, Rule, whole};
use crate::Result;
use crate::eval::choice;
use crate::eval::choice::letter::{Pick, lead, pick};
use crate::eval::extract::lenient;
use crate::eval::metric::{crpe, option};
use crate::eval::python::Py;
use crate::eval::python::text::strip;
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
            rules: &[CATEGORY, EMPTY_ROW, LEAD_ROW],
        }),
    },
];

const CRPE: &[Rule] =
    &[EMPTY_PREDICTION, ARTICLE, KNOWN_LETTER, SHORT_GOLD, CUT, CRPE_WORD, CRPE_STYLE, LIST];

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
    holds: |case| Ok(case.text("gold")?.chars().count() <= 4),
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
        Ok(cut != text)
    },
};
const CRPE_WORD: Rule = Rule {
    name: "crpe_word_is_no_letter",
    about: "the first letter of a word is no option",
    holds: |case| {
        let prediction = case.text("prediction")?.trim();
        Ok(lead(prediction, crpe::ROTATIONS).is_none()
            && prediction.starts_with(|c| ('A'..='D').contains(&c)))
    },
};
const CRPE_STYLE: Rule = Rule {
    name: "crpe_letter_in_any_style",
    about: "a letter is read in any dress, and compared with the known letter",
    holds: |case| {
        let prediction = case.text("prediction")?;
        let picked = pick(prediction, crpe::ROTATIONS);
        let bare = prediction.chars().next().is_some_and(|c| ('A'..='D').contains(&c));
        Ok(matches!(picked, Pick::One(_)) && !bare)
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
const EMPTY_ROW: Rule = Rule {
    name: "crpe_empty_prediction_is_wrong",
    about: "an empty prediction is wrong",
    holds: |case| Ok(case.of_rows(case.list("rows")?, "prediction", Value::as_str)?.contains(&"")),
};
const LEAD_ROW: Rule = Rule {
    name: "crpe_letter_in_any_style",
    about: "a letter is read in any dress, and compared with the known letter",
    holds: |case| {
        let rows = case.list("rows")?;
        let predictions = case.of_rows(rows, "prediction", Value::as_str)?;
        Ok(predictions.iter().any(|text| {
            !text.starts_with(|c| ('A'..='D').contains(&c))
                || text.chars().nth(1).is_some_and(|c| c != '.')
        }))
    },
};

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
