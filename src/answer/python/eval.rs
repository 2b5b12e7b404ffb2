//! Python expressions that two published scorers run with `eval`: literals and arithmetic.
//!
//! Text is read by a recursive-descent parser of bounded depth and length; nothing is executed.
//! What it does not know (calls, comparisons, comprehensions, attributes) raises, as an undefined
//! name would.

use super::number::int;
use super::operator::{Number, OVERFLOW, TYPE, add, divide, floor_divide, modulo, multiply, power};
use super::value::Py;
use super::{Exception, PyResult};

/// Nesting beyond this raises; Python stops at 200 brackets.
const DEPTH: usize = 100;
/// Longer text raises.
const LENGTH: usize = 10_000;

const SYNTAX: Exception = Exception("SyntaxError");
const NAME: Exception = Exception("NameError");

/// `eval(text)` with some names bound.
///
/// # Errors
///
/// The exception that Python raises, where the text is within what is read here.
pub fn eval(text: &str, names: &[(&str, &Py)]) -> PyResult<Py> {
    if text.len() > LENGTH {
        return Err(SYNTAX);
    }
    let text = text.trim_start_matches([' ', '\t']);
    let mut reader = Reader { rest: text, names, depth: 0 };
    let mut first = reader.expression()?;
    if reader.takes(',') {
        let mut items = vec![first];
        while !reader.is_done() {
            items.push(reader.expression()?);
            if !reader.takes(',') {
                break;
            }
        }
        first = Py::Tuple(items);
    }
    if reader.is_done() { Ok(first) } else { Err(SYNTAX) }
}

/// The elements of a text that evaluates to a list; none where it does not.
pub fn list(text: &str) -> Option<Vec<Py>> {
    match eval(text, &[]) {
        Ok(Py::List(items)) => Some(items),
        _ => None,
    }
}

struct Reader<'a> {
    rest: &'a str,
    names: &'a [(&'a str, &'a Py)],
    depth: usize,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\u{c}', '\n', '\r']);
        // A comment ends the line.
        while self.rest.starts_with('#') {
            let line = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
            self.rest = line.trim_start_matches([' ', '\t', '\u{c}', '\n', '\r']);
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.rest.chars().next()
    }

    fn is_done(&mut self) -> bool {
        self.peek().is_none()
    }

    fn takes(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.rest = &self.rest[c.len_utf8()..];
        }
        found
    }

    /// Takes an operator that no longer one begins with.
    fn takes_operator(&mut self, operator: &str, not: &[&str]) -> bool {
        self.skip_space();
        let found =
            self.rest.starts_with(operator) && !not.iter().any(|long| self.rest.starts_with(long));
        if found {
            self.rest = &self.rest[operator.len()..];
        }
        found
    }

    /// `^`, the exclusive or, is the loosest operator that is read.
    fn expression(&mut self) -> PyResult<Py> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(SYNTAX);
        }
        let mut value = self.sum()?;
        while self.takes('^') {
            let other = self.sum()?;
            value = match (Number::of(&value)?, Number::of(&other)?) {
                (Number::Int(a), Number::Int(b)) => Number::Int(a ^ b).value(),
                _ => return Err(TYPE),
            };
        }
        self.depth -= 1;
        Ok(value)
    }

    fn sum(&mut self) -> PyResult<Py> {
        let mut value = self.product()?;
        loop {
            let minus = self.takes('-');
            if !minus && !self.takes('+') {
                return Ok(value);
            }
            let (a, b) = (value, self.product()?);
            let (a, b) = (Number::of(&a)?, Number::of(&b)?);
            value = if minus { a.minus(b) } else { add(a, b) }?.value();
        }
    }

    fn product(&mut self) -> PyResult<Py> {
        let mut value = self.signed()?;
        loop {
            let operation: fn(Number, Number) -> PyResult<Number> =
                if self.takes_operator("//", &[]) {
                    floor_divide
                } else if self.takes('/') {
                    divide
                } else if self.takes('%') {
                    modulo
                } else if self.takes_operator("*", &["**"]) {
                    multiply
                } else {
                    return Ok(value);
                };
            let (a, b) = (value, self.signed()?);
            value = operation(Number::of(&a)?, Number::of(&b)?)?.value();
        }
    }

    fn signed(&mut self) -> PyResult<Py> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(SYNTAX);
        }
        let value = if self.takes('-') {
            let value = self.signed()?;
            match Number::of(&value)? {
                Number::Int(number) => Number::Int(number.checked_neg().ok_or(OVERFLOW)?),
                Number::Float(number) => Number::Float(-number),
            }
            .value()
        } else if self.takes('+') {
            let value = self.signed()?;
            Number::of(&value)?.value()
        } else {
            let base = self.atom()?;
            if self.takes_operator("**", &[]) {
                let exponent = self.signed()?;
                power(Number::of(&base)?, Number::of(&exponent)?)?.value()
            } else {
                base
            }
        };
        self.depth -= 1;
        Ok(value)
    }

    fn atom(&mut self) -> PyResult<Py> {
        match self.peek().ok_or(SYNTAX)? {
            '(' => {
                self.takes('(');
                let (mut items, comma) = self.items(')')?;
                Ok(if items.len() == 1 && !comma { items.remove(0) } else { Py::Tuple(items) })
            }
            '[' => {
                self.takes('[');
                Ok(Py::List(self.items(']')?.0))
            }
            quote @ ('"' | '\'') => self.text(quote),
            c if c.is_ascii_digit() || c == '.' => self.number(),
            c if c.is_ascii_alphabetic() || c == '_' => {
                let end = self
                    .rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(self.rest.len());
                let (name, rest) = self.rest.split_at(end);
                self.rest = rest;
                match name {
                    "None" => Ok(Py::None),
                    "True" => Ok(Py::Bool(true)),
                    "False" => Ok(Py::Bool(false)),
                    name => {
                        let bound = self.names.iter().find(|(known, _)| *known == name);
                        bound.map(|(_, value)| (*value).clone()).ok_or(NAME)
                    }
                }
            }
            _ => Err(SYNTAX),
        }
    }

    /// Elements up to a closing bracket, and whether a comma follows any.
    fn items(&mut self, close: char) -> PyResult<(Vec<Py>, bool)> {
        let mut items = Vec::new();
        let mut comma = false;
        while !self.takes(close) {
            if !items.is_empty() && !comma {
                return Err(SYNTAX);
            }
            items.push(self.expression()?);
            comma = self.takes(',');
        }
        Ok((items, comma))
    }

    fn number(&mut self) -> PyResult<Py> {
        let bytes = self.rest.as_bytes();
        let mut end = 0;
        while let Some(&byte) = bytes.get(end) {
            let sign = matches!(byte, b'+' | b'-') && end > 0 && bytes[end - 1] | 32 == b'e';
            if !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.' || sign) {
                break;
            }
            end += 1;
        }
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') {
            // "007" is no integer, "000" is one.
            let digits = int(text).ok_or(SYNTAX)?;
            let leading_zero = text.starts_with('0') && digits != "0";
            return if leading_zero { Err(SYNTAX) } else { Ok(Py::Int(digits)) };
        }
        let radix = match text.get(..2) {
            Some("0x" | "0X") => 16,
            Some("0o" | "0O") => 8,
            Some("0b" | "0B") => 2,
            _ => {
                let is_float = text.bytes().any(|byte| byte.is_ascii_digit())
                    && text.bytes().all(|byte| !byte.is_ascii_alphabetic() || byte | 32 == b'e');
                let number = super::number::float(text).filter(|_| is_float);
                return number.map(Py::Float).ok_or(SYNTAX);
            }
        };
        let number = i128::from_str_radix(&text[2..], radix).map_err(|_| SYNTAX)?;
        Ok(Py::Int(number.to_string()))
    }

    fn text(&mut self, quote: char) -> PyResult<Py> {
        let mut text = String::new();
        let mut rest = self.rest[1..].chars();
        loop {
            match rest.next().ok_or(SYNTAX)? {
                c if c == quote => break,
                '\n' => return Err(SYNTAX),
                '\\' => match rest.next().ok_or(SYNTAX)? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    c @ ('\\' | '\'' | '"') => text.push(c),
                    'x' => text.push(code(&mut rest, 2)?),
                    'u' => text.push(code(&mut rest, 4)?),
                    'U' => text.push(code(&mut rest, 8)?),
                    other => text.extend(['\\', other]),
                },
                c => text.push(c),
            }
        }
        self.rest = rest.as_str();
        Ok(Py::Str(text))
    }
}

/// The character of some hexadecimal digits.
fn code(rest: &mut std::str::Chars<'_>, digits: usize) -> PyResult<char> {
    let text: String = rest.take(digits).collect();
    let code = u32::from_str_radix(&text, 16).map_err(|_| SYNTAX)?;
    if text.len() == digits { char::from_u32(code).ok_or(SYNTAX) } else { Err(SYNTAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn gives(text: &str, repr: &str) {
        assert_eq!(eval(text, &[]).map(|value| value.repr()).as_deref(), Ok(repr), "{text}");
    }

    #[test]
    fn arithmetic_follows_python() {
        gives("2*3+1", "7");
        gives("-7//2", "-4");
        gives("7//-2", "-4");
        gives("-7 % 3", "2");
        gives("-2**2", "-4");
        gives("2**-1", "0.5");
        gives("2**3**2", "512");
        gives("2^3", "1");
        gives("6/4", "1.5");
        gives("1,000", "(1, 0)");
        gives("(1)", "1");
        gives("(1,)", "(1,)");
        gives("1_000 + 0x10", "1016");
        gives("1e3", "1000.0");
        gives("--5", "5");
    }

    #[test]
    fn what_python_refuses_raises() {
        for (text, exception) in [
            ("", "SyntaxError"),
            ("007", "SyntaxError"),
            ("50%", "SyntaxError"),
            ("1 000", "SyntaxError"),
            ("\u{2212}3", "SyntaxError"),
            ("１２", "SyntaxError"),
            ("dog", "NameError"),
            ("1/0", "ZeroDivisionError"),
            ("'a' - 1", "TypeError"),
        ] {
            assert_eq!(eval(text, &[]), Err(Exception(exception)), "{text}");
        }
        assert!(eval(&"(".repeat(5000), &[]).is_err());
        assert!(eval(&"-".repeat(5000), &[]).is_err());
    }

    #[test]
    fn names_are_bound() {
        let five = Py::Int("5".into());
        assert_eq!(eval("(a)+1", &[("a", &five)]).map(|value| value.repr()).as_deref(), Ok("6"));
    }

    #[test]
    fn lists_are_told_from_other_text() {
        let reprs = |text: &str| list(text).map(|items| Py::List(items).repr());
        assert_eq!(reprs(" [0.5, '0.6', ]").as_deref(), Some("[0.5, '0.6']"));
        assert_eq!(reprs("[]").as_deref(), Some("[]"));
        assert_eq!(reprs("[1/2, [\"a\\n\"]]").as_deref(), Some("[0.5, ['a\\n']]"));
        for not_one in ["1, 2", "[a]", "[1 2]", "[1", "list()", "(1)", "\n", "[,]"] {
            assert_eq!(reprs(not_one), None, "{not_one}");
        }
    }
}
