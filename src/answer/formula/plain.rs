//! LaTeX and Unicode to one plain way of writing a formula, and what stands between letters.

use super::{FUNCTIONS, Reader};
use crate::answer::python::text::strip;

/// Commands and signs, and what they are here; longer names first.
const PLAIN: [(&str, &str); 62] = [
    ("\\left", ""),
    ("\\right", ""),
    ("\\displaystyle", ""),
    ("\\boxed", ""),
    ("\\operatorname", ""),
    ("\\mathrm", ""),
    ("\\mathit", ""),
    ("\\mathbf", ""),
    ("\\text", ""),
    ("\\qquad", " "),
    ("\\quad", " "),
    ("\\,", " "),
    ("\\;", " "),
    ("\\:", " "),
    ("\\!", ""),
    ("\\ ", " "),
    ("\\(", ""),
    ("\\)", ""),
    ("\\[", ""),
    ("\\]", ""),
    ("$", ""),
    ("\\dfrac", "\\frac"),
    ("\\tfrac", "\\frac"),
    ("\\cfrac", "\\frac"),
    ("\\sqrt", "√"),
    ("\\cdot", "*"),
    ("\\times", "*"),
    ("\\div", "/"),
    ("\\pm", "±"),
    ("\\mp", "∓"),
    ("\\leq", "≤"),
    ("\\geq", "≥"),
    ("\\le", "≤"),
    ("\\ge", "≥"),
    ("\\lt", "<"),
    ("\\gt", ">"),
    ("<=", "≤"),
    (">=", "≥"),
    ("^{\\circ}", "°"),
    ("^\\circ", "°"),
    ("\\alpha", "α"),
    ("\\beta", "β"),
    ("\\gamma", "γ"),
    ("\\delta", "δ"),
    ("\\theta", "θ"),
    ("\\lambda", "λ"),
    ("\\mu", "μ"),
    ("\\omega", "ω"),
    ("\\varphi", "φ"),
    ("\\phi", "φ"),
    ("\\rho", "ρ"),
    ("\\sigma", "σ"),
    ("\\pi", "π"),
    ("\u{2212}", "-"),
    ("\u{2013}", "-"),
    ("×", "*"),
    ("·", "*"),
    ("⋅", "*"),
    ("÷", "/"),
    ("（", "("),
    ("）", ")"),
    ("＝", "="),
];

/// Functions whose backslash goes.
const COMMANDS: [&str; 10] =
    ["\\sin", "\\cos", "\\tan", "\\cot", "\\sec", "\\csc", "\\ln", "\\log", "\\lg", "\\exp"];

const SUPERSCRIPTS: &str = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const SUBSCRIPTS: &str = "₀₁₂₃₄₅₆₇₈₉";

/// A formula without its dress; none where a command stays that means nothing here.
pub fn plain(text: &str) -> Option<String> {
    let text = strip(text).trim_matches(|c| "`\"'“”".contains(c));
    let text = if text.starts_with("**") { text.trim_matches('*') } else { text };
    let text = text.strip_suffix(['.', '。']).unwrap_or(text);
    let mut text =
        PLAIN.iter().fold(text.to_owned(), |text, (name, other)| text.replace(name, other));
    for command in COMMANDS {
        // A letter must not join what stands before.
        text = text.replace(command, &format!(" {} ", &command[1..]));
    }
    let mut plain = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        match (SUPERSCRIPTS.chars().position(|d| d == c), SUBSCRIPTS.chars().position(|d| d == c)) {
            (Some(digit), _) => {
                let goes_on = SUPERSCRIPTS.contains(before);
                plain.push_str(&format!("{}{digit}", if goes_on { "" } else { "^" }));
            }
            (_, Some(digit)) => plain.push_str(&format!("_{digit}")),
            _ => plain.push(c),
        }
        before = c;
    }
    // π ends a name, and so does its word.
    let plain = words_apart(&plain.replace('π', " π "));
    let has_command = plain.replace("\\frac", "").contains('\\');
    (!has_command).then(|| plain.trim().to_owned())
}

/// With the words that are commands elsewhere made signs: `pi`, `sqrt`.
fn words_apart(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let follows_command = out.ends_with('\\');
        match &rest[..letters] {
            "pi" if !follows_command => out.push_str(" π "),
            "sqrt" if !follows_command => out.push('√'),
            "" => out.push(c),
            word => out.push_str(word),
        }
        rest = &rest[if letters == 0 { c.len_utf8() } else { letters }..];
    }
    out
}

impl Reader<'_> {
    /// A LaTeX argument: brackets, a root or fraction, or one character.
    pub(super) fn argument(&mut self) -> Option<f64> {
        self.skip_space();
        let first = self.rest.chars().next()?;
        if "{(|√\\π".contains(first) {
            return self.atom();
        }
        if first.is_alphabetic() {
            self.rest = &self.rest[first.len_utf8()..];
            let name = first.to_string();
            let is_indexed = self.rest.starts_with('_');
            return if is_indexed { self.named(&name) } else { Some((self.letter)(&name)) };
        }
        self.atom()
    }

    /// A letter with its index: `x_1`.
    pub(super) fn named(&mut self, word: &str) -> Option<f64> {
        let mut name = word.to_owned();
        if let Some(rest) = self.rest.strip_prefix('_') {
            let (index, rest) = match rest.strip_prefix('{') {
                Some(rest) => rest.split_once('}')?,
                None => rest.split_at(rest.chars().next()?.len_utf8()),
            };
            name = format!("{word}_{index}");
            self.rest = rest;
        } else if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        Some((self.letter)(&name))
    }

    /// A function of its argument: brackets, or the factors up to the next sign or function.
    pub(super) fn function(&mut self, name: &str) -> Option<f64> {
        let power = if self.takes("^") { Some(self.exponent()?) } else { None };
        // `sin^{-1}` may be another function.
        if power.is_some_and(|power| power < 0.0) {
            return None;
        }
        self.skip_space();
        let value = if self.rest.starts_with(['(', '{', '|']) {
            self.atom()?
        } else {
            let mut value = self.power()?;
            while self.begins_factor() && !self.begins_function() {
                value *= self.power()?;
            }
            value
        };
        let value = match name {
            "sin" => value.sin(),
            "cos" => value.cos(),
            "tan" => value.tan(),
            "cot" => value.tan().recip(),
            "sec" => value.cos().recip(),
            "csc" => value.sin().recip(),
            "ln" => value.ln(),
            "log" | "lg" => value.log10(),
            "exp" => value.exp(),
            _ => value.sqrt(),
        };
        Some(value.powf(power.unwrap_or(1.0)))
    }

    fn begins_function(&self) -> bool {
        let end = self.rest.find(|c: char| !c.is_alphabetic()).unwrap_or(self.rest.len());
        FUNCTIONS.contains(&&self.rest[..end])
    }
}
