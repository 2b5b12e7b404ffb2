//! `prefab report`: tables, charts and the page from stored results. Computes nothing else, so a
//! changed chart costs a second.

use super::say;
use crate::error::{Context, Kind};
use crate::plan::Plan;
use crate::{Error, Result, report, store};
use std::fs;
use std::path::{Path, PathBuf};

/// What to report on.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Specs, or results folders
    #[arg(required = true, value_name = "SPEC")]
    targets: Vec<PathBuf>,
    /// Name of the results folder [default: the spec's file stem]
    #[arg(long)]
    name: Option<String>,
    /// Where tables and charts are
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Where artifacts are kept
    #[arg(long, value_name = "DIR", default_value = ".prefab")]
    store: PathBuf,
}

/// Reports on every target; prints the paths of the files.
///
/// # Errors
///
/// If an experiment has not been run, or a chart asks for what there is not.
pub fn run(args: &Args) -> Result<()> {
    if args.name.is_some() && args.targets.len() > 1 {
        return Err(Error::spec("`--name` names one experiment, and several are given")
            .hint("leave `--name` out: each is named for its file"));
    }
    for target in &args.targets {
        for file in one(args, target)? {
            say(&format!("{}\n", file.display()));
        }
    }
    Ok(())
}

fn one(args: &Args, target: &Path) -> Result<Vec<PathBuf>> {
    let (folder, spec) = if target.is_dir() {
        (target.to_owned(), target.join("experiment.toml"))
    } else {
        let stem = target.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        (args.results.join(args.name.as_ref().unwrap_or(&stem)), target.to_owned())
    };
    let text = fs::read_to_string(&spec)
        .with_context(|| format!("reading `{}`", spec.display()))
        .map_err(|error| {
        error.kind(Kind::Spec).hint("give a spec, or a folder below results/")
    })?;
    let frozen = folder.join("plan.json");
    let plan = Plan::load(&frozen)
        .map_err(|error| error.hint(format!("`prefab run {}` makes it", spec.display())))?;
    let artifacts = store::artifacts(&args.store);
    let ends = plan.jobs.iter().filter_map(|job| job.tasks.last()).map(|&task| &plan.tasks[task]);
    // What was collected before from another store would be lost.
    if folder.join("runs.csv").exists()
        && ends.map(|end| artifacts.join(&end.key)).all(|end| !end.is_dir())
    {
        let (store, results) = (args.store.display(), folder.display());
        return Err(Error::spec(format!(
            "`{store}` holds what none of the jobs of `{results}` ended in"
        ))
        .hint(
            "its tables and charts stay as they are: name the store of that run with `--store`",
        ));
    }
    report::run(&folder, &artifacts, &plan, &report::charts(&text)?)
}
