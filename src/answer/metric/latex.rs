//! Arithmetic in LaTeX as `latex2sympy` reads it, whose value VLMEvalKit's equality takes.
//!
//! ```text
//! sum     = product { (+|−) product }
//! product = unary { (×|÷|:) unary }
//! unary   = (+|−) unary | power { power }      side by side
//! power   = atom { ^ exponent | ^\circ }
//! atom    = number | ( sum ) | [ sum ] | \frac{sum}{sum} | \text{number} | a | b
//! ```
//!
//! Of numbers side by side, an integer before a positive rational number is the sum of both: `1 1/2` is
//! `(1+1)/2`, and `2(3)` is 5. Anything else (roots, π, factorials, other letters, sets) has no value: the
//! peer evaluates what its reader prints as Python, where their names are unknown. Nor has a percent sign,
//! as recorded.

use crate::answer::python::operator::{Number, add, divide, multiply, power};
use crate::answer::python::text::is_space;

/// Nesting beyond this has no value.
const DEPTH: usize = 120;
/// Nor has longer text, in bytes.
const LENGTH: usize = 10_000;

/// Text that says nothing.
const DROPPED: [&str; 6] = ["\\$", "$", "\\!", "\\displaystyle", "\"", "'"];
/// Commands that are others.
const RENAMED: [(&str, &str); 14] = [
    ("\\dfrac", "\\frac"),
    ("\\tfrac", "\\frac"),
    ("\\cfrac", "\\frac"),
    ("\\mathrm", "\\text"),
    ("\\mathbf", "\\text"),
    ("\\mathit", "\\text"),
    ("\\textnormal", "\\text"),
    ("\\textbf", "\\text"),
    ("\\textit", "\\text"),
    ("\\textrm", "\\text"),
    ("\\left(", "("),
    ("\\left[", "["),
    ("\\right)", ")"),
    ("\\right]", "]"),
];
/// Spaces.
const SPACES: [&str; 6] = ["\\,", "\\;", "\\:", "\\ ", "\\qquad", "\\quad"];

/// A value, and what it is written as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// Its value; not a number where it is a symbol without one.
    pub value: Number,
    /// What it is.
    pub kind: Kind,
}

/// What decides how a term joins the one beside it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// An integer.
    Integer,
    /// A quotient of integers.
    Rational,
    /// A letter alone.
    Symbol(char),
    /// A decimal, or any operation.
    Other,
}

impl Term {
    fn other(value: Number) -> Self {
        Self { value, kind: Kind::Other }
    }

    /// A quotient: of two integers a rational number, which may be an integer.
    fn over(self, below: Self) -> Option<Self> {
        let value = divide(self.value, below.value).ok()?;
        let (Kind::Integer, Kind::Integer) = (self.kind, below.kind) else {
            return Some(Self::other(value));
        };
        match (self.value, below.value) {
            (Number::Int(a), Number::Int(b)) if a.checked_rem(b) == Some(0) => {
                Some(Self { value: Number::Int(a.checked_div(b)?), kind: Kind::Integer })
            }
            _ => Some(Self { value, kind: Kind::Rational }),
        }
    }

    fn negative(self) -> Option<Self> {
        let value = Number::Int(0).minus(self.value).ok()?;
        let is_number = matches!(self.kind, Kind::Integer | Kind::Rational);
        Some(Self { value, kind: if is_number { self.kind } else { Kind::Other } })
    }

    /// What it is with another right behind it.
    fn beside(self, next: Self) -> Option<Self> {
        let is_rational = matches!(next.kind, Kind::Integer | Kind::Rational);
        if self.kind != Kind::Integer || !is_rational || next.value.float() <= 0.0 {
            return Some(Self::other(multiply(self.value, next.value).ok()?));
        }
        let value = match self.value.float() < 0.0 {
            true => self.value.minus(next.value),
            false => add(self.value, next.value),
        };
        Some(Self { value: value.ok()?, kind: next.kind })
    }
}

/// The value of a text in which some letters have one; none where it has none.
pub fn read(text: &str, names: &[(char, Number)]) -> Option<Term> {
    if text.len() > LENGTH {
        return None;
    }
    let text = unboxed(&plain(text))?;
    let text = text.trim_matches(is_space);
    if let Some(number) = grouped(text) {
        return Some(number);
    }
    let mut reader = Reader { rest: text, names, depth: 0 };
    let term = reader.sum()?;
    reader.skip_space();
    (reader.rest.is_empty() && !term.value.float().is_infinite()).then_some(term)
}

fn plain(text: &str) -> String {
    let text = DROPPED.iter().fold(text.to_owned(), |text, part| text.replace(part, ""));
    RENAMED.iter().fold(text, |text, (name, other)| text.replace(name, other))
}

/// What the only box holds, or the whole of a text without one. Several boxes are a set, which has no value.
fn unboxed(text: &str) -> Option<String> {
    const BOX: &str = "\\boxed";
    let mut found: Option<&str> = None;
    let mut before = text;
    while let Some(place) = before.rfind(BOX) {
        let behind = before[place + BOX.len()..].trim_start_matches(is_space);
        let Some(inner) = braced(behind) else {
            found = found.or(Some(behind));
            break;
        };
        if found.is_some_and(|found| found != inner) {
            return None;
        }
        found = Some(inner);
        before = &before[..place];
    }
    Some(found.unwrap_or(text).to_owned())
}

/// What stands in the braces in front.
fn braced(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('{')?;
    let mut depth = 1i32;
    let end = inner.char_indices().find(|(_, c)| {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        depth == 0
    });
    end.map(|(place, _)| inner[..place].trim_matches(is_space))
}

/// A number that is the whole text and has thousand separators; behind a zero they are decimal points.
fn grouped(text: &str) -> Option<Term> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(a, b)| (a, Some(b)));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let others: Vec<&str> = groups.collect();
    let fits = all_digits(first)
        && first.len() <= 3
        && !others.is_empty()
        && others.iter().all(|group| group.len() == 3 && all_digits(group))
        && fraction.is_none_or(all_digits);
    if !fits {
        return None;
    }
    if text.starts_with('0') {
        let value = text.replace(',', ".").parse().ok()?;
        return Some(Term::other(Number::Float(value)));
    }
    let term = number(&digits.replace(',', ""))?;
    if sign < 0 { term.negative() } else { Some(term) }
}

/// A number of digits and at most one point.
fn number(text: &str) -> Option<Term> {
    if text.contains('.') {
        return Some(Term::other(Number::Float(text.parse().ok()?)));
    }
    Some(Term { value: Number::Int(text.parse().ok()?), kind: Kind::Integer })
}

struct Reader<'a> {
    rest: &'a str,
    names: &'a [(char, Number)],
    depth: usize,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
            let Some(rest) = SPACES.iter().find_map(|space| self.rest.strip_prefix(space)) else {
                return;
            };
            self.rest = rest;
        }
    }

    /// Takes the first of some signs that comes next.
    fn takes(&mut self, signs: &[&str]) -> bool {
        self.skip_space();
        let rest = signs.iter().find_map(|sign| self.rest.strip_prefix(sign));
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Option<Term>) -> Option<Term> {
        if self.depth == DEPTH {
            return None;
        }
        self.depth += 1;
        let term = read(self);
        self.depth -= 1;
        term
    }

    fn sum(&mut self) -> Option<Term> {
        let mut term = self.nested(Self::product)?;
        loop {
            let value = if self.takes(&["+"]) {
                add(term.value, self.product()?.value)
            } else if self.takes(&["-", "\u{2212}"]) {
                term.value.minus(self.product()?.value)
            } else {
                return Some(term);
            };
            term = Term::other(value.ok()?);
        }
    }

    fn product(&mut self) -> Option<Term> {
        let mut term = self.unary()?;
        loop {
            term = if self.takes(&["*", "×", "\\times", "\\cdot"]) {
                Term::other(multiply(term.value, self.unary()?.value).ok()?)
            } else if self.takes(&["/", ":", "÷", "\\div"]) {
                term.over(self.unary()?)?
            } else {
                return Some(term);
            };
        }
    }

    fn unary(&mut self) -> Option<Term> {
        if self.takes(&["+"]) {
            return self.nested(Self::unary);
        }
        if self.takes(&["-", "\u{2212}"]) {
            return self.nested(Self::unary)?.negative();
        }
        let mut terms = vec![self.power()?];
        while self.begins_atom() {
            terms.push(self.power()?);
        }
        // The last two join first.
        let last = terms.pop()?;
        terms.into_iter().rev().try_fold(last, |right, left| left.beside(right))
    }

    fn begins_atom(&mut self) -> bool {
        self.skip_space();
        self.rest.starts_with(|c: char| c.is_ascii_alphanumeric() || "([.".contains(c))
            || self.rest.starts_with("\\frac")
            || self.rest.starts_with("\\text")
    }

    fn power(&mut self) -> Option<Term> {
        let mut term = self.atom()?;
        loop {
            if self.takes(&["^\\circ", "^{\\circ}"]) {
                continue;
            }
            if !self.takes(&["^"]) {
                return Some(term);
            }
            self.skip_space();
            let exponent = match self.rest.chars().next()? {
                '{' => self.braces()?,
                '(' | '[' => return None,
                _ => self.atom()?,
            };
            // It is printed as a square root, a name that Python does not know.
            if exponent.kind == Kind::Rational && exponent.value.float().abs() == 0.5 {
                return None;
            }
            term = Term::other(power(term.value, exponent.value).ok()?);
        }
    }

    fn atom(&mut self) -> Option<Term> {
        if self.takes(&["\\frac"]) {
            let above = self.braces()?;
            return above.over(self.braces()?);
        }
        if self.takes(&["\\text"]) {
            self.skip_space();
            let inner = braced(self.rest)?;
            let term = self.text(inner)?;
            self.rest = self.rest.split_once('}')?.1;
            return Some(term);
        }
        for (open, close) in [("(", ")"), ("[", "]")] {
            if self.takes(&[open]) {
                let term = self.nested(Self::sum)?;
                return self.takes(&[close]).then_some(term);
            }
        }
        let first = self.rest.chars().next()?;
        if first.is_ascii_alphabetic() {
            self.rest = &self.rest[1..];
            return self.symbol(first);
        }
        self.number()
    }

    /// Words in braces are a symbol, which prints as what it is called.
    fn text(&self, inner: &str) -> Option<Term> {
        let mut characters = inner.chars();
        match (characters.next()?, characters.next()) {
            (letter, None) if letter.is_ascii_alphabetic() => self.symbol(letter),
            _ if inner.bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
                Some(Term::other(number(inner)?.value))
            }
            _ => None,
        }
    }

    fn symbol(&self, letter: char) -> Option<Term> {
        let bound = self.names.iter().find(|(name, _)| *name == letter);
        let value = match (bound, letter) {
            (Some((_, value)), _) => *value,
            (None, 'a' | 'b') => Number::Float(f64::NAN),
            _ => return None,
        };
        Some(Term { value, kind: Kind::Symbol(letter) })
    }

    fn braces(&mut self) -> Option<Term> {
        if !self.takes(&["{"]) {
            return None;
        }
        let term = self.nested(Self::sum)?;
        self.takes(&["}"]).then_some(term)
    }

    fn number(&mut self) -> Option<Term> {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut end = digits(self.rest);
        let fraction = self.rest[end..].strip_prefix('.').map_or(0, digits);
        if fraction > 0 {
            end += 1 + fraction;
        }
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        number(text)
    }
}

#[cfg(test)]
#[path = "latex_tests.rs"]
mod tests;
