//! Questions of one's own: any file of pictures, questions and known answers.

use super::file::{ALONE, File, answered, answered_by_several};
use super::{ACCURACY, Extraction, Scored};
use crate::data::benchmark::Record;
use crate::data::record::Question;
use crate::eval::{Card, flag};

static ROWS: File = File { format: ALONE, may_be_blind: true, question, ..File::PLAIN };

/// See the module.
pub static QUESTIONS: Scored = Scored {
    card: Card {
        name: "questions",
        about: "questions of your own: `image`, `question`, `answer`; by `task` where rows have \
                one",
        source: "right as for a corpus: matched as the rows' `source` is in `prefab show sources`",
        asks: "questions",
        needs: "a file: `eval.files.questions`",
        extraction: Extraction::Other("as of candidates: the final answer of its form"),
    },
    file: &ROWS,
    filed: Question::clone,
    tasks: &[],
    score: |_, row| flag(row.is_right()),
    group: |question| match question.task.as_str() {
        "questions" => String::new(),
        task => task.to_owned(),
    },
    metrics: ACCURACY,
};

fn question(record: &Record) -> Result<Question, String> {
    let said = |name: &str| record.text(&[name]).unwrap_or_default();
    let mut question = match record.texts(&["answers"]) {
        Some(_) => answered_by_several(record, &["answers"])?,
        None => answered(record, &["answers", "answer"])?,
    };
    question.aliases.extend(record.list(&["aliases"]).unwrap_or_default());
    Ok(Question {
        choices: record.list(&["choices", "options"]).unwrap_or_default(),
        task: said("task"),
        source: said("source"),
        ..question
    })
}
