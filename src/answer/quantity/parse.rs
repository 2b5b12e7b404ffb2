//! Tokens to a value: a recursive-descent parser of bounded depth.
//!
//! ```text
//! sum      = product { (+|−) product }
//! product  = signed { (×|÷|nothing) signed }
//! signed   = { (+|−) } power
//! power    = atom { ! | ° } [ ^ signed ]
//! atom     = number | fraction | π | √ … | \frac … | ( sum ) | | sum | | number words | sin …
//! ```

use super::lex::Token;
use super::{Quantity, unit, words};

/// Deepest nesting.
pub const DEPTH: usize = 24;

/// Largest number whose factorial is taken.
const MOST_FACTORIAL: f64 = 20.0;

/// How far a number may lie from the sum that it is said to be, as a share: `1/3 = 0.33`.
const ROUNDED: f64 = 0.02;

/// Words that may stand before a number and say nothing.
const FILLERS: [&str; 8] =
    ["about", "approximately", "around", "roughly", "equals", "is", "约", "약"];

/// The number that all tokens are.
pub fn quantity(tokens: &[Token]) -> Option<Quantity> {
    let mut tokens = after_equation(tokens)?;
    while let [Token::Space, rest @ ..] = tokens {
        tokens = rest;
    }
    if let [Token::Word(word), rest @ ..] = tokens
        && FILLERS.contains(&word.as_str())
        && !rest.is_empty()
    {
        tokens = rest;
    }
    let negated = negative(tokens);
    let tokens = negated.as_deref().unwrap_or(tokens);
    if let [Token::Word(word)] = tokens
        && let Some(part) = words::percent(word)
    {
        return Some(Quantity { value: part, percent: true, unit: None, integer: false });
    }
    let tokens = unbraced(tokens);
    let mut parser = Parser { rest: tokens, depth: 0 };
    parser.skip_space();
    let integer = matches!(
        parser.rest,
        [Token::Number(_, true)] | [Token::Sign('-' | '+'), Token::Number(_, true)]
    );
    let mut value = parser.sum()?;
    value *= unit::magnitude(&mut parser.rest);
    let (percent, unit) = unit::suffix(parser.rest)?;
    (value.is_finite()).then_some(Quantity { value, percent, unit, integer })
}

/// With a sign in the place of a word for it: "minus 3", "negative seven", 负三. None where none is.
fn negative(tokens: &[Token]) -> Option<Vec<Token>> {
    let [Token::Word(word), rest @ ..] = tokens else { return None };
    let behind = ["minus", "negative", "负", "負", "마이너스"].into_iter().find_map(|sign| {
        word.strip_prefix(sign).filter(|rest| rest.is_empty() || !sign.is_ascii())
    })?;
    let word = (!behind.is_empty()).then(|| Token::Word(behind.to_owned()));
    let has_value = word.is_some() || rest.iter().any(|token| *token != Token::Space);
    has_value
        .then(|| [Token::Sign('-')].into_iter().chain(word).chain(rest.iter().cloned()).collect())
}

/// What follows the last `=`, where what precedes it names something, or has that value: `8 = 7` says
/// nothing.
fn after_equation(tokens: &[Token]) -> Option<&[Token]> {
    let mut sides = tokens.rsplit(|token| *token == Token::Sign('='));
    let last = sides.next().filter(|last| !last.is_empty())?;
    let value = |tokens| {
        let mut parser = Parser { rest: tokens, depth: 0 };
        parser.sum().filter(|_| trimmed(parser.rest).is_empty())
    };
    let differs = |(a, b): (f64, f64)| match a.fract() == 0.0 && b.fract() == 0.0 {
        true => a != b,
        false => (a - b).abs() > ROUNDED * a.abs(),
    };
    let before = sides.next().map(trimmed).and_then(value);
    (!before.zip(value(trimmed(last))).is_some_and(differs)).then_some(last)
}

/// Without braces around the whole, which a wrapper such as `\boxed` leaves.
fn unbraced(mut tokens: &[Token]) -> &[Token] {
    while let [Token::Open('{'), inner @ .., Token::Close('}')] = trimmed(tokens) {
        let mut depth = 0i32;
        let closes_early = inner.iter().any(|token| {
            depth += match token {
                Token::Open(_) => 1,
                Token::Close(_) => -1,
                _ => 0,
            };
            depth < 0
        });
        if closes_early {
            break;
        }
        tokens = inner;
    }
    tokens
}

fn trimmed(mut tokens: &[Token]) -> &[Token] {
    while let [Token::Space, rest @ ..] | [rest @ .., Token::Space] = tokens {
        tokens = rest;
    }
    tokens
}

/// What is left to read.
pub(super) struct Parser<'a> {
    pub(super) rest: &'a [Token],
    depth: usize,
}

impl Parser<'_> {
    fn skip_space(&mut self) {
        while let [Token::Space, rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    pub(super) fn takes(&mut self, wanted: &Token) -> bool {
        let before = self.rest;
        self.skip_space();
        match self.rest {
            [first, rest @ ..] if first == wanted => {
                self.rest = rest;
                true
            }
            _ => {
                self.rest = before;
                false
            }
        }
    }

    pub(super) fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth == DEPTH {
            return None;
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    pub(super) fn sum(&mut self) -> Option<f64> {
        self.nested(|parser| {
            let mut value = parser.product()?;
            loop {
                if parser.takes(&Token::Sign('+')) {
                    value += parser.product()?;
                } else if parser.takes(&Token::Sign('-')) {
                    value -= parser.product()?;
                } else {
                    return Some(value);
                }
            }
        })
    }

    fn product(&mut self) -> Option<f64> {
        let mut value = self.signed()?;
        loop {
            if self.takes(&Token::Sign('*')) {
                value *= self.signed()?;
            } else if self.is_before_division() && self.takes(&Token::Sign('/')) {
                let divisor = self.signed()?;
                if divisor == 0.0 {
                    return None;
                }
                value /= divisor;
            } else if self.multiplies_silently() {
                value *= self.power()?;
            } else {
                return Some(value);
            }
        }
    }

    /// Whether a slash divides by a number, and not "per" a unit.
    fn is_before_division(&self) -> bool {
        let after = self.rest.iter().filter(|token| **token != Token::Space).nth(1);
        !matches!(after, Some(Token::Word(word)) if words::english(word).is_none())
    }

    /// Whether a factor follows without a sign: `2(3)`, `2√3`, `4π`, and `3 x 10^8` with a letter for the sign.
    fn multiplies_silently(&mut self) -> bool {
        if let [Token::Space, Token::Word(x), Token::Space, rest @ ..] = self.rest
            && x == "x"
            && matches!(rest, [Token::Number(10.0, true), Token::Sign('^'), ..])
        {
            self.rest = rest;
            return true;
        }
        if let [Token::Space, rest @ ..] = self.rest
            && let [Token::Command(name), ..] = rest
            && matches!(name.as_str(), "pi" | "sqrt")
        {
            self.rest = rest;
        }
        matches!(self.rest, [Token::Open('(' | '['), ..] | [Token::Command(_), ..])
    }

    fn signed(&mut self) -> Option<f64> {
        if self.takes(&Token::Sign('-')) {
            self.nested(|parser| Some(-parser.signed()?))
        } else if self.takes(&Token::Sign('+')) {
            self.nested(Self::signed)
        } else {
            self.skip_space();
            self.power()
        }
    }

    fn power(&mut self) -> Option<f64> {
        let mut base = self.atom()?;
        while let [Token::Sign('!'), rest @ ..] = self.rest {
            self.rest = rest;
            base = factorial(base)?;
        }
        // `90^\circ` is ninety degrees, which the suffix reads.
        let is_degree = matches!(
            self.rest,
            [Token::Sign('^'), Token::Degree, ..]
                | [Token::Sign('^'), Token::Open('{'), Token::Degree, Token::Close('}'), ..]
        );
        if !is_degree && self.takes(&Token::Sign('^')) {
            let exponent = self.nested(|parser| match parser.rest {
                [Token::Open('{'), ..] => parser.braced(),
                _ => parser.signed(),
            })?;
            base = base.powf(exponent);
        }
        base.is_finite().then_some(base)
    }

    fn atom(&mut self) -> Option<f64> {
        let (first, rest) = self.rest.split_first()?;
        match first {
            Token::Number(value, integer) => {
                self.rest = rest;
                if let Some(parts) = integer.then(|| words::parts(&mut self.rest)).flatten() {
                    return Some(value / parts);
                }
                Some(if *integer { value + self.fraction_part() } else { *value })
            }
            Token::Fraction(value) => {
                self.rest = rest;
                Some(*value)
            }
            Token::Open('(' | '[') => self.bracketed(),
            Token::Open('{') => self.braced(),
            Token::Sign('|') => {
                self.rest = rest;
                let value = self.sum()?;
                self.takes(&Token::Sign('|')).then_some(value.abs())
            }
            Token::Command(name) => {
                self.rest = rest;
                self.nested(|parser| parser.command(name))
            }
            Token::Word(word) if word == "pi" => {
                self.rest = rest;
                Some(std::f64::consts::PI)
            }
            Token::Word(_) => words::number(&mut self.rest),
            _ => None,
        }
    }

    /// The fraction of a mixed number: `2 1/2`, `2½`, `2\frac{1}{2}`, "2 and a half". None of it is 0.
    fn fraction_part(&mut self) -> f64 {
        match self.rest {
            [Token::Fraction(part), rest @ ..]
            | [Token::Space, Token::Fraction(part), rest @ ..] => {
                self.rest = rest;
                *part
            }
            [
                Token::Space,
                Token::Number(above, true),
                Token::Sign('/'),
                Token::Number(below, true),
                rest @ ..,
            ] if above < below => {
                self.rest = rest;
                above / below
            }
            [
                Token::Command(name),
                Token::Open('{'),
                Token::Number(above, true),
                Token::Close('}'),
                Token::Open('{'),
                Token::Number(below, true),
                Token::Close('}'),
                rest @ ..,
            ] if name.ends_with("frac") && above < below => {
                self.rest = rest;
                above / below
            }
            _ => words::and_part(&mut self.rest).unwrap_or(0.0),
        }
    }

    fn bracketed(&mut self) -> Option<f64> {
        let close = if self.rest.first() == Some(&Token::Open('(')) { ')' } else { ']' };
        self.rest = &self.rest[1..];
        let value = self.sum()?;
        self.takes(&Token::Close(close)).then_some(value)
    }

    fn braced(&mut self) -> Option<f64> {
        self.rest = &self.rest[1..];
        let value = self.sum()?;
        self.takes(&Token::Close('}')).then_some(value)
    }

    /// A LaTeX argument: braces, or one token.
    pub(super) fn argument(&mut self) -> Option<f64> {
        self.skip_space();
        match self.rest {
            [Token::Open('{'), ..] => self.braced(),
            [Token::Open('('), ..] => self.bracketed(),
            [Token::Number(value, _), rest @ ..] => {
                self.rest = rest;
                Some(*value)
            }
            [Token::Command(name), rest @ ..] => {
                self.rest = rest;
                self.nested(|parser| parser.command(name))
            }
            _ => None,
        }
    }
}

fn factorial(value: f64) -> Option<f64> {
    let is_small = value.fract() == 0.0 && (0.0..=MOST_FACTORIAL).contains(&value);
    is_small.then(|| (1..=value as u32).map(f64::from).product())
}
