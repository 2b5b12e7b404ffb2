//! `prefab verify`: recompute what a reference implementation recorded.

mod case;
mod exact;
mod ledger;
mod losses;
mod metrics;
mod model;
mod prompts;
mod record;
mod tiles;

pub use ledger::{Ledger, Tolerance};

use super::say;
use crate::error::{Error, Kind, Result};
use crate::run::device::Choice;
use clap::Subcommand;
use std::path::PathBuf;

/// What to verify.
#[derive(Debug, Subcommand)]
pub enum Verify {
    /// Loss values, gradients and states, against TRL's and InternVL's trainers
    Losses {
        /// Recorded values, as in tests/fixtures/losses.json
        file: PathBuf,
    },
    /// Grids, resampled bytes and pixels, against Pillow and torchvision
    Tiles {
        /// Folder of pictures with grid_table.json and expected.json
        dir: PathBuf,
    },
    /// Benchmark metrics, against what published scorers gave
    Metrics {
        /// Recorded cases, as in tests/assets/metrics.json
        file: PathBuf,
    },
    /// A checkpoint, against what its reference library computes
    Model {
        /// Folder with model/, inputs.safetensors, expected.safetensors, expected.json
        dir: PathBuf,
        /// cpu, cuda or cuda:N
        #[arg(short, long, value_name = "NAME", default_value = "cpu")]
        device: Choice,
    },
    /// Chat prompts, token ids and label masks, against InternVL's code
    Prompts {
        /// Folder with prompts.json and tokenizers/
        dir: PathBuf,
    },
}

/// Says that a folder has no such file.
fn absent(name: &str) {
    say(&format!("{name} is not in this folder: nothing of it is checked\n"));
}

/// Recomputes and compares. A number that differs ends in exit code 1, a record that cannot be
/// read in 2.
///
/// # Errors
///
/// Both.
pub fn run(what: &Verify) -> Result<()> {
    let (name, path) = match what {
        Verify::Losses { file } => ("losses", file),
        Verify::Tiles { dir } => ("tiles", dir),
        Verify::Metrics { file } => ("metrics", file),
        Verify::Model { dir, .. } => ("model", dir),
        Verify::Prompts { dir } => ("prompts", dir),
    };
    if !path.exists() {
        return Err(Error::spec(format!("there is no `{}`", path.display()))
            .hint(format!("`prefab verify {name} --help` says what belongs there")));
    }
    recompute(what).map_err(|error| match error.exit_code() {
        1 => error,
        _ => error.kind(Kind::Spec),
    })
}

fn recompute(what: &Verify) -> Result<()> {
    match what {
        Verify::Losses { file } => losses::run(file),
        Verify::Tiles { dir } => tiles::run(dir),
        Verify::Metrics { file } => metrics::run(file),
        Verify::Model { dir, device } => model::run(dir, *device),
        Verify::Prompts { dir } => prompts::run(dir),
    }
}
