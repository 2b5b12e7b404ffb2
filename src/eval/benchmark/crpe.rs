//! CRPE: existence and relations, each question asked in four rotations of its options.
//!
//! A question is right when all four rotations are, so that a habit of one letter scores nothing.
//! Its unit is the question, not the row: sums count four rows as one.

use super::file::{ALONE, File, plain, with_options};
use super::{Extraction, answer_of, answer_with_space, groups, is_unparsable, stands_in};
use crate::answer::choice::name;
use crate::answer::matching::exact;
use crate::answer::metric::crpe::{ROTATIONS, is_right, is_right_vlmevalkit};
use crate::data::benchmark::{Format, Record};
use crate::data::record::{Question, ours};
use crate::eval::{Asked, Benchmark, Card, Counted, Counts, Metric, Row, Value, flag};
use crate::spec::candidates::Prompt;
use crate::tasks::rotated;
use crate::{Error, Result};
use std::collections::BTreeMap;

static FILE: File = File {
    format: Format { parts: &["CRPE_EXIST", "CRPE_RELATION"], ..ALONE },
    tiles: Some(6),
    direct: Some(""),
    question,
    mark: mark_rotations,
    ..File::PLAIN
};

/// CRPE, as a way to judge one row.
pub struct Crpe {
    card: Card,
    is_right: fn(&str, &str) -> bool,
    /// What of a response to a file's question is judged.
    said: fn(&Row) -> &str,
    /// Whether a question counts only with all its rotations.
    whole: bool,
}

/// As its authors define it.
pub static CRPE: Crpe = Crpe {
    card: Card {
        name: "crpe",
        about: "existence and relations of objects; all four rotations of the options right",
        source: "Wang et al. 2024, arXiv:2402.19474 (the All-Seeing project v2). Generated \
                 questions are of its category `predicate` alone",
        asks: "crpe",
        needs: "relations with options: `relation` in `corpus.tasks`",
        extraction: Extraction::LastMarker,
    },
    is_right,
    said: answer_of,
    whole: true,
};

/// As VLMEvalKit judges a row.
pub static CRPE_VLMEVALKIT: Crpe = Crpe {
    card: Card {
        name: "crpe_vlmevalkit",
        about: "crpe with VLMEvalKit's reading of a row",
        source: "VLMEvalKit, is_correct; exceptions count as wrong. Generated questions, whose \
                 options are words, score as in crpe",
        ..CRPE.card
    },
    is_right: |gold, said| is_right_vlmevalkit(gold, said).unwrap_or(false),
    said: |row| match row.answer.prompt {
        Prompt::Direct | Prompt::Open => answer_with_space(row),
        _ => answer_of(row),
    },
    whole: true,
};

/// Each row for itself.
pub static CRPE_ROWS: Crpe = Crpe {
    card: Card {
        name: "crpe_rows",
        about: "crpe with each rotation counted for itself",
        source: "lmms-eval's unit; not comparable with the published numbers",
        ..CRPE.card
    },
    is_right,
    said: answer_of,
    whole: false,
};

const RIGHT: usize = 0;
const UNITS: usize = 1;
const UNPARSABLE: usize = 2;
const ROWS: usize = 3;

impl Benchmark for Crpe {
    fn card(&self) -> &Card {
        &self.card
    }

    fn metrics(&self) -> &'static [Metric] {
        &[
            Metric { name: "accuracy", value: Value::Part(RIGHT, UNITS) },
            Metric { name: "unparsable", value: Value::Part(UNPARSABLE, ROWS) },
        ]
    }

    fn selects(&self, question: &Question) -> bool {
        stands_in(question, &["relation"])
    }

    fn derive(&self, question: &Question) -> Option<Vec<Question>> {
        rotated(question)
    }

    fn file(&self) -> Option<&'static File> {
        Some(&FILE)
    }

    /// Options in the question, and the known one's letter before its text: VLMEvalKit looks for that
    /// text where a prediction begins with no letter.
    fn filed(&self, questions: &[&Question]) -> Vec<Question> {
        let filed = |question: &&Question| {
            let mut filed = (*question).clone();
            let known = filed.answer.as_deref().unwrap_or_default();
            let at = filed.choices.iter().position(|choice| choice == known);
            if let Some(at) = at.filter(|_| filed.generated.is_some()) {
                filed.answer = Some(format!("{}. {known}", name(at)));
                filed.question = with_options(&filed.question, &filed.choices);
            }
            filed
        };
        questions.iter().map(filed).collect()
    }

    /// # Panics
    ///
    /// If the rows are not four a question: the file's reader sees to it.
    fn count(&self, asked: &[Asked<'_>]) -> Vec<Counted> {
        let right: Vec<bool> = asked.iter().map(|asked| self.row_is_right(asked)).collect();
        // The rows of a question with a prompt, in order.
        let mut rotations: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (row, asked) in asked.iter().enumerate() {
            let key = (asked.question.says(ours::ROTATION_OF), asked.row.answer.prompt);
            rotations.entry(key).or_default().push(row);
        }
        let mut counted: Vec<Counted> = asked.iter().map(|asked| self.row(asked)).collect();
        for rows in rotations.values() {
            if !self.whole {
                rows.iter().for_each(|&row| counted[row].is(right[row]));
                continue;
            }
            // The first row stands for all four.
            let (first, others) = (rows[0], &rows[1..]);
            for &row in others {
                counted[first].counts[UNPARSABLE] += counted[row].counts[UNPARSABLE];
                counted[first].counts[ROWS] += counted[row].counts[ROWS];
                (counted[row].groups, counted[row].counts) = (Vec::new(), Counts::default());
            }
            counted[first].is(rows.iter().all(|&row| right[row]));
        }
        counted
    }
}

impl Crpe {
    fn row_is_right(&self, asked: &Asked<'_>) -> bool {
        let gold = asked.question.answer.as_deref().unwrap_or_default();
        match asked.question.generated {
            // Its options are words.
            Some(_) => exact(gold, answer_of(asked.row)),
            None => (self.is_right)(gold, (self.said)(asked.row)),
        }
    }

    fn row(&self, asked: &Asked<'_>) -> Counted {
        let mut counts = Counts::default();
        counts[UNPARSABLE] = flag(is_unparsable(asked, self.card.extraction));
        counts[ROWS] = 1.0;
        let category = asked.question.says("category").to_owned();
        Counted { groups: groups(category), counts, score: None }
    }
}

impl Counted {
    /// Counts as one question.
    fn is(&mut self, right: bool) {
        let score = flag(right);
        (self.counts[RIGHT], self.counts[UNITS], self.score) = (score, 1.0, Some(score));
    }
}

fn question(record: &Record) -> Result<Question, String> {
    let mut question = plain(record)?;
    question.answer = Some(record.needs(&["answer", "correct_option"])?);
    if question.says("category").is_empty() && record.file.to_uppercase().contains("EXIST") {
        question.meta.insert("category".to_owned(), "exist".to_owned());
    }
    let category = question.says("category");
    match ["exist", "subject", "predicate", "object"].contains(&category) {
        true => Ok(question),
        false => Err(format!("the category is `{category}`, which CRPE does not have")),
    }
}

/// Marks which rows of a file are one question: four in a row.
fn mark_rotations(questions: &mut [Question]) -> Result<()> {
    let fault = |message: String| {
        Error::new(message).hint("four rows in a row are one question, its options rotated")
    };
    if !questions.len().is_multiple_of(ROTATIONS) {
        let rows = questions.len();
        return Err(fault(format!("{rows} rows are no multiple of {ROTATIONS} rotations")));
    }
    for (number, rows) in questions.chunks_mut(ROTATIONS).enumerate() {
        let (id, category) = (rows[0].id.clone(), rows[0].says("category").to_owned());
        if rows.iter().any(|row| row.says("category") != category) {
            return Err(fault(format!(
                "rows {} to {} are of several categories, not the rotations of one question",
                number * ROTATIONS + 1,
                (number + 1) * ROTATIONS
            )));
        }
        for row in rows {
            row.meta.insert(ours::ROTATION_OF.to_owned(), id.clone());
        }
    }
    Ok(())
}
