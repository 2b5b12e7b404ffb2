//! MM-Vet: each answer is graded from 0 to 1 in tenths against a known answer.

use super::{FAILED_SHARE, Grade, Graded, LENGTH, card};
use crate::answer::metric::mm_vet::grade;
use crate::data::benchmark::Record;
use crate::data::benchmark::{Format, Join};
use crate::data::record::Question;
use crate::eval::benchmark::File;
use crate::eval::benchmark::file::{ALONE, plain};
use crate::eval::{Metric, Value};

static FILE: File = File {
    format: Format {
        main: &["mm-vet.", "MMVet"],
        joins: &[Join { name: "truth", file: "mm-vet", key: &["question_id"], of: &["id"] }],
        ..ALONE
    },
    tiles: Some(6),
    direct: Some(""),
    always_direct: true,
    question,
    ..File::PLAIN
};

/// What the rubric ends in, and a judge may repeat.
const GRADE_WORD: &str = "grade";

const GRADE: usize = 0;
const GRADED: usize = 1;

/// See the module.
pub static MM_VET: Graded = Graded {
    card: card(
        "mm_vet",
        "open questions that need several abilities at once, graded 0 to 1",
        "Yu et al. 2023, arXiv:2308.02490; a rubric of our own wording",
    ),
    file: &FILE,
    metrics: &[Metric { name: "grade", value: Value::Part(GRADE, GRADED) }, FAILED_SHARE, LENGTH],
    group: capabilities,
    // To describe is to recognize.
    columns: |question| match question.generated {
        Some(_) => vec![("category", "rec".to_owned())],
        None => Vec::new(),
    },
    ask,
    read: |_, reply| grade(&[bare(reply).to_owned()]).score.map(Grade::of),
    plain: |answer| answer.trim().is_empty().then(|| Grade::of(0.0)),
    by_rule: |facts| Grade::of((facts.share() * 10.0).round() / 10.0),
    count: |_, grade, counts| {
        counts[GRADE] = grade.numbers[0];
        counts[GRADED] = 1.0;
        grade.numbers[0]
    },
};

/// A question counts under each of its capabilities and under their combination.
fn capabilities(question: &Question) -> Vec<String> {
    let said = question.says("category");
    let parts: Vec<String> = said
        .split(',')
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect();
    match parts.len() {
        0 | 1 => parts,
        _ => parts.iter().cloned().chain([parts.join("_")]).collect(),
    }
}

/// A reply without what judges put around a number: `**Grade:** 0.5`.
fn bare(reply: &str) -> &str {
    let dressing = |c: char| c.is_whitespace() || "*_`\"'".contains(c);
    let reply = reply.trim_matches(dressing);
    let word = reply.get(..GRADE_WORD.len()).filter(|word| word.eq_ignore_ascii_case(GRADE_WORD));
    let rest = word.map_or(reply, |word| &reply[word.len()..]);
    rest.trim_start_matches(|c| dressing(c) || c == ':')
}

fn question(record: &Record) -> Result<Question, String> {
    let mut question = plain(record)?;
    let gold = record.needs(&["answer", "truth.answer"])?;
    question.meta.insert("gold".to_owned(), gold);
    if let Some(list) = record.list(&["capability", "truth.capability"]) {
        question.meta.insert("category".to_owned(), list.join(","));
    }
    Ok(question)
}

fn ask(question: &Question, answer: &str) -> String {
    format!(
        "You grade an answer to a question about a picture that you cannot see. The known answer is \
         right. Give a number from 0.0 (nothing right) to 1.0 (all right) in steps of 0.1, by how much \
         of the known answer the given one holds. Where the known answer joins parts by <AND>, all of \
         them are wanted, and each has an equal share. Where it joins alternatives by <OR>, one of \
         them is enough. Other words do not matter, a wrong claim in place of a part loses it.\n\n\
         Examples:\n\
         Question: What do the two fruits cost together? | Known: 7 euros <OR> 7 | Answer: It is 7. | \
         Grade: 1.0\n\
         Question: Name the colours. | Known: red <AND> green | Answer: There is red and blue. | \
         Grade: 0.5\n\
         Question: Why do they laugh? | Known: The cat wears a hat. | Answer: I do not know. | \
         Grade: 0.0\n\n\
         Question: {} | Known: {} | Answer: {answer} | Grade:\n\n\
         Reply with the number alone.",
        question.question,
        question.says("gold"),
    )
}
