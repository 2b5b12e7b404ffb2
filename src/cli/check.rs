//! `prefab check`: everything that is wrong with specs.

use super::{Specs, complain, say};
use crate::report::number::counted;
use crate::spec;
use crate::{Error, Result};

/// What to check.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    given: Specs,
}

/// Reads every spec; the mistakes of all of them are reported.
///
/// # Errors
///
/// If any has a mistake.
pub fn run(args: &Args) -> Result<()> {
    let Specs { specs, overrides } = &args.given;
    let mut wrong = Vec::new();
    for path in specs {
        match spec::load(path, overrides) {
            Ok(experiment) => {
                let jobs = experiment.points.len() * experiment.seeds.len();
                let jobs = counted(jobs, "job");
                let trains = experiment.points.iter().any(|point| point.settings.loss.is_some());
                let base = if trains { " beside the base's" } else { "" };
                let blanks = match experiment.blanks().as_slice() {
                    [] => String::new(),
                    keys => format!("; before it runs, fill in {}", keys.join(", ")),
                };
                say(&format!("{}: sound, {jobs}{base}{blanks}\n", path.display()));
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
            Err(Error::spec(format!("{} of {} specs have mistakes", others + 1, specs.len())))
        }
    }
}
