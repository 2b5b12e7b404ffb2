//! `prefab verify`: recompute what a reference implementation recorded.

mod exact;
mod ledger;
mod losses;
mod prompts;
mod record;
mod tiles;

pub use ledger::{Ledger, Tolerance};

use crate::Result;
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
    /// Chat prompts, token ids and label masks, against InternVL's code
    Prompts {
        /// Folder with prompts.json and tokenizers/
        dir: PathBuf,
    },
}

/// Recomputes and compares; an error ends in exit code 1.
pub fn run(what: &Verify) -> Result<()> {
    match what {
        Verify::Losses { file } => losses::run(file),
        Verify::Tiles { dir } => tiles::run(dir),
        Verify::Prompts { dir } => prompts::run(dir),
    }
}
