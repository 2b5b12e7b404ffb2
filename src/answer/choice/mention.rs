//! Where an option's text is mentioned: as words, numbers or formulas of its own.

/// Where a text occurs as words of its own; an empty one occurs nowhere.
pub fn occurrence(text: &str, wanted: &str) -> Option<usize> {
    if wanted.is_empty() {
        return None;
    }
    text.match_indices(wanted).map(|(place, _)| place).find(|&place| stands(text, place, wanted))
}

/// Whether a text that occurs at a place is words of its own there.
pub(super) fn stands(text: &str, place: usize, wanted: &str) -> bool {
    let before = text[..place].chars().next_back();
    let after = text[place + wanted.len()..].chars().next();
    let cuts = |outside: Option<char>, inside: Option<char>| {
        let joins = |c: char| c.is_alphanumeric() && !is_unspaced(c);
        !(outside.is_some_and(joins) && inside.is_some_and(joins))
    };
    cuts(before, wanted.chars().next())
        && cuts(after, wanted.chars().next_back())
        && !is_part_of_number(text, place, wanted)
        && !is_part_of_formula(text, place, wanted)
}

/// Whether digits go on beyond a mark, or a sign stands before them: "3" in "3.7", "1,300" or "-3".
pub fn is_part_of_number(text: &str, place: usize, wanted: &str) -> bool {
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let mut before = text[..place].chars().rev();
    let mut after = text[place + wanted.len()..].chars();
    let begins = match (is_digit(wanted.chars().next()), before.next()) {
        (true, Some('.' | ',')) => is_digit(before.next()),
        // "A-3" and "1-3" are no signs.
        (true, Some('-' | '\u{2212}')) => !before.next().is_some_and(char::is_alphanumeric),
        _ => false,
    };
    let ends = is_digit(wanted.chars().next_back())
        && matches!(after.next(), Some('.' | ','))
        && is_digit(after.next());
    begins || ends
}

/// Whether a formula goes on beyond its part: "a+b" in "a+b+c", "2" in "1/2". Words have no operators.
fn is_part_of_formula(text: &str, place: usize, wanted: &str) -> bool {
    let is_word = |part: &str| part.chars().filter(|c| c.is_alphabetic()).count() > 1;
    let is_formula = !wanted.split(|c: char| !c.is_alphabetic()).any(is_word);
    let joins = |c: char| "+*/^<>×÷√".contains(c);
    let (before, after) = (&text[..place], &text[place + wanted.len()..]);
    is_formula && (before.trim_end().ends_with(joins) || after.trim_start().starts_with(joins))
}

/// Whether a character is of a script that writes words without spaces between: Chinese,
/// Japanese, and Korean, whose particles follow a noun directly.
fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x30ff | 0x3400..=0x9fff | 0xac00..=0xd7af)
}
