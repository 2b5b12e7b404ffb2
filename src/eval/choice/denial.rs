//! Whether a text rules an option out: "not B", "all but B", "B is wrong".

/// Words that deny what follows within the next three.
const DENY: [&str; 13] = [
    "not",
    "no",
    "never",
    "neither",
    "nor",
    "without",
    "except",
    "excepting",
    "excluding",
    "besides",
    "unlike",
    "除了",
    "除",
];

/// Words that deny what follows where another one stands right before them: "other than", "all but".
const DENY_AFTER: [(&str, &[&str]); 5] = [
    ("than", &["other", "rather"]),
    ("of", &["instead"]),
    ("from", &["apart", "aside"]),
    ("but", &["all", "anything", "everything", "any", "every", "everyone", "anyone"]),
    ("for", &["except"]),
];

/// Whether one of the last three words before something denies it.
pub fn negated(before: &str) -> bool {
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    let words: Vec<String> = before.split_whitespace().rev().take(4).map(bare).collect();
    words.iter().take(3).enumerate().any(|(at, word)| {
        let follows = || words.get(at + 1).map_or("", String::as_str);
        DENY.contains(&word.as_str())
            || word.ends_with("n't")
            || word.ends_with("不是")
            || DENY_AFTER.iter().any(|(last, first)| word == last && first.contains(&follows()))
    })
}

/// Whether what follows an option denies it: "is wrong", "isn't the answer", "cannot be right".
pub fn follows(after: &str) -> bool {
    let clause = after.split([',', '.', ';', ':', '\n', '，', '。']).next().unwrap_or_default();
    let mut words = clause.split_whitespace().map(str::to_lowercase);
    let Some(verb) = words.next() else { return false };
    let denies = |word: String| {
        ["not", "wrong", "incorrect", "false", "excluded", "out", "impossible"]
            .contains(&word.as_str())
    };
    matches!(verb.as_str(), "isn't" | "isn’t" | "aren't" | "wasn't" | "can't" | "cannot")
        || (["is", "are", "was", "can", "must", "should"].contains(&verb.as_str())
            && words.take(2).any(denies))
        || clause.starts_with("是错")
        || clause.starts_with("不对")
        || clause.starts_with("以外")
}
