//! Sums whose numbers carry labels: `2 dogs + 3 cats = 6 animals`, `12 apples / 4 people = 4 apples`,
//! `Tea $9.00 + cake $4.50 = $14.50`, `80% of 200 = 150`. A label may be a measure, a coin or a box
//! of several, so that only what can mean nothing else is judged.

use super::{Placed, Token, Value, agree, first_values, number, tokens};
use crate::answer::quantity;
use regex::Regex;
use std::sync::LazyLock;

/// Words for the sum of things of several kinds.
const KINDS: [&str; 9] =
    ["animals", "pets", "fruits", "shapes", "vehicles", "objects", "items", "things", "people"];
/// Words for several things at once, in the singular.
const GROUPS: [&str; 34] = [
    "box", "boxe", "bag", "pack", "packet", "package", "pair", "dozen", "group", "row", "column",
    "herd", "flock", "school", "family", "familie", "couple", "team", "set", "case", "basket",
    "bunch", "crate", "tray", "shelf", "class", "classe", "ten", "one", "hundred", "time", "point",
    "twin", "bottle",
];
/// Words in front of a sum that are no part of it.
const BEFORE: [&str; 9] =
    ["so", "then", "thus", "therefore", "hence", "now", "is", "calculate", "compute"];
/// Words of a label by which its price counts more than once, or not whole.
const COUNTS: [&str; 14] = [
    "each", "per", "at", "twice", "double", "both", "off", "minus", "less", "discount", "coupon",
    "times", "refund", "without",
];

/// A sum of prices, each behind what it is for, or bare.
static PRICE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*([A-Za-z' -]*?)\s*\\?\$\s?(\d[\d,]*(?:\.\d+)?)\s*$").expect("a valid pattern")
});
/// What such a sum is said to be, with nothing that goes on.
static TOTAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*\\?\$\s?(\d[\d,]*(?:\.\d+)?)(?:\s*$|[.;,!?)]\s*(?:$|\s)|\s+[A-Za-z(])")
        .expect("a valid pattern")
});

/// The first sum of prices of a line that does not add up.
pub(super) fn wrong_total(line: &str) -> Option<String> {
    let sides: Vec<&str> = line.split('=').collect();
    sides.windows(2).find_map(|pair| {
        let total = value(TOTAL.captures(pair[1])?.get(1)?.as_str())?;
        let mut parts = pair[0].split('+');
        let first = parts.next()?;
        let first = first.rsplit(". ").next()?.rsplit([';', ':', ',']).next()?;
        let (mut sum, mut labels, mut count) = (Value { number: 0.0, ..total.clone() }, 0, 0);
        sum.decimals = 0;
        for part in std::iter::once(first).chain(parts) {
            let found = PRICE.captures(part)?;
            let price = value(found.get(2)?.as_str())?;
            labels += usize::from(is_label(found.get(1)?.as_str())?);
            sum.number += price.number;
            sum.decimals = sum.decimals.max(price.decimals);
            count += 1;
        }
        let wrong = count > 1 && labels > 0 && !agree(&sum, &total);
        wrong.then(|| format!("{} = {}", pair[0].trim(), pair[1].trim()))
    })
}

/// Whether a text names what a price is for; none where it may change the price.
fn is_label(text: &str) -> Option<bool> {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let changes = |word: &String| {
        COUNTS.contains(&word.as_str())
            || quantity::read(word).is_some()
            || !word.contains(char::is_alphabetic)
    };
    (words.len() <= 3 && !words.iter().any(changes)).then_some(!words.is_empty())
}

fn value(written: &str) -> Option<Value> {
    let Token::Number(value, decimals) = number(written) else { return None };
    Some(Value { number: value, decimals, divides: false, text: written.to_owned() })
}

/// Both sides of a sum with labels, where both are sure.
pub(super) fn sides(left: &str, right: &str) -> Option<(Value, Vec<Value>)> {
    let before = tokens(left);
    let share = || percent(&before, left).zip(first_values(right));
    share().or_else(|| things(&before, left, right))
}

/// `B% of A` and `A × B%`, where nothing before belongs to it.
fn percent(all: &[Placed<'_>], text: &str) -> Option<Value> {
    let is_percent = |placed: &Placed<'_>| text[placed.1..placed.2] == *"%";
    let [others @ .., one, two, three, four] = all else { return None };
    let (Token::Number(a, places), Token::Number(b, more)) = (match (two.0, three.0) {
        (_, Token::Word("of")) if is_percent(two) => (one.0, four.0),
        (Token::Operator('*'), _) if is_percent(four) => (one.0, three.0),
        _ => return None,
    }) else {
        return None;
    };
    let is_apart = match others.last() {
        None | Some((Token::Mark, ..)) => true,
        Some((Token::Word(word), ..)) => BEFORE.contains(&word.to_lowercase().as_str()),
        _ => false,
    };
    let (number, decimals) = (a * b / 100.0, places.max(more));
    let text = text[one.1..four.2].to_owned();
    is_apart.then_some(Value { number, decimals, divides: true, text })
}

/// Things of several kinds that are added, or things that are shared out.
fn things(all: &[Placed<'_>], left: &str, right: &str) -> Option<(Value, Vec<Value>)> {
    let [(Token::Number(total, decimals), begin, end), (Token::Word(whole), ..), rest @ ..] =
        &tokens(right)[..]
    else {
        return None;
    };
    if !matches!(rest, [] | [(Token::Mark, ..), ..]) {
        return None;
    }
    let said = Value {
        number: *total,
        decimals: *decimals,
        divides: false,
        text: right[*begin..*end].to_owned(),
    };
    let whole = whole.to_lowercase();
    let value = match all {
        [
            (Token::Number(a, _), begin, _),
            (Token::Word(of), ..),
            (Token::Operator('/'), ..),
            (Token::Number(b, _), ..),
            (Token::Word(by), .., end),
        ] if is_thing(of) && is_thing(by) && of.to_lowercase() == whole && *b != 0.0 => {
            let text = left[*begin..*end].to_owned();
            Value { number: a / b, decimals: 0, divides: true, text }
        }
        _ => added(all, left).filter(|_| KINDS.contains(&whole.as_str()))?,
    };
    Some((value, vec![said]))
}

/// The sum of `2 dogs + 3 cats`, which is all that a side says; every kind another one.
fn added(all: &[Placed<'_>], left: &str) -> Option<Value> {
    let (mut number, mut kinds) = (0.0, Vec::new());
    for term in all.split(|(token, ..)| *token == Token::Operator('+')) {
        let [(Token::Number(count, 0), ..), (Token::Word(kind), ..)] = term else { return None };
        if !is_thing(kind) || kinds.contains(kind) {
            return None;
        }
        number += count;
        kinds.push(kind);
    }
    let text = left.trim().to_owned();
    (kinds.len() > 1).then_some(Value { number, decimals: 0, divides: false, text })
}

/// Whether a word names things of which each counts once: no measure, and no group of things.
fn is_thing(word: &str) -> bool {
    let word = word.to_lowercase();
    let singular = word.trim_end_matches('s');
    let measures = quantity::read(&format!("1 {word}")).is_some();
    word.len() > 2
        && word.is_ascii()
        && !measures
        && !GROUPS.contains(&singular)
        && !COINS.contains(&singular)
}

/// Coins, in the singular.
const COINS: [&str; 8] = ["cent", "nickel", "dime", "quarter", "penny", "pennie", "coin", "bill"];

#[cfg(test)]
mod tests {
    use super::super::wrong_sum;

    #[test]
    fn labelled_sums_that_do_not_add_up_are_found() {
        for (text, wrong) in [
            ("2 dogs + 3 cats = 6 animals.", "2 dogs + 3 cats = 6"),
            ("12 apples / 4 people = 4 apples", "12 apples / 4 people = 4"),
            ("Tea $9.00 + cake $4.50 = $14.50", "Tea $9.00 + cake $4.50 = $14.50"),
            ("So: tea $9 + cake $4 + $1 = $15.", "So: tea $9 + cake $4 + $1 = $15."),
            ("750 × 20% = 160", "750 * 20% = 160"),
            ("80% of 200 = 150", "80% of 200 = 150"),
            ("So 80% of $200 = $150", "80% of 200 = 150"),
            ("20% of 50 = 11", "20% of 50 = 11"),
            ("½ · 4 · 4 = 9", "½ * 4 * 4 = 9"),
            ("3² + 4² = 26", "3^2 + 4^2 = 26"),
            ("6 = 2 + 3", "6 = 2 + 3"),
        ] {
            assert_eq!(wrong_sum(text).as_deref(), Some(wrong), "{text}");
        }
    }

    #[test]
    fn what_may_be_right_passes() {
        for text in [
            "2 dogs + 3 cats = 5 animals.",
            "12 apples / 4 people = 3 apples",
            "13 apples / 4 people = 3 apples",
            "2 boxes + 3 apples = 27 items",
            "2 families + 3 guests = 11 people",
            "3 tens + 4 ones = 34",
            "5 nickels + 2 dimes = 45 items",
            "3 feet + 2 inches = 38 things",
            "2 dogs + 3 cats = 14 legs",
            "24 hours / 2 days = 6 hours",
            "Tea $9.00 + cake $4.50 = $13.50",
            "Tea $9.00 + cake $4.50 = $14 or so",
            "two teas $9.00 + cake $4.50 = $22.50",
            "2 teas $9.00 + cake $4.50 = $22.50",
            "teas at $9.00 + cake $4.50 = $22.50",
            "Tea $9.00 + cake $4.50 = $10 + $3.50",
            "Tea $9.00 + cake $4.50 - $1 = $12.50",
            "750 × 20% = 150",
            "33% of 50 = 17",
            "12.5% of 64 = 8",
            "750 × 20% off = 600",
            "50 + 20% of 50 = 60",
            "increased by 20% of 50 = 60",
            "10% of 20% of 50 = 1",
            "20% of 50 = 10%",
            "2½ · 4 = 10",
            "½ · 4 · 4 = 8",
            "5 = 2 + 3",
            "Row 6 = 2 + 3",
            "6 = 2 + 3 + x",
            "-3² = 9",
            "area = 12 cm²",
            "From 1990-2010 = 20 years",
            "1990–2010 = 20",
        ] {
            assert_eq!(wrong_sum(text), None, "{text}");
        }
    }
}
