//! Answers that others wrote: JSONL, an answer a line. InternVL's own sampler writes `image`,
//! `question_orig` (the question), `question` (as it was asked), `answer`, `response` and
//! `prompt_version`; plain rows have `prompt` and `response`, and `image` or `images`, and were
//! asked as `candidates.prompt` says.
//!
//! A row belongs to the question of the corpus with the same text and pictures; the
//! sampler's image root may differ. Every row must belong to one. A known answer that a row has beside
//! is no part of its verdict, which stands on the corpus' own; where both differ, a warning says so.

use crate::answer::matching::{Said, answer, is_right};
use crate::answer::python::text::collapse;
use crate::data::record::{Answer, Images, Question, known_answer};
use crate::data::template::IMAGE;
use crate::data::template::instruction::parted;
use crate::data::tokenizer::Tokenizer;
use crate::error::Context;
use crate::spec::candidates::Prompt;
use crate::stage::Progress;
use crate::{Error, Result};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Rows that an error names before it only counts them.
const MOST_LISTED: usize = 5;

/// A line of the sampler.
#[derive(Deserialize)]
struct Row {
    #[serde(default, alias = "images")]
    image: Images,
    #[serde(default)]
    question_orig: Option<String>,
    #[serde(default)]
    question: Option<String>,
    #[serde(default)]
    prompt: Option<String>,
    response: String,
    #[serde(default)]
    prompt_version: Option<String>,
    /// The known answer, as the sampler had it.
    #[serde(default)]
    answer: Option<Value>,
}

/// Why a row is not taken.
enum Bad {
    /// It is no answer that can be read.
    Row(String),
    /// The corpus does not have its question.
    Unplaced(String),
}

/// Rows that something is said about: the first few by name, all counted.
#[derive(Default)]
struct Noted {
    listed: Vec<String>,
    count: usize,
}

impl Noted {
    fn add(&mut self, note: impl FnOnce() -> String) {
        self.count += 1;
        if self.listed.len() < MOST_LISTED {
            self.listed.push(note());
        }
    }

    /// The list, a row a line, and how many more there are.
    fn list(&self) -> String {
        let more = self.count - self.listed.len();
        let more = if more > 0 { format!("\n… and {more} more") } else { String::new() };
        self.listed.join("\n") + &more
    }
}

/// The answers of a file, or of all JSONL files of a folder, in the corpus' order. They are not
/// judged yet.
///
/// # Errors
///
/// A file that cannot be read, and rows that are none or belong to no question: the first five
/// listed with file and line, all counted.
pub fn answers(
    path: &Path,
    questions: &[Question],
    tokenizer: &Tokenizer,
    plain: Prompt,
    progress: &Progress,
) -> Result<Vec<Answer>> {
    let by_text = Index::new(questions);
    let mut of: Vec<Vec<Answer>> = vec![Vec::new(); questions.len()];
    let (mut bad, mut unplaced, mut differing) = (Noted::default(), 0, Noted::default());
    for file in files(path)? {
        let doing = || format!("reading `{}`", file.display());
        for (index, line) in
            BufReader::new(File::open(&file).with_context(doing)?).lines().enumerate()
        {
            let line = line.with_context(doing)?;
            if line.trim().is_empty() {
                continue;
            }
            let at = || format!("{}:{}", file.display(), index + 1);
            match read(&line, &by_text, questions, plain) {
                Ok((place, prompt, row)) => {
                    if let Some(other) = differs(&questions[place], &row) {
                        differing.add(|| format!("{}: {other}", at()));
                    }
                    let sample = of[place].len();
                    let said = Said {
                        tokens: tokenizer.encode(&row.response).len() + 1,
                        text: row.response,
                        // The record does not say; the sampler's limit is far above most answers.
                        ended: true,
                    };
                    of[place].push(answer(&questions[place], prompt, sample, said));
                }
                Err(Bad::Row(reason)) => bad.add(|| format!("{}: {reason}", at())),
                Err(Bad::Unplaced(reason)) => {
                    unplaced += 1;
                    bad.add(|| format!("{}: {reason}", at()));
                }
            }
        }
    }
    if bad.count > 0 {
        return Err(refused(&bad, unplaced));
    }
    if differing.count > 0 {
        progress.warn(&format!(
            "{} rows of `candidates.import` have another known answer than the corpus, whose own decides \
             what is right:\n{}",
            differing.count,
            differing.list()
        ));
    }
    Ok(of.into_iter().flatten().collect())
}

/// The error of rows that are not taken, `unplaced` of which belong to no question.
fn refused(bad: &Noted, unplaced: usize) -> Error {
    let (count, list) = (bad.count, bad.list());
    let hint = match unplaced {
        0 => {
            "a row is an answer: `response`, its question, and a `prompt_version` that can be read, or none; \
              mend or remove these rows; nothing was imported"
        }
        _ if unplaced == count => {
            "`corpus.files.train` must hold the questions that were answered; nothing was imported"
        }
        _ => {
            "`corpus.files.train` must hold the questions that were answered; mend or remove the other \
              rows; nothing was imported"
        }
    };
    Error::new(format!("{count} bad rows in `candidates.import`:\n{list}")).hint(hint)
}

/// A line with the question that it belongs to and how that was asked.
fn read(
    line: &str,
    by_text: &Index,
    questions: &[Question],
    plain: Prompt,
) -> Result<(usize, Prompt, Row), Bad> {
    let row: Row = serde_json::from_str(line).map_err(|error| Bad::Row(error.to_string()))?;
    let prompt = form(&row, plain).map_err(Bad::Row)?;
    let place = by_text.place(questions, &row)?;
    Ok((place, prompt, row))
}

/// What is said where a row's own known answer is another than its question's.
fn differs(question: &Question, row: &Row) -> Option<String> {
    let own = known_answer(row.answer.as_ref()?).ok()??;
    let known = question.answer.as_ref()?;
    let differs = !own.trim().is_empty() && !is_right(question, &own);
    differs.then(|| format!("its `answer` is {own:?}, and the corpus has {known:?}"))
}

/// The file, or the folder's JSONL files by name.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let doing = || format!("reading `{}`", path.display());
    let mut files: Vec<PathBuf> = std::fs::read_dir(path)
        .with_context(doing)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| file.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    files.sort();
    match files.is_empty() {
        true => Err(Error::new(format!("`{}` holds no JSONL file", path.display()))
            .hint("`candidates.import` names a JSONL file of answers, or a folder of them")),
        false => Ok(files),
    }
}

/// How a row was asked, by the sampler's prompt version.
fn form(row: &Row, plain: Prompt) -> Result<Prompt, String> {
    if row.prompt_version.is_none() && row.prompt.is_some() {
        return Ok(plain);
    }
    match row.prompt_version.as_deref().unwrap_or("en") {
        "en" | "zh" => Ok(Prompt::Cot),
        "en_v2" | "zh_v2" => Ok(Prompt::Boxed),
        thought @ ("en_r1" | "zh_r1") => Err(format!(
            "`prompt_version` is `{thought}`, whose answers think between tags, a form that Prefab has no \
             prompt for; en, zh, en_v2 and zh_v2 can be read"
        )),
        other => Err(format!("`prompt_version` is `{other}`; en, zh, en_v2 and zh_v2 can be read")),
    }
}

/// Questions by their text.
struct Index(HashMap<String, Vec<usize>>);

impl Index {
    fn new(questions: &[Question]) -> Self {
        let mut by_text: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, question) in questions.iter().enumerate() {
            by_text.entry(bare(&question.question)).or_default().push(place);
        }
        Self(by_text)
    }

    /// The one question that a row belongs to.
    fn place(&self, questions: &[Question], row: &Row) -> Result<usize, Bad> {
        let text = row.question_orig.as_ref().or(row.question.as_ref()).or(row.prompt.as_ref());
        let text =
            text.ok_or_else(|| Bad::Row("it has neither `question` nor `prompt`".to_owned()))?;
        let alike = self.0.get(&bare(text)).map_or(&[][..], Vec::as_slice);
        let mut found = alike.iter().filter(|&&place| same(&questions[place].images, &row.image.0));
        match (found.next(), found.next()) {
            (Some(&place), None) => Ok(place),
            (None, _) => Err(Bad::Unplaced(format!(
                "no question of the corpus has the text {text:?} and the pictures {:?}",
                row.image.0
            ))),
            (Some(a), Some(b)) => Err(Bad::Unplaced(format!(
                "both `{}` and `{}` have this text and picture",
                questions[*a].id, questions[*b].id
            ))),
        }
    }
}

/// A question's text without picture markers and old instructions.
fn bare(text: &str) -> String {
    let text = text.replace(IMAGE, " ");
    collapse(parted(&collapse(&text)).question)
}

/// Whether both name the same pictures: one path ends in the other. The corpus keeps its
/// pictures below `images/`.
fn same(own: &[String], sampled: &[String]) -> bool {
    let ends = |own: &String, sampled: &String| {
        let own = Path::new(own.strip_prefix("images/").unwrap_or(own));
        let sampled = Path::new(sampled);
        own.ends_with(sampled) || sampled.ends_with(own)
    };
    own.len() == sampled.len() && own.iter().zip(sampled).all(|(own, sampled)| ends(own, sampled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// The question that every row of these tests answers.
    fn question() -> Question {
        Question {
            question: "How many?".into(),
            answer: Some("5".into()),
            source: "textvqa".into(),
            ..Question::default()
        }
    }

    fn imported(rows: &str) -> Result<Vec<Answer>> {
        told(rows, &Progress::Silent)
    }

    fn told(rows: &str, progress: &Progress) -> Result<Vec<Answer>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), rows).unwrap();
        let tokenizer = Tokenizer::build(std::iter::empty());
        answers(file.path(), &[question()], &tokenizer, Prompt::Direct, progress)
    }

    #[test]
    fn a_bad_row_has_the_hint_that_fits() {
        for (row, reason, hint) in [
            (
                r#"{"question": "How many?", "response": "5", "prompt_version": "en_r1"}"#,
                "think between tags",
                "`prompt_version` that can be read",
            ),
            (r#"{"question": "How many?"}"#, "missing field `response`", "a row is an answer"),
            (r#"{"response": "5"}"#, "neither `question` nor `prompt`", "a row is an answer"),
            (
                r#"{"question": "Why?", "response": "5"}"#,
                "no question of the corpus",
                "corpus.files.train",
            ),
        ] {
            let error = imported(row).unwrap_err();
            let told = error.hint_text().unwrap_or_default();
            assert!(error.to_string().contains(reason), "{error}");
            assert!(told.contains(hint), "{told}");
            assert_eq!(told.contains("corpus.files.train"), hint == "corpus.files.train", "{told}");
        }
        assert_eq!(imported(r#"{"prompt": "How many?", "response": "5"}"#).unwrap().len(), 1);
    }

    #[test]
    fn another_known_answer_is_told() {
        for (answer, other) in [
            ("\"5\"", false),
            ("5", false),
            ("\"five\"", false),
            ("null", false),
            ("\"\"", false),
            ("[5]", false),
            ("6", true),
            ("\"six\"", true),
        ] {
            let row =
                format!(r#"{{"question": "How many?", "response": "5", "answer": {answer}}}"#);
            let progress = Progress::Kept(Arc::default());
            assert_eq!(told(&row, &progress).unwrap().len(), 1);
            let warnings = progress.warnings();
            assert_eq!(warnings.len(), usize::from(other), "{answer}");
            assert!(warnings.iter().all(|text| text.contains("have another known answer")));
        }
    }
}
