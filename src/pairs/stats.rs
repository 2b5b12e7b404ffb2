//! What a set of pairs is made of: stats.csv, rows of task, metric and value.
//!
//! | metric | meaning |
//! |---|---|
//! | `questions` | questions with sampled answers |
//! | `with_both` | share of them with a right and a wrong answer |
//! | `pairs_KIND` | pairs of a kind |
//! | `chosen_tokens`, `rejected_tokens` | mean lengths |
//! | `chosen_careful` | share of chosen answers that equal the true rationale |
//! | `chosen_careful_lines` | the same, with lines in any order |
//! | `chosen_sloppy`, `rejected_sloppy` | share that equals the sloppy rationale |
//! | `inconsistent` | share of right answers that contradict themselves, where that is looked for |
//! | `claims`, `claims_denied` | claims that a judge was asked about, and the share it denied |
//! | `skipped_REASON` | pairs (or questions, or answers) left out; `failed` and `unjudged` ones are those that a server failed for, `identical` ones those whose every continuation said the same, `no_room` ones those whose kept words fill `max_tokens`, `empty_answer` ones without text |
//!
//! What each kind of pair is like and cost is in kinds.csv ([`super::kinds`]).

mod none;

use super::{Built, Kind};
use crate::Result;
use crate::data::record::{Answer, Verdict};
use crate::error::Context;
use crate::spec::pairs::{Pairs, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Counts by task; `all` is filled from the tasks.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Questions with sampled answers, by task.
    questions: BTreeMap<String, f64>,
    /// Of those, how many have which verdicts among their answers.
    only_right: usize,
    only_wrong: usize,
    only_unparsable: usize,
    /// Questions with right answers and such as cannot be read, and no wrong one.
    right_and_unparsable: usize,
    with_both: BTreeMap<String, f64>,
    skipped: BTreeMap<(String, &'static str), usize>,
    /// Answers that repeat themselves, each counted once, however many sources come by it.
    looping: BTreeSet<usize>,
    /// (sum, count) of a mean by task and metric.
    means: BTreeMap<(String, &'static str), (f64, f64)>,
    pairs: BTreeMap<(String, &'static str), f64>,
    /// Claims asked about, and how many were denied.
    claims: (usize, usize),
    /// Tokens that a source's pairs took to make.
    spent: BTreeMap<Source, usize>,
}

/// The order of mean metrics in the file.
const MEANS: [&str; 7] = [
    "chosen_tokens",
    "rejected_tokens",
    "chosen_careful",
    "chosen_careful_lines",
    "chosen_sloppy",
    "rejected_sloppy",
    "inconsistent",
];

impl Stats {
    /// Notes a question and the verdicts of its answers.
    pub fn asked(&mut self, task: &str, answers: &[&Answer]) {
        let has = |verdict| answers.iter().any(|answer| answer.verdict == Some(verdict));
        let (right, wrong) = (has(Verdict::Right), has(Verdict::Wrong));
        self.add_question(task, right && wrong);
        match (right, wrong) {
            (true, false) => self.only_right += 1,
            (false, true) => self.only_wrong += 1,
            (false, false) => self.only_unparsable += 1,
            (true, true) => {}
        }
        self.right_and_unparsable += usize::from(right && !wrong && has(Verdict::Unparsable));
    }

    fn add_question(&mut self, task: &str, has_both: bool) {
        for task in ["all", task] {
            *self.questions.entry(task.to_owned()).or_default() += 1.0;
            *self.with_both.entry(task.to_owned()).or_default() += f64::from(u8::from(has_both));
        }
    }

    /// Notes pairs or questions that were left out.
    pub fn skipped(&mut self, task: &str, reason: &'static str, count: usize) {
        if count == 0 {
            return;
        }
        *self.skipped.entry(("all".to_owned(), reason)).or_default() += count;
        if task != "all" {
            *self.skipped.entry((task.to_owned(), reason)).or_default() += count;
        }
    }

    /// Notes an answer that repeats itself until it is cut off.
    pub fn looping(&mut self, task: &str, answer: usize) {
        if self.looping.insert(answer) {
            self.skipped(task, "degenerate", 1);
        }
    }

    /// Notes how many of a task's right answers were looked at, and dropped for contradicting
    /// themselves.
    pub fn checked(&mut self, task: &str, right: usize, dropped: usize) {
        for at in 0..right {
            self.mean(task, "inconsistent", flag(at < dropped));
        }
    }

    /// Notes claims that a judge was asked about.
    pub fn judged(&mut self, claims: usize, denied: usize) {
        self.claims.0 += claims;
        self.claims.1 += denied;
    }

    /// Notes tokens that somebody wrote so that a source could make its pairs.
    pub fn spend(&mut self, source: Source, tokens: usize) {
        *self.spent.entry(source).or_default() += tokens;
    }

    /// Tokens that a source's pairs took to make.
    pub fn spent(&self, source: Source) -> usize {
        self.spent.get(&source).copied().unwrap_or_default()
    }

    /// Share of a task's questions with a right and a wrong answer, where any were asked.
    pub fn with_both(&self, task: &str) -> Option<f64> {
        Some(self.with_both.get(task)? / self.questions.get(task)?)
    }

    /// Counts a pair that is kept.
    pub fn add_pair(&mut self, built: &Built) {
        for task in ["all", &built.task] {
            *self.pairs.entry((task.to_owned(), built.kind.name())).or_default() += 1.0;
        }
        if let Some((chosen, rejected)) = built.tokens {
            self.mean(&built.task, "chosen_tokens", chosen as f64);
            self.mean(&built.task, "rejected_tokens", rejected as f64);
        }
        if let Some(truth) = built.truth {
            self.mean(&built.task, "chosen_careful", flag(truth.is_careful));
            self.mean(&built.task, "chosen_careful_lines", flag(truth.is_careful_in_any_order));
            if let Some((chosen, rejected)) = truth.is_sloppy {
                self.mean(&built.task, "chosen_sloppy", flag(chosen));
                self.mean(&built.task, "rejected_sloppy", flag(rejected));
            }
        }
    }

    fn mean(&mut self, task: &str, metric: &'static str, value: f64) {
        for task in ["all", task] {
            let (sum, count) = self.means.entry((task.to_owned(), metric)).or_default();
            *sum += value;
            *count += 1.0;
        }
    }

    /// What to say of questions that the settings leave out, where there are some: a default among
    /// them does.
    pub fn told_of_left_out(&self, settings: &Pairs) -> Option<String> {
        let left: Vec<String> = self.left_out(settings).collect();
        (!left.is_empty())
            .then(|| format!("no correctness pairs are made of {}", left.join("; of ")))
    }

    /// The questions that settings leave out, each with the key that does.
    fn left_out(&self, settings: &Pairs) -> impl Iterator<Item = String> {
        let correctness = &settings.correctness;
        let domains: Vec<&str> = correctness.exclude_domains.iter().map(|d| d.name()).collect();
        let why = [
            (
                "excluded_domain_questions",
                format!(
                    "from data sets of the domains that `pairs.correctness.exclude_domains` lists \
                     ({}; `[]` leaves out none)",
                    domains.join(", ")
                ),
            ),
            (
                "excluded_questions",
                "of the tasks that `pairs.correctness.exclude` lists".to_owned(),
            ),
            (
                "easy_questions",
                format!(
                    "with a larger share of right answers than `pairs.correctness.max_right`, {}",
                    correctness.max_right.get()
                ),
            ),
        ];
        let counted = why.map(|(reason, why)| (self.count(reason), why));
        counted
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, why)| format!("{count} questions {why}"))
    }

    fn count(&self, reason: &str) -> usize {
        let all =
            self.skipped.iter().filter(|((task, known), _)| task == "all" && *known == reason);
        all.map(|(_, count)| count).sum()
    }

    /// The rows of stats.csv: `all` first, then tasks by name.
    pub fn rows(&self) -> Vec<(String, String, f64)> {
        let mut tasks: Vec<&String> = self
            .questions
            .keys()
            .chain(self.pairs.keys().map(|(task, _)| task))
            .chain(self.skipped.keys().map(|(task, _)| task))
            .chain(self.means.keys().map(|(task, _)| task))
            .collect();
        tasks.sort_by_key(|task| (*task != "all", *task));
        tasks.dedup();
        let mut rows = Vec::new();
        for task in tasks {
            let mut row = |metric: String, value: f64| rows.push((task.clone(), metric, value));
            if let Some(&questions) = self.questions.get(task) {
                row("questions".into(), questions);
                row("with_both".into(), self.with_both[task] / questions);
            }
            for kind in Kind::ALL {
                if let Some(&pairs) = self.pairs.get(&(task.clone(), kind.name())) {
                    row(format!("pairs_{}", kind.name()), pairs);
                }
            }
            for metric in MEANS {
                if let Some((sum, count)) = self.means.get(&(task.clone(), metric)) {
                    row(metric.into(), sum / count);
                }
            }
            if task == "all" && self.claims.0 > 0 {
                row("claims".into(), self.claims.0 as f64);
                row("claims_denied".into(), self.claims.1 as f64 / self.claims.0 as f64);
            }
            for ((_, reason), &count) in self.skipped.iter().filter(|((of, _), _)| of == task) {
                row(format!("skipped_{reason}"), count as f64);
            }
        }
        rows
    }

    /// Writes stats.csv.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let doing = || format!("writing `{}`", path.display());
        let mut csv = csv::Writer::from_path(path).with_context(doing)?;
        csv.write_record(["task", "metric", "value"]).with_context(doing)?;
        for (task, metric, value) in self.rows() {
            csv.write_record([task, metric, value.to_string()]).with_context(doing)?;
        }
        csv.flush().with_context(doing)
    }
}

fn flag(is_true: bool) -> f64 {
    f64::from(u8::from(is_true))
}
