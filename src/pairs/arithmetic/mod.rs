//! Sums that a rationale writes down: `3 + 7 = 10`. Only what is surely one is judged: an
//! equation with a letter, an unknown mark or a unit that not all of its numbers have says nothing here.

mod labelled;
mod plain;
mod unit;

use crate::answer::quantity;
use crate::answer::text::generous_number;
use plain::plain;
use unit::without_unit;

/// A token, and where in its text it begins and ends.
type Placed<'a> = (Token<'a>, usize, usize);

/// A piece of an equation's side.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    /// Its value, and how many decimals it is written with.
    Number(f64, usize),
    /// `+ - * / ^`.
    Operator(char),
    Open,
    Close,
    /// A word that may stand before or after a sum.
    Word(&'a str),
    /// Anything that makes what it touches unknown.
    Unknown,
    /// A mark that ends a sum: `,` `;` `:` and the like.
    Mark,
}

impl Token<'_> {
    /// What it is in a sum without spaces.
    fn bare(&self) -> String {
        match self {
            Self::Number(value, _) => value.to_string(),
            Self::Operator(sign) => sign.to_string(),
            Self::Open => "(".to_owned(),
            Self::Close => ")".to_owned(),
            Self::Word(_) | Self::Unknown | Self::Mark => String::new(),
        }
    }
}

/// Words that are part of a sum if they stand before it.
const FUNCTIONS: [&str; 16] = [
    "sin", "cos", "tan", "cot", "log", "ln", "sqrt", "root", "mod", "exp", "max", "min", "lim",
    "sum", "minus", "plus",
];

/// The first sum of a text that does not add up, as it is written there.
pub fn wrong_sum(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        if let Some(total) = labelled::wrong_total(line) {
            return Some(total);
        }
        let line = plain(line);
        let sides: Vec<&str> = line.split('=').collect();
        // `a <= b`, `a != b` and their kin are no equations.
        let compares = |side: &&str| side.ends_with(['<', '>', '!', '≠', '~', ':']);
        if sides.iter().any(compares) {
            return None;
        }
        sides.windows(2).find_map(|pair| {
            let (left, right) = both_sides(pair[0], pair[1], pair[0].as_ptr() == line.as_ptr())?;
            let agrees = right.iter().any(|value| agree(&left, value));
            (!agrees).then(|| format!("{} = {}", left.text.trim(), right[0].text.trim()))
        })
    })
}

/// What an equation's sides say; `begins` where its line begins with it.
fn both_sides(left: &str, right: &str, begins: bool) -> Option<(Value, Vec<Value>)> {
    if let Some((left, right)) = without_unit(left, right) {
        return Some((last_sum(&left)?, first_values(&right)?));
    }
    labelled::sides(left, right)
        .or_else(|| Some((last_sum(left)?, first_values(right)?)))
        .or_else(|| turned(left, right).filter(|_| begins))
}

/// `6 = 2 + 3`: a number, and a sum that is all of the other side.
fn turned(left: &str, right: &str) -> Option<(Value, Vec<Value>)> {
    let (alone, sum) = (tokens(left), tokens(right.trim_end().trim_end_matches('.')));
    let is_number = matches!(alone[..], [(Token::Number(..), ..)]);
    let is_sum = sum.iter().all(|(token, ..)| is_of_sum(token))
        && sum.iter().any(|(token, ..)| matches!(token, Token::Operator(_)));
    let both = || Some((value(&alone, left)?, vec![value(&sum, right)?]));
    (is_number && is_sum).then(both)?.filter(|(_, right)| !right[0].divides)
}

/// A side's value with how it is written.
#[derive(Clone, Debug)]
struct Value {
    number: f64,
    /// Most decimals of a number in it.
    decimals: usize,
    /// Whether a division is in it, so that it may stand for a rounded number.
    divides: bool,
    text: String,
}

/// Whether both sides say the same, to what the right side is written with.
fn agree(left: &Value, right: &Value) -> bool {
    let off = (left.number - right.number).abs();
    let exact = 1e-9 * left.number.abs().max(1.0);
    if off <= exact {
        return true;
    }
    if right.divides {
        return off <= ROUNDED * left.number.abs();
    }
    // Some round, some cut off; what has no further places is neither.
    let place = 10_f64.powi(-(right.decimals as i32));
    let places = left.number / place;
    let ends = (places - places.round()).abs() <= 1e-9 * places.abs().max(1.0);
    let rounds = left.divides || left.decimals > right.decimals;
    rounds && !ends && off < place
}

/// How far a number may lie from the quotient that it stands for, as a share.
const ROUNDED: f64 = 0.01;

/// Tokens with the place in the text where each begins and ends.
fn tokens(text: &str) -> Vec<Placed<'_>> {
    let mut tokens: Vec<Placed<'_>> = Vec::new();
    let mut start = 0;
    while let Some(c) = text[start..].chars().next() {
        let rest = &text[start..];
        let run = |is: &dyn Fn(char) -> bool| rest.find(|c| !is(c)).unwrap_or(rest.len());
        let mut end = start + c.len_utf8();
        let token = match c {
            _ if c.is_whitespace() => {
                start = end;
                continue;
            }
            '0'..='9' => {
                let written = &rest[..run(&|c| c.is_ascii_digit() || c == ',' || c == '.')];
                let written = written.trim_end_matches([',', '.']);
                end = start + written.len();
                number(written)
            }
            '+' | '-' | '*' | '/' | '^' => Token::Operator(c),
            '½' | '¼' | '¾' if !matches!(tokens.last(), Some((Token::Number(..), ..))) => {
                half(c)
            }
            '(' => Token::Open,
            ')' => Token::Close,
            'x' | 'X' if is_times(&tokens, &text[end..]) => Token::Operator('*'),
            _ if c.is_alphabetic() => {
                end = start + run(&|c| c.is_alphabetic() || c == '\'');
                Token::Word(&text[start..end])
            }
            ',' | ';' | '.' | '!' | '?' | '"' | '\'' | '。' | '，' | '；' => Token::Mark,
            // `12:30` is a time or a ratio.
            ':' if !text[end..].starts_with(|c: char| c.is_ascii_digit()) => Token::Mark,
            _ => Token::Unknown,
        };
        tokens.push((token, start, end));
        start = end;
    }
    tokens
}

/// A fraction of one sign that has an end.
fn half(sign: char) -> Token<'static> {
    match sign {
        '½' => Token::Number(0.5, 1),
        '¼' => Token::Number(0.25, 2),
        _ => Token::Number(0.75, 2),
    }
}

/// `1,234.5` with its decimals; unknown where commas do not separate thousands.
fn number(written: &str) -> Token<'static> {
    let decimals = written.rsplit_once('.').map_or(0, |(_, decimals)| decimals.len());
    generous_number(written).map_or(Token::Unknown, |value| Token::Number(value, decimals))
}

/// Whether an `x` stands between two numbers: `3 x 4`, `3x4`.
fn is_times(before: &[Placed<'_>], after: &str) -> bool {
    matches!(before.last(), Some((Token::Number(..) | Token::Close, ..)))
        && after.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '(')
}

/// Whether a token can be part of a sum.
fn is_of_sum(token: &Token<'_>) -> bool {
    matches!(token, Token::Number(..) | Token::Operator(_) | Token::Open | Token::Close)
}

fn is_function(word: &str) -> bool {
    FUNCTIONS.contains(&word.to_lowercase().as_str())
}

/// The sum that a side ends with; none where it ends in something else, or in a plain number.
fn last_sum(side: &str) -> Option<Value> {
    let side = side.trim_end();
    let tokens = tokens(side);
    let first = tokens.iter().rposition(|(token, ..)| !is_of_sum(token)).map_or(0, |at| at + 1);
    let sum = &tokens[first..];
    let &(begins_with, begin, _) = sum.first()?;
    // What stands before must not belong to it: no function, no letter, nothing that touches it.
    if let Some((token, _, end)) = first.checked_sub(1).map(|before| tokens[before]) {
        let apart = match token {
            Token::Word(word) => {
                let is_own = word.chars().count() > 1 && !is_function(word);
                end < begin && is_own && !labels(&tokens[..first])
            }
            Token::Mark => true,
            _ => false,
        };
        // After a word, a sign may be one of its own: `t - 3 + 5`.
        if !apart || matches!(begins_with, Token::Operator(_)) {
            return None;
        }
    }
    let is_sum = sum.iter().any(|(token, ..)| matches!(token, Token::Operator(_)));
    let is_sum = is_sum && !is_range(sum) && !is_signed_power(sum);
    is_sum.then(|| value(sum, side)).flatten()
}

/// Whether the words that tokens end with are part of a longer sum: "$9 + cake" in "$9 + cake $4 - $1".
fn labels(tokens: &[Placed<'_>]) -> bool {
    let before = tokens.iter().rposition(|(token, ..)| !matches!(token, Token::Word(_)));
    before.is_some_and(|at| at > 0 && matches!(tokens[at].0, Token::Operator(_)))
}

/// Whether a hyphen joins a number and a larger one: `1990-2010` is no difference.
fn is_range(sum: &[Placed<'_>]) -> bool {
    matches!(sum, [(Token::Number(from, _), _, end), (Token::Operator('-'), sign, behind), (Token::Number(to, _), begin, _)]
        if from < to && end == sign && behind == begin)
}

/// Whether a sign stands before a power: -3² may be meant as (-3)².
fn is_signed_power(sum: &[Placed<'_>]) -> bool {
    matches!(sum, [(Token::Operator('-'), ..), _, (Token::Operator('^'), ..), ..])
}

/// What a side begins with: the sum that it begins with, and its first number alone. `10 + 5`
/// in `3 + 7 = 10 + 5 = 15` may mean either.
fn first_values(side: &str) -> Option<Vec<Value>> {
    let tokens = tokens(side);
    let length = tokens.iter().take_while(|(token, ..)| is_of_sum(token)).count();
    let sum = &tokens[..length];
    let &(ends_with, _, end) = sum.last()?;
    let goes_on = match tokens.get(length) {
        Some((Token::Unknown, ..)) => true,
        // A unit or a factor that touches.
        Some((Token::Word(word), begin, _)) => *begin == end || is_function(word),
        _ => false,
    };
    if goes_on || matches!(ends_with, Token::Operator(_)) {
        return None;
    }
    let whole = value(sum, side)?;
    let signed = usize::from(matches!(sum[0].0, Token::Operator('-')));
    let alone = sum.get(..=signed).and_then(|first| value(first, side));
    Some(std::iter::once(whole).chain(alone).collect())
}

/// The value of some tokens of a side; none where they are no sum.
fn value(sum: &[Placed<'_>], side: &str) -> Option<Value> {
    let text = side[sum[0].1..sum[sum.len() - 1].2].to_owned();
    // Spaces and thousand separators are settled here: `1 250` and `2 (3)` mean other things alone.
    let bare: String = sum.iter().map(|(token, ..)| token.bare()).collect();
    let number = quantity::read(&bare).filter(|_| is_plain(sum))?.value;
    let (mut decimals, mut divides) = (0, false);
    for (token, ..) in sum {
        match token {
            Token::Number(_, places) => decimals = decimals.max(*places),
            Token::Operator('/') => divides = true,
            _ => {}
        }
    }
    Some(Value { number, decimals, divides, text })
}

/// Whether a sum has an operator between its numbers and no sign but minus: `1 1/2` and `+3` may
/// mean several things in a rationale.
fn is_plain(sum: &[Placed<'_>]) -> bool {
    let mut after_value = false;
    sum.iter().all(|(token, ..)| {
        let fits = match token {
            Token::Number(..) => !after_value,
            Token::Operator(sign) => after_value || *sign == '-',
            _ => true,
        };
        after_value = matches!(token, Token::Number(..) | Token::Close);
        fits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_that_do_not_add_up_are_found() {
        for (text, wrong) in [
            ("3 + 4 = 8.", "3 + 4 = 8"),
            ("First, 3 + 7 = 10, 10 + 5 = 16.", "10 + 5 = 16"),
            ("9 + 9 = 14 .", "9 + 9 = 14"),
            ("The total is $1,250 + $250 = $1,600.", "1,250 + 250 = 1,600"),
            ("2 × 3 + 4 = 14", "2 * 3 + 4 = 14"),
            ("So 12 - 5 = 8 apples are left.", "12 - 5 = 8"),
            ("(2 + 3) * 4 = 24", "(2 + 3) * 4 = 24"),
            ("10 / 4 = 3.5", "10 / 4 = 3.5"),
            ("3x4 = 13", "3x4 = 13"),
            ("one\ntwo: 5 + 5 = 11\nthree", "5 + 5 = 11"),
            ("0.1 + 0.2 = 0.4", "0.1 + 0.2 = 0.4"),
            ("7 - 10 = 3", "7 - 10 = 3"),
            (r"\(6 \times 7 = 43\)", "6 * 7 = 43"),
            ("- 3 + 4 = 8", "3 + 4 = 8"),
            ("12 / 4 = 4", "12 / 4 = 4"),
            ("10 ÷ 5 = 3", "10 / 5 = 3"),
            ("10 / 4 = 4", "10 / 4 = 4"),
            ("2^3 = 9", "2^3 = 9"),
            ("3^2 + 4^2 = 26", "3^2 + 4^2 = 26"),
            ("12 / 4 + 9 = 13", "12 / 4 + 9 = 13"),
            ("1/2 + 1/3 = 4/6", "1/2 + 1/3 = 4/6"),
            ("180° - 60° - 50° = 80°", "180 - 60 - 50 = 80"),
            (r"$180^\circ - 60^{\circ} = 130^\circ$", "180 - 60 = 130"),
            ("3 apples + 4 apples = 8 apples", "3 + 4 = 8"),
            ("1 apple + 1 apple = 3 apples in all.", "1 + 1 = 3"),
            ("5 + 6 + 7 equals 19", "5 + 6 + 7 = 19"),
        ] {
            assert_eq!(wrong_sum(text).as_deref(), Some(wrong), "{text}");
        }
    }

    #[test]
    fn sums_that_do_and_what_is_none_pass() {
        for text in [
            "3 + 4 = 7, 7 + 9 = 16.",
            "3 + 7 = 10 + 5 = 15",
            "1,250 + 250 = 1,500",
            "2/3 = 0.67 and 2 / 3 = 0.66",
            "10 / 4 = 2.5",
            "13 ÷ 4 = 3 remainder 1",
            "x + 3 = 8",
            "2x + 3 = 7 so x = 2",
            "a^2 + b^2 = 26",
            "sin 30 + 1 = 2",
            "5 cm + 6 cm = 12",
            "2:30 + 1:00 = 4",
            "AB = 5, BC = 3",
            "√16 + 2 = 7",
            "5! = 121",
            "10 = 2 + y",
            "3 + 4 <= 9 and 3 + 4 != 8",
            "the total = 12",
            "3 apples + 4 = 8",
            "3 apples + 4 pears = 8 apples",
            "3 apples + 4 apples = 7 apples",
            "60 min + 30 min = 1 hour",
            "6 ft 2 in + 3 in = 7 in",
            "x - 3 cm + 5 cm = 8 cm",
            "3 cm + 4 cm = 5 cm + 2 cm",
            "3 cm * 4 cm = 12 cm^2",
            "180° - 60° - 50° = 70°",
            "5 + 6 + 7 equals 18",
            "1/3 = 0.33",
            "10 / 3 = 3 and 11 / 3 = 4",
            "2.5^2 = 6.25",
            "0.5 + 0.17 = 1/2 + 1/6",
            "7 + 9 = 16 - so the answer is 16",
            "2(3 + 4) = 14",
            "(-3) + 5 = 2 and -3 + 5 = 2",
            "1 1/2 + 1 = 2.5",
            "2^3 = 8",
            "3.14 * 2^2 = 12.56",
            "f(2) + 1 = 9",
            "7 - 10 = -3",
            "",
            "= = =",
            "3 + = 4",
            "- 3 + 4 = 7",
            "* 3 + 4 = 7",
        ] {
            assert_eq!(wrong_sum(text), None, "{text}");
        }
    }
}
