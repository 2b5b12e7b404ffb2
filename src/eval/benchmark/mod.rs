//! The paper's benchmarks: what each asks, how, and which metric counts.
//!
//! | file | benchmarks |
//! |---|---|
//! | [`choice`] | M3CoT, ScienceQA, AI2D |
//! | [`math`] | MathVista, MathVision |
//! | [`reading`] | ChartQA, DocVQA, InfoVQA, TextVQA, OCRBench |
//! | [`crpe`] | CRPE, all four rotations |
//! | [`own`] | questions of one's own |
//! | [`judged`] | MM-Vet, LLaVA-Bench, MMHal-Bench, Object HalBench: see there |
//! | [`file`](mod@file) | how a row of a file becomes a question |
//!
//! POPE is in `super::pope`. A benchmark of one score a question is a [`Scored`]: a static with
//! its prompt, its file's fields, its scorer and the generated families that stand in where it
//! has no file. A peer's way of scoring the same questions is a static of its own, named for
//! both: `mathvista_vlmevalkit`.

pub mod choice;
pub mod crpe;
pub mod file;
pub mod judged;
pub mod math;
pub mod own;
pub mod reading;

pub use file::File;

use super::{Asked, Benchmark, Card, Counted, Counts, Metric, Row, Value, flag};
use crate::answer::extract::lenient;
use crate::answer::metric::option::first_marker;
use crate::answer::python::text::strip;
use crate::data::record::Question;
use crate::spec::candidates::Prompt;

/// A benchmark whose score is a mean over questions.
pub struct Scored {
    /// See [`Benchmark::card`].
    pub card: Card,
    /// See [`Benchmark::file`].
    pub file: &'static File,
    /// See [`Benchmark::filed`].
    pub filed: fn(&Question) -> Question,
    /// The generated families that stand in.
    pub tasks: &'static [&'static str],
    /// Its score of an answer, from 0 to 1; the response is whole.
    pub score: fn(&Question, &Row) -> f64,
    /// What a question counts under beside `all`.
    pub group: fn(&Question) -> String,
    /// [`ACCURACY`] or [`SOFT`].
    pub metrics: &'static [Metric],
}

pub(super) const SCORE: usize = 0;
pub(super) const UNPARSABLE: usize = 1;
pub(super) const TOKENS: usize = 2;
pub(super) const ASKED: usize = 3;

/// Metrics of those columns: the score, answers with nothing to score or no end, and length.
pub(super) const fn accuracy(value: Value) -> [Metric; 3] {
    [
        Metric { name: "accuracy", value },
        Metric { name: "unparsable", value: Value::Share(UNPARSABLE, ASKED) },
        Metric { name: "tokens", value: Value::Ratio(TOKENS, ASKED) },
    ]
}

/// Metrics of a benchmark whose answers are right or wrong.
pub const ACCURACY: &[Metric] = &accuracy(Value::Share(SCORE, ASKED));
/// Metrics of a benchmark whose answers may be partly right.
pub const SOFT: &[Metric] = &accuracy(Value::Part(SCORE, ASKED));

impl Benchmark for Scored {
    fn card(&self) -> &Card {
        &self.card
    }

    fn metrics(&self) -> &'static [Metric] {
        self.metrics
    }

    fn selects(&self, question: &Question) -> bool {
        stands_in(question, self.tasks)
    }

    fn file(&self) -> Option<&'static File> {
        Some(self.file)
    }

    fn filed(&self, questions: &[&Question]) -> Vec<Question> {
        questions.iter().map(|question| (self.filed)(question)).collect()
    }

    fn count(&self, asked: &[Asked<'_>]) -> Vec<Counted> {
        let count = |asked: &Asked<'_>| {
            let mut counts = Counts::default();
            counts[SCORE] = match asked.question.generated {
                Some(_) => (self.score)(&(self.filed)(asked.question), asked.row),
                None => (self.score)(asked.question, asked.row),
            };
            counts[UNPARSABLE] = flag(is_unparsable(asked, self.card.extraction));
            counts[TOKENS] = asked.row.answer.tokens as f64;
            counts[ASKED] = 1.0;
            let groups = groups((self.group)(asked.question));
            Counted { groups, counts, score: Some(counts[SCORE]) }
        };
        asked.iter().map(count).collect()
    }
}

/// Whether a question is a generated one of some families.
pub fn stands_in(question: &Question, tasks: &[&str]) -> bool {
    question.generated.is_some() && tasks.contains(&question.task.as_str())
}

/// `all` and another group, where there is one.
pub fn groups(of: String) -> Vec<String> {
    std::iter::once("all".to_owned()).chain(Some(of).filter(|of| !of.is_empty())).collect()
}

/// The group of a question: its file's category, or its generated family.
pub fn category(question: &Question) -> String {
    match question.generated {
        Some(_) => question.task.clone(),
        None => question.says("category").to_owned(),
    }
}

/// The part of a response that a benchmark takes for the answer: all of it, or what stands behind
/// the last marker where reasoning was asked for.
pub fn answer_of(row: &Row) -> &str {
    match row.answer.prompt {
        Prompt::Direct | Prompt::Open => strip(&row.answer.text),
        _ => lenient(&row.answer.text),
    }
}

/// Whether an answer has no end or nothing to score. What a benchmark of files scores is what its own
/// extraction finds; generated questions keep the rules of candidates.
pub fn is_unparsable(asked: &Asked<'_>, extraction: Extraction) -> bool {
    let of_file = asked.question.generated.is_none();
    match extraction.of(asked.row).filter(|_| of_file) {
        Some(found) => !asked.row.answer.ended || strip(found).is_empty(),
        None => asked.row.is_unparsable(),
    }
}

/// [`answer_of_internvl`] with the white space around a whole response, for peers that count it.
pub fn answer_with_space(row: &Row) -> &str {
    match row.answer.prompt {
        Prompt::Direct | Prompt::Open => &row.answer.text,
        _ => first_marker(&row.answer.text),
    }
}

/// InternVL's part: the line behind the first marker where reasoning was asked for.
pub fn answer_of_internvl(row: &Row) -> &str {
    match row.answer.prompt {
        Prompt::Direct | Prompt::Open => strip(&row.answer.text),
        _ => first_marker(&row.answer.text),
    }
}

/// Which part of a response a benchmark takes for the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extraction {
    /// [`answer_of`].
    LastMarker,
    /// [`answer_of_internvl`].
    FirstMarker,
    /// In words: what candidates' rules find, or a scorer of its own.
    Other(&'static str),
}

impl Extraction {
    /// As in candidates.
    pub const LABELLED: Self = Self::Other("final answer, by the labeller's rules");

    /// As benchmarks.csv says it.
    pub fn text(self) -> &'static str {
        match self {
            Self::LastMarker => "whole response; reasoned: behind the last marker",
            Self::FirstMarker => "whole response; reasoned: the line behind the first marker",
            Self::Other(text) => text,
        }
    }

    /// That part of a response; none where it is not by markers alone.
    fn of(self, row: &Row) -> Option<&str> {
        match self {
            Self::LastMarker => Some(answer_of(row)),
            Self::FirstMarker => Some(answer_of_internvl(row)),
            Self::Other(_) => None,
        }
    }
}
