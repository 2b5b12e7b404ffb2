//! Formulas with letters: `\frac{a}{2}` is `a/2`, and `a + b` is `b + a`.
//!
//! ```text
//! sum     = product { (+|−|±) product }
//! product = signed { (×|÷|nothing) signed }
//! signed  = { (+|−|±) } power
//! power   = atom [ ^ exponent ]
//! atom    = number | letters | ( sum ) | | sum | | \frac … | √ … | sin …
//! ```
//!
//! Both sides are evaluated at a few fixed points, and equal where they agree at all that both are
//! defined at. Nothing is executed: text is short, nesting bounded, and each operation takes constant time.

mod plain;
mod sides;

use super::quantity::LENGTH;
use crate::answer::python::text::len;
use plain::plain;
use sides::{sides, turned};
use std::collections::BTreeSet;

/// Deepest nesting.
const DEPTH: usize = 24;
/// Points at which formulas are compared.
const POINTS: usize = 8;
/// Fewest of them at which both must be defined.
const LEAST: usize = 3;
/// How far values may lie apart, as a share.
const NEAR: f64 = 1e-9;
/// Most letters of one name: longer ones are words.
const LONGEST: usize = 3;

const EULER: &str = "e";

/// Names of functions of one argument.
const FUNCTIONS: [&str; 11] =
    ["sin", "cos", "tan", "cot", "sec", "csc", "ln", "log", "lg", "exp", "sqrt"];

/// Whether a known answer is a formula with letters, or with ±, and another answer is the same one.
///
/// Either may say what it is the value of: `y = 2x` and `2x`. Both have the same letters; longer
/// words, lists and units are no formulas.
pub fn equal(gold: &str, prediction: &str) -> bool {
    if len(gold) > LENGTH || len(prediction) > LENGTH {
        return false;
    }
    let (Some(gold), Some(prediction)) = (plain(gold), plain(prediction)) else { return false };
    let bare = |text: &str| text.replace([' ', '*'], "");
    // `2x` is `x * 2`.
    let is_product = is_multiple(&bare(&gold)) && prediction.contains('*');
    if !is_formula(&gold) && !is_product {
        // `2x` is `2 x`; a letter and a digit alone may be anything's name.
        return is_multiple(&bare(&gold)) && bare(&gold) == bare(&prediction);
    }
    let (golds, said) = (sides(&gold), sides(&prediction));
    match (golds.as_slice(), said.as_slice()) {
        ([(_, gold)], [(_, said)]) => same(gold, said),
        ([name, (sign, gold)], [other, (relation, said)]) => {
            let straight = sign == relation && same(name.1, other.1) && same(gold, said);
            // `5 < x` is `x > 5`.
            straight || *sign == turned(*relation) && same(name.1, said) && same(gold, other.1)
        }
        ([name, ('=', value)], [(_, other)]) | ([(_, other)], [name, ('=', value)]) => {
            is_name(name.1) && same(value, other)
        }
        _ => false,
    }
}

/// Whether a text has a letter beside an operation, or ±.
fn is_formula(text: &str) -> bool {
    let operates = text.contains(['+', '-', '*', '/', '^', '√', '\\', '=', '<', '>', '≤', '≥'])
        || text.chars().any(is_greek)
        || FUNCTIONS
            .iter()
            .any(|name| text.contains(&format!("{name} ")) || text.contains(&format!("{name}(")));
    text.contains(['±', '∓']) || operates && text.contains(char::is_alphabetic)
}

/// Whether a text is a number and a letter behind it.
fn is_multiple(text: &str) -> bool {
    let letter = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    letter.len() < text.len() && letter.len() == 1 && letter.chars().all(char::is_alphabetic)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.trim().chars().all(|c| c.is_alphanumeric() || c == '_' || c == ' ')
}

fn is_greek(c: char) -> bool {
    ('α'..='ω').contains(&c) || ('Α'..='Ω').contains(&c)
}

/// Whether two formulas have the same letters, and one value wherever both have one.
fn same(gold: &str, said: &str) -> bool {
    let (Some(mut names), Some(mut others)) = (names(gold), names(said)) else { return false };
    // Euler's number has one value, and `exp(x)` does not name it.
    names.remove(EULER);
    others.remove(EULER);
    if names != others {
        return false;
    }
    let names: Vec<String> = names.into_iter().collect();
    let mut defined = 0;
    for point in 0..POINTS {
        for sign in [1.0, -1.0] {
            let letter = |name: &str| match name {
                EULER => std::f64::consts::E,
                name => at(point, place(&names, name)),
            };
            let value = |text| read(text, &letter, sign);
            let (Some(a), Some(b)) = (value(gold), value(said)) else { return false };
            if !a.is_finite() || !b.is_finite() {
                continue;
            }
            defined += 1;
            if (a - b).abs() > NEAR * a.abs().max(b.abs()).max(NEAR) {
                return false;
            }
        }
    }
    defined >= 2 * LEAST
}

/// The value of a letter at a point: rational, of both signs, and of no simple relation to the others'.
fn at(point: usize, letter: usize) -> f64 {
    let value = (13 * letter + 7 * point + 5) as f64 / (3 * point + 4) as f64;
    if point > 0 && (point + letter).is_multiple_of(2) { -value } else { value }
}

fn place(names: &[String], name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or(names.len())
}

/// The letters of a formula; none where it is none.
fn names(text: &str) -> Option<BTreeSet<String>> {
    let names = std::cell::RefCell::new(BTreeSet::new());
    let note = |name: &str| {
        names.borrow_mut().insert(name.to_owned());
        1.0
    };
    read(text, &note, 1.0)?;
    Some(names.into_inner())
}

/// The value of a formula, which is not finite where it has none; nothing where it is no formula. ± is
/// plus where the sign is 1.
fn read(text: &str, letter: &dyn Fn(&str) -> f64, sign: f64) -> Option<f64> {
    let mut reader = Reader { rest: text.trim(), letter, sign, depth: 0 };
    let value = reader.sum()?;
    reader.skip_space();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
    letter: &'a dyn Fn(&str) -> f64,
    sign: f64,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn takes(&mut self, wanted: &str) -> bool {
        self.skip_space();
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Option<f64>) -> Option<f64> {
        if self.depth == DEPTH {
            return None;
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// A plus or minus, or ±, as the factor that it is.
    fn takes_sign(&mut self) -> Option<f64> {
        let signs = [("+", 1.0), ("-", -1.0), ("±", self.sign), ("∓", -self.sign)];
        signs.into_iter().find_map(|(sign, factor)| self.takes(sign).then_some(factor))
    }

    fn sum(&mut self) -> Option<f64> {
        self.nested(|reader| {
            let mut value = reader.product()?;
            while let Some(factor) = reader.takes_sign() {
                value += factor * reader.product()?;
            }
            Some(value)
        })
    }

    fn product(&mut self) -> Option<f64> {
        let mut value = self.signed()?;
        loop {
            if self.takes("*") {
                value *= self.signed()?;
            } else if self.takes("/") {
                value /= self.signed()?;
            } else if self.begins_factor() {
                value *= self.power()?;
            } else {
                return Some(value);
            }
        }
    }

    /// Whether a factor follows without a sign. Digits behind a letter are part of a name.
    fn begins_factor(&mut self) -> bool {
        self.skip_space();
        self.rest.starts_with(|c: char| c.is_alphabetic() || "(\\√°".contains(c))
    }

    fn signed(&mut self) -> Option<f64> {
        match self.takes_sign() {
            Some(factor) => self.nested(|reader| Some(factor * reader.signed()?)),
            None => self.power(),
        }
    }

    fn power(&mut self) -> Option<f64> {
        let base = self.atom()?;
        if !self.takes("^") {
            return Some(base);
        }
        Some(base.powf(self.exponent()?))
    }

    fn exponent(&mut self) -> Option<f64> {
        self.nested(|reader| if reader.takes("{") { reader.closed("}") } else { reader.signed() })
    }

    /// An argument of a fraction: `\frac12` is one half.
    fn half(&mut self) -> Option<f64> {
        self.skip_space();
        match self.rest.chars().next()?.to_digit(10) {
            Some(digit) => {
                self.rest = &self.rest[1..];
                Some(digit.into())
            }
            None => self.argument(),
        }
    }

    /// A sum, and the bracket behind it.
    fn closed(&mut self, close: &str) -> Option<f64> {
        let value = self.sum()?;
        self.takes(close).then_some(value)
    }

    fn atom(&mut self) -> Option<f64> {
        self.skip_space();
        for (open, close) in [("(", ")"), ("[", "]"), ("{", "}")] {
            if self.takes(open) {
                return self.closed(close);
            }
        }
        if self.takes("|") {
            return self.closed("|").map(f64::abs);
        }
        if self.takes("\\frac") {
            let above = self.nested(Self::half)?;
            return Some(above / self.nested(Self::half)?);
        }
        if self.takes("√") {
            let root = if self.takes("[") { self.closed("]")? } else { 2.0 };
            let value = self.nested(Self::argument)?;
            return Some(if root == 2.0 { value.sqrt() } else { value.powf(root.recip()) });
        }
        if self.takes("π") {
            return Some(std::f64::consts::PI);
        }
        if self.takes("°") {
            return Some((self.letter)("°"));
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            let is_digit = |c: char| c.is_ascii_digit() || c == '.';
            return self.part(is_digit).parse().ok();
        }
        let word = self.part(char::is_alphabetic);
        match word {
            "" => None,
            word if FUNCTIONS.contains(&word) => self.nested(|reader| reader.function(word)),
            word if word.chars().count() > LONGEST => None,
            word => self.named(word),
        }
    }

    /// What begins the rest, taken.
    fn part(&mut self, is: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !is(c)).unwrap_or(self.rest.len());
        let (part, rest) = self.rest.split_at(end);
        self.rest = rest;
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_compared_by_value() {
        for (gold, same) in [
            (r"\frac{a}{2}", &[r"\dfrac{a}{2}", "a/2", "0.5a", r"$\frac a2$", r"\frac{1}{2}a"][..]),
            (r"2\pi r", &["2πr", "2 π r", "2*pi*r", r"$2 \pi r$", "2πr."]),
            ("x^2-1", &["x²-1", "x^{2} - 1", "(x-1)(x+1)", "-1+x^2"]),
            ("a+b", &["b+a", "a + b", "$a+b$", r"\(b + a\)"]),
            ("a^2+b^2", &["$a^{2}+b^{2}$", "b²+a²"]),
            ("2x", &["2 x", "2*x", r"2\cdot x", "$2x$"]),
            (r"\pm 3", &["±3", r"$\pm3$", "± 3"]),
            (r"1 \pm \sqrt{x}", &["1±√x", r"\pm\sqrt{x} + 1"]),
            ("y = 2x + 1", &["2x+1", "y=1+2x", "$y = 2x + 1$"]),
            ("x > 3", &["x>3", r"$x \gt 3$"]),
            (r"x \leq 3", &["x ≤ 3", "x<=3"]),
            (r"\sin 2x", &["sin(2x)", r"2\sin x\cos x", r"\sin{2x}"]),
            (r"\sin^2 x", &["(sin x)^2", r"1-\cos^{2}x"]),
            (r"\sqrt{a^2+b^2}", &["√(a²+b²)", "(a^2+b^2)^(1/2)", "sqrt(a^2+b^2)"]),
            (r"180 - 2\alpha", &["180-2α", r"2(90-\alpha)"]),
            ("x_1 + x_2", &["x_2+x_1", "x_{1}+x_{2}", "x₁+x₂"]),
            (r"\frac{ab}{2}", &["ab/2", r"\dfrac{1}{2}ab"]),
            ("m/s^2", &["m/s²"]),
            ("2x", &[r"x \cdot 2", "x·2"]),
            ("e^x", &["exp(x)", r"\exp(x)", r"e^{x}"]),
            ("x > 5", &["5 < x"]),
            (r"x \leq 5", &["5 ≥ x"]),
            ("y = 2x + 1", &["2x + 1 = y"]),
            (r"\boxed{n+1}", &["1+n"]),
        ] {
            for said in same {
                assert!(equal(gold, said), "{gold} {said}");
            }
        }
    }

    #[test]
    fn others_and_what_is_no_formula_differ() {
        for (gold, said) in [
            (r"\frac{a}{2}", r"\frac{2}{a}"),
            (r"\frac{a}{2}", "a"),
            ("a+b", "a-b"),
            ("x > 5", "5 > x"),
            ("x > 5", "x < 5"),
            ("x > 5", "5 ≤ x"),
            ("e^x", "exp(2x)"),
            ("2x", "x*3"),
            ("2x", "y*2"),
            ("ex", "x"),
            ("a+b", "x+y"),
            ("a-b", "b-a"),
            ("x^2", "2x"),
            (r"\sqrt{x^2}", "x"),
            ("2x", "3x"),
            ("2x", "x2"),
            ("2x", "2x+1"),
            (r"\pm 3", "3"),
            (r"\pm 3", "-3"),
            ("x > 3", "x < 3"),
            ("y = 2x", "y = 3x"),
            ("x", "x"),
            ("A4", "4A"),
            ("AB-12", "BA-12"),
            ("AB-12", "12-BA"),
            ("C4-H10", "4C-10H"),
            ("red-yellow", "-yellow+red"),
            ("well known", "known well"),
            ("cat", "tac"),
            ("(x, y)", "(y, x)"),
            ("a+", "a"),
            ("a/0", "b/0"),
            ("0/x", "x/0"),
            ("x+1", ""),
            (r"\foo{x}+1", r"1+\foo{x}"),
        ] {
            assert!(!equal(gold, said), "{gold} {said}");
        }
        assert!(!equal(&format!("{}x+1", "(".repeat(100)), "x+1"));
        assert!(!equal(&format!("{}x", "-".repeat(100)), "x"));
    }
}
