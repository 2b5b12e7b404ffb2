//! Answers as VLMEvalKit's TSV, so that it can score them: the questions' own columns without
//! pictures, and `prediction`.

use super::Row;
use super::asking::Asking;
use crate::Result;
use crate::data::record::{Question, ours};
use crate::error::Context;
use crate::spec::candidates::Prompt;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

/// Columns that stand first.
const FIRST: [&str; 3] = ["index", "question", "answer"];

/// Writes `BENCHMARK-PROMPT.tsv` for each of the paper's benchmarks and each prompt; nothing where
/// there is none.
///
/// # Errors
///
/// A file that cannot be written.
pub fn write(folder: &Path, asking: &Asking, answered: &[Row]) -> Result<()> {
    let rows: HashMap<(&str, Prompt), &Row> = answered
        .iter()
        .filter(|row| row.given_percent == 0)
        .map(|row| ((row.answer.question.as_str(), row.answer.prompt), row))
        .collect();
    for (benchmark, indices) in &asking.of {
        if benchmark.file().is_none() || benchmark.asks() != benchmark.name() {
            continue;
        }
        for prompt in [Prompt::Direct, Prompt::Cot] {
            let asked = indices.iter().map(|&index| &asking.questions[index]);
            let answered: Vec<(&Question, &Row)> = asked
                .filter_map(|question| {
                    Some((question, *rows.get(&(question.id.as_str(), prompt))?))
                })
                .collect();
            if answered.is_empty() {
                continue;
            }
            std::fs::create_dir_all(folder).with_context(|| folder.display())?;
            let path = folder.join(format!("{}-{}.tsv", benchmark.name(), prompt.name()));
            let (asked, said): (Vec<&Question>, Vec<&Row>) = answered.into_iter().unzip();
            let answered: Vec<(Question, &Row)> =
                benchmark.filed(&asked).into_iter().zip(said).collect();
            table(&path, &answered).with_context(|| format!("writing {}", path.display()))?;
        }
    }
    Ok(())
}

fn table(path: &Path, answered: &[(Question, &Row)]) -> csv::Result<()> {
    let names = answered.iter().flat_map(|(question, _)| question.meta.keys());
    let own: BTreeSet<&str> = names
        .map(String::as_str)
        .filter(|name| !ours::ALL.contains(name) && !FIRST.contains(name) && !is_letter(name))
        .collect();
    let most = answered.iter().map(|(question, _)| question.choices.len()).max().unwrap_or(0);
    let letters: Vec<String> = ('A'..='Z').take(most).map(String::from).collect();
    // Which questions share a picture, for intervals of who scores the table.
    let sees = answered.iter().any(|(question, _)| !question.images.is_empty());
    let pictures = sees.then_some("image_path");
    let mut csv = csv::WriterBuilder::new().delimiter(b'\t').from_path(path)?;
    let columns = FIRST.into_iter().chain(letters.iter().map(String::as_str));
    csv.write_record(columns.chain(own.iter().copied()).chain(pictures).chain(["prediction"]))?;
    let mut taken = HashSet::new();
    for (question, row) in answered {
        let said = |name: &str| question.meta.get(name).cloned();
        // Parts of a benchmark number their questions alike, and VLMEvalKit keeps one of an index.
        let alone = question.id.strip_prefix(&format!("{}/", question.says(ours::BENCHMARK)));
        let index = said("index").filter(|index| !taken.contains(index));
        let index = index.unwrap_or_else(|| alone.unwrap_or(&question.id).to_owned());
        taken.insert(index.clone());
        let mut cells = vec![
            index,
            said("question").unwrap_or_else(|| question.question.clone()),
            said("answer").or_else(|| question.answer.clone()).unwrap_or_default(),
        ];
        let choice = |at: usize| question.choices.get(at).cloned().unwrap_or_default();
        cells.extend((0..most).map(choice));
        cells.extend(own.iter().map(|name| said(name).unwrap_or_default()));
        cells.extend(pictures.map(|_| paths(&question.images)));
        cells.push(row.answer.text.clone());
        csv.write_record(&cells)?;
    }
    csv.flush()?;
    Ok(())
}

/// One path as it is, several as Python lists them.
fn paths(images: &[String]) -> String {
    match images {
        [] => String::new(),
        [one] => one.clone(),
        several => {
            let quoted: Vec<String> = several.iter().map(|path| format!("'{path}'")).collect();
            format!("[{}]", quoted.join(", "))
        }
    }
}

fn is_letter(name: &str) -> bool {
    name.len() == 1 && name.bytes().all(|byte| byte.is_ascii_uppercase())
}
