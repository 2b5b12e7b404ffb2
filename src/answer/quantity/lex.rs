//! Text to tokens: one form for every way of writing a sign.

use crate::answer::python::number::digit;
use crate::answer::python::text::is_space;

/// A piece of a number.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// Digits, with whether they are a plain integer.
    Number(f64, bool),
    /// A fraction of one sign: ½.
    Fraction(f64),
    /// `+ - * / ^ ! = |`.
    Sign(char),
    /// Any opening bracket.
    Open(char),
    /// Any closing bracket.
    Close(char),
    /// A percent sign.
    Percent,
    /// A degree sign.
    Degree,
    /// A LaTeX command without its backslash: `frac`, `sqrt`, `pi`.
    Command(String),
    /// Letters.
    Word(String),
    /// White space, which parts a mixed number's halves and nothing else.
    Space,
}

/// Signs with a value: fractions.
const FRACTIONS: [(char, f64); 15] = [
    ('½', 1.0 / 2.0),
    ('⅓', 1.0 / 3.0),
    ('⅔', 2.0 / 3.0),
    ('¼', 1.0 / 4.0),
    ('¾', 3.0 / 4.0),
    ('⅕', 1.0 / 5.0),
    ('⅖', 2.0 / 5.0),
    ('⅗', 3.0 / 5.0),
    ('⅘', 4.0 / 5.0),
    ('⅙', 1.0 / 6.0),
    ('⅚', 5.0 / 6.0),
    ('⅛', 1.0 / 8.0),
    ('⅜', 3.0 / 8.0),
    ('⅝', 5.0 / 8.0),
    ('⅞', 7.0 / 8.0),
];

const SUPERSCRIPTS: &str = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/// Words that mean what their command means.
const FUNCTIONS: [&str; 6] = ["sqrt", "cbrt", "pi", "sin", "cos", "tan"];

/// Commands that wrap their argument without a meaning of their own.
const WRAPPERS: [&str; 12] = [
    "text",
    "textbf",
    "textit",
    "mathrm",
    "mathbf",
    "mathit",
    "mathsf",
    "mbox",
    "operatorname",
    "boxed",
    "fbox",
    "displaystyle",
];

/// Commands that only space or size.
const EMPTY: [&str; 10] =
    ["left", "right", "big", "Big", "bigl", "bigr", "quad", "qquad", "limits", "displaystyle"];

/// The tokens of a text; none where a sign means nothing in a number.
pub fn tokens(text: &str) -> Option<Vec<Token>> {
    let text = text.trim_matches(is_space);
    let text = text.trim_matches(|c| "`_\"'“”".contains(c));
    // Emphasis stands on both sides; "2**" is an unfinished power.
    let text = if text.starts_with('*') { text.trim_matches('*') } else { text };
    let text = text.trim_matches(is_space);
    let text = text.strip_suffix(['.', '。']).unwrap_or(text);
    let characters: Vec<char> = text.chars().map(plain).collect();
    let mut lexer = Lexer { characters: &characters, place: 0, tokens: Vec::new() };
    while lexer.place < characters.len() {
        lexer.next()?;
    }
    let mut tokens = lexer.tokens;
    while tokens.last() == Some(&Token::Space) {
        tokens.pop();
    }
    Some(tokens)
}

/// One character for all that mean the same.
fn plain(c: char) -> char {
    match c {
        '\u{2212}' | '\u{2013}' | '\u{2014}' | '\u{fe63}' | '\u{ff0d}' | '\u{2010}'
        | '\u{2011}' => '-',
        '×' | '·' | '∙' | '⋅' | '✕' | '＊' => '*',
        '÷' | '∕' | '⁄' | '／' => '/',
        '＋' => '+',
        '＝' => '=',
        '（' => '(',
        '）' => ')',
        '，' => ',',
        '．' => '.',
        '％' | '﹪' => '%',
        'º' | '˚' => '°',
        c => digit(c).unwrap_or(c),
    }
}

struct Lexer<'a> {
    characters: &'a [char],
    place: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn at(&self, place: usize) -> Option<char> {
        self.characters.get(place).copied()
    }

    fn next(&mut self) -> Option<()> {
        let c = self.at(self.place)?;
        let begins_decimal =
            c == '.' && self.at(self.place + 1).is_some_and(|c| c.is_ascii_digit());
        if c.is_ascii_digit() || begins_decimal {
            let token = self.number()?;
            self.tokens.push(token);
            return Some(());
        }
        self.place += 1;
        let token = match c {
            c if is_space(c) || c == '~' => Token::Space,
            // What stands before a price, `parse` reads; neither it nor an angle's name changes a number.
            '$' | '€' | '£' | '¥' | '₩' | '∠' => return Some(()),
            '+' | '-' | '*' | '/' | '^' | '!' | '=' | '|' => Token::Sign(c),
            '≈' | '≃' | '∼' => Token::Sign('='),
            '(' | '[' | '{' => Token::Open(c),
            ')' | ']' | '}' => Token::Close(c),
            '%' => Token::Percent,
            '°' | '∘' => Token::Degree,
            'π' => Token::Command("pi".to_owned()),
            '√' => Token::Command("sqrt".to_owned()),
            '∛' => Token::Command("cbrt".to_owned()),
            '\\' => return self.command(),
            c if SUPERSCRIPTS.contains(c) => return self.superscript(c),
            c if c.is_alphabetic() => {
                self.place -= 1;
                self.word()
            }
            c => {
                let (_, value) = FRACTIONS.into_iter().find(|(sign, _)| *sign == c)?;
                Token::Fraction(value)
            }
        };
        if token != Token::Space || self.tokens.last().is_some_and(|last| *last != Token::Space) {
            self.tokens.push(token);
        }
        Some(())
    }

    /// Digits, thousand separators that part groups of three, decimals and an exponent.
    fn number(&mut self) -> Option<Token> {
        let mut text = self.digits();
        let first = text.len();
        let mut is_integer = true;
        while (1..=3).contains(&first) && self.separates_thousands() {
            self.place += 1;
            text.push_str(&self.digits());
        }
        let decimal = |place| self.at(place).is_some_and(|c| c.is_ascii_digit());
        if self.at(self.place) == Some('.') && (decimal(self.place + 1) || first > 0) {
            self.place += 1;
            is_integer = false;
            text = format!("{text}.{}", self.digits());
        }
        if !is_integer && let Some(value) = self.repeating(&text) {
            return Some(Token::Number(value, false));
        }
        if matches!(self.at(self.place), Some('e' | 'E')) {
            let signed = matches!(self.at(self.place + 1), Some('+' | '-'));
            let from = self.place + 1 + usize::from(signed);
            if self.at(from).is_some_and(|c| c.is_ascii_digit()) {
                let sign = if signed { self.at(self.place + 1)? } else { '+' };
                self.place = from;
                text = format!("0{text}e{sign}{}", self.digits());
                is_integer = false;
            }
        }
        // A further comma or period makes it a list, a date or a version.
        if matches!(self.at(self.place), Some(',' | '.' | ':')) {
            return None;
        }
        Some(Token::Number(format!("0{text}").parse().ok()?, is_integer))
    }

    /// The value of decimals that go on for ever, `1.\overline{3}`; what is repeated is taken.
    fn repeating(&mut self, written: &str) -> Option<f64> {
        let over: Vec<char> = "\\overline{".chars().collect();
        let inner = self.characters.get(self.place..)?.strip_prefix(over.as_slice())?;
        let length =
            inner.iter().position(|&c| c == '}').filter(|length| (1..=6).contains(length))?;
        let digits: String = inner[..length].iter().collect();
        let repeated: f64 =
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse())?.ok()?;
        let places = written.rsplit_once('.')?.1.len() as i32;
        self.place += over.len() + length + 1;
        let share = repeated / (10f64.powi(length as i32) - 1.0);
        Some(format!("0{written}0").parse::<f64>().ok()? + share / 10f64.powi(places))
    }

    /// Whether a comma or a thin space and exactly three digits follow.
    fn separates_thousands(&self) -> bool {
        let is_digit = |offset| self.at(self.place + offset).is_some_and(|c| c.is_ascii_digit());
        matches!(self.at(self.place), Some(',' | '\u{202f}' | '\u{2009}' | '\u{a0}'))
            && is_digit(1)
            && is_digit(2)
            && is_digit(3)
            && !is_digit(4)
    }

    fn digits(&mut self) -> String {
        let from = self.place;
        while self.at(self.place).is_some_and(|c| c.is_ascii_digit()) {
            self.place += 1;
        }
        self.characters[from..self.place].iter().collect()
    }

    fn word(&mut self) -> Token {
        let from = self.place;
        while self.at(self.place).is_some_and(char::is_alphabetic) {
            self.place += 1;
        }
        let word: String = self.characters[from..self.place].iter().collect();
        match word.to_lowercase() {
            name if FUNCTIONS.contains(&name.as_str()) => Token::Command(name),
            word => Token::Word(word),
        }
    }

    fn superscript(&mut self, first: char) -> Option<()> {
        self.place -= 1;
        let mut value = 0.0;
        let mut next = Some(first);
        while let Some(digit) = next.and_then(|c| SUPERSCRIPTS.chars().position(|known| known == c))
        {
            value = 10.0 * value + digit as f64;
            self.place += 1;
            next = self.at(self.place);
        }
        self.tokens.extend([Token::Sign('^'), Token::Number(value, true)]);
        Some(())
    }

    /// A backslash has been read.
    fn command(&mut self) -> Option<()> {
        let from = self.place;
        while self.at(self.place).is_some_and(|c| c.is_ascii_alphabetic()) {
            self.place += 1;
        }
        let name: String = self.characters[from..self.place].iter().collect();
        let token = match name.as_str() {
            "" => {
                let sign = self.at(self.place)?;
                self.place += 1;
                match sign {
                    '%' => Token::Percent,
                    '$' | '(' | ')' | '!' | '[' | ']' => return Some(()),
                    ',' | ';' | ':' | ' ' => Token::Space,
                    '{' => Token::Open('{'),
                    '}' => Token::Close('}'),
                    _ => return None,
                }
            }
            "times" | "cdot" => Token::Sign('*'),
            "div" => Token::Sign('/'),
            "approx" => Token::Sign('='),
            "circ" | "degree" => Token::Degree,
            "angle" => return Some(()),
            name if EMPTY.contains(&name) => return Some(()),
            // The braces of a wrapper stay and bracket what they hold.
            name if WRAPPERS.contains(&name) => Token::Space,
            name => Token::Command(name.to_owned()),
        };
        self.tokens.push(token);
        // The base of a logarithm: nothing else of a number has an index.
        if name == "log" && self.at(self.place) == Some('_') {
            self.place += 1;
            self.tokens.push(Token::Sign('_'));
        }
        Some(())
    }
}
