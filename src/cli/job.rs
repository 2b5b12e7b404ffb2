//! `prefab job PLAN INDEX`: one task of a frozen plan, for `run` and for launchers.

use crate::Result;
use crate::plan::Plan;
use crate::run::device::{self, Choice};
use crate::run::{dispatch, exit, fake, machine, worker};
use crate::store::Store;
use std::path::PathBuf;

/// Do one task of a frozen plan.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The frozen plan: a results folder's plan.json.
    plan: PathBuf,
    /// Which of its tasks, from 0.
    index: usize,
    /// Where artifacts are kept.
    #[arg(long, value_name = "DIR", default_value = ".prefab")]
    store: PathBuf,
    /// Where tensors live.
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    device: Choice,
    /// How the device is named in records; default: as found.
    #[arg(long)]
    label: Option<String>,
    /// The commit to record; default: the working folder's.
    #[arg(long)]
    commit: Option<String>,
    /// Pretend: bytes computed from keys.
    #[arg(long)]
    fake: bool,
}

/// Does the task.
///
/// # Errors
///
/// If plan or store cannot be opened.
pub fn run(args: &Args) -> Result<()> {
    let device = device::open(args.device)?;
    let label = match &args.label {
        Some(label) => label.clone(),
        None => device::Devices::resolve(Some(args.device))?.label,
    };
    let order = worker::Order {
        plan: &Plan::load(&args.plan)?,
        index: args.index,
        store: &Store::open(&args.store)?,
        device,
        label: &label,
        commit: &args.commit.clone().unwrap_or_else(machine::commit),
    };
    let executor = if args.fake { fake::FAKE } else { dispatch::REAL };
    let code = worker::work(&order, &executor);
    if code == exit::DONE {
        return Ok(());
    }
    // The reason has been told; busy and out-of-memory have codes of their own.
    std::process::exit(code.into())
}
