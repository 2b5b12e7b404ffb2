//! Questions on disk: JSONL, a question a line.
//!
//! A corpus artifact's lines are whole [`Question`]s. A user's may be as short
//! as `{"image": "a.png", "question": "…", "answer": "…"}`: `image` or `images`
//! (a path, a list, or neither), any of the other fields, numbers and booleans
//! where text is meant; unknown fields are left alone.

use super::lines;
use super::record::{Generated, Images, Question};
use crate::error::{Error, Result};
use crate::spec::eval::Split;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// A line as people write it.
#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    id: Option<Word>,
    #[serde(default, alias = "image")]
    images: Images,
    question: String,
    #[serde(default)]
    answer: Option<Word>,
    #[serde(default)]
    aliases: Vec<Word>,
    #[serde(default)]
    choices: Vec<Word>,
    #[serde(default)]
    task: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    generated: Option<Generated>,
    #[serde(default)]
    meta: BTreeMap<String, String>,
}

/// Text, or a number or truth value that stands for its text.
struct Word(String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self(text)),
            serde_json::Value::Number(number) => Ok(Self(number.to_string())),
            serde_json::Value::Bool(truth) => Ok(Self(truth.to_string())),
            other => Err(serde::de::Error::custom(format!("`{other}` is not text"))),
        }
    }
}

fn words(list: Vec<Word>) -> Vec<String> {
    list.into_iter().map(|word| word.0).collect()
}

/// The questions of a JSONL file, in file order. Missing ids become
/// `FILE-LINE`, missing tasks the file's name, missing sources its folder's.
///
/// # Errors
///
/// An unreadable file; a line that is not a question; an id that occurs twice.
/// Each names the file and the line.
pub fn read_questions(path: &Path) -> Result<Vec<Question>> {
    Ok(read_numbered(path)?.into_iter().map(|(_, question)| question).collect())
}

/// As [`read_questions`], each with its line number.
pub(crate) fn read_numbered(path: &Path) -> Result<Vec<(usize, Question)>> {
    let word = |name: Option<&std::ffi::OsStr>| {
        name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let stem = word(path.file_stem());
    let folder = word(path.parent().and_then(Path::file_name));
    let mut first_line: HashMap<String, usize> = HashMap::new();
    let mut questions = Vec::new();
    for (line, row) in lines::numbered::<Row>(path)? {
        if row.question.trim().is_empty() {
            return Err(Error::new(format!("{}:{line}: the question is empty", path.display())));
        }
        let id = row.id.map_or_else(|| format!("{stem}-{line}"), |id| id.0);
        if let Some(first) = first_line.insert(id.clone(), line) {
            return Err(Error::new(format!(
                "{}:{line}: the id `{id}` is already on line {first}",
                path.display()
            ))
            .hint("ids are unique within a file; without ids, line numbers serve"));
        }
        let question = Question {
            id,
            images: row.images.0,
            question: row.question,
            answer: row.answer.map(|word| word.0),
            aliases: words(row.aliases),
            choices: words(row.choices),
            task: row.task.unwrap_or_else(|| stem.clone()),
            source: row.source.unwrap_or_else(|| folder.clone()),
            generated: row.generated,
            meta: row.meta,
        };
        questions.push((line, question));
    }
    Ok(questions)
}

/// The questions of a split of a corpus artifact.
///
/// # Errors
///
/// As [`read_questions`].
pub fn read_split(corpus: &Path, split: Split) -> Result<Vec<Question>> {
    read_questions(&corpus.join(format!("{}.jsonl", split.name())))
}

/// Writes questions, one a line.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write_questions(path: &Path, questions: &[Question]) -> Result<()> {
    lines::write(path, questions)
}
