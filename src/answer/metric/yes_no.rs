//! Yes or no: what an answer says, and POPE's counts.
//!
//! POPE is a classification: precision, recall and F1 of "yes, it is there". Peers differ in
//! what they take for a yes; ours says neither where an answer says neither or both.

use super::vqa::normalize_punctuation;
use crate::answer::choice::denial::negated;
use crate::answer::python::text::words;
use std::collections::BTreeMap;

/// What a yes/no answer says: `Some(true)` is yes. None where it says neither or both.
///
/// An opening counts first: a sentence that begins with yes or no and stops there or at a comma
/// ("Yes, there is no other"). Without one, exactly one of the two words must occur.
/// Chinese and Korean words count where they are the whole answer.
pub fn yes_or_no(text: &str) -> Option<bool> {
    let lower = text.to_lowercase();
    let openings = lower.split(['.', '\n', ';', '!', '?', '/', '|', '。', '！', '？']).filter_map(
        |sentence| {
            let opening = sentence.split([',', ':', '，', '：']).next().unwrap_or_default();
            said(opening.trim_matches(|c: char| !c.is_alphanumeric()))
        },
    );
    one_of(openings).or_else(|| one_of(spoken(&lower).filter_map(said)))
}

/// [`yes_or_no`] of an answer that does not take it back: "yes, but no", "no idea" and "I cannot say
/// yes" say neither.
pub fn settled(text: &str) -> Option<bool> {
    yes_or_no(text).filter(|&said| !takes_back(&text.to_lowercase(), said))
}

/// What makes "no" no answer, right behind it.
const NOTHING: [&str; 5] = ["idea", "answer", "clue", "opinion", "comment"];
/// Words in front of a second thought.
const TURNS: [&str; 6] = ["but", "or", "and", "well", "actually", "rather"];

/// Whether a lower-cased text says a word and means it not.
fn takes_back(lower: &str, word: bool) -> bool {
    let bare = |part: &str| {
        let words = spoken(part).filter(|word| !word.is_empty());
        words.skip_while(|word| TURNS.contains(word)).collect::<Vec<_>>().join(" ")
    };
    let clauses = lower.split([',', '.', ';', ':', '!', '?', '\n', '，', '。', '：']);
    let turns = clauses.map(bare).any(|clause| said(&clause) == Some(!word));
    let words: Vec<&str> = spoken(lower).filter(|word| !word.is_empty()).collect();
    let means = |(place, _): (usize, &&str)| {
        // "It isn't there, no" denies nothing that it says.
        match word {
            true => !negated(&words[place.saturating_sub(3)..place].join(" ")),
            false => !words.get(place + 1).is_some_and(|next| NOTHING.contains(next)),
        }
    };
    let mut all = words.iter().enumerate().filter(|(_, one)| said(one) == Some(word)).peekable();
    turns || all.peek().is_some() && !all.any(means)
}

/// The words of a text, parted by everything but letters, digits and apostrophes.
pub fn spoken(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'')
}

/// What one lower-cased word says.
pub fn said(word: &str) -> Option<bool> {
    match word {
        "yes" | "是" | "是的" | "对" | "예" | "네" | "있습니다" => Some(true),
        "no" | "否" | "不" | "不是" | "没有" | "아니요" | "아니오" | "없습니다" => {
            Some(false)
        }
        _ => None,
    }
}

/// The one value that all are; none where there is none, or where they differ.
fn one_of(mut values: impl Iterator<Item = bool>) -> Option<bool> {
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

/// InternVL's reading: in the first sentence, one of the words `No`, `not`, `no` between single
/// spaces is no; everything else is yes.
pub fn internvl(text: &str) -> bool {
    let sentence = text.split('.').next().unwrap_or_default().replace(',', "");
    !sentence.split(' ').any(|word| matches!(word, "No" | "not" | "no"))
}

/// VLMEvalKit's reading: exactly one of the words yes and no, after its punctuation rules.
pub fn vlmevalkit(text: &str) -> Option<bool> {
    let plain = normalize_punctuation(&text.to_lowercase());
    let has = |wanted: &str| words(&plain).any(|word| word == wanted);
    match (has("yes"), has("no")) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    }
}

/// How the answers of some existence questions fall.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// There, and said to be there.
    pub true_yes: usize,
    /// Not there, but said to be there.
    pub false_yes: usize,
    /// Not there, and said not to be there.
    pub true_no: usize,
    /// There, but said not to be there.
    pub false_no: usize,
    /// There, with an answer that says neither.
    pub silent_yes: usize,
    /// Not there, with an answer that says neither.
    pub silent_no: usize,
}

impl Tally {
    /// Of what was said against what is there.
    pub fn of(answers: impl IntoIterator<Item = (Option<bool>, bool)>) -> Self {
        let mut tally = Self::default();
        for (said, there) in answers {
            let cell = match (said, there) {
                (Some(true), true) => &mut tally.true_yes,
                (Some(true), false) => &mut tally.false_yes,
                (Some(false), false) => &mut tally.true_no,
                (Some(false), true) => &mut tally.false_no,
                (None, true) => &mut tally.silent_yes,
                (None, false) => &mut tally.silent_no,
            };
            *cell += 1;
        }
        tally
    }

    /// Number of answers.
    pub fn all(&self) -> usize {
        self.said_yes() + self.true_no + self.false_no + self.silent_yes + self.silent_no
    }

    fn said_yes(&self) -> usize {
        self.true_yes + self.false_yes
    }

    fn there(&self) -> usize {
        self.true_yes + self.false_no + self.silent_yes
    }

    /// Share of right answers; an answer that says neither is wrong.
    pub fn accuracy(&self) -> Option<f64> {
        share(self.true_yes + self.true_no, self.all())
    }

    /// Share of present objects among those said to be there.
    pub fn precision(&self) -> Option<f64> {
        share(self.true_yes, self.said_yes())
    }

    /// Share of those said to be there among present objects.
    pub fn recall(&self) -> Option<f64> {
        share(self.true_yes, self.there())
    }

    /// Harmonic mean of precision and recall: `2·TP / (said yes + there)`.
    pub fn f1(&self) -> Option<f64> {
        share(2 * self.true_yes, self.said_yes() + self.there())
    }

    /// Share of answers that say yes.
    pub fn yes_ratio(&self) -> Option<f64> {
        share(self.said_yes(), self.all())
    }
}

/// A quotient; none where the denominator is zero.
fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Tallies by category, `Overall` for all: each answer counts once in `Overall` and once in each of
/// its comma-separated categories.
pub fn by_category(
    answers: &[(Option<bool>, bool)],
    categories: &[Option<&str>],
) -> BTreeMap<String, Tally> {
    grouped(answers, categories, false)
}

/// VLMEvalKit's table: an answer counts in `Overall` once for each of its categories.
pub fn by_category_vlmevalkit(
    answers: &[(Option<bool>, bool)],
    categories: &[Option<&str>],
) -> BTreeMap<String, Tally> {
    grouped(answers, categories, true)
}

fn grouped(
    answers: &[(Option<bool>, bool)],
    categories: &[Option<&str>],
    repeat: bool,
) -> BTreeMap<String, Tally> {
    let mut groups: BTreeMap<String, Vec<(Option<bool>, bool)>> = BTreeMap::new();
    groups.insert("Overall".to_owned(), Vec::new());
    for (answer, category) in answers.iter().zip(categories) {
        let names: Vec<&str> = category.map(|names| names.split(',').collect()).unwrap_or_default();
        let times = if repeat { names.len().max(1) } else { 1 };
        groups.entry("Overall".to_owned()).or_default().extend(vec![*answer; times]);
        for name in names {
            groups.entry(name.to_owned()).or_default().push(*answer);
        }
    }
    groups.into_iter().map(|(name, answers)| (name, Tally::of(answers))).collect()
}

/// The first reply of a judge that says yes or no, of at most [`TRIES`], and how many were asked.
pub fn judged(replies: &[String], read: fn(&str) -> Option<bool>) -> (Option<bool>, usize) {
    let mut calls = 0;
    for reply in replies.iter().take(TRIES) {
        calls += 1;
        if let Some(said) = read(reply) {
            return (Some(said), calls);
        }
    }
    (None, calls)
}

/// How often a judge is asked (VLMEvalKit).
pub const TRIES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_yes_or_no_or_neither() {
        for (text, says) in [
            ("Yes", Some(true)),
            ("no.", Some(false)),
            ("NO!", Some(false)),
            ("**Yes**", Some(true)),
            ("Yes, there is no doubt about the dog.", Some(true)),
            ("No, there is no dog.", Some(false)),
            ("There is no dog in the image.", Some(false)),
            ("The answer is yes", Some(true)),
            ("yes/no", None),
            ("There is a dog.", None),
            ("There isn't a dog.", None),
            ("I know nothing", None),
            ("", None),
            ("是的，有一只狗", Some(true)),
            ("아니요", Some(false)),
        ] {
            assert_eq!(yes_or_no(text), says, "{text:?}");
            assert_eq!(settled(text), says, "{text:?}");
        }
        for text in [
            "The answer is not yes",
            "I cannot say yes",
            "I can't say yes.",
            "yes, but no",
            "no, yes",
            "No, actually yes",
            "no idea",
            "No answer",
            "I have no clue.",
        ] {
            assert!(yes_or_no(text).is_some() && settled(text).is_none(), "{text:?}");
        }
        for (text, says) in [
            ("Yes, it is not small", true),
            ("Not sure, but I say yes", true),
            ("No, it is not.", false),
            ("It is not there. No.", false),
            ("Yes, yes", true),
            ("It isn't there, no", false),
            ("There is no dog, and no idea why", false),
        ] {
            assert_eq!(settled(text), Some(says), "{text:?}");
        }
    }

    #[test]
    fn the_peers_read_otherwise() {
        assert!(
            internvl("") && internvl("NO") && internvl("There isn't a dog.") && internvl("No!")
        );
        assert!(!internvl("Not sure, no") && !internvl("It is not. Yes"));
        assert_eq!(vlmevalkit("Yes, there is no doubt"), None);
        assert_eq!(vlmevalkit("**Yes**"), None);
        assert_eq!(vlmevalkit("(no)"), Some(false));
    }

    #[test]
    fn counts_follow_the_definitions() {
        // Two present, three absent: said yes, neither; yes, no, neither.
        let answers = [
            (Some(true), true),
            (None, true),
            (Some(true), false),
            (Some(false), false),
            (None, false),
        ];
        let tally = Tally::of(answers);
        assert_eq!(tally.accuracy(), Some(0.4));
        assert_eq!(tally.precision(), Some(0.5));
        assert_eq!(tally.recall(), Some(0.5));
        assert_eq!(tally.f1(), Some(0.5));
        assert_eq!(tally.yes_ratio(), Some(0.4));
        let all_no = Tally::of([(Some(false), false)]);
        assert_eq!((all_no.precision(), all_no.recall(), all_no.f1()), (None, None, None));
        assert_eq!(Tally::default().accuracy(), None);
    }

    #[test]
    fn a_row_counts_once_overall() {
        let answers = [(Some(true), true), (Some(true), false)];
        let categories = [Some("random,popular"), None];
        assert_eq!(by_category(&answers, &categories)["Overall"].all(), 2);
        assert_eq!(by_category_vlmevalkit(&answers, &categories)["Overall"].all(), 3);
        assert_eq!(by_category(&answers, &categories)["popular"].precision(), Some(1.0));
    }

    #[test]
    fn a_judge_is_asked_until_it_answers() {
        let replies: Vec<String> = ["Unknown", "hm", "No."].map(str::to_owned).into();
        assert_eq!(judged(&replies, yes_or_no), (Some(false), 3));
        assert_eq!(judged(&vec!["?".to_owned(); 7], yes_or_no), (None, 5));
    }
}
