//! Answers that others wrote: JSONL, an answer a line. InternVL's own sampler writes `image`,
//! `question_orig` (the question), `question` (as it was asked), `answer`, `response` and
//! `prompt_version`; plain rows have `prompt` and `response`, and `image` or `images`, and were
//! asked as `candidates.prompt` says.
//!
//! A row belongs to the question of the corpus with the same text and pictures; the
//! sampler's image root may differ. Every row must belong to one.

use super::prompts::without_instruction;
use crate::answer::matching::{Said, answer};
use crate::answer::python::text::collapse;
use crate::data::record::{Answer, Images, Question};
use crate::data::template::IMAGE;
use crate::data::tokenizer::Tokenizer;
use crate::error::Context;
use crate::spec::candidates::Prompt;
use crate::{Error, Result};
use serde::Deserialize;
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
) -> Result<Vec<Answer>> {
    let by_text = Index::new(questions);
    let mut of: Vec<Vec<Answer>> = vec![Vec::new(); questions.len()];
    let (mut bad, mut count) = (Vec::new(), 0_usize);
    for file in files(path)? {
        let doing = || format!("reading `{}`", file.display());
        for (index, line) in
            BufReader::new(File::open(&file).with_context(doing)?).lines().enumerate()
        {
            let line = line.with_context(doing)?;
            if line.trim().is_empty() {
                continue;
            }
            let row = serde_json::from_str::<Row>(&line).map_err(|error| error.to_string());
            let placed =
                row.and_then(|row| Ok((by_text.place(questions, &row)?, form(&row, plain)?, row)));
            match placed {
                Ok((place, prompt, row)) => {
                    let sample = of[place].len();
                    let said = Said {
                        tokens: tokenizer.encode(&row.response).len() + 1,
                        text: row.response,
                        // The record does not say; the sampler's limit is far above most answers.
                        ended: true,
                    };
                    of[place].push(answer(&questions[place], prompt, sample, said));
                }
                Err(reason) => {
                    count += 1;
                    if bad.len() < MOST_LISTED {
                        bad.push(format!("{}:{}: {reason}", file.display(), index + 1));
                    }
                }
            }
        }
    }
    if count > 0 {
        let more = if count > bad.len() {
            format!("\n… and {} more", count - bad.len())
        } else {
            String::new()
        };
        return Err(Error::new(format!(
            "{count} bad rows in `candidates.import`:\n{}{more}",
            bad.join("\n")
        ))
        .hint(
            "`corpus.files.train` must hold the questions that were answered; nothing was imported",
        ));
    }
    Ok(of.into_iter().flatten().collect())
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
    fn place(&self, questions: &[Question], row: &Row) -> Result<usize, String> {
        let text = row.question_orig.as_ref().or(row.question.as_ref()).or(row.prompt.as_ref());
        let text = text.ok_or("it has neither `question` nor `prompt`")?;
        let alike = self.0.get(&bare(text)).map_or(&[][..], Vec::as_slice);
        let mut found = alike.iter().filter(|&&place| same(&questions[place].images, &row.image.0));
        match (found.next(), found.next()) {
            (Some(&place), None) => Ok(place),
            (None, _) => Err(format!(
                "no question of the corpus has the text {text:?} and the pictures {:?}",
                row.image.0
            )),
            (Some(a), Some(b)) => Err(format!(
                "both `{}` and `{}` have this text and picture",
                questions[*a].id, questions[*b].id
            )),
        }
    }
}

/// A question's text without picture markers and old instructions.
fn bare(text: &str) -> String {
    let text = text.replace(IMAGE, " ");
    collapse(without_instruction(&collapse(&text)))
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
