//! `prefab show`: what a spec can say, and what one says.

use super::{aligned, say};
use crate::loss::ALGORITHMS;
use crate::spec::chart::Chart;
use crate::spec::{layer, lists, schema, show};
use crate::{Error, Result};
use clap::ValueEnum;
use std::path::PathBuf;

/// What to show.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One of the lists, or `spec`
    #[arg(value_enum)]
    what: What,
    /// The spec file, for `spec`
    file: Option<PathBuf>,
    /// Set a value over the spec's own: table.key=value
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

/// The lists.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum What {
    /// Every key with its meaning and default
    Defaults,
    /// A spec's resolved values, each with the layer that set it
    Spec,
    /// JSON schema for editors
    Schema,
    /// Algorithms of `[loss]`
    Losses,
    /// Generated question families
    Tasks,
    /// Benchmarks of `[eval]`
    Benchmarks,
    /// Sizes of `[model]`
    Sizes,
    /// Kinds of `[chart.NAME]`
    Charts,
}

/// Prints it.
///
/// # Errors
///
/// If a spec has mistakes or is not named.
pub fn run(args: &Args) -> Result<()> {
    match (&args.file, args.what) {
        (None, What::Spec) => {
            return Err(Error::spec("`show spec` needs a spec file")
                .hint("such as `prefab show spec experiments/quickstart.toml`"));
        }
        (Some(file), what) if what != What::Spec => {
            return Err(Error::spec(format!("only `show spec` takes a file, got `{}`", file.display()))
                .hint(format!("`prefab show spec {}`", file.display())));
        }
        _ => {}
    }
    say(&match (args.what, &args.file) {
        (What::Spec, Some(file)) => show::resolved(file, &args.overrides)?,
        (What::Schema, _) => schema::text(),
        (What::Losses, _) => losses(),
        (What::Tasks, _) => lines(lists::TASKS),
        (What::Benchmarks, _) => lines(lists::BENCHMARKS),
        (What::Sizes, _) => lines(lists::SIZES),
        (What::Charts, _) => charts(),
        (What::Defaults | What::Spec, _) => layer::DEFAULTS.to_owned(),
    });
    Ok(())
}

fn lines(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name}\n")).collect()
}

fn losses() -> String {
    let mut rows = vec![
        ["name", "w_p", "w_q", "w_g", "beta", "paper", "formula", "source"].map(str::to_owned).to_vec(),
    ];
    for row in ALGORITHMS {
        rows.push(vec![
            row.name.to_owned(),
            row.weights.w_p.to_string(),
            row.weights.w_q.to_string(),
            row.weights.w_g.to_string(),
            row.beta.embedded.to_string(),
            row.beta.paper.to_string(),
            row.formula.to_owned(),
            row.source.to_owned(),
        ]);
    }
    aligned(&rows)
}

fn charts() -> String {
    let row = |(kind, about): &(&str, &str)| vec![(*kind).to_owned(), (*about).to_owned()];
    aligned(&Chart::KINDS.iter().map(row).collect::<Vec<_>>())
}
