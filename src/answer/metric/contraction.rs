//! English contractions that lost an apostrophe, as the VQA challenge mends them.

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
pub fn contraction(word: &str) -> Option<&'static str> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_apostrophe_is_given_back() {
        for (word, mended) in [
            ("dont", "don't"),
            ("wouldnt've", "wouldn't've"),
            ("ow's'at", "'ow's'at"),
            ("somebody'd", "somebodyd"),
        ] {
            assert_eq!(contraction(word), Some(mended), "{word}");
        }
        // Two lost, none lost, and the keys with a capital, which lower-cased text never holds.
        for word in ["wouldntve", "don't", "im", "id've", "shed", "dog"] {
            assert_eq!(contraction(word), None, "{word}");
        }
    }
}
