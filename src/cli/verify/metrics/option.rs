//! Multiple choice.

use super::case::{Case, raised};
use super::{Group, Ours, Rule, whole};
use crate::Result;
use crate::answer::choice::letter::{Pick, by_phrase, lead, pick};
use crate::answer::choice::{self, MOST, denial};
use crate::answer::metric::crpe;
use crate::answer::metric::option::{self, REFUSALS, answer_is, tokens};
use crate::answer::python::text::strip;
use serde_json::Value;

/// The groups of this file.
pub const GROUPS: &[Group] = &[
    Group {
        metric: "mc_infer_option",
        variant: Some("vlmevalkit"),
        peer: |case| {
            let picked =
                option::infer_option(case.text("answer")?, &case.options("choices")?, false);
            Ok(letter_or_false(picked))
        },
        ours: Some(Ours { value: by_letter, part: whole, rules: LETTERS, parts: None }),
    },
    Group {
        metric: "mc_infer_text",
        variant: Some("vlmevalkit"),
        peer: |case| {
            let picked = option::infer_text(case.text("answer")?, &case.options("choices")?);
            Ok(raised(picked, letter_or_false))
        },
        ours: Some(Ours { value: by_text, part: whole, rules: TEXTS, parts: None }),
    },
    Group {
        metric: "mc_infer",
        variant: Some("vlmevalkit"),
        peer: |case| infer_peer(case, false),
        ours: Some(Ours { value: infer, part: whole, rules: BOTH, parts: None }),
    },
    Group {
        metric: "mc_infer",
        variant: Some("vlmevalkit_verbose_env"),
        peer: |case| infer_peer(case, true),
        ours: Some(Ours { value: infer, part: whole, rules: VERBOSE, parts: None }),
    },
    Group {
        metric: "mc_infer",
        variant: Some("vlmevalkit_non_string"),
        peer: |case| infer_peer(case, false),
        ours: Some(Ours { value: infer, part: whole, rules: BOTH, parts: None }),
    },
    Group {
        metric: "mc_post_process",
        variant: Some("internvl_scienceqa_m3cot"),
        peer: |case| {
            let picked = option::post_process(case.text("prediction")?, &case.options("choices")?);
            Ok(raised(picked, Value::from))
        },
        ours: Some(Ours { value: infer, part: named_option, rules: POST, parts: None }),
    },
];

fn letter_or_false(letter: Option<String>) -> Value {
    letter.map_or(Value::Bool(false), Value::from)
}

fn infer_peer(case: &Case<'_>, verbose: bool) -> Result<Value> {
    let picked = option::infer(&case.answer()?, &case.options("choices")?, verbose);
    Ok(raised(picked, letter_or_false))
}

fn name(index: Option<usize>) -> Value {
    letter_or_false(
        index.filter(|&index| index < MOST).map(|index| choice::name(index).to_string()),
    )
}

fn by_letter(case: &Case<'_>) -> Result<Value> {
    Ok(match pick(&case.answer()?, case.choices()?.len()) {
        Pick::One(index) => name(Some(index)),
        Pick::None | Pick::Several => false.into(),
    })
}

fn by_text(case: &Case<'_>) -> Result<Value> {
    let (choices, answer) = (case.choices()?, case.answer()?);
    let exact = choice::whole_text(&choices, &answer).next();
    Ok(name(exact.or_else(|| choice::by_text(&choices, &answer))))
}

fn infer(case: &Case<'_>) -> Result<Value> {
    Ok(name(choice::infer(&case.choices()?, &case.answer()?)))
}

/// What InternVL compares, as the option that it is.
fn named_option(case: &Case<'_>, recorded: &Value) -> Result<Value> {
    let options = case.options("choices")?;
    let is_option = |text: &str| options.iter().any(|(letter, _)| letter == text);
    Ok(recorded.as_str().filter(|text| is_option(text)).map_or(false.into(), Value::from))
}

const LETTERS: &[Rule] = &[REFUSAL, BOUNDARY, ARTICLE, DENIED, LEAD, STYLE, LIST, PHRASE];
const TEXTS: &[Rule] = &[EMPTY_OPTION, WHOLE, PARTS, COVERED, DENIED_TEXT, WRAPPED];
const BOTH: &[Rule] = &[
    REFUSAL,
    EMPTY_OPTION,
    BOUNDARY,
    ARTICLE,
    DENIED,
    WHOLE,
    LEAD,
    STYLE,
    LIST,
    PHRASE,
    PARTS,
    COVERED,
    DENIED_TEXT,
    VALUE,
    WRAPPED,
];
const VERBOSE: &[Rule] = &[
    ENVIRONMENT,
    REFUSAL,
    EMPTY_OPTION,
    BOUNDARY,
    ARTICLE,
    DENIED,
    WHOLE,
    LEAD,
    STYLE,
    LIST,
    PHRASE,
    PARTS,
    COVERED,
    DENIED_TEXT,
    VALUE,
    WRAPPED,
];
const POST: &[Rule] = &[
    REFUSAL,
    EMPTY_OPTION,
    WORD,
    LIST,
    STYLE,
    PHRASE,
    NEAR_END,
    LEAD,
    WHOLE,
    FIRST_TEXT,
    PARTS,
    LONG,
    CASE,
    BARE_LETTER,
    DENIED,
    DENIED_TEXT,
    VALUE,
    WRAPPED,
];

pub const REFUSAL: Rule = Rule {
    name: "option_refusal_picks_nothing",
    about: "a refusal picks nothing; Z is no option of its own",
    holds: |case| {
        let answer = case.answer()?;
        Ok(REFUSALS.iter().any(|refusal| answer.contains(refusal))
            || tokens(&answer).iter().any(|token| token == "Z"))
    },
};
pub const BOUNDARY: Rule = Rule {
    name: "option_letter_is_a_word",
    about: "behind \"answer is\" a letter must be a word of its own, and a small one or A the last: no article",
    holds: |case| {
        let answer = case.answer()?;
        let is_word = |behind: &str| {
            let end = behind.find(|c: char| !c.is_alphanumeric()).unwrap_or(behind.len());
            let (word, rest) = behind.split_at(end);
            let may_be_article = word == "A" || word.chars().all(char::is_lowercase);
            word.len() > 1 || (may_be_article && !rest.trim().is_empty())
        };
        Ok(answer_is(&answer).is_some_and(is_word))
    },
};
pub const ARTICLE: Rule = Rule {
    name: "option_article_is_no_letter",
    about: "A before a small word is the article",
    holds: |case| {
        let tokens = tokens(&case.answer()?);
        Ok(tokens.windows(2).any(|pair| pair[0] == "A" && pair[1].starts_with(char::is_lowercase)))
    },
};
pub const DENIED: Rule = Rule {
    name: "option_denied_letter_is_no_pick",
    about: "\"not B\" and \"B is wrong\" pick nothing",
    holds: |case| {
        let answer = case.answer()?;
        let tokens = tokens(&answer);
        let is_letter =
            |token: &String| token.len() == 1 && token.chars().all(|c| c.is_ascii_uppercase());
        Ok((0..tokens.len()).any(|place| {
            let (before, after) = (tokens[..place].join(" "), tokens[place + 1..].join(" "));
            let denies = || denial::negated(&before.to_lowercase()) || denial::follows(&after);
            is_letter(&tokens[place]) && denies()
        }))
    },
};
pub const LEAD: Rule = Rule {
    name: "option_letter_in_front_is_the_pick",
    about: "a letter with a delimiter in front is the pick, however much follows",
    holds: |case| {
        Ok(lead(&case.answer()?, case.choices()?.len()).is_some_and(|lead| !lead.rest.is_empty()))
    },
};
pub const STYLE: Rule = Rule {
    name: "option_letter_in_any_style",
    about: "a letter alone is read in any case and dress: b, `B`, \"B\", $B$, \\boxed{B}",
    holds: |case| {
        let answer = case.answer()?;
        let count = case.choices()?.len();
        let letters: Vec<char> = answer.chars().filter(|c| c.is_alphabetic()).collect();
        let alone = lead(&answer, count).is_some_and(|lead| lead.rest.is_empty());
        // Among the last four words: in quotes, or as a wide letter.
        let dressed = |token: &String| {
            let is_bare = token.len() == 1;
            !is_bare && lead(token, count).is_some_and(|lead| lead.rest.is_empty())
        };
        let near_end = tokens(&answer).iter().rev().take(4).any(dressed);
        Ok(near_end || (alone && (letters.len() == 1 || answer.contains('\\'))))
    },
};
pub const LIST: Rule = Rule {
    name: "option_several_letters_are_no_pick",
    about: "a list of letters picks nothing",
    holds: |case| {
        let count = match case.fields.get("choices") {
            Some(_) => case.choices()?.len(),
            None => crpe::ROTATIONS,
        };
        let named = |c: char| ('A'..='Z').take(count).any(|known| known == c);
        let answer = case.answer()?;
        let mut letters: Vec<char> = answer
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| word.len() == 1)
            .filter_map(|word| word.chars().next().filter(|&c| named(c)))
            .collect();
        letters.dedup();
        Ok(letters.len() > 1)
    },
};
pub const PHRASE: Rule = Rule {
    name: "option_phrase_introduces_the_letter",
    about: "\"answer:\", \"option\", 答案, 选 and the like introduce any option's letter, the last of them counting",
    holds: |case| Ok(by_phrase(&case.answer()?, case.choices()?.len()).is_some()),
};
pub const EMPTY_OPTION: Rule = Rule {
    name: "option_without_text_matches_nothing",
    about: "an option with an empty text occurs nowhere",
    holds: |case| Ok(case.choices()?.iter().any(|choice| choice.trim().is_empty())),
};
pub const WHOLE: Rule = Rule {
    name: "option_whole_text_is_the_pick",
    about: "an answer that is one option's text picks it, whatever else it holds",
    holds: |case| {
        let bare = |text: &str| {
            text.to_lowercase().trim_matches(|c: char| !c.is_alphanumeric()).to_owned()
        };
        let answer = bare(&case.answer()?);
        Ok(case.choices()?.iter().any(|choice| !choice.is_empty() && bare(choice) == answer))
    },
};
pub const PARTS: Rule = Rule {
    name: "option_text_occurs_as_words",
    about: "an option's text within a longer word or number is no mention of it",
    holds: |case| {
        let answer = case.answer()?.to_lowercase();
        Ok(case.choices()?.iter().map(|choice| choice.to_lowercase()).any(|choice| {
            !choice.is_empty()
                && answer.match_indices(&choice).any(|(place, _)| {
                    let before = answer[..place].chars().next_back();
                    let after = answer[place + choice.len()..].chars().next();
                    before.is_some_and(char::is_alphanumeric)
                        || after.is_some_and(char::is_alphanumeric)
                        || choice::is_part_of_number(&answer, place, &choice)
                })
        }))
    },
};
pub const COVERED: Rule = Rule {
    name: "option_longer_text_covers_shorter",
    about: "\"New York\" is no mention of \"York\"",
    holds: |case| {
        let answer = case.answer()?.to_lowercase();
        let found: Vec<String> = case
            .choices()?
            .iter()
            .map(|choice| choice.to_lowercase())
            .filter(|choice| !choice.is_empty() && answer.contains(choice.as_str()))
            .collect();
        Ok(found
            .iter()
            .any(|long| found.iter().any(|short| long != short && long.contains(short.as_str()))))
    },
};
pub const DENIED_TEXT: Rule = Rule {
    name: "option_denied_text_is_no_pick",
    about: "\"not the dog\" and \"the dog is not\" pick nothing",
    holds: |case| {
        let answer = case.answer()?.to_lowercase();
        Ok(case.choices()?.iter().any(|choice| {
            let choice = choice.to_lowercase();
            choice::occurrence(&answer, &choice).is_some_and(|place| {
                let (before, after) = (&answer[..place], &answer[place + choice.len()..]);
                denial::negated(before) || denial::follows(after)
            })
        }))
    },
};
pub const VALUE: Rule = Rule {
    name: "option_number_by_value",
    about: "a number is the one option of that value, however either is written: 0.6 is 3/5",
    holds: |case| Ok(choice::by_value(&case.choices()?, &case.answer()?).is_some()),
};
pub const WRAPPED: Rule = Rule {
    name: "option_marks_do_not_count",
    about: "white space and marks around an answer or an option do not count, nor toward its length",
    holds: |case| {
        let edge = |text: &str| {
            text.trim_matches(|c: char| !c.is_alphanumeric()).len() < text.len()
                || text.contains("  ")
        };
        Ok(edge(&case.answer()?) || case.choices()?.iter().any(|choice| edge(choice)))
    },
};
const ENVIRONMENT: Rule = Rule {
    name: "option_environment_changes_nothing",
    about: "no environment variable changes a score",
    holds: |case| {
        let tokens = tokens(&case.answer()?);
        Ok(tokens.len() > 3 && tokens.iter().any(|token| token == "A"))
    },
};
const WORD: Rule = Rule {
    name: "option_word_is_no_letter",
    about: "the first letter of a word is no option",
    holds: |case| {
        let (answer, count) = (case.answer()?, case.choices()?.len());
        let is_option = |c: char| ('A'..='Z').take(count).any(|letter| letter == c);
        Ok(lead(&answer, count).is_none() && strip(&answer).starts_with(is_option))
    },
};
const NEAR_END: Rule = Rule {
    name: "option_letter_near_the_end",
    about: "one letter among the last four words is the pick",
    holds: |case| {
        let tokens = tokens(&case.answer()?);
        let named = case.choices()?.len();
        let is_option = |token: &String| {
            let bare = token.trim_matches(|c: char| !c.is_alphanumeric());
            ('A'..='Z').take(named).any(|letter| bare.chars().eq([letter]))
        };
        Ok(tokens.iter().rev().take(4).any(is_option))
    },
};
const FIRST_TEXT: Rule = Rule {
    name: "option_one_text_only",
    about: "the texts of several options pick nothing; the first does not win",
    holds: |case| {
        let answer = case.answer()?;
        Ok(case.choices()?.iter().filter(|choice| answer.contains(choice.as_str())).count() > 1)
    },
};
const LONG: Rule = Rule {
    name: "option_long_text_mentions_only",
    about: "a text more than twice as long as all options may mention one without picking it",
    holds: |case| {
        let total: usize = case.choices()?.iter().map(|choice| choice.chars().count()).sum();
        Ok(case.answer()?.chars().count() > 2 * total)
    },
};
const CASE: Rule = Rule {
    name: "option_text_in_any_case",
    about: "an option's text is found in any case",
    holds: |case| {
        let answer = case.answer()?;
        Ok(case.choices()?.iter().any(|choice| {
            !choice.is_empty()
                && !answer.contains(choice.as_str())
                && answer.to_lowercase().contains(&choice.to_lowercase())
        }))
    },
};
const BARE_LETTER: Rule = Rule {
    name: "option_letter_must_be_offered",
    about: "a letter beyond the options is none",
    holds: |case| {
        let answer = case.answer()?;
        let inner = answer.trim_matches(|c: char| !c.is_alphanumeric());
        Ok(inner.chars().count() == 1)
    },
};
