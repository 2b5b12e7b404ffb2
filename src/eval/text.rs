//! Text as the published scorers see it: white space, numbers, edit distance
//! and the VQA normalizer. Everything here is a pure function of strings.
//!
//! The scorers people compare with are Python programs, so "white space" and
//! "number" mean what they mean there; each function says where that differs
//! from Rust.

/// Whether Python's `str.strip` and `str.split` take it for white space: Rust's
/// set and the four information separators U+001C to U+001F.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Without white space at both ends.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// The words between white space.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// Words joined by one space.
pub fn collapse(text: &str) -> String {
    words(text).collect::<Vec<_>>().join(" ")
}

/// The number that Python's `float` would read: surrounding white space and
/// single underscores between digits are fine, thousand separators are not.
pub fn number(text: &str) -> Option<f64> {
    let text = strip(text);
    let mut plain = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '_' {
            let between =
                before.is_some_and(is_digit) && rest.peek().copied().is_some_and(is_digit);
            if !between {
                return None;
            }
        } else {
            plain.push(digit(c).unwrap_or(c));
        }
        before = Some(c);
    }
    // Rust's parser reads what Python's does once digits are ASCII, "inf" and "nan" included.
    plain.parse().ok()
}

/// The number that people mean: [`number`], or the same with a real minus sign
/// and thousand separators.
pub fn generous_number(text: &str) -> Option<f64> {
    let text = strip(text);
    number(text).or_else(|| {
        let plain = text.replace(['\u{2212}', '\u{2013}'], "-");
        number(&without_thousands(&plain)?)
    })
}

/// `1,234,567.8` without commas; none where the commas do not separate thousands.
fn without_thousands(text: &str) -> Option<String> {
    let (whole, rest) = text.find('.').map_or((text, ""), |at| text.split_at(at));
    let unsigned = whole.trim_start_matches(['-', '+']);
    let mut groups = unsigned.split(',');
    let first = groups.next().unwrap_or_default();
    let good = unsigned == first
        || ((1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3));
    good.then(|| whole.replace(',', "") + rest)
}

/// First code points of the Unicode decimal digit rows that turn up in practice:
/// ASCII, Arabic-Indic, extended Arabic-Indic, Devanagari, Bengali, Thai, full-width.
const DIGIT_ROWS: [char; 7] =
    ['0', '\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}', '\u{e50}', '\u{ff10}'];

fn digit(c: char) -> Option<char> {
    DIGIT_ROWS.iter().find_map(|&zero| {
        let value = u32::from(c).checked_sub(u32::from(zero))?;
        char::from_digit(value, 10)
    })
}

/// Whether a character is a decimal digit of any script that [`number`] reads.
pub fn is_digit(c: char) -> bool {
    digit(c).is_some()
}

/// Levenshtein distance in code points.
pub fn edit_distance(a: &str, b: &str) -> usize {
    strsim::levenshtein(a, b)
}

/// Words that the VQA normalizer turns into digits, by value; "none" is 0 too.
const NUMBER_WORDS: [&str; 11] =
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

/// The digits of a number word from zero to ten (and "none").
pub fn number_word(word: &str) -> Option<String> {
    let value =
        if word == "none" { Some(0) } else { NUMBER_WORDS.iter().position(|&known| known == word) };
    value.map(|value| value.to_string())
}

/// English contractions. One that lost exactly one of its apostrophes gets it back.
const CONTRACTIONS: [&str; 92] = [
    "ain't",
    "aren't",
    "can't",
    "could've",
    "couldn't",
    "couldn't've",
    "didn't",
    "doesn't",
    "don't",
    "hadn't",
    "hadn't've",
    "hasn't",
    "haven't",
    "he'd",
    "he'd've",
    "he's",
    "how'd",
    "how'll",
    "how's",
    "isn't",
    "it'd",
    "it'd've",
    "it'll",
    "ma'am",
    "mightn't",
    "mightn't've",
    "might've",
    "mustn't",
    "must've",
    "needn't",
    "not've",
    "o'clock",
    "oughtn't",
    "'ow's'at",
    "shan't",
    "she'd've",
    "should've",
    "shouldn't",
    "shouldn't've",
    "somebody'd've",
    "somebody'll",
    "somebody's",
    "someone'd",
    "someone'd've",
    "someone'll",
    "someone's",
    "something'd",
    "something'd've",
    "something'll",
    "that's",
    "there'd",
    "there'd've",
    "there're",
    "there's",
    "they'd",
    "they'd've",
    "they'll",
    "they're",
    "they've",
    "'twas",
    "wasn't",
    "we'd've",
    "we've",
    "weren't",
    "what'll",
    "what're",
    "what's",
    "what've",
    "when's",
    "where'd",
    "where's",
    "where've",
    "who'd",
    "who'd've",
    "who'll",
    "who's",
    "who've",
    "why'll",
    "why're",
    "why's",
    "won't",
    "would've",
    "wouldn't",
    "wouldn't've",
    "y'all",
    "y'all'll",
    "y'all'd've",
    "you'd",
    "you'd've",
    "you'll",
    "you're",
    "you've",
];

/// The contraction that a word is, less one apostrophe.
fn contraction(word: &str) -> Option<&'static str> {
    // The published table has this one pair the other way round.
    if word == "somebody'd" {
        return Some("somebodyd");
    }
    let lost_one = |full: &str| {
        full.len() == word.len() + 1
            && full.match_indices('\'').any(|(at, _)| {
                word.strip_prefix(&full[..at]).is_some_and(|rest| *rest == full[at + 1..])
            })
    };
    CONTRACTIONS.iter().copied().find(|full| lost_one(full))
}

/// An answer as VQA and TextVQA compare it: lower case, without articles and
/// punctuation, number words as digits, contractions mended.
///
/// # Source
///
/// The rules of the VQA challenge's evaluator (Antol et al. 2015, arXiv:1505.00468) as TextVQA's
/// server and InternVL apply them. A departure: they remove at most 32 periods, by an argument in
/// the wrong place; here all that end a word go.
pub fn vqa_normalize(text: &str) -> String {
    let lower = text.to_lowercase().replace([',', '?'], "").replace("'s", " 's");
    let lower = lower.replace(['\n', '\t'], " ");
    let lower = strip(&lower);
    let mut plain = lower.to_owned();
    for mark in ";/[]\"{}()=+\\_-><@`!".chars() {
        // A mark beside a space goes without a trace; one inside a word parts it.
        let beside_space =
            lower.contains(&format!("{mark} ")) || lower.contains(&format!(" {mark}"));
        plain = plain.replace(mark, if beside_space { "" } else { " " });
    }
    let plain = without_final_periods(&plain);
    words(&plain)
        .map(|word| number_word(word).unwrap_or_else(|| word.to_owned()))
        .filter(|word| !matches!(word.as_str(), "a" | "an" | "the"))
        .map(|word| contraction(&word).map_or(word, str::to_owned))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Without every period that no digit follows.
fn without_final_periods(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '.' || rest.peek().copied().is_some_and(is_digit) {
            kept.push(c);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_python_reads_them() {
        assert_eq!(number(" 1_000.5\n"), Some(1000.5));
        assert_eq!(number("１２"), Some(12.0));
        assert_eq!(number("1e400"), Some(f64::INFINITY));
        for not_one in ["", "1__0", "_1", "1_", "1,000", "0x10", "1/2", "\u{2212}5", "5 %"] {
            assert_eq!(number(not_one), None, "{not_one:?}");
        }
    }

    #[test]
    fn a_generous_number_takes_a_real_minus_and_thousands() {
        assert_eq!(generous_number("\u{2212}1,250.5"), Some(-1250.5));
        assert_eq!(generous_number("1,2"), None);
        assert_eq!(generous_number("12,345,67"), None);
    }

    #[test]
    fn the_vqa_normalizer_follows_its_published_rules() {
        for (text, normal) in [
            ("The COCA COLA?", "coca cola"),
            ("(twenty),", "twenty"),
            ("u.s.a 1/2", "usa 1 2"),
            ("red!bus", "red bus"),
            ("back\\slash ? -5", "back slash 5"),
            ("None of the two", "0 of 2"),
            ("5.", "5"),
            (".5", ".5"),
            ("3.14", "3.14"),
            ("dont", "don't"),
            ("wouldnt've", "wouldn't've"),
            ("somebody'd", "somebodyd"),
            ("..a..", ""),
            ("", ""),
        ] {
            assert_eq!(vqa_normalize(text), normal, "{text:?}");
        }
    }
}
