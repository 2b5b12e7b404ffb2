//! What judging will cost, worked out before it begins.

use super::judging::{Used, chat};
use super::{Benchmark, Row};
use crate::data::record::Question;
use crate::server;
use crate::spec::eval::Eval;
use std::collections::HashMap;
use std::path::Path;

/// Tokens that an answer is taken to have which is not there yet.
pub const AN_ANSWER: usize = 80;

/// Answers to judge, and what that takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bill {
    /// Requests, one an answer.
    pub calls: usize,
    /// Those whose reply is kept: they cost nothing again.
    pub kept: usize,
    /// Tokens of the others.
    pub used: Used,
}

impl Bill {
    /// Of one policy's answers to a benchmark's questions: those that are there, or as many as will
    /// be. None where answers are not graded.
    pub fn new(
        eval: &Eval,
        benchmark: &dyn Benchmark,
        questions: &[Question],
        answers: Option<&[Row]>,
        replies: &Path,
    ) -> Option<Self> {
        let grader = benchmark.grader()?;
        let prompts = benchmark.prompts(&eval.prompts);
        let texts: Vec<String> = match answers {
            Some(rows) => {
                let by_id: HashMap<&str, &Question> =
                    questions.iter().map(|question| (question.id.as_str(), question)).collect();
                let text = |row: &Row| {
                    let question = by_id.get(row.answer.question.as_str())?;
                    let said = grader.said(question, row);
                    (grader.plain)(said).is_none().then(|| (grader.ask)(question, said))
                };
                rows.iter()
                    .filter(|row| prompts.contains(&row.answer.prompt))
                    .filter_map(text)
                    .collect()
            }
            None => {
                let filler = "word ".repeat(AN_ANSWER);
                let text = |question: &Question| (grader.ask)(question, &filler);
                prompts.iter().flat_map(|_| questions.iter().map(text)).collect()
            }
        };
        let judge = &eval.judge;
        let is_open =
            |text: &&String| !server::is_kept(&judge.server, replies, &chat(text, 0, judge));
        let open: Vec<&str> = texts.iter().filter(is_open).map(String::as_str).collect();
        let kept = texts.len() - open.len();
        Some(Self { calls: texts.len(), kept, used: Used::guess(open.into_iter()) })
    }

    /// With another one.
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.kept += other.kept;
        self.used.read += other.used.read;
        self.used.written += other.used.written;
    }
}
