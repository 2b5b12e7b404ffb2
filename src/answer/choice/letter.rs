//! Option letters in every style that models write: `B`, `(b)`, `**B.** cow`, `Option B`,
//! `\boxed{\text{B}}`, `Ｂ`, `②`, `答案是B`, `정답은 B`.

use super::MOST;
use super::denial::{follows, negated};
use crate::answer::metric::option::tokens;
use crate::answer::python::text::{is_space, strip};

/// A letter in front of a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lead<'a> {
    /// Which option it names, from 0.
    pub index: usize,
    /// What comes behind it and its delimiter.
    pub rest: &'a str,
}

/// What letters a text picks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pick {
    /// None that can be told from ordinary words.
    None,
    /// This option.
    One(usize),
    /// More than one, so none.
    Several,
}

/// Words that say which letter is the answer, lower-cased; the last that occurs counts.
const STATES: [&str; 23] = [
    "answer is option",
    "answer is",
    "answer:",
    "answer：",
    "choice is",
    "option is",
    "答案是选项",
    "答案是",
    "答案为",
    "答案选",
    "答案:",
    "答案：",
    "选项是",
    "选项为",
    "应选",
    "故选",
    "應選",
    "故選",
    "答案為",
    "答案選",
    "정답은",
    "정답:",
    "답은",
];
/// Words that introduce a letter, which may be named beside the answer.
const NAMES: [&str; 10] =
    ["option", "choice", "choose", "select", "选项", "选择", "选", "選項", "選擇", "選"];

/// Words behind a capital A that make it a letter; before another small word it is an article.
const FOLLOWS_A_LETTER: [&str; 8] = ["is", "was", "because", "since", "as", "and", "or", "seems"];

/// Marks that wrap a letter.
const WRAPS: &str = "*_`\"'“”‘’$#<>~";
/// Brackets that open around a letter.
const OPENS: &str = "([{（【［";
/// Commands that wrap a letter in LaTeX.
const COMMANDS: [&str; 6] = ["\\boxed{", "\\text{", "\\textbf{", "\\mathrm{", "\\mathbf{", "\\("];

/// Which option a character names, and whether it is a capital or a numbered sign.
fn option(c: char) -> Option<(usize, bool)> {
    let code = u32::from(c);
    let from = |first: char| (code - u32::from(first)) as usize;
    match c {
        'A'..='Z' => Some((from('A'), true)),
        'a'..='z' => Some((from('a'), false)),
        'Ａ'..='Ｚ' => Some((from('Ａ'), true)),
        'ａ'..='ｚ' => Some((from('ａ'), false)),
        'Ⓐ'..='Ⓩ' => Some((from('Ⓐ'), true)),
        '①'..='⑳' => Some((from('①'), true)),
        _ => None,
    }
}

/// Whether a character is an option by itself, whatever follows.
fn is_sign(c: char) -> bool {
    matches!(c, 'Ⓐ'..='Ⓩ' | '①'..='⑳')
}

/// The letter that a text begins with, one of the first `count`; none where it begins with a word.
///
/// A capital needs the end, a bracket or a delimiter behind it, a small letter brackets around it, a
/// period or the end: "A cat" and "a dog" begin with an article.
pub fn lead(text: &str, count: usize) -> Option<Lead<'_>> {
    let (inner, bracketed) = unwrapped(strip(text));
    let mut rest = inner.chars();
    let first = rest.next()?;
    let (index, capital) = option(first)?;
    if index >= count.min(MOST) {
        return None;
    }
    let behind = rest.as_str();
    let rest = behind.trim_start_matches(|c| WRAPS.contains(c) || c == '}');
    let wrapped = rest.len() < behind.len() && !behind.starts_with('\'');
    let mut next = rest.chars();
    let tail = match next.next() {
        None => "",
        Some(')' | ']' | '）' | '】' | '］') => next.as_str(),
        _ if bracketed => return None,
        Some('.') if is_abbreviation(next.as_str()) => return None,
        // "C.5" and "1.5" are told apart by the letter; "e.g" by the abbreviation above.
        Some('.' | ':' | '：' | '。' | '、' | '．') => next.as_str(),
        Some(',' | ';' | '!' | '?' | '，' | '；' | '\n' | '\\') if capital => next.as_str(),
        Some(' ') if capital && next.as_str().starts_with(['-', '–', '—', '(', '\u{2212}']) => {
            next.as_str()
        }
        // "A/C" is a list of letters, "A/C unit" is not.
        Some('/') if capital && lead(next.as_str(), count).is_some() => next.as_str(),
        Some(_) if wrapped && capital => rest,
        Some(_) if is_sign(first) => rest,
        Some(c) if capital && is_cjk(c) => rest,
        Some(_) => return None,
    };
    let skip = |c: char| is_space(c) || WRAPS.contains(c) || ".:)-–—}$\\。：".contains(c);
    Some(Lead { index, rest: tail.trim_start_matches(skip).trim_end_matches(is_space) })
}

/// A text without the marks in front of it, and whether one of them is a bracket.
fn unwrapped(mut text: &str) -> (&str, bool) {
    let mut bracketed = false;
    loop {
        let before = text.len();
        for command in COMMANDS {
            text = text.strip_prefix(command).unwrap_or(text);
        }
        text = text.trim_start_matches(|c: char| WRAPS.contains(c));
        if let Some(inner) = text.strip_prefix(|c: char| OPENS.contains(c)) {
            (text, bracketed) = (inner, true);
        }
        text = text.trim_start_matches(is_space);
        if text.len() == before {
            return (text, bracketed);
        }
    }
}

/// Whether a letter and a period go on as "U.S." does.
fn is_abbreviation(behind: &str) -> bool {
    let mut rest = behind.chars();
    rest.next().is_some_and(char::is_alphabetic) && rest.next() == Some('.')
}

fn is_cjk(c: char) -> bool {
    matches!(u32::from(c), 0x3000..=0x30ff | 0x3400..=0x9fff | 0xac00..=0xd7af)
}

/// The letter that a text names: in front, or behind a phrase. One that is said to be the answer
/// outweighs another in front, which may begin a list of the options.
pub fn named(text: &str, count: usize) -> Option<Lead<'_>> {
    let Some(front) = lead(text, count) else { return by_phrase(text, count) };
    // "A. cat\nB. dog" begins with every option.
    let is_next = |part: &str| lead(part, count).is_some_and(|lead| lead.index == front.index + 1);
    let lists = front.rest.split(['\n', ',', ';']).skip(1).any(is_next);
    let said = match lists {
        true => by_phrase(text, count),
        false => behind(&STATES, text, count),
    };
    Some(said.filter(|said| !follows(said.rest)).unwrap_or(front))
}

/// Which letter a text picks, of the first `count`.
pub fn pick(text: &str, count: usize) -> Pick {
    match named(text, count) {
        Some(found) if goes_on(found.rest, count) => Pick::Several,
        Some(found) if follows(found.rest) => Pick::None,
        Some(found) => Pick::One(found.index),
        None => near_the_end(text, count),
    }
}

/// What joins a further letter.
const JOINS: [&str; 20] = [
    "or ",
    "and ",
    "OR ",
    "AND ",
    "或",
    "和",
    "与",
    "與",
    "及",
    "以及",
    "跟",
    "と",
    "または",
    "및 ",
    "와 ",
    "과 ",
    "이나 ",
    "나 ",
    "또는 ",
    "하고 ",
];

/// Whether a further letter is named right behind the first: ", C", "or C", "/C", "和C", "와 C".
pub fn goes_on(rest: &str, count: usize) -> bool {
    let rest = rest.trim_start_matches(|c: char| is_space(c) || ",;/&+，、".contains(c));
    let joined = JOINS.iter().find_map(|word| rest.strip_prefix(word));
    let next = joined.unwrap_or(rest);
    // "A. B형 간염" begins with a text; "A와 B입니다" does not.
    let ends = |c: char| !c.is_alphanumeric() && c != ' ' || joined.is_some() && is_cjk(c);
    let alone = |text: &str| text.chars().nth(1).is_none_or(ends);
    lead(next, count).is_some() && (alone(next) || next.starts_with(['(', '[', '*']))
}

/// The letter behind the last phrase that has one.
pub fn by_phrase(text: &str, count: usize) -> Option<Lead<'_>> {
    let phrases: Vec<&str> = STATES.into_iter().chain(NAMES).collect();
    behind(&phrases, text, count)
}

/// The letter behind the last of some phrases that has one.
fn behind<'a>(phrases: &[&str], text: &'a str, count: usize) -> Option<Lead<'a>> {
    let found = phrases.iter().flat_map(|phrase| places(text, phrase)).filter_map(|place| {
        let rest = text[place..].trim_start_matches(|c: char| is_space(c) || ":：".contains(c));
        let word = rest.split(is_space).next().unwrap_or_default();
        let found = lead(rest, count).or_else(|| {
            // "the answer is B because", "is b, since": a letter alone, which is no article.
            let bare = word.trim_end_matches([',', ';', '!', '?']);
            let found = lead(bare, count).filter(|found| found.rest.is_empty())?;
            let behind = &rest[bare.len()..];
            let goes_on = behind.starts_with(is_space) && !behind.trim().is_empty();
            let may_be_article = bare == "A" || bare.chars().all(char::is_lowercase);
            let next = behind.split_whitespace().next().unwrap_or_default();
            let is_letter = !may_be_article || !goes_on || FOLLOWS_A_LETTER.contains(&next);
            is_letter.then_some(Lead { index: found.index, rest: behind })
        });
        found.filter(|_| !negated(&text[..place].to_lowercase())).map(|found| (place, found))
    });
    found.max_by_key(|(place, _)| *place).map(|(_, found)| found)
}

/// The ends of every occurrence of a phrase, in any case, as a word of its own.
fn places(text: &str, phrase: &str) -> Vec<usize> {
    let starts_word = |place: usize| {
        let before = text[..place].chars().next_back();
        !phrase.is_ascii() || !before.is_some_and(char::is_alphanumeric)
    };
    text.char_indices()
        .filter(|&(place, _)| starts_word(place))
        .filter_map(|(place, _)| {
            let end = place + phrase.len();
            let found = text.get(place..end).is_some_and(|part| part.eq_ignore_ascii_case(phrase));
            found.then_some(end)
        })
        .collect()
}

/// VLMEvalKit's rule: exactly one letter among the words, and among the last four of them.
fn near_the_end(text: &str, count: usize) -> Pick {
    let tokens = tokens(text);
    let letter = |token: &String| {
        let mut characters = token.trim_matches(|c| WRAPS.contains(c)).chars();
        let (index, true) = option(characters.next()?)? else { return None };
        (characters.next().is_none() && index < count).then_some(index)
    };
    let is_article = |place: usize| {
        let next = tokens.get(place + 1).map(String::as_str);
        tokens[place] == "A"
            && next.is_some_and(|next| {
                !FOLLOWS_A_LETTER.contains(&next) && next.starts_with(char::is_lowercase)
            })
    };
    let letter_at = |place: usize| letter(&tokens[place]).filter(|_| !is_article(place));
    let mut named: Vec<usize> = (0..tokens.len()).filter_map(letter_at).collect();
    named.sort_unstable();
    named.dedup();
    let [index] = named[..] else {
        return if named.is_empty() { Pick::None } else { Pick::Several };
    };
    let Some(place) = (0..tokens.len()).find(|&place| letter_at(place) == Some(index)) else {
        return Pick::None;
    };
    let denied = negated(&tokens[..place].join(" ").to_lowercase())
        || follows(&tokens[place + 1..].join(" "));
    if place + 5 > tokens.len() && !denied { Pick::One(index) } else { Pick::None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_of_a_letter_is_read() {
        let styles = r#"B b (B) (b) B. b. B) [B] {B} **B** *B* `B` "B" $B$ B: B, B; B! #B **B.** (B).
            Ｂ （B） 【B】 ② Ⓑ B。 \boxed{B} \boxed{\text{B}} $\boxed{\mathrm{(B)}}$"#;
        for text in styles.split_whitespace().chain([" B\n"]) {
            assert_eq!(lead(text, 4), Some(Lead { index: 1, rest: "" }), "{text:?}");
        }
    }

    #[test]
    fn what_follows_a_letter_is_told() {
        for text in
            ["B. cow", "(B) cow", "B: cow", "B) cow", "B - cow", "**B**: cow", "b. cow", "B.cow"]
        {
            assert_eq!(lead(text, 4), Some(Lead { index: 1, rest: "cow" }), "{text:?}");
        }
    }

    #[test]
    fn words_and_articles_are_no_letters() {
        for text in [
            "A cat",
            "a dog",
            "Because",
            "BA",
            "I'm",
            "U.S. flag",
            "B2",
            "-B",
            "3.14",
            "E.g. x",
            "",
            "X",
        ] {
            assert_eq!(lead(text, 5), None, "{text:?}");
        }
    }

    #[test]
    fn phrases_pick_and_lists_do_not() {
        for (text, picked) in [
            ("The answer is B because it moos", Pick::One(1)),
            ("I choose option (C).", Pick::One(2)),
            ("Answer: D", Pick::One(3)),
            ("the answer is b.", Pick::One(1)),
            ("The answer is A cat", Pick::None),
            (
                "The correct answer is **B**. Here is why: A is wrong, as anyone can plainly see",
                Pick::One(1),
            ),
            ("正确答案是C。", Pick::One(2)),
            ("정답은 D입니다", Pick::One(3)),
            ("选B", Pick::One(1)),
            ("A, B", Pick::Several),
            ("A/B", Pick::Several),
            ("B or C", Pick::Several),
            ("(A) and (C)", Pick::Several),
            ("I think it must be C", Pick::One(2)),
            ("It is not C", Pick::None),
            ("A. cat\nB. dog\nThe answer is B", Pick::One(1)),
            ("A. cat\nB. dog\nSo I choose B", Pick::One(1)),
            ("A: cat, B: dog. Correct answer: B", Pick::One(1)),
            ("C. I would choose C over option B", Pick::One(2)),
            ("C. The answer is not B", Pick::One(2)),
            ("故选：B", Pick::One(1)),
            ("正确选项是B", Pick::One(1)),
            ("<B>", Pick::One(1)),
            ("應選A", Pick::One(0)),
            ("選項B", Pick::One(1)),
            ("A와 B입니다", Pick::Several),
            ("A与B都对", Pick::Several),
            ("A. B형 간염", Pick::One(0)),
            ("B错", Pick::None),
            ("정답은 B가 아니다", Pick::None),
            ("I would eliminate option B", Pick::None),
            ("Eliminating A, it must be B", Pick::One(1)),
            ("B seems wrong", Pick::None),
            ("C stands at the front of a rather long sentence", Pick::None),
        ] {
            assert_eq!(pick(text, 4), picked, "{text:?}");
        }
    }
}
