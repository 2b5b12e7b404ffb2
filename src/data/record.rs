//! What flows between stages: questions, answers, preference pairs.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One question about one or more pictures. A line of `SPLIT.jsonl` in the
/// corpus artifact (splits: base, train, validation, test).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Question {
    /// Unique within its corpus.
    pub id: String,
    /// Paths below the corpus artifact's (or the spec's) image root; may be empty.
    pub images: Vec<String>,
    /// The question itself, without instruction or template.
    pub question: String,
    /// The known answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Other answers that count as right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Options, where the question names some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// Task family, or the data set's own task name.
    pub task: String,
    /// `generated`, or the data set's name.
    pub source: String,
    /// What only generated questions have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<Generated>,
    /// What a benchmark's file says beside, for its scorer: `category`, `answer_type`, …; under the
    /// names of [`ours`] what Prefab says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, String>,
}

impl Question {
    /// What a benchmark's file says of it under a name; empty where it says nothing.
    pub fn says(&self, name: &str) -> &str {
        self.meta.get(name).map_or("", String::as_str)
    }
}

/// Names in [`Question::meta`] that are Prefab's own. A file's column of such a name is not kept:
/// it would decide how pictures are cut and questions asked.
pub mod ours {
    /// The benchmark whose file a question is from.
    pub const BENCHMARK: &str = "benchmark";
    /// The instruction that asks for the answer alone.
    pub const DIRECT: &str = "direct";
    /// The instruction that asks for reasoning.
    pub const COT: &str = "cot";
    /// Most tiles of a picture.
    pub const TILES: &str = "tiles";
    /// The question that it is with its options in another order.
    pub const ROTATION_OF: &str = "rotation_of";
    /// Words for the same object, as a JSON list of lists.
    pub const SYNONYMS: &str = "synonyms";
    /// All of them.
    pub const ALL: [&str; 6] = [BENCHMARK, DIRECT, COT, TILES, ROTATION_OF, SYNONYMS];
}

/// The truth behind a generated question.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Generated {
    /// The careful rationale, with real newlines, ending in `Final answer: …`.
    pub rationale: String,
    /// A rationale with a systematic slip and the answer that follows from it, where the family has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sloppy: Option<String>,
    /// What a vision tower should see: one class a cell for each label layer
    /// (`cells[layer][cell]`, cells row-major, one cell an image token).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<Vec<u16>>,
    /// Objects that are in the picture, for existence and hallucination scores: `red circle`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    /// How a negative existence question was drawn: `random`, `popular`, `adversarial`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative: Option<String>,
}

/// Whether an answer is right.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Its final answer matches.
    Right,
    /// It has a final answer, and it does not match.
    Wrong,
    /// No final answer can be extracted.
    Unparsable,
}

/// One sampled or greedy answer. A line of candidates.jsonl or answers.jsonl.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Answer {
    /// The question's id.
    pub question: String,
    /// How it was asked.
    pub prompt: crate::spec::candidates::Prompt,
    /// Which of the question's samples, from 0.
    pub sample: usize,
    /// Everything the model wrote, without special tokens.
    pub text: String,
    /// Number of tokens, the end token included.
    pub tokens: usize,
    /// Whether the end token was reached before the length limit.
    pub ended: bool,
    /// The extracted final answer.
    #[serde(rename = "final", default, skip_serializing_if = "Option::is_none")]
    pub final_answer: Option<String>,
    /// Whether it is right; absent where no answer is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// A preference pair: MMPR's record exactly, read and written as JSONL.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Pair {
    /// One path, or several; absent for text only.
    #[serde(default, skip_serializing_if = "Images::is_empty")]
    pub image: Images,
    /// The templated question as the model was asked, `<image>\n` in front.
    pub question: String,
    /// The preferred answer, whole.
    pub chosen: String,
    /// The other answer, whole.
    pub rejected: String,
    /// The known answer; a number is read as its text.
    #[serde(
        default,
        deserialize_with = "read_known_answer",
        skip_serializing_if = "Option::is_none"
    )]
    pub answer_gt: Option<String>,
    /// Most tiles of a picture, where its data set has a limit of its own.
    #[serde(default, rename = "max_dynamic_patch", skip_serializing_if = "Option::is_none")]
    pub max_tiles: Option<usize>,
    /// Provenance of the chosen answer: question id, sample, kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_meta: Option<serde_json::Value>,
    /// Provenance of the rejected answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_meta: Option<serde_json::Value>,
}

/// A known answer as text, which others write as a number, too.
///
/// # Errors
///
/// Anything else, null excepted.
pub fn known_answer(written: &Value) -> Result<Option<String>, String> {
    match written {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) => Ok(Some(number.to_string())),
        other => Err(format!("`answer_gt` is {other}, neither text nor a number")),
    }
}

fn read_known_answer<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    known_answer(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// A string or a list of strings, as MMPR has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Images(pub Vec<String>);

impl Images {
    /// Whether the record is text only.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Images {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => serializer.serialize_str(one),
            many => many.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Images {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> serde::de::Visitor<'de> for OneOrMany {
            type Value = Images;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a path or a list of paths")
            }

            fn visit_unit<E>(self) -> Result<Images, E> {
                Ok(Images::default())
            }

            fn visit_str<E>(self, path: &str) -> Result<Images, E> {
                Ok(Images(if path.is_empty() { vec![] } else { vec![path.to_owned()] }))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<Images, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = list.next_element()? {
                    paths.push(path);
                }
                Ok(Images(paths))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}
