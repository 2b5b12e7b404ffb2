//! The command line: one file a verb.

pub mod clean;
pub mod doctor;
pub mod job;
pub mod run;

use crate::Result;
use clap::{Parser, Subcommand};

/// Preference-optimization experiments for multimodal language models, declared in TOML.
#[derive(Debug, Parser)]
#[command(
    name = "prefab",
    version,
    after_help = "No option changes a number: whatever does is in the spec.\n\
                  Exit codes: 0 all results are there, 1 bug or failed verification, 2 bad command\n\
                  or spec, 3 a job failed, 130 interrupted: run again to go on."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// Say errors only.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Do what has no result yet, then report.
    Run(run::Run),
    /// Say what this machine has: libtorch, devices, threads, store.
    Doctor(doctor::Doctor),
    /// Remove stored artifacts that no spec refers to.
    Clean(clean::Clean),
    /// Do one task of a frozen plan; `run` starts these.
    #[command(hide = true)]
    Job(job::Job),
}

/// Does what the command line says; the process exit code.
///
/// # Errors
///
/// Whatever the verb could not do.
pub fn main(arguments: &Arguments) -> Result<u8> {
    match &arguments.verb {
        Verb::Run(verb) => verb.main(),
        Verb::Doctor(verb) => verb.main(),
        Verb::Clean(verb) => verb.main(),
        Verb::Job(verb) => verb.main(),
    }
}
