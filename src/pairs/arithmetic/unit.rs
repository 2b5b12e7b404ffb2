//! Sums of measures: `3 cm + 4 cm = 8 cm`.

use super::{Placed, Token, is_function, is_of_sum, tokens};

/// Both sides without the unit that each number of the left sum and the first of the right one have:
/// `3 cm + 4 cm` and `8 cm`. None where there is none, or where the units differ.
pub(super) fn without_unit(left: &str, right: &str) -> Option<(String, String)> {
    let (before, after) = (tokens(left), tokens(right));
    let unit = |(token, begin, end): &Placed<'_>, side: &str| match token {
        Token::Word(word) if !is_function(word) => Some(word.trim_end_matches('s').to_owned()),
        Token::Unknown if side[*begin..*end] == *"°" => Some("°".to_owned()),
        _ => None,
    };
    let (sign, number) = match after[..] {
        [(Token::Operator('-'), ..), number, ..] => ("-", number),
        [number, ..] => ("", number),
        [] => return None,
    };
    let (Token::Number(..), begin, end) = number else { return None };
    let measured = after.get(1 + sign.len())?;
    let shared = unit(measured, right)?;
    // What goes on behind the unit may be the number's own sum, or a power of the unit.
    if matches!(after.get(2 + sign.len()), Some((token, ..)) if is_of_sum(token)) {
        return None;
    }
    let mut terms = Vec::new();
    let mut rest = &before[..];
    while let [others @ .., number, last] = rest
        && matches!(number.0, Token::Number(..))
        && unit(last, left)? == shared
    {
        terms.push(&left[number.1..number.2]);
        rest = others;
        let Some((Token::Operator('+' | '-'), begin, end)) = rest.last() else { break };
        terms.push(&left[*begin..*end]);
        rest = &rest[..rest.len() - 1];
    }
    let start = rest.last().map_or(0, |(.., end)| *end);
    terms.reverse();
    // "6 ft 2 in" is one length.
    if let [.., (Token::Number(..), ..), (Token::Word(_), ..)] = rest {
        return None;
    }
    let is_sum = terms.len() > 2 && terms.len() % 2 == 1;
    let bare = || format!("{} {}", &left[..start], terms.join(" "));
    is_sum.then(|| (bare(), format!("{sign}{}", &right[begin..end])))
}
