//! Answers that somebody else wrote: VLMEvalKit's tables, and the JSON of InternVL's scripts.

use super::Row;
use super::benchmark::file::ALONE;
use crate::answer::matching::{Said, answer};
use crate::data::benchmark::{Faults, Pictures, Record, read};
use crate::data::record::{Question, ours};
use crate::data::template::instruction::parted;
use crate::spec::candidates::Prompt;
use crate::{Error, Result};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// Fields that hold an answer, most particular first.
const ANSWERS: &[&str] = &["prediction", "response", "output", "outputs", "model_answer", "text"];
/// Fields that name its question.
const IDS: &[&str] = &["index", "question_id", "questionId", "pid", "qid", "id"];
/// The field that numbers a picture.
const PICTURE: &str = "image_id";
/// Questions without an answer, and answers without a question, that an error names.
const NAMED: usize = 5;

/// Fields that hold the known answer beside what InternVL's scripts write as `answer`.
const KNOWN: &[&str] = &["annotation", "gt_answers"];
/// All fields of such an answer where no known one stands beside it, as of TextVQA.
const BARE: &[&str] = &["question", "question_id", "questionId", "answer"];

/// Reads answers to some questions; each needs one, and each answer its question. Where the
/// questions lie `apart`, in a file of their own, `answer` may be what a model said.
///
/// # Errors
///
/// A file that cannot be read, two answers to a question, questions without one, and answers that
/// belong to none.
pub fn answers(
    path: &Path,
    questions: &[Question],
    prompt: Prompt,
    apart: bool,
) -> Result<Vec<Row>> {
    let records = read(path, &ALONE, &mut Pictures::unseen())?;
    let (found, strays) = paired(path, &records, questions)?;
    let mut rows = Vec::with_capacity(questions.len());
    let mut missing = Vec::new();
    for (question, record) in questions.iter().zip(found) {
        let is_open = question.answer.is_none() && question.says("answer").is_empty();
        match record.and_then(|record| said(record, apart, is_open)) {
            Some(text) => rows.push(row(question, prompt, text)),
            None => missing.push(question.id.as_str()),
        }
    }
    let mut wrong = Vec::new();
    for (ids, all, what) in [
        (&missing, questions.len(), "questions have no answer"),
        (&strays, records.len(), "answers belong to no question"),
    ] {
        if !ids.is_empty() {
            let some = ids[..ids.len().min(NAMED)].join("`, `");
            wrong.push(format!("{} of {all} {what}, such as `{some}`", ids.len()));
        }
    }
    if wrong.is_empty() {
        return Ok(rows);
    }
    Err(Error::new(format!("{}: {}", path.display(), wrong.join("; "))).hint(format!(
        "a row names its question by one of {}, and answers in one of {}; `--questions` names the \
         file that it was asked from",
        IDS.join(", "),
        ANSWERS.join(", ")
    )))
}

/// The record that answers each question, and the ids of those that answer none.
fn paired<'a>(
    path: &Path,
    records: &'a [Record],
    questions: &[Question],
) -> Result<(Vec<Option<&'a Record>>, Vec<&'a str>)> {
    let mut faults = Faults::default();
    let by_picture = are_told_apart_by_pictures(records, questions);
    let fields = if by_picture { &[PICTURE] } else { IDS };
    let ids: Vec<Option<String>> = records.iter().map(|record| record.text(fields)).collect();
    // MMHal-Bench's answers have no ids: they are in the questions' order.
    if records.len() == questions.len() && ids.iter().all(Option::is_none) {
        for (record, question) in records.iter().zip(questions) {
            if !asks(record, question) {
                let id = &question.id;
                faults.note(&record.place, format!("`{id}`, in its place, asks something else"));
            }
        }
        faults.check(path, records.len())?;
        return Ok((records.iter().map(Some).collect(), Vec::new()));
    }
    let mut by_id: BTreeMap<&str, &Record> = BTreeMap::new();
    for (record, id) in records.iter().zip(&ids) {
        let Some(id) = id else {
            faults.note(&record.place, format!("it names no question: {}", IDS.join(", ")));
            continue;
        };
        if let Some(other) = by_id.insert(bare(id), record) {
            faults.note(&record.place, format!("`{id}` is answered at {} too", other.place));
        }
    }
    faults.check(path, records.len())?;
    // Parts of a benchmark number their questions alike: such a number names none of them.
    let mut named: HashMap<&str, usize> = HashMap::new();
    for question in questions {
        *named.entry(bare(question.says("index"))).or_default() += 1;
    }
    let mut answered = |question: &Question| {
        let own = question.id.strip_prefix(&format!("{}/", question.says(ours::BENCHMARK)));
        let index = bare(question.says("index"));
        let index = if named.get(index) == Some(&1) { index } else { "" };
        let ids = match by_picture {
            true => vec![question.says(PICTURE)],
            false => vec![question.id.as_str(), own.unwrap_or_default(), index],
        };
        ids.iter().find_map(|id| by_id.remove(bare(id)))
    };
    let found = questions.iter().map(&mut answered).collect();
    let strays = by_id.into_values();
    let place = |record: &'a Record| record.place.as_str();
    Ok((found, strays.map(place).collect()))
}

/// Whether questions and answers alike are numbered by pictures, one question a picture, as Object
/// HalBench's are, whose answers may count in another way beside.
fn are_told_apart_by_pictures(records: &[Record], questions: &[Question]) -> bool {
    let pictures: HashSet<&str> = questions.iter().map(|question| question.says(PICTURE)).collect();
    let names =
        |record: &Record| record.text(&[PICTURE]).is_some_and(|id| pictures.contains(id.as_str()));
    pictures.len() == questions.len() && !pictures.contains("") && records.iter().all(names)
}

/// Whether a record's own question is that one, as far as it has one: it may stand in a prompt.
fn asks(record: &Record, question: &Question) -> bool {
    let squashed = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let known = ["question", "text"].map(|name| question.says(name));
    let known = known.into_iter().find(|text| !text.is_empty()).unwrap_or(&question.question);
    let known = squashed(parted(known).question);
    let own = squashed(&record.text(&["question"]).unwrap_or_default());
    own.contains(&known) || known.contains(&own)
}

/// What a record says. An empty cell is an answer that says nothing; a missing column, or a `null`,
/// is none; a list is one where it has one item. Where no answer is known, `answer` is what a model
/// said, as in RLAIF-V's files.
fn said(record: &Record, apart: bool, is_open: bool) -> Option<String> {
    let holds = |name: &str| record.fields.get(name).is_some_and(|value| !value.is_null());
    // POPE's own files ask in `text`.
    let asks = |name: &str| name == "text" && !apart && !holds("question");
    let is_answer = || {
        let bare = record.fields.keys().all(|name| BARE.contains(&name.as_str()));
        apart && holds("answer") && (is_open || KNOWN.iter().any(|name| holds(name)) || bare)
    };
    let named = ANSWERS.iter().copied().find(|name| holds(name) && !asks(name));
    let named = named.or_else(|| is_answer().then_some("answer"))?;
    match &record.fields[named] {
        Value::Array(_) => {
            record.list(&[named]).filter(|items| items.len() == 1).and_then(|mut one| one.pop())
        }
        _ => Some(record.text(&[named]).unwrap_or_default()),
    }
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
