//! What every source but the imported one works on: questions with their sampled answers.

use super::degenerate::{is_degenerate, uncounted};
use crate::data::lines;
use crate::data::questions::read_split;
use crate::data::record::{Answer, Question};
use crate::spec::eval::Split;
use crate::stage::StageContext;
use crate::tasks::sources::is_generated;
use crate::{Error, Result};
use std::collections::HashMap;

/// Questions of the train split and the answers sampled for them.
#[derive(Debug)]
pub struct Sampled {
    /// In file order.
    pub questions: Vec<Question>,
    /// In file order.
    pub answers: Vec<Answer>,
    /// Answers of each question.
    of: Vec<Vec<usize>>,
    /// The question of each answer.
    question_of: Vec<usize>,
    /// Which answers repeat themselves until they are cut off.
    is_degenerate: Vec<bool>,
}

impl Sampled {
    /// Those of a stage's inputs.
    ///
    /// # Errors
    ///
    /// Inputs that cannot be read, a candidate whose question the corpus does not have.
    pub fn read(ctx: &StageContext) -> Result<Self> {
        let questions = read_split(ctx.input("corpus"), Split::Train)?;
        let answers = lines::read(&ctx.input("candidates").join("candidates.jsonl"))?;
        Self::new(questions, answers)
    }

    /// Puts answers to their questions.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn new(questions: Vec<Question>, answers: Vec<Answer>) -> Result<Self> {
        let place: HashMap<&str, usize> =
            questions.iter().enumerate().map(|(index, q)| (q.id.as_str(), index)).collect();
        let mut of = vec![Vec::new(); questions.len()];
        let mut question_of = Vec::with_capacity(answers.len());
        for (index, answer) in answers.iter().enumerate() {
            let &question = place.get(answer.question.as_str()).ok_or_else(|| {
                let id = &answer.question;
                Error::new(format!(
                    "candidates answer question `{id}`, which the corpus does not have"
                ))
                .hint("the candidates were sampled for another corpus: sample them again")
            })?;
            of[question].push(index);
            question_of.push(question);
        }
        let loops = |(answer, &place): (&Answer, &usize)| {
            // Generated rationales count by lines in earnest.
            let counts = !is_generated(&questions[place]);
            is_degenerate(&answer.text, answer.ended)
                || counts && is_degenerate(&uncounted(&answer.text), answer.ended)
        };
        let is_degenerate = answers.iter().zip(&question_of).map(loops).collect();
        Ok(Self { questions, answers, of, question_of, is_degenerate })
    }

    /// The answers of a question, in file order.
    pub fn of(&self, question: usize) -> &[usize] {
        &self.of[question]
    }

    /// The question of an answer.
    pub fn question_of(&self, answer: usize) -> &Question {
        &self.questions[self.question_of[answer]]
    }

    /// Whether an answer repeats itself until it is cut off: it is never chosen.
    pub fn is_degenerate(&self, answer: usize) -> bool {
        self.is_degenerate[answer]
    }

    /// The first of each text among some answers, in order.
    pub fn distinct(&self, answers: &[usize]) -> Vec<usize> {
        let mut kept: Vec<usize> = Vec::new();
        for &answer in answers {
            let text = &self.answers[answer].text;
            if kept.iter().all(|&known| self.answers[known].text != *text) {
                kept.push(answer);
            }
        }
        kept
    }
}
