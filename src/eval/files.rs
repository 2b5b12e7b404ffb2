//! The benchmarks stage: benchmarks' own files as an artifact of a corpus's form.
//!
//! Writes `test.jsonl`, the questions of all files, and their pictures below `images/NAME`. A
//! question's id is `NAME/ID`; [`Question::meta`] says which benchmark it is of, its
//! instruction, and what its file says beside.

use super::benchmark::File;
use super::{Benchmark, benchmark};
use crate::data::benchmark::{Faults, Pictures, Record, read};
use crate::data::questions::write_questions;
use crate::data::record::{Question, ours};
use crate::error::Context;
use crate::spec::eval::Eval;
use crate::stage::{Progress, StageContext};
use crate::{Error, Result, data};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The benchmarks stage.
///
/// # Errors
///
/// A name that is no benchmark's or has no files, files that cannot be read, faulty rows.
pub fn run(eval: &Eval, ctx: &StageContext) -> Result<()> {
    let mut questions = Vec::new();
    for (done, (name, path)) in (1..).zip(&eval.files) {
        let benchmark = benchmark(name)?;
        let of_file = questions_of(benchmark, Path::new(path), &ctx.out, &ctx.progress)?;
        let may_be_blind = benchmark.file().is_some_and(|file| file.may_be_blind);
        if !may_be_blind && of_file.iter().all(|question| question.images.is_empty()) {
            return Err(Error::new(format!("{path} has no picture in any row")).hint(
                "pictures are in the column `image` (base64, or the index of another row), or named \
                 in `image_path`",
            ));
        }
        questions.extend(of_file);
        let note = format!("benchmarks, {} questions", questions.len());
        ctx.progress.report(done, eval.files.len() as u64, note);
    }
    write_questions(&ctx.out.join("test.jsonl"), &questions)
}

/// The questions of a benchmark's file, its pictures going below `out`. `progress` hears what is odd.
///
/// # Errors
///
/// As [`run`].
pub fn questions_of(
    benchmark: &'static dyn Benchmark,
    path: &Path,
    out: &Path,
    progress: &Progress,
) -> Result<Vec<Question>> {
    let name = benchmark.asks();
    let file = benchmark.file().ok_or_else(|| no_file(name))?;
    let records = read(path, &file.format, &mut Pictures::new(out, name, path)?)?;
    from_records(name, file, records, path, progress)
}

/// As [`questions_of`], pictures left where they are: for scoring answers that are there.
///
/// # Errors
///
/// As [`run`].
pub fn read_blind(benchmark: &'static dyn Benchmark, path: &Path) -> Result<Vec<Question>> {
    let file = benchmark.file().ok_or_else(|| no_file(benchmark.asks()))?;
    let records = read(path, &file.format, &mut Pictures::unseen())?;
    from_records(benchmark.asks(), file, records, path, &Progress::Silent)
}

/// The files that reading a benchmark's path opens beside itself, its pictures among them.
pub fn beside(name: &str, path: &Path) -> Vec<PathBuf> {
    let file = benchmark(name).ok().and_then(|benchmark| benchmark.file());
    let of = |file: &File| {
        let joined = data::benchmark::beside(path, &file.format);
        joined.into_iter().chain((file.beside)(path)).collect()
    };
    file.map(of).unwrap_or_default()
}

fn no_file(name: &str) -> Error {
    Error::spec(format!("benchmark `{name}` reads no file"))
        .hint("it asks generated questions; `prefab show benchmarks` says which read files")
}

fn from_records(
    name: &str,
    file: &File,
    mut records: Vec<Record>,
    path: &Path,
    progress: &Progress,
) -> Result<Vec<Question>> {
    (file.bring)(&mut records, path)?;
    let (mut questions, mut faults) = (Vec::with_capacity(records.len()), Faults::default());
    let mut first: HashMap<String, &Record> = HashMap::new();
    for (row, record) in (1..).zip(&records) {
        let mut question = match (file.question)(record) {
            Ok(question) => question,
            Err(message) => {
                faults.note(&record.place, message);
                continue;
            }
        };
        let own = match question.id.as_str() {
            "" => row.to_string(),
            id => id.to_owned(),
        };
        question.id = format!("{name}/{own}");
        // Parts of a benchmark number their questions alike: POPE's three files do.
        if first.get(&question.id).is_some_and(|other| other.file != record.file) {
            question.id = format!("{name}/{}/{own}", record.file);
        }
        if let Some(other) = first.insert(question.id.clone(), record) {
            faults.note(&record.place, format!("its id `{own}` is that of {} too", other.place));
        }
        // A row may say which data set it is of, and so how its answer is matched.
        for field in [&mut question.task, &mut question.source] {
            if field.is_empty() {
                name.clone_into(field);
            }
        }
        question.meta.insert(ours::BENCHMARK.to_owned(), name.to_owned());
        question.meta.insert("index".to_owned(), own);
        if let Some(tiles) = file.tiles {
            question.meta.insert(ours::TILES.to_owned(), tiles.to_string());
        }
        if let Some(direct) = file.direct {
            let own =
                question.meta.entry(ours::DIRECT.to_owned()).or_insert_with(|| direct.to_owned());
            if file.always_direct {
                let own = own.clone();
                question.meta.insert(ours::COT.to_owned(), own);
            }
        }
        questions.push(question);
    }
    faults.check(path, records.len())?;
    if let Some(text) = lone_answers(file, &records, path) {
        progress.warn(&text);
    }
    (file.mark)(&mut questions).with_context(|| path.display())?;
    Ok(questions)
}

/// What to say where a data set's several known answers are not there, and its first one alone
/// counts.
fn lone_answers(file: &File, records: &[Record], path: &Path) -> Option<String> {
    let join = file.format.joins.iter().find(|join| join.name == "answers")?;
    let fields = ["answers", "answers.answers", "answer"];
    let lone = records.iter().filter(|record| record.texts(&fields).is_none()).count();
    (lone > 0).then(|| {
        format!(
            "{}: {lone} of {} questions have one known answer; others are in the data set's own file, \
             `{}….json`, which is looked for beside it and one folder down",
            path.display(),
            records.len(),
            join.file
        )
    })
}
