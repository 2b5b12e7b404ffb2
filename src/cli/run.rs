//! `prefab run SPEC…`: does what has no result yet, then reports.

use crate::error::{Context, Error, Result};
use crate::plan::{Plan, Stage};
use crate::run::device::{Choice, Devices};
use crate::run::progress::{duration, say};
use crate::run::{self, Options, Outcome, dispatch, fake, machine, worker};
use crate::store::{Store, fault};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Do what has no result yet, then report.
#[derive(Args, Debug)]
pub struct Run {
    /// Experiments: TOML specs, or frozen plans (plan.json).
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<PathBuf>,
    /// Workers at a time [default: one a core, or one a card].
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// Go on with the other jobs after one has failed.
    #[arg(short, long)]
    keep_going: bool,
    /// cpu, cuda or cuda:N [default: cuda where there is one].
    #[arg(short, long, value_name = "NAME")]
    device: Option<Choice>,
    /// Stop after this stage: corpus, base, … scores.
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    until: Option<Stage>,
    /// Set a key of the spec: train.epochs=2.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Name of the results folder [default: the spec's file stem].
    #[arg(long)]
    name: Option<String>,
    /// Where tables and charts go.
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Where artifacts are kept.
    #[arg(long, value_name = "DIR", default_value = ".prefab")]
    store: PathBuf,
    /// Pretend: bytes computed from keys.
    #[arg(long, hide = true)]
    fake: bool,
}

/// A stage by its name.
fn stage(name: &str) -> Result<Stage, String> {
    serde_json::from_value(name.into()).map_err(|_| {
        "must be corpus, base, features, candidates, pairs, reference, policy, answers or scores"
            .into()
    })
}

impl Run {
    /// Loads every spec before any work begins, then works them off in order.
    ///
    /// # Errors
    ///
    /// If a spec is wrong, or store or results cannot be written.
    pub fn main(&self) -> Result<u8> {
        fault::enter("run");
        if self.name.is_some() && self.specs.len() > 1 {
            return Err(Error::spec("`--name` names one experiment, and several are given")
                .hint("leave `--name` out: each is named for its file"));
        }
        let devices = Devices::resolve(self.device)?;
        let experiments: Vec<_> =
            self.specs.iter().map(|path| self.load(path, &devices)).collect::<Result<_>>()?;
        let store = Store::open(&self.store)?;
        let executor = if self.fake { fake::FAKE } else { dispatch::REAL };
        let default = match devices.list.as_slice() {
            [tch::Device::Cuda(_), ..] => devices.list.len(),
            _ => machine::cores(),
        };
        let mut code = 0;
        for (plan, spec) in &experiments {
            let options = Options {
                workers: self.jobs.map_or(default, |n| n as usize),
                keep_going: self.keep_going,
                devices: devices.clone(),
                until: self.until,
                results: self.results.join(&plan.name),
                fake: self.fake,
            };
            let start = Instant::now();
            let outcome = run::execute(plan, spec.as_deref(), &store, &executor, &options)?;
            code = tell(plan, &outcome, &store, &options, start).max(code);
            if outcome.interrupted || (code != 0 && !self.keep_going) {
                break;
            }
        }
        Ok(code)
    }

    /// A plan, and the text of the spec it comes from.
    fn load(&self, path: &Path, devices: &Devices) -> Result<(Plan, Option<String>)> {
        let is_plan = path.extension().is_some_and(|ending| ending == "json");
        let (mut plan, spec) = if is_plan {
            (worker::read_plan(path)?, None)
        } else {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("reading `{}`", path.display()))
                .map_err(|error| error.kind(crate::error::Kind::Spec))?;
            (expand(path, &self.sets, &devices.label)?, Some(text))
        };
        if let Some(name) = &self.name {
            plan.name.clone_from(name);
        }
        Ok((plan, spec))
    }
}

/// The one call into `plan` that makes a plan of a spec.
fn expand(path: &Path, _sets: &[String], _device: &str) -> Result<Plan> {
    Err(Error::spec(format!("`{}` is not a frozen plan", path.display())))
}

/// The last words: what was done, what was not and why, where the charts are.
fn tell(plan: &Plan, outcome: &Outcome, store: &Store, options: &Options, start: Instant) -> u8 {
    let Outcome { done, cached, failed, left, interrupted } = outcome;
    for (key, why, hint) in failed {
        eprintln!("error: {key} failed: {why}\n  log: {}", store.log(key).display());
        if let Some(hint) = hint {
            eprintln!("  hint: {hint}");
        }
    }
    let took = duration(start.elapsed().as_secs_f64());
    let mut line = match (done, failed.len() + left) {
        (0, 0) => format!("{}: nothing to do, all {cached} stages are there", plan.name),
        _ => format!("{}: {done} stages done in {took}, {cached} were there", plan.name),
    };
    if !failed.is_empty() {
        line += &format!(", {} failed", failed.len());
    }
    if *left > 0 {
        line += &format!(", {left} not reached");
    }
    say(&line);
    if *interrupted {
        say("interrupted: run again to go on from the last checkpoints");
        return run::exit::INTERRUPTED;
    }
    if options.until.is_none() {
        println!("{}", options.results.display());
    }
    if failed.is_empty() { 0 } else { 3 }
}
