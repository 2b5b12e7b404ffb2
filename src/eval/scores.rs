//! The scores stage: answers in, numbers with intervals out. Needs no model.
//!
//! Writes scores.csv, one row a metric; verdicts.csv, one row a question, on which policies are
//! compared in pairs; benchmarks.csv, where each benchmark's questions and verdicts come from
//! ([`Origin`]); and, where answers are graded, judgements.jsonl with every grade and reply.

use super::asking::Asking;
use super::benchmark::judged::{Grade, of_all};
use super::judging::{Judge, Judgement, complete};
use super::origin::Origin;
use super::{Asked, Benchmark, Counts, Likelihood, Row, Value};
use crate::data::lines;
use crate::data::record::Question;
use crate::error::Context;
use crate::spec::candidates::Prompt;
use crate::spec::eval::{Eval, Split};
use crate::stage::StageContext;
use crate::statistics::{Interval, bootstrap, random, wilson};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// A row of scores.csv.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Score {
    /// Benchmark, of `prefab show benchmarks`.
    pub benchmark: String,
    /// Task family, split or share within it; `all` for everything.
    pub task: String,
    /// How answers were asked for.
    pub prompt: Prompt,
    /// Which questions.
    pub split: Split,
    /// Metric of the benchmark.
    pub metric: String,
    /// Its value; shares are in `[0, 1]`.
    pub value: f64,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Number of questions; of a metric of grades, those that have one.
    pub n: usize,
}

/// A row of verdicts.csv.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct QuestionScore {
    /// Benchmark, of `prefab show benchmarks`.
    pub benchmark: String,
    /// The question's id.
    pub question: String,
    /// Task family, split or share within the benchmark; several are joined by `;`.
    pub task: String,
    /// The picture, by which intervals are clustered; several are joined by `;`.
    pub image: String,
    /// How it was asked.
    pub prompt: Prompt,
    /// 1 for good, 0 for bad.
    pub score: f64,
}

/// What the scores stage writes.
#[derive(Debug, Default)]
pub struct Scored {
    /// Metrics.
    pub scores: Vec<Score>,
    /// Verdicts by question.
    pub verdicts: Vec<QuestionScore>,
    /// Grades, where answers are graded.
    pub judgements: Vec<Judgement>,
    /// Where questions and verdicts come from, a row a benchmark.
    pub origins: Vec<Origin>,
}

impl Scored {
    /// Writes it into a folder.
    ///
    /// # Errors
    ///
    /// Files that cannot be written.
    pub fn write(&self, out: &Path) -> Result<()> {
        write_csv(&out.join("scores.csv"), &self.scores)?;
        write_csv(&out.join("verdicts.csv"), &self.verdicts)?;
        write_csv(&out.join("benchmarks.csv"), &self.origins)?;
        match self.judgements.is_empty() {
            true => Ok(()),
            false => lines::write(&out.join("judgements.jsonl"), &self.judgements),
        }
    }
}

/// The scores stage.
///
/// # Errors
///
/// Files that cannot be read or written, and answers that do not fit the corpus.
pub fn run(eval: &Eval, ctx: &StageContext) -> Result<()> {
    let asking = Asking::read(eval, ctx)?;
    let answered: Vec<Row> = lines::read(&ctx.input("answers").join("answers.jsonl"))?;
    let likelihoods = ctx.input("answers").join("likelihood.jsonl");
    let likelihoods: Vec<Likelihood> =
        if likelihoods.exists() { lines::read(&likelihoods)? } else { Vec::new() };
    let mut judge = Judge::open(&eval.judge, ctx)?;
    let scored = score_asked(eval, &asking, &answered, &likelihoods, &mut judge)?;
    complete(&scored.judgements)?;
    scored.write(&ctx.out)
}

fn write_csv<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    let mut csv = csv::Writer::from_path(path)
        .with_context(|| format!("could not create {}", path.display()))?;
    for row in rows {
        csv.serialize(row).with_context(|| format!("writing `{}`", path.display()))?;
    }
    csv.flush().with_context(|| format!("writing `{}`", path.display()))
}

/// Scores every benchmark of the table on the same answers, without a judge.
///
/// # Errors
///
/// A benchmark that does not exist, and a question without its answer.
pub fn score(
    eval: &Eval,
    questions: &[Question],
    answered: &[Row],
    likelihoods: &[Likelihood],
) -> Result<(Vec<Score>, Vec<QuestionScore>)> {
    let asking = Asking::new(eval, questions.to_vec())?;
    let mut judge = Judge::nobody(&eval.judge);
    let scored = score_asked(eval, &asking, answered, likelihoods, &mut judge)?;
    Ok((scored.scores, scored.verdicts))
}

/// Scores every benchmark of the table on the same answers.
///
/// # Errors
///
/// A question without its answer, and what the judge says.
pub fn score_asked(
    eval: &Eval,
    asking: &Asking,
    answered: &[Row],
    likelihoods: &[Likelihood],
    judge: &mut Judge<'_>,
) -> Result<Scored> {
    let find = Lookup::new(answered, likelihoods);
    let mut scored = Scored::default();
    for (benchmark, indices) in &asking.of {
        let (benchmark, name) = (*benchmark, benchmark.name());
        // A file has one split.
        let of_file = eval.files.contains_key(benchmark.asks());
        let split = if of_file { Split::Test } else { eval.split };
        let selected: Vec<&Question> =
            indices.iter().map(|&index| &asking.questions[index]).collect();
        let prompts = benchmark.prompts(&eval.prompts);
        let mut asked = Vec::new();
        for &prompt in &prompts {
            for &percent in benchmark.given_percents() {
                for &question in &selected {
                    asked.push(find.asked(question, prompt, percent)?);
                }
            }
        }
        let before = judge.used;
        let judgements = match benchmark.grader() {
            Some(grader) => judge.grade(benchmark, grader, &asked)?,
            None => Vec::new(),
        };
        let grades: Vec<Option<&Grade>> =
            judgements.iter().map(|judgement| judgement.grade.as_ref()).collect();
        for (asked, grade) in asked.iter_mut().zip(grades) {
            asked.grade = grade;
        }
        let counted = benchmark.count(&asked);
        scored.origins.push(Origin::new(eval, benchmark, &selected, &judgements, judge, before));
        for &prompt in &prompts {
            let of_prompt = || {
                asked.iter().zip(&counted).filter(|(asked, _)| asked.row.answer.prompt == prompt)
            };
            for (asked, counted) in of_prompt() {
                if let Some(score) = counted.score {
                    scored.verdicts.push(QuestionScore {
                        benchmark: name.to_owned(),
                        question: asked.question.id.clone(),
                        task: counted.task(),
                        image: cluster(asked.question),
                        prompt,
                        score,
                    });
                }
            }
            let mut groups: Vec<(&str, Group)> = Vec::new();
            for (asked, counted) in of_prompt() {
                for name in &counted.groups {
                    let at = groups.iter().position(|(known, _)| known == name);
                    let at = at.unwrap_or_else(|| {
                        groups.push((name, Group::default()));
                        groups.len() - 1
                    });
                    let is_graded = benchmark.grader().is_none() || counted.score.is_some();
                    groups[at].1.add(cluster(asked.question), &counted.counts, is_graded);
                }
            }
            for (task, group) in groups {
                scored.scores.extend(group.scores(benchmark, task, prompt, split));
            }
        }
        scored.judgements.extend(judgements);
    }
    Ok(scored)
}

/// What questions that hang together share: their picture, or nothing.
fn cluster(question: &Question) -> String {
    if question.images.is_empty() { question.id.clone() } else { question.images.join(";") }
}

/// Answers and likelihoods by question.
struct Lookup<'a> {
    answers: HashMap<(&'a str, Prompt, u8), &'a Row>,
    likelihoods: HashMap<(&'a str, u8), &'a Likelihood>,
}

impl<'a> Lookup<'a> {
    fn new(answered: &'a [Row], likelihoods: &'a [Likelihood]) -> Self {
        let key =
            |row: &'a Row| (row.answer.question.as_str(), row.answer.prompt, row.given_percent);
        Self {
            answers: answered.iter().map(|row| (key(row), row)).collect(),
            likelihoods: likelihoods
                .iter()
                .map(|row| ((row.question.as_str(), row.given_percent), row))
                .collect(),
        }
    }

    fn asked(&self, question: &'a Question, prompt: Prompt, percent: u8) -> Result<Asked<'a>> {
        let answer = |percent: u8| {
            self.answers.get(&(question.id.as_str(), prompt, percent)).copied().ok_or_else(|| {
                let (id, prompt) = (&question.id, prompt.name());
                Error::new(format!("question `{id}` has no `{prompt}` answer at {percent} % given"))
                    .hint("the answers were made for other benchmarks or another split: run them again")
            })
        };
        Ok(Asked {
            question,
            row: answer(percent)?,
            own: answer(0)?,
            likelihood: self.likelihoods.get(&(question.id.as_str(), percent)).copied(),
            grade: None,
        })
    }
}

/// What a group of questions adds up to, by picture.
#[derive(Default)]
struct Group {
    clusters: BTreeMap<String, Counts>,
    n: usize,
    /// Those that are no answer without a grade.
    graded: usize,
}

impl Group {
    fn add(&mut self, cluster: String, counts: &Counts, is_graded: bool) {
        for (sum, count) in self.clusters.entry(cluster).or_default().iter_mut().zip(counts) {
            *sum += count;
        }
        self.n += 1;
        self.graded += usize::from(is_graded);
    }

    fn scores(
        &self,
        benchmark: &dyn Benchmark,
        task: &str,
        prompt: Prompt,
        split: Split,
    ) -> Vec<Score> {
        let clusters: Vec<Counts> = self.clusters.values().copied().collect();
        let mut sums = Counts::default();
        for counts in &clusters {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        let row = |metric: &super::Metric| {
            let value = metric.value.of(&sums).filter(|_| benchmark.measures(metric, task))?;
            let purpose = format!("{}/{task}/{}/{}", benchmark.name(), prompt.name(), metric.name);
            let interval = self.interval(&clusters, &sums, metric.value, &purpose);
            Some(Score {
                benchmark: benchmark.name().to_owned(),
                task: task.to_owned(),
                prompt,
                split,
                metric: metric.name.to_owned(),
                value,
                low: interval.map(|interval| interval.low),
                high: interval.map(|interval| interval.high),
                n: if of_all(metric) { self.n } else { self.graded },
            })
        };
        benchmark.metrics().iter().filter_map(row).collect()
    }

    /// Wilson's interval for a share of independent questions, else the bootstrap by picture. At 0 and
    /// at 1 resampling sees no spread at all: Wilson's again, with each picture that says something of
    /// the number as one trial.
    fn interval(
        &self,
        clusters: &[Counts],
        sums: &Counts,
        value: Value,
        purpose: &str,
    ) -> Option<Interval> {
        if let Value::Share(part, whole) = value
            && clusters.len() == self.n
        {
            return wilson(sums[part], sums[whole]);
        }
        let extreme = value.of(sums).filter(|number| [0.0, 1.0].contains(number));
        if let (Some(number), Some(_)) = (extreme, value.trials(sums)) {
            let says = |counts: &&Counts| value.trials(counts).is_some_and(|trials| trials > 0.0);
            let trials = clusters.iter().filter(says).count() as f64;
            return wilson(trials * number, trials);
        }
        bootstrap(clusters, |sums| value.of(sums), random(purpose, 0))
    }
}
