//! `prefab verify`: recompute what a reference implementation recorded.

mod ledger;
mod losses;
mod metrics;

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
    /// Benchmark metrics, against what published scorers gave
    Metrics {
        /// Recorded cases, as in tests/assets/metrics.json
        file: PathBuf,
    },
}

/// Recomputes and compares; an error ends in exit code 1.
pub fn run(what: &Verify) -> Result<()> {
    match what {
        Verify::Losses { file } => losses::run(file),
        Verify::Metrics { file } => metrics::run(file),
    }
}
