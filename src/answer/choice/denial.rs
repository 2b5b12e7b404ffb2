//! Whether a text rules an option out, or doubts it: "not B", "all but B", "B is wrong", "hardly B".

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

/// Words that make what follows within the next four of the same clause unlikely.
const DOUBT: [&str; 6] = ["doubt", "doubts", "doubtful", "unlikely", "hardly", "scarcely"];

/// What denies an option right before it in Chinese, as the end of a word.
const DENIES_BEFORE_UNSPACED: [&str; 11] = [
    "不是",
    "并非",
    "不选",
    "不選",
    "不应选",
    "不應選",
    "不能选",
    "不该选",
    "不应该选",
    "不可能是",
    "不会是",
];
/// Words for an option, which may stand between a denial and its letter.
const OPTION_UNSPACED: [&str; 5] = ["选项", "選項", "答案", "择", "項"];

/// What denies an option right behind it in Chinese and Japanese. A bare 不 may begin its text.
const DENIES_UNSPACED: [&str; 31] = [
    "是错",
    "错",
    "不对",
    "不是",
    "不正确",
    "以外",
    "之外",
    "并不",
    "并非",
    "並不",
    "並非",
    "不符",
    "不合",
    "不成立",
    "有误",
    "除外",
    "应排除",
    "可排除",
    "可以排除",
    "被排除",
    "不应选",
    "不该选",
    "不能选",
    "是不对",
    "是不正确",
    "ではな",
    "ではあり",
    "じゃな",
    "は間違",
    "は誤",
    "は不正解",
];
/// What denies an option within its clause in Korean, as parts of words.
const DENIES_KOREAN: [&str; 10] =
    ["아니", "아닙", "아닌", "틀렸", "틀린", "틀립", "틀리", "오답", "제외", "빼고"];

/// Verbs that deny by themselves, whatever shape their apostrophe has.
const NEGATED_VERBS: [&str; 10] = [
    "isn't", "aren't", "wasn't", "can't", "cannot", "doesn't", "don't", "didn't", "won't",
    "wouldn't",
];
/// Verbs that a denial stands behind, and within how many words.
const VERBS: [(&[&str], usize); 3] = [
    (&["is", "are", "was", "can", "must", "should", "does", "do", "did"], 2),
    (&["would", "could", "may", "might", "will"], 3),
    // "seems to be wrong".
    (&["seems", "looks", "appears", "sounds"], 3),
];
/// What denies an option behind such a verb.
const DENIES: [&str; 14] = [
    "not",
    "wrong",
    "incorrect",
    "false",
    "excluded",
    "out",
    "impossible",
    "eliminated",
    "ruled",
    "rejected",
    "unlikely",
    "improbable",
    "implausible",
    "doubtful",
];

/// Whether one of the last words before something denies it.
pub fn negated(before: &str) -> bool {
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    let words: Vec<String> = before.split_whitespace().rev().take(4).map(bare).collect();
    let denies = words.iter().take(3).enumerate().any(|(at, word)| {
        let follows = || words.get(at + 1).map_or("", String::as_str);
        // "There is no doubt that it is B".
        let is_sure = at > 0 && words[at - 1] == "doubt";
        DENY.contains(&word.as_str()) && !is_sure
            || word.ends_with("n't")
            || DENY_AFTER.iter().any(|(last, first)| word == last && first.contains(&follows()))
    });
    denies
        || words.iter().take(3).any(|word| denies_unspaced(word))
        || drops(before)
        || doubts(before)
}

/// Whether a word ends in what denies in Chinese, a word for an option behind it or not.
fn denies_unspaced(word: &str) -> bool {
    let bare = OPTION_UNSPACED.iter().find_map(|option| word.strip_suffix(option)).unwrap_or(word);
    DENIES_BEFORE_UNSPACED.iter().any(|denial| bare.ends_with(denial))
}

/// Whether one of the last four words of the same clause calls what follows unlikely; "no doubt" does not.
fn doubts(before: &str) -> bool {
    let clause = before.rsplit([',', '.', ';', ':', '\n']).next().unwrap_or_default();
    let words: Vec<&str> = clause.split_whitespace().rev().take(5).collect();
    let sure = |at: usize| words.get(at + 1).is_some_and(|word| ["no", "without"].contains(word));
    (0..words.len().min(4)).any(|at| DOUBT.contains(&words[at]) && !sure(at))
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

/// Whether what follows an option denies it: "is wrong", "doesn't fit", "cannot be right".
pub fn follows(after: &str) -> bool {
    let clause = after.split([',', '.', ';', ':', '\n', '，', '。']).next().unwrap_or_default();
    let mut words = clause.split_whitespace().map(|word| word.to_lowercase().replace('’', "'"));
    let Some(verb) = words.next() else { return false };
    let verb = verb.as_str();
    let near = VERBS.iter().find(|(verbs, _)| verbs.contains(&verb)).map_or(0, |(_, near)| *near);
    NEGATED_VERBS.contains(&verb)
        || words.take(near).any(|word| DENIES.contains(&word.as_str()) || word == "hardly")
        || follows_unspaced(clause)
}

/// The same in Chinese, Japanese and Korean.
fn follows_unspaced(clause: &str) -> bool {
    let unspaced = clause.trim_start();
    let unspaced =
        OPTION_UNSPACED.iter().find_map(|it| unspaced.strip_prefix(it)).unwrap_or(unspaced);
    // "B이지 A가 아닙니다" denies the next one.
    let is_letter = |word: &str| word.starts_with(|c: char| c.is_ascii_uppercase());
    let own = clause.split(' ').take_while(|word| !is_letter(word));
    DENIES_UNSPACED.iter().any(|denial| unspaced.starts_with(denial))
        || own.into_iter().any(|word| DENIES_KOREAN.iter().any(|denial| word.contains(denial)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_denies() {
        for before in [
            "not",
            "i doubt it is",
            "i doubt that it is",
            "unlikely",
            "it is hardly",
            "不选",
            "不应选",
            "答案不是",
            "不选选项",
            "all but",
        ] {
            assert!(negated(before), "{before}");
        }
        for before in [
            "there is no doubt it is",
            "without doubt",
            "no doubt it is",
            "it is unlikely to be red, so",
            "应选",
            "答案选",
        ] {
            assert!(!negated(before), "{before}");
        }
    }

    #[test]
    fn what_stands_behind_denies() {
        for after in [
            "doesn't fit",
            "doesn’t fit",
            "does not match",
            "would be incorrect",
            "is unlikely",
            "is hardly right",
            "could not be",
            "가 아닙니다",
            "는 틀립니다",
            "는 오답입니다",
            "를 제외한",
            "빼고 모두",
            "가 아닌 B",
            "并不是",
            "并非答案",
            "选项不对",
            "ではない",
        ] {
            assert!(follows(after), "{after}");
        }
        for after in [
            "fits, and no other does",
            "is right",
            "would be the best",
            "does fit",
            "입니다",
            "이지 A가 아닙니다",
            "不可再生资源",
            "です",
            "",
        ] {
            assert!(!follows(after), "{after}");
        }
    }
}
