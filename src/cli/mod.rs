//! The command line: one file per verb.
//!
//! **To add a verb:** a file beside this one with its `Args` and
//! `run(&Args) -> Result<()>`, and one line in the list below.

mod bills;
mod checkpoint;

use crate::spec::candidates::Prompt;
use crate::{Error, Result};
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Declares the modules, the command line and the dispatch.
macro_rules! verbs {
    ($($(#[$meta:meta])* $Verb:ident => $module:ident::$Args:ident,)+) => {
        $(pub mod $module;)+

        /// What to do.
        #[derive(Debug, Subcommand)]
        pub enum Verb {
            $($(#[$meta])* $Verb($module::$Args),)+
        }

        fn dispatch(verb: &Verb) -> Result<()> {
            match verb {
                $(Verb::$Verb(args) => $module::run(args),)+
            }
        }
    };
}

verbs! {
    /// Say everything that is wrong with specs
    Check => check::Args,
    /// List the jobs, which stages are cached, and what the rest will cost
    Plan => plan::Args,
    /// Do what has no result yet, then report
    Run => run::Args,
    /// Show what a spec can say, and what one says
    Show => show::Args,
    /// Rebuild tables and charts from stored results; trains nothing
    Report => report::Args,
    /// Compare two jobs or experiments: settings, scores, flipped questions
    Diff => diff::Arguments,
    /// Score answers that are there, without a model
    Score => score::Args,
    /// Recompute what a reference implementation recorded
    #[command(subcommand)]
    Verify => verify::Verify,
    /// Measure a spec's training step: pairs/s, memory, share of the roof
    Bench => bench::Args,
    /// Ask a model about a picture
    Ask => ask::Args,
    /// Write a model as a checkpoint that InternVL or transformers loads
    Export => export::Args,
    /// Say what this machine has: libtorch, threads, devices, kernels, store
    Doctor => doctor::Args,
    /// Remove stored artifacts that no spec refers to
    Clean => clean::Args,
    /// Do one task of a frozen plan; `run` starts these
    #[command(hide = true)]
    Job => job::Args,
}

/// Preference-optimization experiments, declared in TOML
#[derive(Debug, Parser)]
#[command(
    name = "prefab",
    version,
    max_term_width = 80,
    disable_help_subcommand = true,
    help_template = "{name}: preference-optimization experiments, declared in TOML\n\n\
                     Usage: prefab <verb> [spec]... [options]\n\n{subcommands}\n\n{options}{after-help}",
    after_help = "Numbers come from specs and --set. Try: prefab plan experiments/quickstart.toml\n\
                  Exit codes: 0 done, 1 failed check or bug, 2 bad spec, 3 failed job, 130 stopped"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    verb: Verb,
    /// Say errors only
    #[arg(short, long, global = true)]
    quiet: bool,
}

/// Which specs, and what is set over them.
#[derive(Debug, clap::Args)]
pub struct Specs {
    /// Spec files
    #[arg(required = true, value_name = "SPEC")]
    pub specs: Vec<PathBuf>,
    /// Set a value over the specs' own: table.key=value
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// Reads the command line, does what it says, and reports what went wrong.
pub fn run() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    // `prefab help run` is `prefab run --help`.
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.push("--help".into());
    }
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            // A reader that closed the pipe wants no more help.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    // A worker's standard error is its log: it says more there.
    let logs = if matches!(cli.verb, Verb::Job(_)) { "info" } else { "warn" };
    crate::run::progress::start_logs(cli.quiet, logs);
    match dispatch(&cli.verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// An error for people, on stderr.
pub fn complain(error: &Error) {
    let mut text = format!("error: {error}\n");
    if let Some(hint) = error.hint_text() {
        text.push_str(&format!("\nhint: {hint}\n"));
    }
    // Nobody is left to tell if stderr is closed.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Data for stdout. A reader that closed the pipe, such as `head`, has seen enough.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// How an answer is asked for, on a command line.
fn prompt(word: &str) -> Result<Prompt, String> {
    let all = [Prompt::Direct, Prompt::Cot];
    all.into_iter()
        .find(|prompt| prompt.name() == word)
        .ok_or_else(|| format!("there are {}", all.map(Prompt::name).join(" and ")))
}

/// Columns side by side, two spaces between; the last one ragged.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
