//! Answers that somebody else wrote: VLMEvalKit's tables, and the JSON of InternVL's scripts.

use super::Row;
use super::benchmark::file::ALONE;
use super::matching::{Said, answer};
use crate::data::benchmark::{Faults, Pictures, Record, read};
use crate::data::record::Question;
use crate::spec::candidates::Prompt;
use crate::{Error, Result};
use std::collections::HashMap;
use std::path::Path;

/// Fields that hold an answer, most particular first.
const ANSWERS: &[&str] = &["prediction", "response", "output", "outputs", "model_answer", "text"];
/// Fields that name its question.
const IDS: &[&str] = &["index", "question_id", "questionId", "pid", "qid", "id"];
/// Questions without an answer that an error names.
const NAMED: usize = 5;

/// Reads answers to some questions of a file; each needs one.
///
/// # Errors
///
/// A file that cannot be read, two answers to a question, and questions without one.
pub fn answers(path: &Path, questions: &[Question], prompt: Prompt) -> Result<Vec<Row>> {
    let records = read(path, &ALONE, &mut Pictures::unseen())?;
    let mut by_id: HashMap<String, &Record> = HashMap::new();
    let mut faults = Faults::default();
    let has_ids = records.iter().any(|record| record.text(IDS).is_some());
    // MMHal-Bench's answers have no ids: they are in the questions' order.
    let in_order = !has_ids && records.len() == questions.len();
    for (record, question) in records.iter().zip(questions).filter(|_| in_order) {
        by_id.insert(question.id.clone(), record);
    }
    for record in records.iter().filter(|_| !in_order) {
        let Some(id) = record.text(IDS) else {
            faults.note(&record.place, format!("it names no question: {}", IDS.join(", ")));
            continue;
        };
        if let Some(other) = by_id.insert(bare(&id).to_owned(), record) {
            faults.note(&record.place, format!("`{id}` is answered at {} too", other.place));
        }
    }
    faults.check(path, records.len())?;
    let mut rows = Vec::with_capacity(questions.len());
    let mut missing = Vec::new();
    for question in questions {
        let own = question.id.strip_prefix(&format!("{}/", question.source));
        let ids = [question.id.as_str(), own.unwrap_or_default(), question.says("index")];
        let found = ids.iter().find_map(|id| by_id.get(bare(id)));
        // An empty cell is an answer that says nothing; a missing column is none.
        let text = found.and_then(|record| {
            let said = |name: &&str| record.fields.contains_key(*name);
            let named = ANSWERS.iter().copied().find(said)?;
            Some(record.text(&[named]).unwrap_or_default())
        });
        match text {
            Some(text) => rows.push(row(question, prompt, text)),
            None => missing.push(question.id.as_str()),
        }
    }
    if missing.is_empty() {
        return Ok(rows);
    }
    let some = missing[..missing.len().min(NAMED)].join("`, `");
    Err(Error::new(format!(
        "{}: {} of {} questions have no answer, such as `{some}`",
        path.display(),
        missing.len(),
        questions.len()
    ))
    .hint(format!(
        "a row names its question by one of {}, and answers in one of {}",
        IDS.join(", "),
        ANSWERS.join(", ")
    )))
}

/// An id as it is compared: MM-Vet writes `v1_12` for `12`.
fn bare(id: &str) -> &str {
    id.trim().trim_start_matches("v1_")
}

fn row(question: &Question, prompt: Prompt, text: String) -> Row {
    // How long an answer was in tokens nobody knows: words serve.
    let said = Said { tokens: text.split_whitespace().count(), text, ended: true };
    Row { answer: answer(question, prompt, 0, said), given_percent: 0 }
}
