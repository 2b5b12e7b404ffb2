//! Lists as Python prints them, in a cell: `['cat', "dog's", 3]`.

/// The items of a list of texts; none where the text is no such list, as `[2014, 2016]`.
pub fn texts(text: &str) -> Option<Vec<String>> {
    let items = read(text)?;
    items.into_iter().map(|(item, is_quoted)| is_quoted.then_some(item)).collect()
}

/// The items of a list of texts and numbers; none where the text is no such list. Nested lists
/// are refused.
pub fn items(text: &str) -> Option<Vec<String>> {
    Some(read(text)?.into_iter().map(|(item, _)| item).collect())
}

/// Items, and whether each was quoted.
fn read(text: &str) -> Option<Vec<(String, bool)>> {
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    let mut items = Vec::new();
    let mut rest = inner.trim_start();
    while !rest.is_empty() {
        let first = rest.chars().next()?;
        let (item, after) = match first {
            quote @ ('\'' | '"') => quoted(&rest[1..], quote)?,
            '[' | '{' | '(' => return None,
            _ => {
                let end = rest.find(',').unwrap_or(rest.len());
                let bare = rest[..end].trim();
                let is_word = !bare.is_empty() && !bare.contains(['\'', '"', ']']);
                (is_word.then(|| bare.to_owned())?, &rest[end..])
            }
        };
        items.push((item, matches!(first, '\'' | '"')));
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(items)
}

/// The text up to a closing quote, escapes undone, and what follows.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut item = String::new();
    let mut chars = text.char_indices();
    while let Some((place, c)) = chars.next() {
        match c {
            _ if c == quote => return Some((item, &text[place + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => item.push('\n'),
                't' => item.push('\t'),
                'r' => item.push('\r'),
                same @ ('\\' | '\'' | '"') => item.push(same),
                // Python keeps the backslash of an escape that it does not know.
                other => item.extend(['\\', other]),
            },
            _ => item.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{items, texts};

    #[test]
    fn texts_are_quoted() {
        assert_eq!(texts("['a', \"b\"]"), Some(vec!["a".to_owned(), "b".to_owned()]));
        for text in ["[2014, 2016]", "['a', 3]", "[draft]", "draft"] {
            assert_eq!(texts(text), None, "{text}");
        }
    }

    #[test]
    fn items_are_texts_and_numbers() {
        for (text, expected) in [
            ("['cat', \"dog's\"]", Some(vec!["cat", "dog's"])),
            (" [1, 2.5, None] ", Some(vec!["1", "2.5", "None"])),
            ("['a, b', 'c\\'d', 'e\\nf']", Some(vec!["a, b", "c'd", "e\nf"])),
            ("['\\frac{1}{2}']", Some(vec!["\\frac{1}{2}"])),
            ("['a',]", Some(vec!["a"])),
            ("[]", Some(vec![])),
            ("['a' 'b']", None),
            ("['a", None),
            ("[['a']]", None),
            ("cat", None),
            ("", None),
        ] {
            let expected = expected.map(|list| list.into_iter().map(str::to_owned).collect());
            assert_eq!(items(text), expected, "{text:?}");
        }
    }
}
