//! Who does the work: worker processes, devices, progress, signals.
//!
//! [`execute`] works off a frozen plan. A task may start once its inputs exist;
//! each is done by a child process ([`worker`], the hidden verb `prefab job`),
//! so that a crash in libtorch is one failed row with its log. To add a stage,
//! add a line to [`dispatch`].

pub mod device;
pub mod dispatch;
pub mod fake;
pub mod machine;
mod pool;
mod process;
pub mod progress;
pub mod results;
pub mod state;
pub mod worker;

use crate::Result;
use crate::plan::{Plan, Stage};
use crate::report::chart::Chart;
use crate::store::{Store, disk};
use device::Devices;
use dispatch::Executor;
use state::Board;
use std::path::PathBuf;
use std::sync::mpsc::channel;

/// Exit codes of workers; those of the `prefab` command are in [`crate::Error::exit_code`].
pub mod exit {
    /// The artifact exists.
    pub const DONE: u8 = 0;
    /// A panic: a bug.
    pub const BUG: u8 = 1;
    /// Another process makes this artifact.
    pub const BUSY: u8 = 75;
    /// Memory ran out.
    pub const MEMORY: u8 = 76;
    /// Interrupted; run again to go on.
    pub const INTERRUPTED: u8 = 130;
}

/// How a plan is worked off; nothing here changes a number.
#[derive(Clone, Debug)]
pub struct Options {
    /// Workers at a time.
    pub workers: usize,
    /// Whether the other jobs go on after one has failed.
    pub keep_going: bool,
    /// What the workers share out.
    pub devices: Devices,
    /// The last stage to be done.
    pub until: Option<Stage>,
    /// Folder of this experiment's tables and charts.
    pub results: PathBuf,
    /// Whether the stages only pretend.
    pub fake: bool,
}

/// A task that failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failed {
    /// Its artifact's key.
    pub key: String,
    /// Its stage and job, for people.
    pub title: String,
    /// The reason.
    pub why: String,
    /// The way out, where there is one.
    pub hint: Option<String>,
}

/// How the work on a plan ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// Tasks that exist because this run did them.
    pub done: usize,
    /// Tasks that existed already.
    pub cached: usize,
    /// Tasks that failed.
    pub failed: Vec<Failed>,
    /// Tasks that were not reached.
    pub left: usize,
    /// Whether a signal stopped the run.
    pub interrupted: bool,
    /// The files that the report wrote.
    pub charts: Vec<PathBuf>,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Work {
    /// The frozen plan.
    pub plan: Plan,
    /// The text of the spec as run; none of a plan that was frozen earlier.
    pub spec: Option<String>,
    /// What the report draws.
    pub charts: Vec<(String, Chart)>,
}

/// Does what has no result yet, then reports.
///
/// Must be called from the thread that lives longest: workers die with it.
///
/// # Errors
///
/// If store or results cannot be written. A failed task is part of the outcome.
pub fn execute(
    work: &Work,
    store: &Store,
    executor: &Executor,
    options: &Options,
) -> Result<Outcome> {
    let _in_use = store.in_use()?;
    let plan = &work.plan;
    disk::create_dirs(&options.results)?;
    results::sweep(&options.results)?;
    let frozen = serde_json::to_string_pretty(plan).expect("a plan is plain data") + "\n";
    let name = format!("{}.json", &blake3::hash(frozen.as_bytes()).to_hex()[..32]);
    let file = store.root().join("plans").join(name);
    if !file.exists() {
        disk::replace(&file, frozen.as_bytes())?;
    }
    disk::replace(&options.results.join("plan.json"), frozen.as_bytes())?;
    if let Some(text) = &work.spec {
        disk::replace(&options.results.join("experiment.toml"), text.as_bytes())?;
    }
    let mut board = Board::new(plan, options.until);
    let workers = process::Workers {
        plan: file,
        store: store.root().to_owned(),
        label: options.devices.label.clone(),
        commit: machine::commit(),
        fake: options.fake,
    };
    let (send, events) = channel();
    let _signals = pool::Signals::listen(send.clone())?;
    let interrupted = pool::work_off(&mut board, store, &workers, options, (send, events))?;
    results::write(&board, &options.results, &workers)?;
    let mut outcome = board.outcome();
    outcome.interrupted = interrupted;
    if options.until.is_none() && !interrupted && board.any_job_done() {
        match (executor.report)(&options.results, store, plan, &work.charts) {
            Ok(files) => outcome.charts = files,
            // What a chart lacks may be what failed: that is the reason to be told.
            Err(error) if outcome.left + outcome.failed.len() > 0 => {
                tracing::warn!("the report is not whole: {error}");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(outcome)
}
