//! `str` methods and the classes of `re`, for Unicode text.

use super::number::digit;
use regex::Regex;
use std::sync::LazyLock;

/// Whether `str.isspace` and `\s` take it for white space: Rust's set and the four
/// information separators U+001C to U+001F. U+200B is none.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Whether `\d` matches it: a decimal digit of any script.
pub fn is_digit(c: char) -> bool {
    digit(c).is_some()
}

/// Whether `str.isalpha` says so: a letter. Rust's `is_alphabetic` counts letter-like signs too.
pub fn is_alpha(c: char) -> bool {
    static LETTER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\p{L}$").expect("the class of letters"));
    c.is_ascii_alphabetic() || (!c.is_ascii() && LETTER.is_match(c.encode_utf8(&mut [0; 4])))
}

/// Whether `repr` writes it as it is.
pub fn is_printable(c: char) -> bool {
    static HIDDEN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[\p{C}\p{Z}]$").expect("control and space classes"));
    c == ' ' || !HIDDEN.is_match(c.encode_utf8(&mut [0; 4]))
}

/// `str.strip`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.split()`: the words between white space.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// `' '.join(text.split())`.
pub fn collapse(text: &str) -> String {
    words(text).collect::<Vec<_>>().join(" ")
}

/// `len`: code points.
pub fn len(text: &str) -> usize {
    text.chars().count()
}

/// The code point at a place.
pub fn at(text: &str, index: usize) -> Option<char> {
    text.chars().nth(index)
}

/// `text[from:]`, in code points.
pub fn from(text: &str, index: usize) -> &str {
    text.char_indices().nth(index).map_or("", |(byte, _)| &text[byte..])
}

/// Whether `re.IGNORECASE` lets an ASCII lower-case letter match a character: the letter in either
/// case, and the few others whose case folds to it (dotted and dotless i, long s, the Kelvin sign).
pub fn matches_letter(c: char, letter: char) -> bool {
    c.eq_ignore_ascii_case(&letter)
        || match letter {
            'i' => matches!(c, '\u{130}' | '\u{131}'),
            's' => c == '\u{17f}',
            'k' => c == '\u{212a}',
            _ => false,
        }
}

/// The rest of a text behind a lower-case ASCII beginning, by [`matches_letter`].
pub fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let mut rest = text.chars();
    for letter in prefix.chars() {
        if !rest.next().is_some_and(|c| matches_letter(c, letter)) {
            return None;
        }
    }
    Some(rest.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_pythons() {
        assert_eq!(strip("\u{1c} a\u{3000}\u{85}\u{a0}"), "a");
        assert_eq!(strip("\u{200b}a"), "\u{200b}a");
        assert_eq!(collapse(" a\u{1f}b \n c "), "a b c");
    }

    #[test]
    fn letters_are_letters_only() {
        assert!(is_alpha('b') && is_alpha('é') && is_alpha('日'));
        assert!(!is_alpha('Ⓐ') && !is_alpha('Ⅳ') && !is_alpha('1') && !is_alpha('.'));
    }

    #[test]
    fn case_is_ignored_as_re_does() {
        for text in ["FINAL", "fınal", "FİNAL"] {
            assert_eq!(strip_prefix_ignoring_case(text, "final"), Some(""), "{text}");
        }
        assert_eq!(strip_prefix_ignoring_case("anſwer:", "answer"), Some(":"));
        assert_eq!(strip_prefix_ignoring_case("answe", "answer"), None);
    }

    #[test]
    fn places_are_code_points() {
        assert_eq!((len("日本"), at("日本", 1), from("日本x", 2)), (2, Some('本'), "x"));
        assert_eq!(from("ab", 4), "");
    }
}
