//! MMHal-Bench.

use super::case::{Case, number, raised};
use super::{Group, Ours, Part, Parts, Rule, whole};
use crate::Result;
use crate::answer::metric::mmhal;
use serde_json::{Value, json};

/// The groups of this file.
pub const GROUPS: &[Group] = &[
    Group {
        metric: "mmhal_rating",
        variant: Some("internvl_and_rlaif_v"),
        peer: |case| Ok(mmhal::rating_peers(case.text("text")?).into()),
        ours: Some(Ours {
            value: |case| Ok(mmhal::rating(case.text("text")?).map_or(Value::Null, Value::from)),
            part: whole,
            rules: RATINGS,
            parts: None,
        }),
    },
    Group {
        metric: "mmhal_batch",
        variant: Some("internvl_and_rlaif_v"),
        peer: |case| {
            let replies = case.texts("responses")?;
            let ratings: Vec<_> =
                replies.iter().map(|reply| Some(mmhal::rating_peers(reply))).collect();
            Ok(raised(mmhal::summary_peers(&replies), |summary| mmhal_fields(&ratings, &summary)))
        },
        ours: Some(Ours {
            value: |case| {
                let replies = case.texts("responses")?;
                let ratings: Vec<_> = replies.iter().map(|reply| mmhal::rating(reply)).collect();
                Ok(mmhal_fields(&ratings, &mmhal::summary(&ratings)))
            },
            part: whole,
            rules: &[QUESTIONS],
            parts: Some(Parts { rest: mmhal_by_peers_ratings, differing: differing_replies }),
        }),
    },
];

const RATINGS: &[Rule] = &[PART_OF_WORD, OUT_OF_RANGE, TWO_RATINGS, OTHER_LAYOUT, NO_RATING];

const QUESTIONS: Rule = Rule {
    name: "mmhal_any_number_of_questions",
    about: "any number of replies is summed up, not only the first 96",
    holds: |case| Ok(replies(case)?.len() != mmhal::QUESTIONS),
};

/// Ours with the peers' ratings.
fn mmhal_by_peers_ratings(case: &Case<'_>) -> Result<Value> {
    let rated = |reply: &String| Some(mmhal::rating_peers(reply));
    let ratings: Vec<_> = replies(case)?.iter().map(rated).collect();
    Ok(mmhal_fields(&ratings, &mmhal::summary(&ratings)))
}

/// The replies that are rated differently.
fn differing_replies(case: &Case<'_>) -> Result<Vec<Part>> {
    let replies = replies(case)?.into_iter();
    let differ = replies.filter(|reply| mmhal::rating(reply) != Some(mmhal::rating_peers(reply)));
    Ok(differ.map(|reply| Part { fields: json!({ "text": reply }), rules: RATINGS }).collect())
}

/// The replies of a case.
fn replies(case: &Case<'_>) -> Result<Vec<String>> {
    match case.fields.get("responses") {
        Some(_) => case.texts("responses"),
        None => Ok(vec![case.text("text")?.to_owned()]),
    }
}

/// Numbers that follow the word "rating" within a few characters.
fn rated_numbers(reply: &str) -> Vec<String> {
    let lower = reply.to_lowercase();
    let number = |rest: &str| {
        let rest = rest.chars().skip_while(|c| !c.is_ascii_digit() && !c.is_alphabetic());
        let number = rest.take_while(|c| c.is_ascii_digit() || ".,".contains(*c));
        number.collect::<String>().trim_end_matches(['.', ',']).to_owned()
    };
    lower
        .match_indices("rating")
        .map(|(place, _)| {
            let rest = &lower[place + 6..];
            number(rest.trim_start().strip_prefix("is").unwrap_or(rest))
        })
        .filter(|number| !number.is_empty())
        .collect()
}

const OUT_OF_RANGE: Rule = Rule {
    name: "mmhal_whole_number_to_six",
    about: "a rating is a whole number from 0 to 6: 65, 7, -2 and 4.5 are failures of the judge",
    holds: |case| {
        Ok(replies(case)?.iter().any(|reply| {
            let out =
                |number: &String| !number.parse::<u8>().is_ok_and(|value| value <= mmhal::HIGHEST);
            rated_numbers(reply).iter().any(out) || reply.contains(": -")
        }))
    },
};
const TWO_RATINGS: Rule = Rule {
    name: "mmhal_final_rating_counts",
    about: "of several ratings the one called final counts; without one the judge failed",
    holds: |case| {
        Ok(replies(case)?.iter().any(|reply| {
            let mut found = rated_numbers(reply);
            found.dedup();
            found.len() > 1
        }))
    },
};
const PART_OF_WORD: Rule = Rule {
    name: "mmhal_rating_is_a_word",
    about: "the word rating is no part of a longer one",
    holds: |case| {
        Ok(replies(case)?.iter().any(|reply| {
            let lower = reply.to_lowercase();
            let mut places = lower.match_indices("rating").map(|(place, _)| place);
            places
                .any(|place| lower[..place].chars().next_back().is_some_and(char::is_alphanumeric))
        }))
    },
};
const OTHER_LAYOUT: Rule = Rule {
    name: "mmhal_any_layout",
    about: "a rating is read in any layout: bold, with an equals sign, in JSON",
    holds: |case| {
        Ok(replies(case)?.iter().any(|reply| {
            let lower = reply.to_lowercase();
            let spelled = |number: &String| {
                number.parse::<u8>().is_ok_and(|value| lower.contains(&format!("rating: {value}")))
            };
            rated_numbers(reply).iter().any(|number| !spelled(number))
        }))
    },
};
const NO_RATING: Rule = Rule {
    name: "mmhal_failed_judge_is_no_score",
    about: "a reply without a rating is a failure of the judge, and no rating of 0",
    holds: |case| Ok(replies(case)?.iter().any(|reply| rated_numbers(reply).is_empty())),
};

fn mmhal_fields(ratings: &[Option<u8>], summary: &mmhal::Summary) -> Value {
    let printed = |value: Option<f64>| number(value.map(mmhal::two_decimals));
    let hallucinates =
        |rating: &Option<u8>| rating.map(|rating| u8::from(rating < mmhal::FAITHFUL));
    json!({
        "scores": ratings,
        "hallucination": ratings.iter().map(hallucinates).collect::<Vec<_>>(),
        "informativeness_percent": number(summary.informativeness),
        "average_2dp": printed(summary.average),
        "hallucination_rate_2dp": printed(summary.hallucination_rate),
        "by_type_2dp": summary.by_type.iter().map(|mean| printed(*mean)).collect::<Vec<_>>(),
    })
}
