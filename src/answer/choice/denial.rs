//! Whether a text rules an option out: "not B", "all but B", "B is wrong".

/// Words that deny what follows within the next three.
const DENY: [&str; 14] = [
    "not",
    "cannot",
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

/// Words that put what follows within their own clause aside: "I would eliminate option B".
const DROP: [&str; 10] = [
    "eliminate",
    "eliminates",
    "eliminated",
    "eliminating",
    "exclude",
    "excludes",
    "excluded",
    "reject",
    "rejected",
    "discard",
];

/// What denies an option right behind it in Chinese.
const DENIES_UNSPACED: [&str; 7] = ["是错", "错", "不对", "不是", "不正确", "以外", "之外"];

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
    }) || drops(before)
}

/// Whether one of the last three words of the same clause puts something aside.
fn drops(before: &str) -> bool {
    let clause = before.rsplit([',', '.', ';', ':', '\n']).next().unwrap_or_default();
    let mut words = clause.split_whitespace().rev().take(4).peekable();
    let mut near = 0;
    while let Some(word) = words.next().filter(|_| near < 3) {
        let rules = words.peek().is_some_and(|rule| ["rule", "ruled", "ruling"].contains(rule));
        if DROP.contains(&word) || word == "out" && rules {
            return true;
        }
        near += 1;
    }
    false
}

/// Whether what follows an option denies it: "is wrong", "isn't the answer", "cannot be right".
pub fn follows(after: &str) -> bool {
    let clause = after.split([',', '.', ';', ':', '\n', '，', '。']).next().unwrap_or_default();
    let mut words = clause.split_whitespace().map(str::to_lowercase);
    let Some(verb) = words.next() else { return false };
    let denies = |word: String| {
        let deny = ["not", "wrong", "incorrect", "false", "excluded", "out", "impossible"];
        deny.contains(&word.as_str())
            || ["eliminated", "ruled", "rejected"].contains(&word.as_str())
    };
    let unspaced = clause.trim_start().trim_start_matches("选项").trim_start_matches('项');
    matches!(verb.as_str(), "isn't" | "isn’t" | "aren't" | "wasn't" | "can't" | "cannot")
        || (["is", "are", "was", "can", "must", "should"].contains(&verb.as_str())
            && words.by_ref().take(2).any(denies))
        // "seems to be wrong".
        || (["seems", "looks", "appears", "sounds"].contains(&verb.as_str())
            && words.take(3).any(denies))
        || DENIES_UNSPACED.iter().any(|denial| unspaced.starts_with(denial))
        || ["아니", "틀렸", "틀린"].iter().any(|denial| clause.contains(denial))
}
