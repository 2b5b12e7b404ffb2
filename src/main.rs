//! The `prefab` binary: parse, call, print the error, exit code.

use clap::Parser;
use prefab::cli::{Arguments, Verb, main as call};
use prefab::run::{machine, progress};
use std::process::ExitCode;

fn main() -> ExitCode {
    machine::tune_allocator();
    let arguments = Arguments::parse();
    // A worker's standard error is its log: it says more there.
    let logs = if matches!(arguments.verb, Verb::Job(_)) { "info" } else { "warn" };
    progress::start_logs(arguments.quiet, logs);
    match call(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let code = error.exit_code();
            eprintln!("error: {:?}", miette::Report::new(error));
            ExitCode::from(code)
        }
    }
}
