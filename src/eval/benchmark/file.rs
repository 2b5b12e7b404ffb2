//! How a row of a benchmark's file becomes a question.

use crate::Result;
use crate::data::benchmark::{Format, Record};
use crate::data::record::{Question, ours};
use crate::data::template::instruction::{Parted, parted};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A benchmark's file.
pub struct File {
    /// Which files it is made of.
    pub format: Format,
    /// Most tiles of a picture, as published; none: the model's own.
    pub tiles: Option<usize>,
    /// The published instruction behind a question that wants the answer alone, which may be
    /// empty; none: the model's own.
    pub direct: Option<&'static str>,
    /// Whether it is asked so whatever the spec's prompt is, as published: no reasoning is asked
    /// for, and the response is the answer.
    pub always_direct: bool,
    /// Whether its questions may all be about no picture.
    pub may_be_blind: bool,
    /// A row as a question; says what is wrong with it.
    pub question: fn(&Record) -> Result<Question, String>,
    /// The files beside its own that [`Self::bring`] reads.
    pub beside: fn(&Path) -> Vec<PathBuf>,
    /// Brings to its rows what is told beside them.
    pub bring: fn(&mut [Record], &Path) -> Result<()>,
    /// Says of each question what its place among all of them tells.
    pub mark: fn(&mut [Question]) -> Result<()>,
}

impl File {
    /// A table whose rows say all that there is.
    pub const PLAIN: Self = Self {
        format: ALONE,
        tiles: None,
        direct: None,
        always_direct: false,
        may_be_blind: false,
        question: plain,
        beside: |_| Vec::new(),
        bring: |_, _| Ok(()),
        mark: |_| Ok(()),
    };
}

/// A benchmark of one table, whatever its name.
pub const ALONE: Format = Format { main: &[""], parts: &[], inside: &[], joins: &[] };

/// Fields that name a question, in files of whatever form.
const IDS: &[&str] = &["index", "question_id", "questionId", "pid", "qid", "id"];
/// Fields that ask it.
const QUESTIONS: &[&str] = &["question", "text"];

/// What every benchmark reads: id, pictures, the question without an instruction at its end (which
/// becomes `direct`), and all other fields as [`Question::meta`], but for names that are [`ours`].
///
/// # Errors
///
/// A row without a question.
pub fn plain(record: &Record) -> Result<Question, String> {
    let text = record.needs(QUESTIONS)?;
    let mut question = Question {
        id: record.text(IDS).unwrap_or_default(),
        images: record.images.clone(),
        ..Question::default()
    };
    for (name, value) in &record.fields {
        if ours::ALL.contains(&name.as_str()) {
            continue;
        }
        let text = match value {
            Value::Array(_) => value.to_string(),
            _ => record.text(&[name]).unwrap_or_default(),
        };
        if !text.is_empty() {
            question.meta.insert(name.clone(), text);
        }
    }
    let Parted { question: asked, written, .. } = parted(&text);
    question.question = asked.to_owned();
    if !written.is_empty() {
        question.meta.insert(ours::DIRECT.to_owned(), written.to_owned());
    }
    Ok(question)
}

/// [`plain`] with known answers, the first of which is `answer` and the others aliases: a JSON list,
/// or one text, whatever it looks like.
///
/// # Errors
///
/// A row without a question or an answer.
pub fn answered(record: &Record, names: &[&str]) -> Result<Question, String> {
    known(record, record.array(names), names)
}

/// The same, of files whose cells may hold lists of texts.
///
/// # Errors
///
/// As [`answered`].
pub fn answered_by_several(record: &Record, names: &[&str]) -> Result<Question, String> {
    known(record, record.texts(names), names)
}

fn known(record: &Record, list: Option<Vec<String>>, names: &[&str]) -> Result<Question, String> {
    let answers = match list.filter(|list| !list.is_empty()) {
        Some(list) => list,
        None => vec![record.needs(names)?],
    };
    let mut answers = answers.into_iter();
    let (answer, aliases) = (answers.next(), answers.collect());
    Ok(Question { answer, aliases, ..plain(record)? })
}

/// Every known answer of a question, as its file has them.
pub fn golds(question: &Question) -> Vec<String> {
    question.answer.iter().chain(&question.aliases).cloned().collect()
}

/// The options of a row: a list, or lettered columns.
///
/// # Errors
///
/// Lettered columns with a gap.
pub fn choices(record: &Record) -> Result<Vec<String>, String> {
    match record.list(&["choices", "options"]).filter(|list| !list.is_empty()) {
        Some(list) => Ok(list),
        None => record.lettered(),
    }
}

/// A question with its options below it, a letter each.
pub fn with_options(question: &str, choices: &[String]) -> String {
    let letters = ('A'..='Z').zip(choices);
    letters
        .fold(question.to_owned(), |text, (letter, choice)| format!("{text}\n{letter}. {choice}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::template::instruction::SHORT;
    use serde_json::json;

    #[test]
    fn no_column_of_a_file_steers() {
        let said = |question: &str| {
            let fields = json!({
                "question": question, "category": "rare", "benchmark": "pope", "tiles": 40,
                "direct": "Shout.", "cot": "Sing.", "rotation_of": "1", "synonyms": [["cat"]],
            });
            let fields = fields.as_object().unwrap().clone();
            plain(&Record { fields, ..Record::default() }).unwrap().meta
        };
        let names = |meta: &std::collections::BTreeMap<String, String>| -> Vec<String> {
            meta.keys().cloned().collect()
        };
        assert_eq!(names(&said("Which?")), ["category", "question"]);
        // Its question's own instruction is no column.
        let meta = said(&format!("Which?\n{SHORT}"));
        assert_eq!(names(&meta), ["category", "direct", "question"]);
        assert_eq!(meta[ours::DIRECT], SHORT);
    }
}
