//! The questions on which two jobs differ, with what both answered.

use super::{Both, Chosen, Slice, is_of_file};
use crate::Result;
use crate::data::lines;
use crate::data::questions::read_split;
use crate::data::record::Question;
use crate::eval::Row;
use crate::eval::asking::Asking;
use crate::eval::scores::QuestionScore;
use crate::plan::Stage;
use crate::spec::benchmarks::benchmark as row_of;
use crate::spec::eval::Split;
use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

/// Flipped questions that are shown.
const MOST_SHOWN: usize = 20;

/// Shows the first questions on which the two differ, with both answers.
pub(super) fn write(
    text: &mut String,
    a: &Chosen<'_>,
    b: &Chosen<'_>,
    store: &Path,
    slices: &[(Slice, Both<'_>)],
) -> Result<()> {
    let all = slices.iter().filter(|((_, _, task), _)| task == "all");
    let flipped: Vec<_> =
        all.flat_map(|(_, both)| both).filter(|(a, b)| a.score != b.score).collect();
    if flipped.is_empty() {
        text.push_str("flipped questions: none\n\n");
        return Ok(());
    }
    let corpus = a.payload(store, Stage::Corpus)?;
    let mut questions = read_split(&corpus, a.job.settings.eval.split)?;
    let files = a.payload(store, Stage::Benchmarks).ok();
    if let Some(files) = &files {
        questions.extend(read_split(files, Split::Test)?);
    }
    let asking = Asking::new(&a.job.settings.eval, questions)?;
    let questions: HashMap<&str, &Question> =
        asking.questions.iter().map(|question| (question.id.as_str(), question)).collect();
    let (first, second) = (answers(a, store)?, answers(b, store)?);
    writeln!(text, "flipped questions: {} of {}", MOST_SHOWN.min(flipped.len()), flipped.len())
        .expect("a string takes any text");
    for (was, is) in flipped.into_iter().take(MOST_SHOWN) {
        let better = if was.score < is.score { "+" } else { "-" };
        let QuestionScore { benchmark, question: id, task, image, prompt, .. } = was;
        let question = questions.get(id.as_str());
        let asked = question.map_or("", |question| question.question.as_str());
        let known = question.and_then(|question| question.answer.as_deref()).unwrap_or("–");
        let root = files.as_ref().filter(|_| is_of_file(a, &was.benchmark)).unwrap_or(&corpus);
        let picture = root.join(image);
        let percent = row_of(benchmark).map_or(0, |row| row.given_percent(task));
        let said = |rows: &HashMap<(String, &'static str, u8), String>| {
            rows.get(&(id.clone(), prompt.name(), percent)).cloned().unwrap_or_default()
        };
        write!(
            text,
            "  {better} {benchmark} {} {task}  {id}  {}\n      {asked}  [{known}]\n      first:  {}\n      second: {}\n",
            prompt.name(),
            picture.display(),
            said(&first),
            said(&second),
        )
        .expect("a string takes any text");
    }
    text.push('\n');
    Ok(())
}

/// What was answered, on one line, by question, prompt and share given.
fn answers(side: &Chosen<'_>, store: &Path) -> Result<HashMap<(String, &'static str, u8), String>> {
    let path = side.payload(store, Stage::Answers)?.join("answers.jsonl");
    let rows: Vec<Row> = lines::read(&path)?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let key = (row.answer.question, row.answer.prompt.name(), row.given_percent);
            (key, row.answer.text.replace('\n', " ⏎ "))
        })
        .collect())
}
