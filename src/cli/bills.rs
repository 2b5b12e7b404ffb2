//! What judges will be asked and paid: the part of `prefab plan` that money hangs on.

use super::aligned;
use crate::data::lines;
use crate::data::record::Question;
use crate::eval::bill::{AN_ANSWER, Bill};
use crate::eval::{Row, benchmark, files};
use crate::plan::{Job, Plan, Stage};
use crate::spec::eval::{Eval, Judge};
use crate::store::payload;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The bills of a plan's scores that are not there yet, by judge and benchmark; nothing where
/// nobody judges.
pub fn describe(plan: &Plan, cached: &dyn Fn(&str) -> bool, artifacts: &Path) -> String {
    let mut bills = Bills { artifacts, questions: BTreeMap::new(), of: BTreeMap::new() };
    let mut seen = BTreeSet::new();
    for job in &plan.jobs {
        let Some(scores) = plan.task_of(job, Stage::Scores) else { continue };
        if seen.insert(&scores.key) && !cached(&scores.key) {
            bills.add(plan, job);
        }
    }
    bills.text()
}

struct Bills<'a> {
    artifacts: &'a Path,
    /// Questions of files, by benchmark and path; none where a file cannot be read.
    questions: BTreeMap<(String, String), Option<Vec<Question>>>,
    /// By judge and benchmark; what it comes to in money.
    of: BTreeMap<(String, String), Option<(Bill, f64)>>,
}

impl Bills<'_> {
    /// What one job's answers add.
    fn add(&mut self, plan: &Plan, job: &Job) {
        let eval = &job.settings.eval;
        if !eval.judge.is_set() {
            return;
        }
        let answers = plan.task_of(job, Stage::Answers).and_then(|task| {
            lines::read::<Row>(&payload(self.artifacts, &task.key).join("answers.jsonl")).ok()
        });
        for name in &eval.benchmarks {
            self.add_benchmark(eval, name, answers.as_deref());
        }
    }

    fn add_benchmark(&mut self, eval: &Eval, name: &str, answers: Option<&[Row]>) {
        let Ok(benchmark) = benchmark(name) else { return };
        let Some(path) = eval.files.get(benchmark.asks()).filter(|_| benchmark.grader().is_some())
        else {
            return;
        };
        let read = || files::read_blind(benchmark, Path::new(path)).ok();
        let questions = self.questions.entry((name.to_owned(), path.clone())).or_insert_with(read);
        let replies = self.artifacts.parent().unwrap_or(self.artifacts).join("replies");
        let bill = questions
            .as_ref()
            .and_then(|questions| Bill::new(eval, benchmark, questions, answers, &replies));
        let all = self.of.entry((judge(&eval.judge), name.to_owned()));
        let all = all.or_insert_with(|| Some((Bill::default(), 0.0)));
        *all = all.zip(bill).map(|((mut sum, cost), bill)| {
            sum.add(bill);
            (sum, cost + bill.used.cost(&eval.judge))
        });
    }

    fn text(&self) -> String {
        if self.of.is_empty() {
            return String::new();
        }
        let header = ["judge", "benchmark", "answers", "kept", "tokens read", "written", "cost"];
        let mut table = vec![header.map(str::to_owned).to_vec()];
        for ((judge, benchmark), bill) in &self.of {
            let cells = match bill {
                Some((Bill { calls, kept, used }, cost)) => [
                    calls.to_string(),
                    kept.to_string(),
                    used.read.to_string(),
                    used.written.to_string(),
                    format!("{cost:.2}"),
                ],
                // Its file is not there.
                None => ["?"; 5].map(str::to_owned),
            };
            table.push([judge.clone(), benchmark.clone()].into_iter().chain(cells).collect());
        }
        format!(
            "\n{}\nTokens are guessed: an answer that is not there yet has {AN_ANSWER}. Kept replies cost \
             nothing; one that cannot be read is asked for up to five times.\n",
            aligned(&table)
        )
    }
}

/// The judge's name.
fn judge(judge: &Judge) -> String {
    judge.server.model.clone().or_else(|| judge.checkpoint.clone()).unwrap_or_default()
}
