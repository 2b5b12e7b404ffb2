//! Signs that say something and that the VQA normalizer drops: `+ - / = < >`, the brackets of a formula
//! or an interval, a comma within one. Hyphens, slashes and brackets of words say nothing.

use super::python::text::strip;
use super::quantity;

/// Words that stand in formulas.
const FUNCTIONS: [&str; 9] = ["sin", "cos", "tan", "cot", "log", "ln", "exp", "sqrt", "pi"];

/// The signs of a text, in order, and the letters that stand alone among them: A is no article in a
/// formula. Nothing where there are no signs.
pub fn signs(text: &str) -> String {
    let text: Vec<char> = unbracketed(strip(text)).chars().map(plain).collect();
    let letter = |at: usize| {
        let is =
            |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|c| c.is_alphabetic());
        is(Some(at)) && !is(at.checked_sub(1)) && !is(Some(at + 1))
    };
    let said: Vec<usize> = (0..text.len()).filter(|&at| letter(at) || counts(&text, at)).collect();
    if said.iter().all(|&at| letter(at)) {
        return String::new();
    }
    said.into_iter().flat_map(|at| text[at].to_lowercase()).collect()
}

fn plain(c: char) -> char {
    match c {
        '\u{2212}' | '\u{2013}' | '\u{2014}' => '-',
        c => c,
    }
}

/// Without one pair of brackets around the whole, unless they hold a list.
fn unbracketed(text: &str) -> &str {
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    let is_one =
        |inner: &&str| !inner.contains(['(', ')', ',', ';']) || quantity::read(inner).is_some();
    inner.filter(is_one).unwrap_or(text)
}

/// Whether the character at a place is a sign.
fn counts(text: &[char], at: usize) -> bool {
    let (before, after) = (&text[..at], &text[at + 1..]);
    match text[at] {
        '+' | '=' | '<' | '>' => true,
        '-' => {
            let signs_number = !before.last().is_some_and(|c| c.is_alphanumeric())
                && after.first().is_some_and(char::is_ascii_digit);
            signs_number || !(ends_in_word(before) || begins_with_word(after))
        }
        '/' => !(ends_in_word(before) || begins_with_word(after)),
        '(' | '[' | '{' => !holds_word(after),
        ')' | ']' | '}' => {
            let opening = before.iter().rposition(|c| "([{".contains(*c));
            !holds_word(&before[opening.map_or(0, |place| place + 1)..])
        }
        ',' => joins(before, after) && !parts_thousands(before, after),
        _ => false,
    }
}

/// Whether a run of letters is a word, and no letter or function of a formula.
fn is_word(letters: &[char]) -> bool {
    let word: String = letters.iter().collect::<String>().to_lowercase();
    letters.len() > 1 && !FUNCTIONS.contains(&word.as_str())
}

fn begins_with_word(text: &[char]) -> bool {
    let start = text.iter().position(|c| *c != ' ').unwrap_or(text.len());
    let letters = text[start..].iter().take_while(|c| c.is_alphabetic()).count();
    is_word(&text[start..start + letters])
}

fn ends_in_word(text: &[char]) -> bool {
    let end = text.iter().rposition(|c| *c != ' ').map_or(0, |last| last + 1);
    let letters = text[..end].iter().rev().take_while(|c| c.is_alphabetic()).count();
    is_word(&text[end - letters..end])
}

/// Whether a word stands before the next closing bracket.
fn holds_word(text: &[char]) -> bool {
    let end = text.iter().position(|c| ")]}".contains(*c)).unwrap_or(text.len());
    text[..end].split(|c| !c.is_alphabetic()).any(is_word)
}

/// Whether characters touch on both sides.
fn joins(before: &[char], after: &[char]) -> bool {
    let touches = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '-');
    touches(before.last()) && touches(after.first())
}

/// Whether a comma parts a group of exactly three digits from one to three others.
fn parts_thousands(before: &[char], after: &[char]) -> bool {
    let left = before.iter().rev().take_while(|c| c.is_ascii_digit()).count();
    let right = after.iter().take_while(|c| c.is_ascii_digit()).count();
    (1..=3).contains(&left) && right == 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_formulas_count_and_marks_of_words_do_not() {
        for (text, said) in [
            ("a+b", "a+b"),
            ("b - a", "b-a"),
            ("3x\u{2212}2", "x-"),
            ("x>3", "x>"),
            ("(1,2)", "(,)"),
            ("[0,1)", "[,)"),
            ("-x", "-x"),
            ("temperature -5", "-"),
            ("-5 apples", "-"),
            ("1/2", "/"),
            ("12,50", ","),
            ("sin(x)-cos(x)", "(x)-(x)"),
            ("(a+b)", "a+b"),
            ("1,250", ""),
            ("(5)", ""),
            ("(1,250)", ""),
            ("red-bus", ""),
            ("x-axis", ""),
            ("COVID-19", ""),
            ("and/or", ""),
            ("red (or blue), bus", ""),
            ("- dog", ""),
            ("red, bus", ""),
            ("", ""),
        ] {
            assert_eq!(signs(text), said, "{text:?}");
        }
    }
}
