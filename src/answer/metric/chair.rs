//! CHAIR, for Object HalBench: which named objects are not in the picture.
//!
//! Words map to classes by a synonym list (a row a class, the class first). *Response* rate: responses
//! that name an absent class, of those that name any. *Mention* rate: words for absent classes, of all
//! words that name one, each word once a response.

use crate::answer::python::text::{is_space, strip, words};
use crate::answer::python::{Exception, PyResult};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Which words name which classes.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    classes: HashMap<String, String>,
    /// Two words that are one object, and what they name.
    pairs: HashMap<String, String>,
}

const ANIMALS: [&str; 12] = [
    "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe",
    "animal", "cub",
];
const VEHICLES: [&str; 2] = ["jet", "train"];

/// A word of a caption that names a class.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mention {
    /// The word.
    pub word: String,
    /// The class that it names.
    pub class: String,
    /// Its place in the list.
    pub position: usize,
}

impl Vocabulary {
    /// From rows of synonyms, the class first.
    ///
    /// Two-word rules are those of Rohrbach et al. 2018 as RLAIF-V extends them: "baby dog" is a dog,
    /// "passenger train" a train, "bow tie" a tie, "toilet seat" a toilet, "wine glas" a wine glass;
    /// "home plate" and "train track" are objects of their own, so that neither is a plate or a train.
    pub fn new(rows: &[Vec<String>]) -> Self {
        let mut classes = HashMap::new();
        for row in rows {
            for word in row {
                classes.insert(word.clone(), row[0].clone());
            }
        }
        let mut pairs = HashMap::new();
        for word in classes.keys().filter(|word| word.trim_matches(is_space).contains(' ')) {
            pairs.insert(word.clone(), word.clone());
        }
        for pair in ["home plate", "train track"] {
            pairs.insert(pair.to_owned(), pair.to_owned());
        }
        for animal in ANIMALS {
            pairs.insert(format!("baby {animal}"), animal.to_owned());
            pairs.insert(format!("adult {animal}"), animal.to_owned());
        }
        for vehicle in VEHICLES {
            pairs.insert(format!("passenger {vehicle}"), vehicle.to_owned());
        }
        for (pair, object) in
            [("bow tie", "tie"), ("toilet seat", "toilet"), ("wine glas", "wine glass")]
        {
            pairs.insert(pair.to_owned(), object.to_owned());
        }
        Self { classes, pairs }
    }

    /// The class that a word names.
    pub fn class(&self, word: &str) -> Option<&str> {
        self.classes.get(word).map(String::as_str)
    }

    /// The objects of two words in a list of single ones.
    pub fn two_word_objects(&self, words: &[String]) -> Vec<String> {
        let mut found = Vec::new();
        let mut place = 0;
        while place < words.len() {
            let pair = words[place..words.len().min(place + 2)].join(" ");
            if let Some(object) = self.pairs.get(&pair) {
                found.push(object.clone());
                place += 1;
            }
            place += 1;
        }
        found
    }

    /// The words that name a class, in order. Beside a toilet, a seat is no chair.
    pub fn mentions(&self, words: &[String]) -> Vec<Mention> {
        self.map(words, false)
    }

    /// RLAIF-V's, whose positions count what is left when seats were dropped.
    pub fn mentions_rlaif_v(&self, words: &[String]) -> Vec<Mention> {
        self.map(words, true)
    }

    fn map(&self, words: &[String], recount: bool) -> Vec<Mention> {
        let has = |wanted: &str| words.iter().any(|word| word == wanted);
        let drops_seats = has("toilet") && has("seat");
        let kept = words.iter().enumerate().filter(|(_, word)| !(drops_seats && *word == "seat"));
        kept.enumerate()
            .filter_map(|(counted, (place, word))| {
                let class = self.classes.get(word)?.clone();
                let position = if recount { counted } else { place };
                Some(Mention { word: word.clone(), class, position })
            })
            .collect()
    }
}

/// The object list of an extractor's reply: a JSON list of texts, fenced or not, whole or on a line of its own.
pub fn object_list(reply: &str) -> Option<Vec<String>> {
    let bare: Vec<&str> =
        reply.lines().map(strip).filter(|line| !line.starts_with("```")).collect();
    let whole = bare.join("\n");
    let list = |text: &str| match serde_json::from_str(text).ok()? {
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        }
        _ => None,
    };
    list(&whole).or_else(|| bare.iter().rev().find_map(|line| list(line)))
}

/// RLAIF-V's reading: the reply as any JSON value, else its last line if it holds `["`.
///
/// # Errors
///
/// A `ValueError` for anything else.
pub fn object_list_rlaif_v(reply: &str) -> PyResult<Value> {
    python_json(reply)
        .or_else(|| {
            let last = strip(reply).rsplit('\n').next()?;
            reply.contains("[\"").then(|| python_json(last)).flatten()
        })
        .ok_or(Exception("ValueError"))
}

/// `json.loads`, which also takes `NaN` and the infinities.
fn python_json(text: &str) -> Option<Value> {
    match text.trim_matches([' ', '\t', '\n', '\r']) {
        word @ ("NaN" | "Infinity" | "-Infinity") => Some(word.into()),
        other => serde_json::from_str(other).ok(),
    }
}

/// A response: its picture, text and objects (each phrase once).
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// Key of the picture's objects.
    pub image: &'a str,
    /// Its text.
    pub caption: &'a str,
    /// The objects that an extractor found.
    pub objects: &'a [String],
}

/// What one response counts for.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Objects that map to a class.
    pub mentions: Vec<Mention>,
    /// Those whose class is not in the picture.
    pub hallucinated: Vec<Mention>,
    /// Share of hallucinated among all; 0 where nothing maps.
    pub share: f64,
}

/// Rates over all responses; none where nothing is counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    /// Responses with an absent class, of all responses.
    pub of_responses: Option<f64>,
    /// The response rate: of those that name a class.
    pub response: Option<f64>,
    /// The mention rate.
    pub mention: Option<f64>,
    /// Share of present classes that are named.
    pub recall: Option<f64>,
    /// Mean length in words.
    pub length: Option<f64>,
    /// Number of responses.
    pub responses: usize,
    /// Those that name a class.
    pub naming: usize,
    /// Present classes that are named, summed over responses.
    pub named: usize,
    /// Present classes, summed over responses.
    pub present: usize,
}

/// The classes of each picture.
pub type Gold = BTreeMap<String, BTreeSet<String>>;

/// Judges responses. A word counts once in a response; two synonyms of a class are two mentions of it.
///
/// # Source
///
/// Rohrbach et al. 2018, arXiv:1809.02156; Yu et al. 2024, arXiv:2312.00849 (Object HalBench).
///
/// # Errors
///
/// A picture without objects on record.
pub fn rates(
    vocabulary: &Vocabulary,
    gold: &Gold,
    responses: &[Response<'_>],
) -> Result<(Rates, Vec<Judged>), String> {
    counted(
        gold,
        responses,
        |objects| {
            let mut seen = BTreeSet::new();
            let mentions = vocabulary.mentions(objects);
            mentions.into_iter().filter(|mention| seen.insert(mention.word.clone())).collect()
        },
        |caption| words(caption).count(),
    )
}

/// RLAIF-V's evaluation, whose lists hold a word once; lengths count words between single spaces.
///
/// # Errors
///
/// A `KeyError` for a picture without objects on record; a `ZeroDivisionError` where nothing is counted.
pub fn rates_rlaif_v(
    vocabulary: &Vocabulary,
    gold: &Gold,
    responses: &[Response<'_>],
) -> PyResult<(Rates, Vec<Judged>)> {
    let length = |caption: &str| strip(caption).split(' ').count();
    let (rates, judged) =
        counted(gold, responses, |objects| vocabulary.mentions_rlaif_v(objects), length)
            .map_err(|_| Exception("KeyError"))?;
    let all = [rates.of_responses, rates.response, rates.mention, rates.recall, rates.length];
    if all.contains(&None) { Err(Exception("ZeroDivisionError")) } else { Ok((rates, judged)) }
}

fn counted(
    gold: &Gold,
    responses: &[Response<'_>],
    mentions: impl Fn(&[String]) -> Vec<Mention>,
    length: impl Fn(&str) -> usize,
) -> Result<(Rates, Vec<Judged>), String> {
    let mut rates = Rates { responses: responses.len(), ..Rates::default() };
    let (mut wrong_responses, mut wrong, mut all, mut length_sum) = (0, 0, 0, 0);
    let mut judged = Vec::new();
    for response in responses {
        let present = gold
            .get(response.image)
            .ok_or_else(|| format!("picture `{}` has no objects on record", response.image))?;
        let mentions = mentions(response.objects);
        let is_absent = |mention: &&Mention| !present.contains(&mention.class);
        let hallucinated: Vec<Mention> = mentions.iter().filter(is_absent).cloned().collect();
        let named: BTreeSet<&str> = mentions
            .iter()
            .filter(|mention| !is_absent(mention))
            .map(|mention| mention.class.as_str())
            .collect();
        rates.naming += usize::from(!mentions.is_empty());
        rates.named += named.len();
        rates.present += present.len();
        wrong_responses += usize::from(!hallucinated.is_empty());
        wrong += hallucinated.len();
        all += mentions.len();
        length_sum += length(response.caption);
        let share = ratio(hallucinated.len(), mentions.len()).unwrap_or(0.0);
        judged.push(Judged { mentions, hallucinated, share });
    }
    rates.of_responses = ratio(wrong_responses, rates.responses);
    rates.response = ratio(wrong_responses, rates.naming);
    rates.mention = ratio(wrong, all);
    rates.recall = ratio(rates.named, rates.present);
    rates.length = ratio(length_sum, rates.responses);
    Ok((rates, judged))
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn vocabulary() -> Vocabulary {
        Vocabulary::new(&[
            owned(&["person", "man", "woman"]),
            owned(&["dog", "puppy"]),
            owned(&["chair", "seat"]),
            owned(&["toilet"]),
            owned(&["wine glass"]),
        ])
    }

    #[test]
    fn words_map_to_classes() {
        let known = vocabulary();
        let found = known.mentions(&owned(&["seat", "tree", "toilet", "puppy"]));
        assert_eq!(
            found.iter().map(|m| (m.class.as_str(), m.position)).collect::<Vec<_>>(),
            [("toilet", 2), ("dog", 3)]
        );
        let peer = known.mentions_rlaif_v(&owned(&["seat", "tree", "toilet", "puppy"]));
        assert_eq!(peer.iter().map(|m| m.position).collect::<Vec<_>>(), [1, 2]);
        let words = owned(&["a", "baby", "dog", "wine", "glas", "home", "plate", "dog"]);
        assert_eq!(known.two_word_objects(&words), ["dog", "wine glass", "home plate"]);
    }

    #[test]
    fn a_word_named_twice_counts_once_and_two_words_of_a_class_twice() {
        let gold =
            Gold::from([("1".to_owned(), BTreeSet::from(["dog".to_owned(), "chair".to_owned()]))]);
        let objects = owned(&["man", "woman", "dog", "man"]);
        let nothing = owned(&["tree"]);
        let responses = [
            Response { image: "1", caption: "a man, a woman and a dog", objects: &objects },
            Response { image: "1", caption: "a  tree", objects: &nothing },
        ];
        let (ours, judged) = rates(&vocabulary(), &gold, &responses).unwrap();
        assert_eq!(
            (ours.mention, ours.response, ours.of_responses),
            (Some(2.0 / 3.0), Some(1.0), Some(0.5))
        );
        assert_eq!((ours.recall, ours.length), (Some(0.25), Some(4.5)));
        assert_eq!(judged[0].hallucinated.len(), 2);
        let (theirs, _) = rates_rlaif_v(&vocabulary(), &gold, &responses).unwrap();
        assert_eq!(theirs.mention, Some(0.75), "its lists hold a word once");
        assert_eq!(theirs.length, Some(5.0));
        assert_eq!(
            rates_rlaif_v(&vocabulary(), &gold, &responses[1..]),
            Err(Exception("ZeroDivisionError"))
        );
        let elsewhere = [Response { image: "2", ..responses[0] }];
        assert!(rates(&vocabulary(), &gold, &elsewhere).unwrap_err().contains("`2`"));
    }

    #[test]
    fn object_lists_are_lists_of_texts() {
        assert_eq!(object_list("```json\n[\"a\", \"b\"]\n```"), Some(owned(&["a", "b"])));
        assert_eq!(object_list("Here:\n[\"a\"]\nDone"), Some(owned(&["a"])));
        assert_eq!(object_list("[]"), Some(vec![]));
        for not_one in ["1", "\"a\"", "['a']", "", "[1]"] {
            assert_eq!(object_list(not_one), None, "{not_one}");
        }
        assert_eq!(object_list_rlaif_v("1"), Ok(1.into()));
        assert_eq!(object_list_rlaif_v("[\"a\"]\nDone"), Err(Exception("ValueError")));
        assert_eq!(object_list_rlaif_v("text\n[\"dog\"]\n"), Ok(serde_json::json!(["dog"])));
    }
}
