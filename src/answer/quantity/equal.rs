//! Whether two texts are equal numbers: units, percent signs and lists weighed.

use super::{LENGTH, Quantity, read};
use crate::answer::python::text::{len, strip};

/// Whether two texts are equal numbers, or lists of equal numbers; none where one is neither, or a
/// range or a date.
///
/// Two that name what they are the value of must name the same.
/// Units that both have must measure the same; one that only one has is ignored. A percent sign
/// that only one has may mean the number before it or its hundredth part.
pub fn equal(gold: &str, prediction: &str, same: impl Fn(f64, f64) -> bool + Copy) -> Option<bool> {
    let named = name(gold).zip(name(prediction));
    if named.is_some_and(|(gold, prediction)| gold != prediction) {
        return Some(false);
    }
    let prediction = unmarked(gold, prediction);
    if let (Some(gold), Some(prediction)) = (ratio(gold), ratio(prediction)) {
        return Some(all_same(&gold, &prediction, same));
    }
    let number = |text| read(text).filter(|_| !is_range_or_date(text));
    let decade =
        |of, other| is_decade(of) && number(other).is_some_and(|other| other.unit.is_none());
    if decade(gold, prediction) || decade(prediction, gold) {
        return Some(false);
    }
    match (number(gold), number(prediction)) {
        (Some(gold), Some(prediction)) => Some(same_quantity(gold, prediction, same)),
        (None, None) => {
            if let Some((gold, prediction)) = set(gold).zip(set(prediction)) {
                return Some(same_set(&gold, &prediction, same));
            }
            if brackets(gold).zip(brackets(prediction)).is_some_and(|(a, b)| a != b) {
                return None;
            }
            let (gold, prediction) = (list(gold)?, list(prediction)?);
            Some(all_same(&gold, &prediction, same))
        }
        _ => None,
    }
}

fn all_same(
    gold: &[Quantity],
    prediction: &[Quantity],
    same: impl Fn(f64, f64) -> bool + Copy,
) -> bool {
    let mut pairs = gold.iter().zip(prediction);
    gold.len() == prediction.len() && pairs.all(|(&a, &b)| same_quantity(a, b, same))
}

/// The numbers of a set, which has no order: `\\{1, 2\\}`.
fn set(text: &str) -> Option<Vec<Quantity>> {
    let text = strip(text).trim_matches('$').replace("\\left", "").replace("\\right", "");
    let text = strip(&text).replace("\\{", "{").replace("\\}", "}");
    (text.starts_with('{') && text.ends_with('}')).then(|| list(&text))?
}

/// Whether two sets have the same elements, each as often.
fn same_set(
    gold: &[Quantity],
    prediction: &[Quantity],
    same: impl Fn(f64, f64) -> bool + Copy,
) -> bool {
    let mut left = prediction.to_vec();
    let all = gold.iter().all(|&wanted| {
        let found = left.iter().position(|&said| same_quantity(wanted, said, same));
        found.map(|at| left.swap_remove(at)).is_some()
    });
    all && left.is_empty()
}

/// A prediction without the exclamation mark behind its number, which is a factorial only where the
/// known answer has one or a formula goes on: `3!` is 3, said loudly.
pub fn unmarked<'a>(gold: &str, prediction: &'a str) -> &'a str {
    let bare = strip(prediction).trim_end_matches('!');
    let is_number = bare
        .trim_start_matches(['-', '+', '\u{2212}'])
        .chars()
        .all(|c| c.is_ascii_digit() || ".,".contains(c));
    if is_number && !gold.contains('!') { bare } else { prediction }
}

/// The numbers of a ratio: `3:4`, `3 : 4`.
fn ratio(text: &str) -> Option<Vec<Quantity>> {
    let parts: Vec<&str> = strip(text).trim_matches('$').split([':', '：', '∶']).collect();
    (parts.len() > 1 && len(text) <= LENGTH)
        .then(|| parts.into_iter().map(read).collect::<Option<_>>())?
}

/// Whether a text is a decade: `1990s` are no seconds, and no year.
pub fn is_decade(text: &str) -> bool {
    let text = strip(text);
    let year = text.strip_suffix("s").map(|year| year.trim_end_matches(['\'', '\u{2019}']));
    year.is_some_and(|year| {
        year.len() == 4 && year.ends_with('0') && year.bytes().all(|b| b.is_ascii_digit())
    })
}

/// What a text says the value of: `x` of `x = 3`.
fn name(text: &str) -> Option<String> {
    let (name, _) = text.split_once('=')?;
    let name: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    (!name.is_empty()).then_some(name)
}

/// Whether a text is two bare numbers with a hyphen between, or three with slashes or hyphens, a
/// currency before them and a unit behind at most: `10-20 cm` and `2010–2015` are no differences,
/// `12/03/98` is no quotient.
pub fn is_range_or_date(text: &str) -> bool {
    let text = strip(text).replace(['\u{2013}', '\u{2014}', '\u{2212}'], "-");
    let text = text.replace(['$', '€', '£', '¥', '₩'], "");
    let text = text.trim_end_matches(|c: char| c.is_alphabetic() || " %°.\\".contains(c));
    let parted = |sign: char, least: usize| {
        let is_digit = |c: char| c.is_ascii_digit() || ".,".contains(c);
        let is_number = |part: &str| !part.is_empty() && part.chars().all(is_digit);
        text.split(sign).count() >= least && text.split(sign).map(strip).all(is_number)
    };
    parted('-', 2) || parted('/', 3)
}

/// What a text opens and closes with, where those are brackets: of an interval they say what it holds.
fn brackets(text: &str) -> Option<(char, char)> {
    let text = strip(text).trim_matches('$');
    let (first, last) = (text.chars().next()?, text.chars().next_back()?);
    ("([".contains(first) && ")]".contains(last)).then_some((first, last))
}

/// Whether two numbers agree in value and unit; of different units, the prediction is converted.
pub fn same_quantity(
    gold: Quantity,
    prediction: Quantity,
    same: impl Fn(f64, f64) -> bool,
) -> bool {
    let Some(times) = gold
        .unit
        .zip(prediction.unit)
        .map_or(Some(1.0), |(gold, prediction)| prediction.in_terms_of(gold))
    else {
        return false;
    };
    // Per cent measure nothing else.
    if gold.percent != prediction.percent && (gold.unit.is_some() || prediction.unit.is_some()) {
        return false;
    }
    if times != 1.0 {
        let converted = prediction.value * times;
        let exact = (gold.value - converted).abs() <= 1e-9 * gold.value.abs();
        let whole = gold.integer && prediction.integer;
        return exact || !whole && same(gold.value, converted);
    }
    if gold.percent == prediction.percent {
        same(gold.value, prediction.value)
    } else {
        gold.values().any(|a| prediction.values().any(|b| same(a, b)))
    }
}

/// The numbers of a list: two or more, parted by commas, semicolons or "and", in brackets or not.
pub fn list(text: &str) -> Option<Vec<Quantity>> {
    if len(text) > LENGTH {
        return None;
    }
    let mut text = text.trim().trim_matches('$').trim();
    for (open, close) in
        [("(", ")"), ("[", "]"), ("{", "}"), ("\\{", "\\}"), ("\\left(", "\\right)")]
    {
        if let Some(inner) = text.strip_prefix(open).and_then(|text| text.strip_suffix(close)) {
            text = inner;
            break;
        }
    }
    let parts: Vec<&str> = split(text);
    if parts.len() < 2 {
        return None;
    }
    parts.into_iter().map(read).collect()
}

/// Parts at the top level of brackets. A comma parts unless a space is missing behind every comma and
/// the whole reads as one number, which [`read`] has tried before.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0i32, 0);
    for (place, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' | ';' | '，' | '；' | '、' if depth == 0 => {
                parts.push(&text[start..place]);
                start = place + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    let last = parts.pop().unwrap_or_default();
    let last = last.trim_start().strip_prefix("and ").unwrap_or(last);
    match last.split_once(" and ") {
        Some((first, second)) => parts.extend([first, second]),
        None => parts.push(last),
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_weighs_percent_units_and_lists() {
        let same = |a: f64, b: f64| (a - b).abs() < 1e-9;
        for (gold, prediction, verdict) in [
            ("50%", "0.5", Some(true)),
            ("50%", "50", Some(true)),
            ("50%", "50 percent", Some(true)),
            ("50%", "50 per cent", Some(true)),
            ("50%", "5", Some(false)),
            ("50%", "0.5%", Some(false)),
            ("5 cm", "5", Some(true)),
            ("5 cm", "5 centimeters", Some(true)),
            ("5 cm", "5 m", Some(false)),
            ("12 cm", "120 mm", Some(true)),
            ("12 cm", "0.12 m", Some(true)),
            ("12 cm", "12 cm^2", Some(false)),
            ("12 cm", "12 square cm", Some(false)),
            ("12 cm^2", "0.0012 m²", Some(true)),
            ("12 cm²", "12 平方厘米", Some(true)),
            ("100 cm", "1001 mm", Some(false)),
            ("60 km/h", "60 km", Some(false)),
            ("60 km/h", "60 km per hour", Some(true)),
            ("5 °C", "5 °F", Some(false)),
            ("5 °C", "5 degrees celsius", Some(true)),
            ("5°", "5 °C", Some(true)),
            ("$5", "€5", Some(false)),
            ("£5", "5 pounds", Some(true)),
            ("5 lb", "5 pounds", Some(true)),
            ("£5", "5 lb", Some(false)),
            ("$5", "5 dollars", Some(true)),
            ("$5$", "€5", Some(true)),
            ("50%", "50 cm", Some(false)),
            ("10-20", "20-30", None),
            ("x = 3", "y = 3", Some(false)),
            ("x = 3", "$x=3$", Some(true)),
            ("x = 3", "3", Some(true)),
            ("5-10 cm", "10-15 cm", None),
            ("$5-$10", "$10-$15", None),
            ("12/03/98", "24/06/98", None),
            ("(0, 1)", "[0, 1]", None),
            ("1/2", "0.5", Some(true)),
            ("\\sqrt{12}", "2\\sqrt{3}", Some(true)),
            ("[2007, 2008]", "2007 and 2008", Some(true)),
            ("(1, 2)", "(2, 1)", Some(false)),
            ("(1, 2)", "(1, 2, 3)", Some(false)),
            ("5", "cat", None),
            ("cat", "cat", None),
            ("5", "(5, 6)", None),
            ("6", "3!", Some(false)),
            ("3", "3!", Some(true)),
            ("3!", "6", Some(true)),
            ("7", "3! + 1", Some(true)),
            ("3:4", "3 : 4", Some(true)),
            ("5/8", "five eighths", Some(true)),
            ("5/8", "five-eighths", Some(true)),
            ("1/8", "one eighth", Some(true)),
            ("1/6", "a sixth", Some(true)),
            ("1/100", "one hundredth", Some(true)),
            ("2/3", "2 thirds", Some(true)),
            ("26", "twenty sixth", None),
            ("1/6", "sixth", None),
            ("\\binom{5}{2}", "10", Some(true)),
            ("\\binom52", "10", None),
            ("\\log_2 8", "3", Some(true)),
            ("\\log_{10} 1000", "3", Some(true)),
            ("\\log_2 8", "0.903", Some(false)),
            ("4/3", "1.\\overline{3}", Some(true)),
            ("0.1\\overline{6}", "1/6", Some(true)),
            ("\\{1,2\\}", "{2,1}", Some(true)),
            ("\\{1,2\\}", "{1,1}", Some(false)),
            ("\\{1,2\\}", "{1,2,2}", Some(false)),
            ("3 dozen", "36", Some(true)),
            ("1 L", "1000 cm^3", Some(true)),
            ("1 L", "1000 ml", Some(true)),
            ("1 L", "1000 cm^2", Some(false)),
            ("5 m/s", "5 L/s", Some(false)),
            ("3:4", "3:5", Some(false)),
            ("3:4", "0.75", None),
            ("1990", "1990s", Some(false)),
            ("1990s", "1990", Some(false)),
            ("1500 s", "1500s", Some(true)),
            ("30°", "30°F", Some(false)),
            ("0.333", "33.3%", Some(true)),
            ("7", "8=7", None),
        ] {
            assert_eq!(equal(gold, prediction, same), verdict, "{gold:?} {prediction:?}");
        }
    }
}
