//! Equations and inequalities.

/// The sides of an equation or inequality with the sign before each; the whole where it is none.
pub(super) fn sides(text: &str) -> Vec<(char, &str)> {
    let mut sides = Vec::new();
    let (mut sign, mut start) = ('=', 0);
    for (place, c) in text.char_indices().filter(|(_, c)| "=<>≤≥".contains(*c)) {
        sides.push((sign, text[start..place].trim()));
        (sign, start) = (c, place + c.len_utf8());
    }
    sides.push((sign, text[start..].trim()));
    sides
}

/// A sign with its sides exchanged.
pub(super) fn turned(sign: char) -> char {
    match sign {
        '<' => '>',
        '>' => '<',
        '≤' => '≥',
        '≥' => '≤',
        other => other,
    }
}
