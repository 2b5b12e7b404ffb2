//! `describe`: does a description name objects that are not in the picture?
//!
//! An object is an attribute and a noun, `red circle`. The words known are those
//! of all pictures of the split, so that `green star` is heard even where no
//! picture has one. An object counts once a description, however often it is named;
//! with a reasoned description, what the reasoning names counts too.

use super::benchmark::Extraction;
use super::{Asked, Benchmark, Card, Counted, Counts, Metric, Value, flag};
use crate::answer::matching::is_open;
use crate::data::record::Question;
use std::collections::BTreeSet;

/// See the module.
pub struct Describe;

const FAITHFUL: usize = 0;
const NAMES_SOME: usize = 1;
const INVENTS_SOME: usize = 2;
const NAMED: usize = 3;
const INVENTED: usize = 4;
const PRESENT: usize = 5;
const COVERED: usize = 6;
const ASKED: usize = 7;
const UNPARSABLE: usize = 8;

// The rates that the judged Object HalBench has too.

/// Descriptions that invent an object, of those that name one.
pub(super) const RESPONSE_RATE: Metric =
    Metric { name: "response_rate", value: Value::Share(INVENTS_SOME, NAMES_SOME) };
/// Invented objects among all named.
pub(super) const MENTION_RATE: Metric =
    Metric { name: "mention_rate", value: Value::Part(INVENTED, NAMED) };
/// Objects present that are named.
pub(super) const COVERAGE: Metric =
    Metric { name: "coverage", value: Value::Part(COVERED, PRESENT) };

/// Counts the objects of a description for the rates; 1 where it names some and invents none. An
/// object that is named by two words is named twice, and covered once.
pub(super) fn count_objects<T: Ord>(
    named: &[T],
    present: &BTreeSet<T>,
    counts: &mut Counts,
) -> f64 {
    let invented = named.iter().filter(|object| !present.contains(object)).count();
    counts[NAMES_SOME] = flag(!named.is_empty());
    counts[INVENTS_SOME] = flag(invented > 0);
    counts[NAMED] = named.len() as f64;
    counts[INVENTED] = invented as f64;
    counts[PRESENT] = present.len() as f64;
    counts[COVERED] = present.iter().filter(|object| named.contains(object)).count() as f64;
    flag(!named.is_empty() && invented == 0)
}

impl Benchmark for Describe {
    fn card(&self) -> &Card {
        &Card {
            name: "describe",
            about: "objects in open-ended descriptions: invented ones by response and by mention, \
                    and coverage",
            source: "Rohrbach et al. 2018, arXiv:1809.02156 (CHAIR), with the rates of Object \
                     HalBench: Yu et al. 2023, arXiv:2312.00849",
            asks: "describe",
            needs: "open-ended questions with known objects: `describe` in `corpus.tasks`",
            extraction: Extraction::LABELLED,
        }
    }

    fn metrics(&self) -> &'static [Metric] {
        &[
            Metric { name: "faithful", value: Value::Share(FAITHFUL, ASKED) },
            RESPONSE_RATE,
            MENTION_RATE,
            COVERAGE,
            Metric { name: "objects", value: Value::Ratio(NAMED, ASKED) },
            Metric { name: "unparsable", value: Value::Share(UNPARSABLE, ASKED) },
        ]
    }

    fn selects(&self, question: &Question) -> bool {
        is_open(question)
            && question.generated.as_ref().is_some_and(|truth| !truth.objects.is_empty())
    }

    fn count(&self, asked: &[Asked<'_>]) -> Vec<Counted> {
        let lexicon = Lexicon::of(asked.iter().map(|asked| asked.question));
        asked
            .iter()
            .map(|asked| {
                let named = lexicon.objects(&asked.row.answer.text);
                let named: Vec<Object> = named.into_iter().collect();
                let present = lexicon.present(asked.question);
                let mut counts = Counts::default();
                counts[FAITHFUL] = count_objects(&named, &present, &mut counts);
                counts[ASKED] = 1.0;
                counts[UNPARSABLE] = flag(named.is_empty() || !asked.row.answer.ended);
                Counted { groups: vec!["all".into()], counts, score: Some(counts[FAITHFUL]) }
            })
            .collect()
    }
}

/// The words that objects are made of.
pub(super) struct Lexicon {
    attributes: BTreeSet<String>,
    nouns: BTreeSet<String>,
}

/// An object as named: its attribute (empty where it has none) and its noun.
pub(super) type Object = (String, String);

impl Lexicon {
    pub(super) fn of<'a>(questions: impl Iterator<Item = &'a Question>) -> Self {
        let mut lexicon = Self { attributes: BTreeSet::new(), nouns: BTreeSet::new() };
        for object in
            questions.filter_map(|q| q.generated.as_ref()).flat_map(|truth| &truth.objects)
        {
            let (attribute, noun) = parts(object);
            lexicon.attributes.insert(attribute);
            lexicon.nouns.insert(noun);
        }
        lexicon
    }

    /// The objects in a question's picture.
    pub(super) fn present(&self, question: &Question) -> BTreeSet<Object> {
        let truth = question.generated.as_ref();
        truth.into_iter().flat_map(|truth| &truth.objects).map(|object| parts(object)).collect()
    }

    /// The objects that a text names: a known noun, with the known attribute right before it.
    pub(super) fn objects(&self, text: &str) -> BTreeSet<Object> {
        let lower = text.to_lowercase();
        let words: Vec<&str> =
            lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let mut objects = BTreeSet::new();
        for (at, word) in words.iter().enumerate() {
            let Some(noun) = self.noun(word) else { continue };
            let before = at.checked_sub(1).map_or("", |before| words[before]);
            let attribute = if self.attributes.contains(before) { before } else { "" };
            // Where every object has an attribute, a bare "circle" names none in particular.
            if self.attributes.contains(attribute) {
                objects.insert((attribute.to_owned(), noun.to_owned()));
            }
        }
        objects
    }

    /// The noun of a word, plural or not.
    fn noun<'a>(&'a self, word: &'a str) -> Option<&'a str> {
        [Some(word), word.strip_suffix('s'), word.strip_suffix("es")]
            .into_iter()
            .flatten()
            .find(|word| self.nouns.contains(*word))
    }
}

/// `red circle` as attribute and noun; a single word has an empty attribute.
fn parts(object: &str) -> Object {
    let lower = object.trim().to_lowercase();
    match lower.rsplit_once(' ') {
        Some((attribute, noun)) => (attribute.trim().to_owned(), noun.to_owned()),
        None => (String::new(), lower),
    }
}
