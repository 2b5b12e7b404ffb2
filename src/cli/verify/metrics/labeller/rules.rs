//! Where Prefab's own labels part from those of InternVL's labeller, and why.

use super::super::Rule;
use super::super::case::Case;
use super::{LETTERS, is_boxed_form};
use crate::Result;
use crate::answer::extract::boxed;
use crate::answer::matching::{exact, is_year};
use crate::answer::metric::labeller::{self, Mode};
use crate::answer::metric::{anls, relaxed, vqa};
use crate::answer::python::number::float;
use crate::answer::python::text::{collapse, len, strip};
use crate::answer::signs::signs;
use crate::answer::{choice, formula, quantity};

/// Where ours may depart by one mode.
pub(super) fn of(mode: Mode) -> &'static [Rule] {
    match mode {
        Mode::Vqa => VQA,
        Mode::Relaxed => RELAXED,
        Mode::Anls => &[SIMILARITY, SPACE],
        Mode::Letter => LETTER,
        Mode::Math => MATH,
    }
}

const VQA: &[Rule] = &[LETTER_GOLD, NUMBERS, COMMAS, FORMULA, APOSTROPHES, SPACE];
pub(super) const RELAXED: &[Rule] =
    &[YEARS, PERCENT, ZERO, NOT_FINITE, SEPARATORS, CHART_DRESS, LISTS, APOSTROPHES, SPACE];
pub(super) const LETTER: &[Rule] =
    &[DECIMAL, ABBREVIATION, SEVERAL, LETTER_STYLE, MINUS, INNER_SPACE, MARKS, PHRASE];
pub(super) const MATH: &[Rule] =
    &[INTEGERS, ZERO, NOT_FINITE, PERCENT, LISTS, DRESS, VALUES, SPACE];

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
        let distance =
            crate::answer::text::edit_distance(&normal(gold), &normal(prediction)) as f64;
        let length = len(&gold.to_uppercase()).max(len(&prediction.to_uppercase())) as f64;
        Ok(near != (distance / length > labeller::THRESHOLD))
    },
};

const DECIMAL: Rule = Rule {
    name: "label_decimal_is_no_option",
    about: "what stands before a decimal point is no option letter",
    holds: |case| {
        let prediction = strip(case.text("prediction")?);
        let cut = prediction.chars().nth(1) == Some('.') || prediction.starts_with('(');
        let first = prediction.chars().find(|c| *c != '(');
        Ok(cut && first.is_some_and(|c| !c.is_ascii_alphabetic()))
    },
};

const YEARS: Rule = Rule {
    name: "label_years_are_exact",
    about: "a year from 1900 to 2099 is exact, and what is no year is no text: 20.5 and 20%",
    holds: |case| {
        let gold = case.text("gold")?;
        let year = relaxed::number(gold).is_some_and(|value| is_year(gold, value));
        Ok(year || (len(gold) == 4 && gold.starts_with("20")))
    },
};

const INTEGERS: Rule = Rule {
    name: "label_integers_are_exact",
    about: "whole numbers are exact: 1001 is not 1000",
    holds: |case| {
        let whole = |a: f64, b: f64| a.fract() == 0.0 && b.fract() == 0.0 && a != b;
        both_numbers(case, whole)
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
        either(case, dressed)
    },
};

const SEPARATORS: Rule = Rule {
    name: "relaxed_separators_and_minus_are_read",
    about: "thousand separators and a real minus sign belong to a number",
    holds: |case| {
        let read = |text: &str| {
            float(text.trim_end_matches('%')).is_none() && relaxed::number(text).is_some()
        };
        either(case, read)
    },
};

const FORMULA: Rule = Rule {
    name: "label_signs_of_a_formula_count",
    about: "operators, brackets and commas that the VQA normalizer drops say something: a-b is not a+b",
    holds: |case| {
        let (gold, prediction) = pair(case)?;
        Ok(vqa::equal(gold, prediction) && signs(gold) != signs(prediction))
    },
};

const CHART_DRESS: Rule = Rule {
    name: "label_chart_answers_in_any_form",
    about: "a chart's number is read with currency, unit or words, and marks around an answer are none",
    holds: |case| {
        let (gold, prediction) = pair(case)?;
        let dressed =
            |text: &str| relaxed::number(text).is_none() && quantity::read(text).is_some();
        let read = quantity::read(gold).zip(quantity::read(prediction)).is_some();
        let marked = relaxed::number(gold).is_none() || relaxed::number(prediction).is_none();
        Ok((read && either(case, dressed)?) || (marked && exact(gold, prediction)))
    },
};

const LETTER_GOLD: Rule = Rule {
    name: "label_letter_is_no_article",
    about: "a known answer that is a letter is an option, which the VQA normalizer may take for an article",
    holds: |case| {
        let gold = strip(case.text("gold")?);
        Ok(len(gold) == 1 && gold.chars().all(char::is_alphabetic))
    },
};

const NUMBERS: Rule = Rule {
    name: "label_numbers_keep_their_signs",
    about: "numbers of different value differ, though the VQA normalizer drops a minus and other marks",
    holds: |case| both_numbers(case, |gold, prediction| gold != prediction),
};

const COMMAS: Rule = Rule {
    name: "label_misplaced_comma_is_no_separator",
    about: "12,50 is no number: the VQA normalizer drops every comma",
    holds: |case| {
        let prediction = strip(case.text("prediction")?).trim_matches(',');
        Ok(prediction.contains(',') && quantity::read(prediction).is_none())
    },
};

const LISTS: Rule = Rule {
    name: "label_lists_by_their_elements",
    about: "lists and ratios compare element by element",
    holds: |case| {
        let (gold, prediction) = pair(case)?;
        let is_list = |text| quantity::list(text).is_some() || text.contains([':', '：']);
        Ok(is_list(gold) && is_list(prediction) || gold.starts_with('['))
    },
};

const VALUES: Rule = Rule {
    name: "label_formulas_by_value",
    about: "formulas of the same letters are equal where their values are: a/2 is \\frac{a}{2}",
    holds: |case| {
        let (gold, prediction) = pair(case)?;
        Ok(formula::equal(gold, prediction))
    },
};

const APOSTROPHES: Rule = Rule {
    name: "label_apostrophes_of_any_shape",
    about: "an apostrophe is one in any shape",
    holds: |case| either(case, |text| text.contains(['\u{2018}', '\u{2019}', '\u{02bc}'])),
};

/// The letters in front of both answers.
fn leads<'c>(case: &'c Case<'_>) -> Result<[Option<choice::letter::Lead<'c>>; 2]> {
    let (gold, prediction) = pair(case)?;
    Ok([gold, prediction].map(|text| choice::letter::lead(text, choice::MOST)))
}

const LETTER_STYLE: Rule = Rule {
    name: "option_letter_in_any_style",
    about: "a letter is read in any case and dress, in the known answer too: b, `B`, \"B\", $B$, (B) cow",
    holds: |case| Ok(leads(case)?.iter().all(Option::is_some)),
};

const SEVERAL: Rule = Rule {
    name: "option_several_letters_are_no_pick",
    about: "a list of letters picks nothing",
    holds: |case| {
        let [_, said] = leads(case)?;
        Ok(said.is_some_and(|said| choice::letter::goes_on(said.rest, choice::MOST)))
    },
};

const PHRASE: Rule = Rule {
    name: "option_phrase_introduces_the_letter",
    about: "\"answer:\", \"option\", 答案, 选 and the like introduce a known letter",
    holds: |case| Ok(choice::letter::by_phrase(case.text("prediction")?, choice::MOST).is_some()),
};

const ABBREVIATION: Rule = Rule {
    name: "option_word_is_no_letter",
    about: "an article, a pronoun or the first letter of a word is no option",
    holds: |case| {
        let [_, said] = leads(case)?;
        Ok(said.is_none() && strip(case.text("prediction")?).chars().nth(1) == Some('.'))
    },
};

const MINUS: Rule = Rule {
    name: "label_real_minus_is_a_minus",
    about: "a real minus sign is a hyphen's",
    holds: |case| either(case, |text| text.contains('\u{2212}')),
};

const INNER_SPACE: Rule = Rule {
    name: "label_inner_space_collapses",
    about: "runs of white space are one space",
    holds: |case| either(case, |text| collapse(text) != strip(text)),
};

const MARKS: Rule = Rule {
    name: "label_marks_around_do_not_count",
    about: "marks around an answer say nothing: **cow**, \"cow\", cow.",
    holds: |case| {
        either(case, |text| {
            let text = strip(text);
            text.trim_matches(|c: char| !c.is_alphanumeric()).len() < text.len()
        })
    },
};

const SPACE: Rule = Rule {
    name: "relaxed_space_around_is_ignored",
    about: "white space around either answer says nothing",
    holds: |case| either(case, |text| strip(text) != text),
};

pub(super) const NO_BOX: Rule = Rule {
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

pub(super) const NO_THOUGHTS: Rule = Rule {
    name: "label_no_form_of_thoughts",
    about: "the forms en_r1 and zh_r1 are refused at import, and nothing is read from them",
    holds: |case| Ok(!is_boxed_form(case)?),
};

pub(super) const BARE_BOX: Rule = Rule {
    name: "label_box_needs_a_rationale",
    about: "a box behind nothing is no reasoned answer, however long, and an empty one no answer",
    holds: |case| {
        let response = case.text("response")?;
        let before = response.rfind("\\boxed{").map_or("", |place| &response[..place]);
        let is_empty = boxed(response).is_some_and(|answer| strip(answer).is_empty());
        Ok(is_empty || !before.chars().any(char::is_alphanumeric))
    },
};

pub(super) const BOX_SPACE: Rule = Rule {
    name: "label_answer_of_one_line",
    about: "white space around what a box holds says nothing, and an answer is one line",
    holds: |case| {
        Ok(boxed(case.text("response")?)
            .is_some_and(|answer| strip(answer) != answer || answer.contains('\n')))
    },
};

pub(super) const ANY_CHARACTER: Rule = Rule {
    name: "option_letter_must_be_offered",
    about: "a single character is an option only where it is one of the letters",
    holds: |case| {
        let text = strip(case.text("text")?).trim_matches('*');
        Ok(len(strip(text)) == 1)
    },
};

pub(super) const WORD: Rule = Rule {
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

pub(super) const LETTER_TEXT: Rule = Rule {
    name: "option_letter_in_any_style",
    about: "a letter is read in any case and dress, in the known answer too: b, `B`, \"B\", $B$, (B) cow",
    holds: |case| {
        let text = case.text("text")?;
        let dress = |c: char| "`\"'$#_<([{（【\\".contains(c) || !c.is_ascii();
        Ok(text.contains(dress))
    },
};

pub(super) const ANY_CASE: Rule = Rule {
    name: "label_data_set_in_any_case",
    about: "a data set's name is known in any case",
    holds: |case| {
        let name = case.text("dataset")?;
        let known =
            ["chartqa", "docvqa", "infographics", "sroie", "clevr_math", "geos", "geometry"];
        Ok(known.iter().any(|part| name.to_lowercase().contains(part)))
    },
};

pub(super) const INFOVQA: Rule = Rule {
    name: "label_infovqa_is_a_document",
    about: "InfoVQA's short name is that of its long one",
    holds: |case| Ok(case.text("dataset")?.to_lowercase().contains("infovqa")),
};
