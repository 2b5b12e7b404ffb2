//! Number words: English to the billions, Chinese and Korean to the hundred millions.

use super::lex::Token;
use super::unit::is_unit;

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] =
    ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
/// Words that close a group, and what they multiply it by.
const GROUPS: [(&str, f64); 4] =
    [("thousand", 1e3), ("million", 1e6), ("billion", 1e9), ("trillion", 1e12)];
/// Parts of a whole.
const PARTS: [(&str, f64); 12] = [
    ("half", 2.0),
    ("halves", 2.0),
    ("third", 3.0),
    ("thirds", 3.0),
    ("quarter", 4.0),
    ("quarters", 4.0),
    ("fourth", 4.0),
    ("fourths", 4.0),
    ("fifth", 5.0),
    ("fifths", 5.0),
    ("tenth", 10.0),
    ("tenths", 10.0),
];
/// Those that more often say which of a row: "a sixth" and "five sixths" are parts, "sixth" and
/// "twenty sixth" are not.
const RARE_PARTS: [(&str, f64); 6] = [
    ("sixth", 6.0),
    ("seventh", 7.0),
    ("eighth", 8.0),
    ("ninth", 9.0),
    ("hundredth", 100.0),
    ("thousandth", 1000.0),
];

/// The value of one English word below a hundred.
pub fn english(word: &str) -> Option<f64> {
    let small = SMALL.iter().position(|&known| known == word);
    let tens = || TENS.iter().position(|&known| known == word).map(|place| 10 * (place + 2));
    small.or_else(tens).map(|value| value as f64)
}

/// The count of parts that a rare part's word says: several in the plural, one in the singular.
fn rare_part(word: &str, before: &[&str]) -> Option<f64> {
    let singular = word.strip_suffix('s').unwrap_or(word);
    let (_, part) = RARE_PARTS.into_iter().find(|(known, _)| *known == singular)?;
    let count = match before {
        ["a" | "an" | "one"] if singular == word => 1.0,
        [count] if singular != word => english(count)?,
        _ => return None,
    };
    Some(count / part)
}

/// The parts of a whole behind an integer, which are taken: "2 thirds", "5 eighths".
pub fn parts(rest: &mut &[Token]) -> Option<f64> {
    let [Token::Space | Token::Sign('-'), Token::Word(word), after @ ..] = *rest else {
        return None;
    };
    let mut all = PARTS
        .into_iter()
        .filter(|(known, _)| known.ends_with('s'))
        .map(|(known, part)| (known.to_owned(), part));
    let mut rare = RARE_PARTS.into_iter().map(|(known, part)| (format!("{known}s"), part));
    let (_, part) =
        all.find(|(known, _)| known == word).or_else(|| rare.find(|(known, _)| known == word))?;
    *rest = after;
    Some(part)
}

/// The number that the words at the front are; they are taken.
pub fn number(rest: &mut &[Token]) -> Option<f64> {
    let [Token::Word(first), after @ ..] = *rest else { return None };
    if let Some(value) = chinese(first).or_else(|| korean(first)) {
        *rest = after;
        return Some(value);
    }
    let mut words = Vec::new();
    let mut tail = *rest;
    loop {
        match tail {
            [Token::Word(word), after @ ..] if is_english(word) => {
                words.push(word.as_str());
                tail = after;
            }
            // Spaces and hyphens join words; what follows decides whether they did.
            [Token::Space | Token::Sign('-'), Token::Word(word), ..]
                if !words.is_empty() && is_english(word) =>
            {
                tail = &tail[1..];
            }
            _ => break,
        }
    }
    let value = sentence(&words)?;
    *rest = tail;
    Some(value + decimals(rest))
}

/// The decimals at the front, which are taken: "point five". None are 0.
fn decimals(rest: &mut &[Token]) -> f64 {
    let [Token::Space, Token::Word(point), digits @ ..] = *rest else { return 0.0 };
    let (mut written, mut tail) = (String::new(), digits);
    while let [Token::Space, Token::Word(word), after @ ..] = tail
        && let Some(digit) = SMALL.iter().take(10).position(|known| known == word)
    {
        written.push_str(&digit.to_string());
        tail = after;
    }
    if point != "point" || written.is_empty() {
        return 0.0;
    }
    *rest = tail;
    format!("0.{written}").parse().unwrap_or(0.0)
}

/// The part of a whole that stands behind an integer, which is taken: "and a half".
pub fn and_part(rest: &mut &[Token]) -> Option<f64> {
    let [Token::Space, Token::Word(and), Token::Space, after @ ..] = *rest else { return None };
    let mut tail = after;
    let part = number(&mut tail).filter(|part| and == "and" && *part < 1.0 && *part > 0.0)?;
    *rest = tail;
    Some(part)
}

fn is_english(word: &str) -> bool {
    english(word).is_some()
        || matches!(word, "hundred" | "and" | "a" | "an" | "dozen")
        || GROUPS.iter().any(|(known, _)| *known == word)
        || PARTS.iter().any(|(known, _)| *known == word)
        || RARE_PARTS.iter().any(|(known, _)| *known == word.strip_suffix('s').unwrap_or(word))
}

/// "two thousand three hundred and five", "three quarters", "a dozen".
fn sentence(words: &[&str]) -> Option<f64> {
    if let Some((last, before)) = words.split_last()
        && let Some(part) = rare_part(last, before)
    {
        return Some(part);
    }
    if let Some((&last, before)) = words.split_last()
        && let Some((_, part)) = PARTS.into_iter().find(|(known, _)| *known == last)
    {
        let count = match before {
            [] | ["a" | "an"] => 1.0,
            before => match sentence(before) {
                Some(count) => count,
                // "two and a half"
                None => {
                    let and = words.iter().rposition(|word| *word == "and")?;
                    let part = sentence(&words[and + 1..]).filter(|part| *part < 1.0)?;
                    return Some(sentence(&words[..and])? + part);
                }
            },
        };
        return Some(count / part);
    }
    match words {
        ["a" | "an" | "one", "dozen"] | ["dozen"] => return Some(12.0),
        [count, "dozen"] => return Some(12.0 * english(count)?),
        ["and", ..] | [.., "and"] | [] | ["a" | "an"] => return None,
        _ => {}
    }
    let (mut total, mut group) = (0.0, 0.0);
    // What the next word below a hundred must stay under: "twenty one" is 21, "one two" nothing.
    let mut room = f64::INFINITY;
    for &word in words {
        if let Some(value) = english(word) {
            if value >= room {
                return None;
            }
            group += value;
            room = if value >= 20.0 { 10.0 } else { 0.0 };
        } else if word == "hundred" && (group > 0.0 && group < 100.0) {
            (group, room) = (group * 100.0, 100.0);
        } else if let Some((_, factor)) = GROUPS.into_iter().find(|(known, _)| *known == word) {
            if group == 0.0 {
                return None;
            }
            total += group * factor;
            (group, room) = (0.0, f64::INFINITY);
        } else if word == "a" && group == 0.0 {
            group = 1.0;
        } else if word != "and" {
            return None;
        }
    }
    Some(total + group)
}

/// A word without the counter or unit behind it, so that what is left is a numeral.
fn counted(word: &str) -> impl Iterator<Item = &str> {
    let cuts = word.char_indices().skip(1).map(|(place, _)| place);
    let without = cuts.filter(|&place| is_unit(&word[place..])).map(|place| &word[..place]);
    std::iter::once(word).chain(without)
}

/// A Chinese numeral, with a counter or not: 三十五, 两个, 五分之三.
pub fn chinese(word: &str) -> Option<f64> {
    if let Some((below, above)) = word.split_once("分之") {
        let below = chinese_integer(below).filter(|below| *below != 0.0)?;
        return Some(chinese_integer(above)? / below);
    }
    counted(word).find_map(|word| chinese_integer(word).or_else(|| chinese_decimal(word)))
}

/// 三点五: an integer and digits behind a point.
fn chinese_decimal(word: &str) -> Option<f64> {
    let (whole, digits) = word.split_once('点').filter(|(_, digits)| !digits.is_empty())?;
    let is_digit = |c: char| {
        chinese_integer(c.encode_utf8(&mut [0; 4]))
            .filter(|value| *value < 10.0 && value.fract() == 0.0)
    };
    let written: Option<String> = digits.chars().map(|c| Some(is_digit(c)?.to_string())).collect();
    format!("{}.{}", chinese_integer(whole)?, written?).parse().ok()
}

/// What 百分之… says.
pub fn percent(word: &str) -> Option<f64> {
    chinese_integer(word.strip_prefix("百分之")?)
}

fn chinese_integer(word: &str) -> Option<f64> {
    if word == "半" {
        return Some(0.5);
    }
    let digit = |c: char| match c {
        '零' | '〇' => Some(0.0),
        '一' => Some(1.0),
        '二' | '两' | '兩' => Some(2.0),
        '三' => Some(3.0),
        '四' => Some(4.0),
        '五' => Some(5.0),
        '六' => Some(6.0),
        '七' => Some(7.0),
        '八' => Some(8.0),
        '九' => Some(9.0),
        _ => None,
    };
    let unit = |c: char| match c {
        '十' => Some(1e1),
        '百' => Some(1e2),
        '千' => Some(1e3),
        '万' | '萬' => Some(1e4),
        '亿' => Some(1e8),
        _ => None,
    };
    positional(word, digit, unit)
}

/// A Korean numeral, with a counter or not: 삼십오, 다섯, 스물한.
pub fn korean(word: &str) -> Option<f64> {
    counted(word).find_map(|word| sino_korean(word).or_else(|| native_korean(word)))
}

fn sino_korean(word: &str) -> Option<f64> {
    let digit = |c: char| match c {
        '영' | '공' => Some(0.0),
        c => "일이삼사오육칠팔구".chars().position(|known| known == c).map(|at| at as f64 + 1.0),
    };
    let unit = |c: char| match c {
        '십' => Some(1e1),
        '백' => Some(1e2),
        '천' => Some(1e3),
        '만' => Some(1e4),
        '억' => Some(1e8),
        _ => None,
    };
    positional(word, digit, unit)
}

fn native_korean(word: &str) -> Option<f64> {
    let ones = [
        ("하나", 1.0),
        ("한", 1.0),
        ("둘", 2.0),
        ("두", 2.0),
        ("셋", 3.0),
        ("세", 3.0),
        ("넷", 4.0),
        ("네", 4.0),
        ("다섯", 5.0),
        ("여섯", 6.0),
        ("일곱", 7.0),
        ("여덟", 8.0),
        ("아홉", 9.0),
    ];
    let tens = [
        ("열", 10.0),
        ("스물", 20.0),
        ("스무", 20.0),
        ("서른", 30.0),
        ("마흔", 40.0),
        ("쉰", 50.0),
        ("예순", 60.0),
        ("일흔", 70.0),
        ("여든", 80.0),
        ("아흔", 90.0),
    ];
    let one = |word: &str| ones.iter().find(|(known, _)| *known == word).map(|(_, value)| *value);
    one(word).or_else(|| {
        tens.iter().find_map(|(ten, value)| match word.strip_prefix(ten)? {
            "" => Some(*value),
            rest => Some(value + one(rest)?),
        })
    })
}

/// A numeral of digits and units, the larger ones closing a group: 一万二千三百.
fn positional(
    word: &str,
    digit: impl Fn(char) -> Option<f64>,
    unit: impl Fn(char) -> Option<f64>,
) -> Option<f64> {
    let (mut total, mut group, mut last) = (0.0, 0.0, None);
    if word.is_empty() {
        return None;
    }
    for c in word.chars() {
        if let Some(value) = digit(c) {
            // Two digits in a row are a reading aloud ("二〇二四"), which is left alone.
            if last.is_some_and(|last| last != 0.0) {
                return None;
            }
            last = Some(value);
        } else {
            let factor = unit(c)?;
            let count = last.take().filter(|count| *count != 0.0);
            if factor >= 1e4 {
                let closed: f64 = group + count.unwrap_or(0.0);
                if closed == 0.0 {
                    return None;
                }
                (total, group) = (total + closed * factor, 0.0);
            } else {
                group += count.unwrap_or(1.0) * factor;
            }
        }
    }
    Some(total + group + last.unwrap_or(0.0))
}
