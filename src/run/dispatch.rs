//! From a task of the plan to the function that does it: the one place where
//! stages and rooms meet. **To add a stage:** a line in `real`.
//!
//! A stage function gets exactly the tables named in its task's settings, so
//! nothing that is outside its key can change its bytes.

use crate::Result;
use crate::error::Kind;
use crate::plan::{Plan, Stage, Task};
use crate::report::chart::Chart;
use crate::stage::StageContext;
use crate::store::Store;
use crate::{eval, model, pairs, report, sample, tasks, train};
use std::path::{Path, PathBuf};

/// Does one stage.
pub type StageFunction = fn(&Task, &StageContext) -> Result<()>;

/// Turns stored results into tables and charts; the files that it wrote.
pub type ReportFunction = fn(
    results: &Path,
    store: &Store,
    plan: &Plan,
    charts: &[(String, Chart)],
) -> Result<Vec<PathBuf>>;

/// Who does the work: the real stages, or [`super::fake`] ones.
#[derive(Clone, Copy)]
pub struct Executor {
    /// The function of a stage.
    pub stage: fn(Stage) -> StageFunction,
    /// What is called when the stages are done.
    pub report: ReportFunction,
}

/// The real ones.
pub const REAL: Executor = Executor { stage: real, report: real_report };

fn real(stage: Stage) -> StageFunction {
    match stage {
        Stage::Corpus => |t, c| tasks::corpus::run(&t.table("corpus")?, c),
        Stage::Base => |t, c| train::base::run(&t.table("base")?, &t.table("model")?, c),
        Stage::Features => |t, c| model::features::run(&t.table("model")?, c),
        Stage::Candidates => |t, c| sample::candidates::run(&t.table("candidates")?, c),
        Stage::Pairs => |t, c| pairs::run(&t.table("pairs")?, c),
        Stage::Reference => |t, c| train::reference::run(&t.table("model")?, &t.table("train")?, c),
        Stage::Policy => |t, c| {
            let (loss, train) = (t.table("loss")?, t.table("train")?);
            train::policy::run(&loss, &train, &t.table("model")?, &t.table("eval")?, c)
        },
        Stage::Benchmarks => |t, c| eval::files::run(&t.table("eval")?, c),
        Stage::Answers => |t, c| eval::answers::run(&t.table("eval")?, c),
        Stage::Scores => |t, c| eval::scores::run(&t.table("eval")?, c),
    }
}

fn real_report(
    results: &Path,
    store: &Store,
    plan: &Plan,
    charts: &[(String, Chart)],
) -> Result<Vec<PathBuf>> {
    // The spec was found sound before its jobs ran: what fails now has cost a run.
    report::run(results, &store.artifacts(), plan, charts).map_err(|error| error.kind(Kind::Job))
}
