//! Open questions whose answers somebody grades: MM-Vet, LLaVA-Bench, MMHal-Bench, Object HalBench.
//!
//! Questions of files are graded by the judge of `[eval.judge]` ([`crate::eval::judging`]). Generated
//! descriptions stand in: what is in their picture is known, so that a rule grades them, and
//! the published arithmetic counts the grades. An answer that could not be graded has no score: it
//! counts in `failed` and nowhere else.

mod coco;
mod llava_bench;
mod mm_vet;
mod mmhal;
pub mod object_halbench;

pub use llava_bench::LLAVA_BENCH;
pub use mm_vet::MM_VET;
pub use mmhal::MMHAL;
pub use object_halbench::OBJECT_HALBENCH;

use super::{Extraction, File, answer_of, groups, stands_in};
use crate::answer::python::text::strip;
use crate::data::record::Question;
use crate::eval::asking::is_of_file;
use crate::eval::describe::Lexicon;
use crate::eval::{Asked, Benchmark, Card, Counted, Counts, Metric, Row, Value, flag};
use serde::{Deserialize, Serialize};

/// What a grader made of an answer.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Grade {
    /// Scores: one, or the reference's and the answer's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<f64>,
    /// Objects that the answer names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
}

impl Grade {
    fn of(number: f64) -> Self {
        Self { numbers: vec![number], words: Vec::new() }
    }
}

/// What is known of the answer to a generated question.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Objects in the picture.
    pub present: usize,
    /// Those of them that the answer names.
    pub right: usize,
    /// Objects that it names and that are not there.
    pub invented: usize,
    /// All that it names.
    pub named: Vec<String>,
}

impl Facts {
    /// Share of the picture that is told, each invention taking one back: in [0, 1].
    pub fn share(&self) -> f64 {
        self.right.saturating_sub(self.invented) as f64 / self.present.max(1) as f64
    }
}

/// A benchmark whose answers are graded.
pub struct Graded {
    card: Card,
    file: &'static File,
    metrics: &'static [Metric],
    group: fn(&Question) -> Vec<String>,
    /// Columns of VLMEvalKit's table that a question has in another form.
    columns: fn(&Question) -> Vec<(&'static str, String)>,
    /// What a judge is asked about an answer.
    pub ask: fn(&Question, &str) -> String,
    /// What a judge's reply says.
    pub read: fn(&Question, &str) -> Option<Grade>,
    /// The grade that needs no judge: of an answer that says nothing.
    pub plain: fn(&str) -> Option<Grade>,
    /// The grade of a description whose picture is known.
    pub by_rule: fn(&Facts) -> Grade,
    /// Adds a grade to the sums; the question's own score, in [0, 1], 1 for good.
    count: fn(&Question, &Grade, &mut Counts) -> f64,
}

/// What all of them ask and read beside what each is.
const fn card(name: &'static str, about: &'static str, source: &'static str) -> Card {
    Card {
        name,
        about,
        source,
        asks: name,
        needs: "open-ended questions with known objects: `describe` in `corpus.tasks`",
        extraction: Extraction::LastMarker,
    }
}

/// Columns that all of them have; a benchmark's own are those before.
const FAILED: usize = 9;
const TOKENS: usize = 10;
const ASKED: usize = 11;

/// The metrics that all of them have, behind their own.
const FAILED_SHARE: Metric = Metric { name: "failed", value: Value::Share(FAILED, ASKED) };
const LENGTH: Metric = Metric { name: "tokens", value: Value::Ratio(TOKENS, ASKED) };

/// Whether a metric counts answers without a grade too.
pub fn of_all(metric: &Metric) -> bool {
    [FAILED_SHARE.name, LENGTH.name].contains(&metric.name)
}

impl Benchmark for Graded {
    fn card(&self) -> &Card {
        &self.card
    }

    fn metrics(&self) -> &'static [Metric] {
        self.metrics
    }

    fn selects(&self, question: &Question) -> bool {
        stands_in(question, &["describe"])
    }

    fn file(&self) -> Option<&'static File> {
        Some(self.file)
    }

    fn filed(&self, questions: &[&Question]) -> Vec<Question> {
        let filed = |question: &&Question| {
            let mut filed = (*question).clone();
            for (name, text) in (self.columns)(question) {
                filed.meta.entry(name.to_owned()).or_insert(text);
            }
            filed
        };
        questions.iter().map(filed).collect()
    }

    fn grader(&self) -> Option<&Graded> {
        Some(self)
    }

    fn count(&self, asked: &[Asked<'_>]) -> Vec<Counted> {
        let count = |asked: &Asked<'_>| {
            let mut counts = Counts::default();
            let grade = asked.grade;
            let score = grade.map(|grade| (self.count)(asked.question, grade, &mut counts));
            counts[FAILED] = flag(score.is_none());
            counts[TOKENS] = asked.row.answer.tokens as f64;
            counts[ASKED] = 1.0;
            let mut all = groups(String::new());
            all.extend((self.group)(asked.question));
            Counted { groups: all, counts, score }
        };
        asked.iter().map(count).collect()
    }
}

impl Graded {
    /// What is graded of a response: all of it where no reasoning was asked for, whatever the
    /// prompt's name.
    pub fn said<'a>(&self, question: &Question, row: &'a Row) -> &'a str {
        match self.file.always_direct && is_of_file(question) {
            true => strip(&row.answer.text),
            false => answer_of(row),
        }
    }
}

/// Grades of descriptions by rule, where the question is a generated one.
pub fn by_rule(grader: &Graded, asked: &[Asked<'_>]) -> Vec<Option<Grade>> {
    let lexicon = Lexicon::of(asked.iter().map(|asked| asked.question));
    let grade = |asked: &Asked<'_>| {
        asked.question.generated.as_ref()?;
        let (named, present) =
            (lexicon.objects(&asked.row.answer.text), lexicon.present(asked.question));
        Some((grader.by_rule)(&Facts {
            present: present.len(),
            right: named.intersection(&present).count(),
            invented: named.difference(&present).count(),
            named: named.iter().map(|(kind, noun)| format!("{kind} {noun}")).collect(),
        }))
    };
    asked.iter().map(grade).collect()
}
