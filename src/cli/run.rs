//! `prefab run SPEC…`: does what has no result yet, then reports.

use super::plan::{reusing, stage, summary};
use crate::error::{Error, Kind, Result};
use crate::plan::{self, Plan, Stage};
use crate::report::number::{counted, duration};
use crate::run::device::{Choice, Devices};
use crate::run::progress::say;
use crate::run::{self, Failed, Options, Outcome, Work, dispatch, fake, machine};
use crate::store::{self, Store};
use crate::{report, spec};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What to run, and how; `--set` alone changes a number.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Spec files, or frozen plans (plan.json)
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<PathBuf>,
    /// Workers at a time [default: one a core, or one a card]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// Go on with the other jobs after one has failed
    #[arg(short, long)]
    keep_going: bool,
    /// cpu, cuda or cuda:N [default: cuda where there is one]
    #[arg(short, long, value_name = "NAME")]
    device: Option<Choice>,
    /// Stop after this stage
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    until: Option<Stage>,
    /// Set a value over the spec's own: table.key=value
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Name of the results folder [default: the spec's file stem]
    #[arg(long)]
    name: Option<String>,
    /// Where tables and charts go
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Where artifacts are kept
    #[arg(long, value_name = "DIR", default_value = ".prefab")]
    store: PathBuf,
    /// Take artifacts of other devices where this one has none
    #[arg(long)]
    reuse_across_devices: bool,
    /// Pretend: bytes computed from keys
    #[arg(long, hide = true)]
    fake: bool,
}

/// Loads every spec before any work begins, then works them off in order.
///
/// # Errors
///
/// If a spec is wrong, store or results cannot be written, or a job failed.
pub fn run(args: &Args) -> Result<()> {
    let devices = Devices::resolve(args.device)?;
    let all: Vec<Work> =
        args.specs.iter().map(|path| load(path, args, &devices)).collect::<Result<_>>()?;
    check_names(args, &all)?;
    let store = Store::open(&args.store)?;
    let executor = if args.fake { fake::FAKE } else { dispatch::REAL };
    let default = match devices.list.as_slice() {
        [tch::Device::Cuda(_), ..] => devices.list.len(),
        _ => machine::cores(),
    };
    let mut failed = Ok(());
    for work in &all {
        let options = Options {
            workers: args.jobs.map_or(default, |n| n as usize),
            keep_going: args.keep_going,
            devices: devices.clone(),
            until: args.until,
            results: args.results.join(&work.plan.name),
            fake: args.fake,
        };
        say(&summary(&work.plan, &store.artifacts()));
        let start = Instant::now();
        let outcome = run::execute(work, &store, &executor, &options)?;
        let ended = tell(&work.plan, &outcome, &store, &options, start);
        let stop = outcome.interrupted || !args.keep_going;
        failed = failed.and(ended);
        if failed.is_err() && stop {
            break;
        }
    }
    failed
}

/// Every experiment must have a results folder of its own, below `--results`.
fn check_names(args: &Args, all: &[Work]) -> Result<()> {
    if args.name.is_some() && args.specs.len() > 1 {
        return Err(Error::spec("`--name` names one experiment, and several are given")
            .hint("leave `--name` out: each is named for its file"));
    }
    for (index, work) in all.iter().enumerate() {
        let name = &work.plan.name;
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\']) {
            return Err(Error::spec(format!("`{name}` cannot name a results folder"))
                .hint("`--name` is one plain word; `--results DIR` says where the folder goes"));
        }
        if let Some(other) = all[..index].iter().position(|other| other.plan.name == *name) {
            let (one, two) = (args.specs[other].display(), args.specs[index].display());
            return Err(Error::spec(format!(
                "`{one}` and `{two}` would both write results of `{name}`"
            ))
            .hint("rename one of them, or run them one by one with `--name`"));
        }
    }
    Ok(())
}

/// A plan, the text of the spec that it comes from, and what to draw.
fn load(path: &Path, args: &Args, devices: &Devices) -> Result<Work> {
    let is_plan = path.extension().is_some_and(|ending| ending == "json");
    let mut work = if is_plan {
        Work { plan: Plan::load(path)?, spec: None, charts: Vec::new() }
    } else {
        let experiment = spec::load(path, &args.overrides)?;
        let blanks = experiment.blanks();
        if !blanks.is_empty() {
            return Err(Error::spec(format!(
                "{}: {} still to be filled in",
                path.display(),
                blanks.join(", ")
            ))
            .hint("put your own paths in place of `PATH/TO/...`, or give them with `--set`"));
        }
        // Frozen whole: `--until` only says where to stop.
        let artifacts = store::artifacts(&args.store);
        let plan = match args.reuse_across_devices {
            true => reusing(&experiment, &devices.machine(), None, &artifacts),
            false => plan::plan(&experiment, &devices.machine(), None),
        };
        let mut text = experiment.text.clone();
        for set in &experiment.overrides {
            text += &format!("\n# run with --set {set}\n");
        }
        if args.reuse_across_devices {
            text += "\n# run with --reuse-across-devices\n";
        }
        Work { plan, charts: report::charts(&text)?, spec: Some(text) }
    };
    if let Some(name) = &args.name {
        work.plan.name.clone_from(name);
    } else if !is_plan && (devices.label != "cpu" || args.reuse_across_devices) {
        let reuses = if args.reuse_across_devices { " and others" } else { "" };
        work.plan.name = on_device(&work.plan.name, &format!("{}{reuses}", devices.label));
    }
    Ok(work)
}

/// Another device writes to a results folder of its own: `NAME@<8 hex>`.
fn on_device(name: &str, label: &str) -> String {
    let hash = blake3::hash(format!("{name}\0{label}").as_bytes()).to_hex();
    format!("{}@{}", name.split('@').next().unwrap_or(name), &hash[..8])
}

/// Where each job's answers lie as tables that VLMEvalKit scores.
fn answers(plan: &Plan, store: &Store) -> String {
    let tables = |job: &plan::Job| {
        let task = plan.task_of(job, Stage::Answers)?;
        let folder = store.payload(&task.key).join("tsv");
        folder.is_dir().then(|| format!("{}: {}\n", job.id, folder.display()))
    };
    plan.jobs.iter().filter_map(tables).collect()
}

/// The last words: what was done, what was not and why, where the charts are.
fn tell(
    plan: &Plan,
    outcome: &Outcome,
    store: &Store,
    options: &Options,
    start: Instant,
) -> Result<()> {
    let name = &plan.name;
    let Outcome { done, cached, failed, left, interrupted, charts } = outcome;
    for Failed { key, title, why, hint } in failed {
        eprintln!("error: {title}: {why}\n  log: {}", store.log(key).display());
        if let Some(hint) = hint {
            eprintln!("  hint: {hint}");
        }
    }
    let took = duration(start.elapsed().as_secs_f64());
    say(&match (done, failed.len() + left) {
        (0, 0) => format!("{name}: nothing to do, all {cached} stages are there"),
        _ => format!(
            "{name}: {} done in {took}, {cached} were there, {left} left",
            counted(*done, "stage")
        ),
    });
    if *interrupted {
        return Err(Error::new(format!("{name}: interrupted"))
            .kind(Kind::Interrupted)
            .hint("run again to go on from the last checkpoints"));
    }
    if options.until.is_none() && !charts.is_empty() {
        super::say(&format!("{}\n", options.results.display()));
    }
    if options.until == Some(Stage::Answers) {
        super::say(&answers(plan, store));
    }
    match failed.len() {
        0 => Ok(()),
        n => Err(Error::new(format!("{name}: {n} of {} stages failed", n + done + cached + left))
            .hint("mend the cause and run again: what is done stays done")),
    }
}
