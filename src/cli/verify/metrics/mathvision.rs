//! MathVision.

use super::case::Case;
use super::{Group, Ours, Rule, whole};
use crate::Result;
use crate::answer::metric::{latex, mathvision};
use crate::answer::python::eval::eval;
use crate::answer::quantity;

/// The group of this file.
pub const GROUPS: &[Group] = &[Group {
    metric: "math_is_equal",
    variant: Some("vlmevalkit_safe_subset"),
    peer: |case| Ok(mathvision::is_equal_vlmevalkit(case.text("b")?, case.text("a")?).into()),
    ours: Some(Ours {
        value: |case| Ok(mathvision::is_equal(case.text("b")?, case.text("a")?).into()),
        part: whole,
        rules: EQUAL,
        parts: None,
    }),
}];

/// Whether something holds for either text of an equality.
fn either(case: &Case<'_>, holds: impl Fn(&str) -> bool) -> Result<bool> {
    Ok(holds(case.text("a")?) || holds(case.text("b")?))
}

const NAMES: Rule = Rule {
    name: "mathvision_a_letter_is_no_value",
    about: "a letter has no value: the peer's own variables a and b do not answer questions",
    holds: |case| {
        either(case, |text| {
            text.to_lowercase()
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| !word.is_empty() && word.chars().all(|c| matches!(c, 'a' | 'b')))
        })
    },
};
const OPERATORS: Rule = Rule {
    name: "mathvision_power_is_a_power",
    about: "^ is a power, // and ** are nothing, : is no division",
    holds: |case| {
        either(case, |text| text.contains(['^', ':']) || text.contains("//") || text.contains("**"))
    },
};
const SIGNS: Rule = Rule {
    name: "mathvision_percent_is_read",
    about: "a percent sign belongs to a number",
    holds: |case| either(case, |text| text.contains('%') && quantity::read(text).is_some()),
};
const EQUAL: &[Rule] =
    &[NAMES, COMMENT, HEXADECIMAL, MODULO, OPERATORS, SIGNS, LISTS, SIDE_BY_SIDE, BOXED, DRESSED];

const COMMENT: Rule = Rule {
    name: "mathvision_an_answer_has_no_comment",
    about: "what follows # is part of the answer, not a comment of Python",
    holds: |case| either(case, |text| text.contains('#')),
};
const HEXADECIMAL: Rule = Rule {
    name: "mathvision_numbers_are_decimal",
    about: "0x10 is no number: answers are not written in Python's bases",
    holds: |case| {
        either(case, |text| {
            text.to_lowercase().split(|c: char| !c.is_alphanumeric()).any(|word| {
                let mut characters = word.chars();
                characters.next() == Some('0') && matches!(characters.next(), Some('x' | 'o' | 'b'))
            })
        })
    },
};
const MODULO: Rule = Rule {
    name: "mathvision_percent_is_no_operation",
    about: "7%2 is no number: a percent sign is no remainder",
    holds: |case| {
        either(case, |text| {
            text.contains('%') && quantity::read(text).is_none() && eval(text, &[]).is_ok()
        })
    },
};
const LISTS: Rule = Rule {
    name: "mathvision_lists_by_their_elements",
    about: "lists compare element by element, whatever parts them",
    holds: |case| {
        Ok(quantity::list(case.text("a")?).is_some() && quantity::list(case.text("b")?).is_some())
    },
};
const SIDE_BY_SIDE: Rule = Rule {
    name: "mathvision_numbers_side_by_side",
    about: "1 1/2 is a mixed number and 2(3) a product, as one writes them; other numbers side by side are none",
    holds: |case| {
        either(case, |text| {
            let ends =
                |part: &str| part.trim_end().ends_with(|c: char| c.is_ascii_digit() || c == ')');
            let begins = |part: &str| part.starts_with(|c: char| c.is_ascii_digit() || c == '(');
            let cuts = text.char_indices().skip(1).map(|(place, _)| text.split_at(place));
            let mut joins = cuts.filter(|(_, after)| begins(after));
            joins.any(|(before, after)| {
                ends(before)
                    && (before.ends_with(' ') || before.ends_with(')') || after.starts_with('('))
            })
        })
    },
};
const BOXED: Rule = Rule {
    name: "mathvision_text_beside_a_box",
    about: "an answer with text beside a box is no number: extraction takes what the box holds",
    holds: |case| either(case, |text| text.contains("\\boxed") && quantity::read(text).is_none()),
};
const DRESSED: Rule = Rule {
    name: "mathvision_numbers_in_any_form",
    about: "separators, exponents, units, number words, LaTeX, digits of any script and a final period are read; _ parts no digits",
    holds: |case| {
        either(case, |text| {
            let read = quantity::read(text).is_some();
            let plain = latex::read(text, &[]).is_some() && eval(text, &[]).is_ok();
            (read && !plain) || text.contains('_')
        })
    },
};
