//! What is measured, and how sure it is.
//!
//! The *answers* stage ([`answers`]) asks a policy every question that some
//! benchmark wants, once; the *scores* stage ([`scores`]) counts, without a model.
//! Which part of a response is its answer, and whether that is right, [`crate::answer`] says;
//! intervals and tests are in [`crate::statistics`].
//!
//! A benchmark is one file with a type that implements [`Benchmark`], and one line
//! in [`benchmarks!`](self), which `prefab show benchmarks` and the law tests read. The
//! spec parser reads a row of its own, in `spec/benchmarks.rs`; a law test keeps the two
//! equal. A benchmark says which questions of the split it asks and with which prompts,
//! and counts each answer; it sees no model and draws no random number.

pub mod answers;
pub mod asking;
pub mod benchmark;
pub mod bill;
mod describe;
pub mod export;
pub mod files;
pub mod foreign;
pub mod judging;
mod metric;
pub mod origin;
mod pope;
mod reasoning;
pub mod scores;
mod served;
mod shift;

pub use metric::{Counts, Metric, Value};

use crate::data::record::{Answer, Question, Verdict};
use crate::spec::benchmarks;
use crate::spec::candidates::Prompt;
use crate::spec::lists::suggest;
use crate::{Error, Result};
use benchmark::judged::{Grade, Graded};
use benchmark::{Extraction, File, choice as choice_of, crpe, judged, math, own, reading};
use serde::{Deserialize, Serialize};

/// Declares the list of benchmarks, in the order in which `show` prints them.
macro_rules! benchmarks {
    ($($path:path),+ $(,)?) => {
        /// Every benchmark there is.
        pub static BENCHMARKS: &[&dyn Benchmark] = &[$(&$path),+];
    };
}

benchmarks! {
    reasoning::Reasoning,
    pope::POPE,
    describe::Describe,
    shift::Shift,
    choice_of::M3COT,
    choice_of::M3COT_INTERNVL,
    math::MATHVISTA,
    math::MATHVISTA_INTERNVL,
    math::MATHVISTA_VLMEVALKIT,
    math::MATHVISION,
    math::MATHVISION_VLMEVALKIT,
    judged::MM_VET,
    judged::LLAVA_BENCH,
    pope::POPE_INTERNVL,
    pope::POPE_VLMEVALKIT,
    crpe::CRPE,
    crpe::CRPE_VLMEVALKIT,
    crpe::CRPE_ROWS,
    judged::MMHAL,
    judged::OBJECT_HALBENCH,
    choice_of::SCIENCEQA,
    choice_of::AI2D,
    reading::CHARTQA,
    reading::CHARTQA_INTERNVL,
    reading::DOCVQA,
    reading::DOCVQA_PEERS,
    reading::INFOVQA,
    reading::TEXTVQA,
    reading::TEXTVQA_VLMEVALKIT,
    reading::OCRBENCH,
    own::QUESTIONS,
}

/// The benchmark of a name.
///
/// # Errors
///
/// If there is none.
pub fn benchmark(name: &str) -> Result<&'static dyn Benchmark> {
    BENCHMARKS.iter().copied().find(|benchmark| benchmark.name() == name).ok_or_else(|| {
        let hint = suggest(name, "`prefab show benchmarks` lists them", &benchmarks::names());
        Error::spec(format!("`{name}` is not a benchmark")).hint(hint)
    })
}

/// What a benchmark is, in words.
#[derive(Clone, Copy, Debug)]
pub struct Card {
    /// The word used in specs and CSV files.
    pub name: &'static str,
    /// One sentence for `prefab show benchmarks`.
    pub about: &'static str,
    /// Where the measure comes from.
    pub source: &'static str,
    /// The benchmark whose questions it asks: another one, for a peer's way of scoring them.
    pub asks: &'static str,
    /// What a corpus needs so that it asks something, for the error when it does not.
    pub needs: &'static str,
    /// Which part of a response it takes for the answer.
    pub extraction: Extraction,
}

/// A set of questions, how they are asked and how the answers count.
pub trait Benchmark: Sync {
    /// What it is.
    fn card(&self) -> &Card;

    /// See [`Card::name`].
    fn name(&self) -> &'static str {
        self.card().name
    }

    /// See [`Card::about`].
    fn about(&self) -> &'static str {
        self.card().about
    }

    /// See [`Card::source`].
    fn source(&self) -> &'static str {
        self.card().source
    }

    /// See [`Card::asks`].
    fn asks(&self) -> &'static str {
        self.card().asks
    }

    /// See [`Card::needs`].
    fn needs(&self) -> &'static str {
        self.card().needs
    }

    /// See [`Card::extraction`].
    fn extraction(&self) -> Extraction {
        self.card().extraction
    }

    /// What it measures; the first is the one that verdicts.csv scores question by question.
    fn metrics(&self) -> &'static [Metric];

    /// Whether a metric says something about a task of it, and not of all questions alone.
    fn measures(&self, _metric: &Metric, _task: &str) -> bool {
        true
    }

    /// Whether it asks this question.
    fn selects(&self, question: &Question) -> bool;

    /// What it asks in place of a generated question that it selects; none where the question itself.
    fn derive(&self, _question: &Question) -> Option<Vec<Question>> {
        None
    }

    /// How its own file is read; none where it has none.
    fn file(&self) -> Option<&'static File> {
        None
    }

    /// Questions as its file, or VLMEvalKit's, would have them: with options, typed, in their split.
    fn filed(&self, questions: &[&Question]) -> Vec<Question> {
        questions.iter().copied().cloned().collect()
    }

    /// How its answers are graded, where a match does not do.
    fn grader(&self) -> Option<&Graded> {
        None
    }

    /// The prompts it is asked with, of those that the spec wants.
    fn prompts(&self, wanted: &[Prompt]) -> Vec<Prompt> {
        wanted.to_vec()
    }

    /// How many per cent of the true rationale are given as the beginning of the answer,
    /// one pass over the questions each.
    fn given_percents(&self) -> &'static [u8] {
        &[0]
    }

    /// Whether it needs the likelihood of the rest of the true rationale.
    fn needs_likelihood(&self) -> bool {
        false
    }

    /// Counts its answers, one [`Counted`] each, in order. `asked` holds all prompts.
    fn count(&self, asked: &[Asked<'_>]) -> Vec<Counted>;
}

/// A question with what the policy made of it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What was asked.
    pub question: &'a Question,
    /// What was answered.
    pub row: &'a Row,
    /// The answer to the same question and prompt with nothing given.
    pub own: &'a Row,
    /// How likely the rest of the true rationale is, where that was measured.
    pub likelihood: Option<&'a Likelihood>,
    /// What a grader made of it, where the benchmark wants one and it did not fail.
    pub grade: Option<&'a Grade>,
}

/// What one answer counts for.
#[derive(Clone, Debug)]
pub struct Counted {
    /// The tasks (or splits, or shares) that it belongs to; `all` is one of them where that makes sense.
    pub groups: Vec<String>,
    /// Its sums.
    pub counts: Counts,
    /// The question's own score, 1 for good and 0 for bad, for paired comparison; none where nothing can be said.
    pub score: Option<f64>,
}

impl Counted {
    /// What it belongs to beside `all`, joined by `;`: a question may be in several splits.
    fn task(&self) -> String {
        match self.groups.as_slice() {
            [all, own @ ..] if !own.is_empty() && all == "all" => own.join(";"),
            groups => groups.join(";"),
        }
    }
}

/// A line of answers.jsonl.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Row {
    /// The answer; its text includes what was given.
    #[serde(flatten)]
    pub answer: Answer,
    /// How many per cent of the true rationale were given as its beginning.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub given_percent: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

impl Row {
    /// Whether the final answer is right.
    pub fn is_right(&self) -> bool {
        self.answer.verdict == Some(Verdict::Right)
    }

    /// Whether nothing can be read from it: no final answer, or no end. The paper's measure of gibberish.
    pub fn is_unparsable(&self) -> bool {
        self.answer.verdict == Some(Verdict::Unparsable) || !self.answer.ended
    }
}

/// A line of likelihood.jsonl: log-probability, in nats, of what is left of the true rationale.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Likelihood {
    /// The question's id.
    pub question: String,
    /// How many per cent of the true rationale come before.
    pub given_percent: u8,
    /// Number of tokens left.
    pub tokens: usize,
    /// After the true beginning.
    pub after_true: f64,
    /// After as many tokens of the policy's own answer.
    pub after_own: f64,
}

/// 1 for true.
fn flag(is_true: bool) -> f64 {
    f64::from(u8::from(is_true))
}
