//! `prefab show`: what a spec can say, and what one says.

mod pairs;

use super::{aligned, say};
use crate::data::record::Question;
use crate::eval::matching::modes;
use crate::loss::ALGORITHMS;
use crate::spec::candidates::Prompt;
use crate::spec::chart::Chart;
use crate::spec::{layer, lists, schema, show};
use crate::tasks::sources::{DATA_SETS, form};
use crate::{Error, Result};
use clap::ValueEnum;
use std::path::PathBuf;

/// What to show.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One of the lists, `spec` or `pairs`
    #[arg(value_enum)]
    what: What,
    /// The spec file, for `spec`; the artifact's key or its beginning, for `pairs`
    file: Option<PathBuf>,
    /// Set a value over the spec's own: table.key=value
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Where artifacts are kept, for `pairs`
    #[arg(long, value_name = "DIR", default_value = ".prefab")]
    store: PathBuf,
    /// How many pairs
    #[arg(short = 'n', long, value_name = "N", default_value_t = 5)]
    count: usize,
    /// Which random pairs
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
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
    /// Data sets of the paper: domain, tiles, matching, form
    Sources,
    /// Kinds of `[chart.NAME]`
    Charts,
    /// Random pairs of an artifact, side by side
    Pairs,
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
        (None, What::Pairs) => {
            return Err(Error::spec("`show pairs` needs the key of a pairs artifact")
                .hint("such as `prefab show pairs 3f9a`; stages.csv of the results lists keys"));
        }
        (Some(file), what) if !matches!(what, What::Spec | What::Pairs) => {
            return Err(Error::spec(format!(
                "only `show spec` takes a file, got `{}`",
                file.display()
            ))
            .hint(format!("`prefab show spec {}`", file.display())));
        }
        _ => {}
    }
    say(&match (args.what, &args.file) {
        (What::Spec, Some(file)) => show::resolved(file, &args.overrides)?,
        (What::Pairs, Some(key)) => {
            pairs::text(&key.to_string_lossy(), &args.store, args.count, args.seed)?
        }
        (What::Schema, _) => schema::text(),
        (What::Losses, _) => losses(),
        (What::Tasks, _) => lines(lists::TASKS),
        (What::Benchmarks, _) => lines(lists::BENCHMARKS),
        (What::Sizes, _) => lines(lists::SIZES),
        (What::Sources, _) => sources(),
        (What::Charts, _) => charts(),
        (What::Defaults | What::Spec | What::Pairs, _) => layer::DEFAULTS.to_owned(),
    });
    Ok(())
}

fn lines(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name}\n")).collect()
}

fn losses() -> String {
    let mut rows = vec![
        ["name", "w_p", "w_q", "w_g", "beta", "paper", "formula", "source"]
            .map(str::to_owned)
            .to_vec(),
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

fn sources() -> String {
    let mut rows =
        vec![["name", "domain", "tiles", "matching", "form"].map(str::to_owned).to_vec()];
    for set in DATA_SETS {
        // The released files write the name with an underscore.
        let source = set.name.replace('-', "_");
        let question = Question { source, ..Question::default() };
        let modes = modes(&question).iter().map(|mode| format!("{mode:?}").to_lowercase());
        rows.push(vec![
            set.name.to_owned(),
            set.domain.name().to_owned(),
            set.tiles.to_string(),
            modes.collect::<Vec<_>>().join(" "),
            form(set.domain).unwrap_or(Prompt::Cot).name().to_owned(),
        ]);
    }
    aligned(&rows)
}

fn charts() -> String {
    let row = |(kind, about): &(&str, &str)| vec![(*kind).to_owned(), (*about).to_owned()];
    aligned(&Chart::KINDS.iter().map(row).collect::<Vec<_>>())
}
