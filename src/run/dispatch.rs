//! From a task of the plan to the function that does it: the one place where
//! stages and rooms meet.
//!
//! A stage function gets exactly the tables named in its task's settings, so
//! nothing that is outside its key can change its bytes.

use super::stage::StageContext;
use crate::error::{Context, Error, Result};
use crate::plan::{Plan, Stage, Task};
use crate::store::Store;
use serde::de::DeserializeOwned;
use std::path::Path;

/// Does one stage.
pub type StageFunction = fn(&Task, &StageContext) -> Result<()>;

/// Turns stored results into tables and charts.
pub type ReportFunction = fn(results: &Path, store: &Store, plan: &Plan) -> Result<()>;

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

/// Reads one table out of a task's slice of the settings.
///
/// # Errors
///
/// If the plan was made by a Prefab whose tables look otherwise.
pub fn table<T: DeserializeOwned>(task: &Task, name: &str) -> Result<T> {
    let value = task.settings.get(name).ok_or_else(|| {
        Error::new(format!("the plan gives {} no table `{name}`", task.key))
            .hint("run the spec again, to make a fresh plan")
    })?;
    serde_json::from_value(value.clone()).with_context(|| format!("`{name}` of {}", task.key))
}

// ---- stages: one line each, `|task, context| ROOM::run(&table(task, "…")?, …, context)` ----

fn real(stage: Stage) -> StageFunction {
    // Lines that stand here once their rooms do:
    //   Corpus     => |t, c| crate::tasks::corpus::run(&table(t, "corpus")?, c),
    //   Base       => |t, c| crate::train::base::run(&table(t, "base")?, &table(t, "model")?, c),
    //   Features   => |t, c| crate::model::features::run(&table(t, "model")?, c),
    //   Candidates => |t, c| crate::sample::candidates::run(&table(t, "candidates")?, c),
    //   Pairs      => |t, c| crate::pairs::run(&table(t, "pairs")?, c),
    //   Reference  => |t, c| crate::train::reference::run(&table(t, "model")?, &table(t, "train")?, c),
    //   Policy     => |t, c| crate::train::policy::run(&table(t, "loss")?, &table(t, "train")?,
    //                                                  &table(t, "model")?, &table(t, "eval")?, c),
    //   Answers    => |t, c| crate::eval::answers::run(&table(t, "eval")?, c),
    //   Scores     => |t, c| crate::eval::scores::run(&table(t, "eval")?, c),
    match stage {
        Stage::Corpus
        | Stage::Base
        | Stage::Features
        | Stage::Candidates
        | Stage::Pairs
        | Stage::Reference
        | Stage::Policy
        | Stage::Answers
        | Stage::Scores => |task, _| Err(Error::new(format!("no room does {} here", task.key))),
    }
}

fn real_report(_results: &Path, _store: &Store, _plan: &Plan) -> Result<()> {
    Ok(())
}

// ---- end of the list ----
