//! An answer as a list of claims, each a yes-or-no question.
//!
//! A description of a generated scene is split by its grammar: every object that it names is
//! one claim, however often it is named. Free text is split by rules, a sentence a claim, or
//! by the judge, who writes the claims down.

use crate::data::record::Question;
use std::collections::BTreeSet;

/// Words after which a point ends no sentence.
const ABBREVIATIONS: [&str; 15] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "vs", "e.g", "i.e", "approx", "inc", "ltd", "jr", "sr",
    "cf",
];
/// Words after which it ends none before a number: `no` is a whole answer, too.
const BEFORE_NUMBERS: [&str; 14] = [
    "no", "fig", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov",
    "dec",
];
/// What introduces a line that claims nothing about the picture.
const HEADINGS: [&str; 4] = ["final answer", "question", "答案", "answer"];
/// Marks that end a sentence.
const ENDS: [char; 8] = ['.', '!', '?', ';', '。', '！', '？', '；'];

/// The objects that scenes of a corpus are made of: attribute and noun, `red circle`.
#[derive(Debug)]
pub struct Grammar {
    objects: BTreeSet<(String, String)>,
    attributes: BTreeSet<String>,
    nouns: BTreeSet<String>,
}

impl Grammar {
    /// That of the objects which these questions' pictures are known to show.
    pub fn of<'a>(questions: impl IntoIterator<Item = &'a Question>) -> Self {
        let known = questions.into_iter().filter_map(|question| question.generated.as_ref());
        let objects: BTreeSet<(String, String)> = known
            .flat_map(|truth| &truth.objects)
            .filter_map(|object| object.rsplit_once(' '))
            .map(|(attribute, noun)| (attribute.to_lowercase(), noun.to_lowercase()))
            .collect();
        let (attributes, nouns) = objects.iter().cloned().unzip();
        Self { objects, attributes, nouns }
    }

    /// Whether a question's answers can be split by it.
    pub fn knows(&self, question: &Question) -> bool {
        let shows = question.generated.as_ref().is_some_and(|truth| !truth.objects.is_empty());
        shows && !self.objects.is_empty()
    }

    /// Each object that a text names, once, in order of first mention.
    pub fn objects(&self, text: &str) -> Vec<String> {
        let lower = text.to_lowercase();
        let words: Vec<&str> =
            lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let mut named = Vec::new();
        for pair in words.windows(2) {
            let singular = pair[1].strip_suffix('s').filter(|noun| self.nouns.contains(*noun));
            let noun = singular.unwrap_or(pair[1]);
            if self.attributes.contains(pair[0]) && self.nouns.contains(noun) {
                let object = format!("{} {noun}", pair[0]);
                if !named.contains(&object) {
                    named.push(object);
                }
            }
        }
        named
    }
}

/// The question of a claim by the grammar, as the family `exists` asks it.
pub fn exists(object: &str) -> String {
    format!("Is there a {object} in the picture?")
}

/// The question of a claim in a sentence.
pub fn holds(sentence: &str) -> String {
    format!("Is the following statement about the picture right? {sentence}")
}

/// What the judge is asked to split a text.
pub fn divide(question: &str, answer: &str) -> String {
    format!(
        "Below are a question about a picture and an answer to it. List every fact that the answer \
         states about the picture: one short, complete sentence a line, nothing else. Do not add, \
         judge or leave out anything.\n\nQuestion: {question}\n\nAnswer: {answer}"
    )
}

/// The lines of a list, without bullets and numbers.
pub fn lines(list: &str) -> Vec<String> {
    let bare = list.lines().map(bare).filter(|line| line.chars().any(char::is_alphanumeric));
    distinct(bare.collect())
}

/// The sentences of a text that claim something, each once.
pub fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    // Who writes no capitals begins no sentence with one.
    let has_capitals = text.contains(char::is_uppercase);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let line = &bare(line);
        let is_header = lines.peek().is_some_and(|next| is_rule(next));
        let lower = line.to_lowercase();
        let is_heading = |heading: &&str| lower.starts_with(&format!("{heading}:"));
        if is_header || HEADINGS.iter().any(is_heading) {
            continue;
        }
        let mut start = 0;
        for (at, mark) in line.char_indices().filter(|(_, c)| ENDS.contains(c)) {
            if ends_sentence(line, start, at, mark, has_capitals) {
                sentences.push(line[start..at + mark.len_utf8()].trim().to_owned());
                start = at + mark.len_utf8();
            }
        }
        sentences.push(line[start..].trim().to_owned());
    }
    let claims = |sentence: &String| {
        let words = sentence.split_whitespace().count();
        let letters = || sentence.chars().filter(|c| c.is_alphabetic());
        // Writing without spaces has no words to count.
        let unspaced = letters().filter(|c| !c.is_ascii()).count();
        let says = letters().count() > 2 && words > 1 || unspaced > 3;
        says && !sentence.ends_with(['?', '？', ':', '：'])
    };
    distinct(sentences.into_iter().filter(claims).collect())
}

/// Whether a line is the rule below the header of a table: `|---|:--:|`.
fn is_rule(line: &str) -> bool {
    line.contains('|') && line.contains("--") && line.chars().all(|c| "|-: \t".contains(c))
}

/// Whether a mark ends a sentence: a point does not between digits, after an abbreviation or
/// an initial, or before a small letter where sentences have capitals.
fn ends_sentence(line: &str, start: usize, at: usize, mark: char, has_capitals: bool) -> bool {
    if mark != '.' {
        return true;
    }
    let after = &line[at + 1..];
    if !after.is_empty() && !after.starts_with(char::is_whitespace) {
        return after.starts_with(['"', '\'', ')', '”']) && after.chars().count() == 1;
    }
    let word = line[start..at].rsplit(char::is_whitespace).next().unwrap_or_default();
    let word = word.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_alphabetic);
    let after = after.trim_start();
    let small = (has_capitals || word == "etc") && after.starts_with(char::is_lowercase);
    let numbers = || BEFORE_NUMBERS.contains(&word.as_str()) && starts_with_digit(after);
    !(ABBREVIATIONS.contains(&word.as_str()) || initial || small || numbers())
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// A line without bullet, number and bold marks.
fn bare(line: &str) -> String {
    let line = line.replace("**", "");
    let line = line.trim().trim_start_matches(['-', '*', '•', '#', '>', '–']).trim_start();
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let numbered =
        (1..=3).contains(&digits).then(|| line[digits..].strip_prefix(['.', ')'])).flatten();
    let line = numbered.filter(|rest| rest.starts_with(' ')).unwrap_or(line);
    line.trim().trim_matches('*').trim().to_owned()
}

fn distinct(list: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    list.into_iter().filter(|item| seen.insert(item.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::record::Generated;

    fn scene(objects: &[&str]) -> Question {
        let objects = objects.iter().map(|object| (*object).to_owned()).collect();
        let generated = Some(Generated { objects, ..Generated::default() });
        Question { generated, ..Question::default() }
    }

    #[test]
    fn a_scene_is_split_by_its_grammar() {
        let questions = [scene(&["red circle", "blue square"]), scene(&["green triangle"])];
        let grammar = Grammar::of(&questions);
        assert!(grammar.knows(&questions[0]) && !grammar.knows(&Question::default()));
        let text = "b3 red circle, c1 green circle, d4 red circle.\n3 shapes.\nFinal answer: \
                    Red circles, green circle, a red cat";
        assert_eq!(grammar.objects(text), ["red circle", "green circle"]);
        assert_eq!(exists("red circle"), "Is there a red circle in the picture?");
    }

    #[test]
    fn free_text_is_split_into_sentences() {
        let text = "Dr. Smith holds 3.5 apples. Two dogs, e.g. puppies, sit beside him!\n\
                    - The sky is blue\n2. **A red car is parked.**\nIs that right?\n\nObjects:\n\
                    Final answer: two\nThe sky is blue";
        assert_eq!(
            sentences(text),
            [
                "Dr. Smith holds 3.5 apples.",
                "Two dogs, e.g. puppies, sit beside him!",
                "The sky is blue",
                "A red car is parked.",
            ]
        );
        assert_eq!(sentences("图中有一只狗。它在草地上！"), ["图中有一只狗。", "它在草地上！"]);
        assert_eq!(
            sentences("J. R. R. Tolkien wrote it. He did."),
            ["J. R. R. Tolkien wrote it.", "He did."]
        );
        assert!(sentences("12\n...\n?").is_empty());
    }

    #[test]
    fn sentences_end_where_people_end_them() {
        for (text, claims) in [
            ("The answer is no. A dog is there.", &["The answer is no.", "A dog is there."][..]),
            ("It is No. 5 of them.", &["It is No. 5 of them."]),
            (
                "There are cats, dogs, etc. The sky is blue.",
                &["There are cats, dogs, etc.", "The sky is blue."],
            ),
            ("cats, dogs, etc. are there.", &["cats, dogs, etc. are there."]),
            ("Cats, dogs, etc. are there.", &["Cats, dogs, etc. are there."]),
            ("It was taken on Jan. 3 in Rome.", &["It was taken on Jan. 3 in Rome."]),
            (
                "a dog is there. it has a ball. the sky is blue",
                &["a dog is there.", "it has a ball.", "the sky is blue"],
            ),
            ("**The car** is red. It is **not blue**.", &["The car is red.", "It is not blue."]),
            ("* **Sky**: it is blue", &["Sky: it is blue"]),
            ("| Thing | Color |\n|:---|---|\n| car | red |", &["| car | red |"]),
        ] {
            assert_eq!(sentences(text), claims, "{text}");
        }
    }

    #[test]
    fn a_list_loses_its_bullets() {
        assert_eq!(
            lines("- A dog.\n* A cat.\n\n3) A cow.\n- A dog."),
            ["A dog.", "A cat.", "A cow."]
        );
    }
}
