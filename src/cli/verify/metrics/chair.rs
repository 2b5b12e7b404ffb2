//! CHAIR: words to classes, object lists, rates.

use super::case::{Case, number, raised};
use super::{Group, Ours, Rule, whole};
use crate::answer::metric::chair::{self, Gold, Judged, Mention, Rates, Response, Vocabulary};
use crate::answer::python::text::{strip, words};
use crate::{Error, Result};
use serde_json::{Value, json};

/// The groups of this file.
pub const GROUPS: &[Group] = &[
    Group {
        metric: "chair_map_objects",
        variant: Some("rlaif_v"),
        peer: |case| Ok(mapped(&vocabulary(case)?.mentions_rlaif_v(&case.texts("words")?))),
        ours: Some(Ours {
            value: |case| Ok(mapped(&vocabulary(case)?.mentions(&case.texts("words")?))),
            part: whole,
            rules: &[POSITIONS],
            parts: None,
        }),
    },
    Group {
        metric: "chair_double_words",
        variant: Some("rlaif_v"),
        peer: |case| Ok(vocabulary(case)?.two_word_objects(&case.texts("words")?).into()),
        ours: None,
    },
    Group {
        metric: "chair_parse_list",
        variant: Some("rlaif_v"),
        peer: |case| Ok(raised(chair::object_list_rlaif_v(case.text("text")?), |value| value)),
        ours: Some(Ours {
            value: |case| {
                let list = chair::object_list(case.text("text")?);
                Ok(list.map_or_else(|| json!({ "error": "no list of texts" }), Value::from))
            },
            part: whole,
            rules: &[ONLY_LISTS, FOUND_LIST],
            parts: None,
        }),
    },
    Group {
        metric: "chair_batch",
        variant: Some("rlaif_v"),
        peer: |case| {
            with_responses(case, |vocabulary, gold, responses| {
                raised(chair::rates_rlaif_v(vocabulary, gold, responses), |(rates, judged)| {
                    fields(&rates, &judged)
                })
            })
        },
        ours: Some(Ours {
            value: |case| {
                with_responses(case, |vocabulary, gold, responses| {
                    match chair::rates(vocabulary, gold, responses) {
                        Ok((rates, judged)) => fields(&rates, &judged),
                        Err(error) => json!({ "error": error }),
                    }
                })
            },
            part: whole,
            rules: &[UNDEFINED, BATCH_POSITIONS, LENGTH],
            parts: None,
        }),
    },
];

const POSITIONS: Rule = Rule {
    name: "chair_positions_of_the_list_given",
    about: "a position is that in the list as given, seats beside a toilet included",
    holds: |case| Ok(drops_seats(&case.texts("words")?)),
};
const ONLY_LISTS: Rule = Rule {
    name: "chair_only_lists_of_texts",
    about: "a number, a word or a list of anything but texts is no object list",
    holds: |case| {
        let value = chair::object_list_rlaif_v(case.text("text")?).ok();
        Ok(value.is_some_and(|value| {
            !value.as_array().is_some_and(|items| items.iter().all(Value::is_string))
        }))
    },
};
const FOUND_LIST: Rule = Rule {
    name: "chair_list_between_other_lines",
    about: "a list is found in a fence and on any line of its own",
    holds: |case| Ok(case.text("text")?.trim().contains('\n')),
};
const UNDEFINED: Rule = Rule {
    name: "chair_undefined_is_no_number",
    about: "a rate whose denominator is zero is undefined, and no score",
    holds: |case| {
        let vocabulary = vocabulary(case)?;
        let rows = case.list("rows")?;
        let objects = case.of_rows(rows, "objects", texts)?;
        let names = objects.iter().any(|objects| !vocabulary.mentions(objects).is_empty());
        let images = case.of_rows(rows, "image_id", image)?;
        let gold = gold(case)?;
        let present =
            images.iter().filter_map(|image| gold.get(image)).any(|classes| !classes.is_empty());
        Ok(!names || !present)
    },
};
const BATCH_POSITIONS: Rule = Rule {
    name: "chair_positions_of_the_list_given",
    about: "a position is that in the list as given, seats beside a toilet included",
    holds: |case| {
        let objects = case.of_rows(case.list("rows")?, "objects", texts)?;
        Ok(objects.iter().any(|objects| drops_seats(objects)))
    },
};
const LENGTH: Rule = Rule {
    name: "chair_words_between_any_space",
    about: "a length counts words between any white space, and an empty text has none",
    holds: |case| {
        let captions = case.of_rows(case.list("rows")?, "caption", Value::as_str)?;
        let single = |text: &str| strip(text).split(' ').count() == words(text).count();
        Ok(captions.iter().any(|text| !single(text)))
    },
};

fn drops_seats(words: &[String]) -> bool {
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    has("toilet") && has("seat")
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

/// A picture's key: a number or a text.
fn image(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn vocabulary(case: &Case<'_>) -> Result<Vocabulary> {
    let rows = case.group.get("chair_vocabulary").and_then(Value::as_array);
    let rows: Option<Vec<Vec<String>>> = rows.and_then(|rows| rows.iter().map(texts).collect());
    match rows {
        Some(rows) if rows.iter().all(|row| !row.is_empty()) => Ok(Vocabulary::new(&rows)),
        _ => Err(Error::new(format!(
            "{}: the group has no `chair_vocabulary`, a list of lists of words",
            case.place
        ))),
    }
}

fn gold(case: &Case<'_>) -> Result<Gold> {
    let wrong =
        || Error::new(format!("{}: `gold` does not map pictures to lists of classes", case.place));
    let fields = case.value("gold")?.as_object().ok_or_else(wrong)?;
    let classes = |(image, classes): (&String, &Value)| {
        Some((image.clone(), texts(classes)?.into_iter().collect()))
    };
    fields.iter().map(classes).collect::<Option<_>>().ok_or_else(wrong)
}

fn mapped(mentions: &[Mention]) -> Value {
    json!({
        "words": mentions.iter().map(|mention| &mention.word).collect::<Vec<_>>(),
        "classes": mentions.iter().map(|mention| &mention.class).collect::<Vec<_>>(),
        "positions": mentions.iter().map(|mention| mention.position).collect::<Vec<_>>(),
    })
}

fn with_responses(
    case: &Case<'_>,
    count: impl Fn(&Vocabulary, &Gold, &[Response<'_>]) -> Value,
) -> Result<Value> {
    let rows = case.list("rows")?;
    let images = case.of_rows(rows, "image_id", image)?;
    let captions = case.of_rows(rows, "caption", Value::as_str)?;
    let objects = case.of_rows(rows, "objects", texts)?;
    let responses: Vec<Response<'_>> = images
        .iter()
        .zip(captions)
        .zip(&objects)
        .map(|((image, caption), objects)| Response { image, caption, objects })
        .collect();
    Ok(count(&vocabulary(case)?, &gold(case)?, &responses))
}

fn fields(rates: &Rates, judged: &[Judged]) -> Value {
    let rows: Vec<Value> = judged
        .iter()
        .map(|row| {
            json!({
                "chair_s": u8::from(!row.hallucinated.is_empty()),
                "chair_i": row.share,
                "hallucinated": row.hallucinated.iter().map(|mention| &mention.word).collect::<Vec<_>>(),
                "positions": row.hallucinated.iter().map(|mention| mention.position).collect::<Vec<_>>(),
                "mapped": row.mentions.iter().map(|mention| &mention.class).collect::<Vec<_>>(),
            })
        })
        .collect();
    let rest = |rate: Option<f64>| number(rate.map(|rate| 1.0 - rate));
    json!({
        "overall": {
            "CHAIRs": number(rates.of_responses),
            "CHAIRs_refine": number(rates.response),
            "CHAIRi": number(rates.mention),
            "obj_rec": number(rates.recall),
            "sentence_num": rates.responses as f64,
            "coco_sentence_num": rates.naming as f64,
            "coco_word_count": rates.named as f64,
            "gt_word_count": rates.present as f64,
            "avg_word_len": number(rates.length),
            "correct_rate": rest(rates.response),
            "object_correct_rate": rest(rates.mention),
        },
        "rows": rows,
    })
}
