//! `prefab check`: everything that is wrong with specs.

use super::{complain, say};
use crate::spec;
use crate::{Error, Result};
use std::path::PathBuf;

/// What to check.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Spec files
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<PathBuf>,
    /// Set a value over the specs' own: table.key=value
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

/// Reads every spec; the mistakes of all of them are reported.
///
/// # Errors
///
/// If any has a mistake.
pub fn run(args: &Args) -> Result<()> {
    let mut wrong = Vec::new();
    for path in &args.specs {
        match spec::load(path, &args.overrides) {
            Ok(experiment) => {
                let jobs = experiment.points.len() * experiment.seeds.len();
                let s = if jobs == 1 { "" } else { "s" };
                say(&format!("{}: sound, {jobs} job{s}\n", path.display()));
            }
            Err(error) => wrong.push(error),
        }
    }
    let Some(last) = wrong.pop() else { return Ok(()) };
    for error in &wrong {
        complain(error);
    }
    match wrong.len() {
        0 => Err(last),
        others => {
            complain(&last);
            Err(Error::spec(format!("{} of {} specs have mistakes", others + 1, args.specs.len())))
        }
    }
}
