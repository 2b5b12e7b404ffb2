//! `prefab show`: what a spec can say, and what one says.

mod pairs;

use super::{aligned, say};
use crate::eval::BENCHMARKS;
use crate::eval::origin::STAND_IN;
use crate::loss::ALGORITHMS;
use crate::model::Config;
use crate::model::memory::{self, Counts};
use crate::model::sizes::{SIZES, UNRELEASED};
use crate::plan;
use crate::spec::benchmarks::{CLOSED, DESCRIBED};
use crate::spec::candidates::Prompt;
use crate::spec::chart::Chart;
use crate::spec::model::{Dims, Lora, Model, Module};
use crate::spec::train::{Precision, Train};
use crate::spec::{benchmarks, defaults, layer, schema, show};
use crate::tasks::sources::{DATA_SETS, form};
use crate::tasks::{FAMILIES, Family};
use crate::{Error, Result};
use clap::ValueEnum;
use std::path::PathBuf;

/// What to show.
#[derive(Debug, clap::Args)]
pub struct Args {
    // A line each would not fit a screen.
    #[arg(value_enum, hide_possible_values = true, help = what_there_is())]
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

fn what_there_is() -> String {
    let names = What::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    names.map(|value| value.get_name().to_owned()).collect::<Vec<_>>().join(", ")
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
        (What::Tasks, _) => tasks(),
        (What::Benchmarks, _) => benchmarks(),
        (What::Sizes, _) => sizes()?,
        (What::Sources, _) => sources(),
        (What::Charts, _) => charts(),
        (What::Defaults | What::Spec | What::Pairs, _) => layer::DEFAULTS.to_owned(),
    });
    Ok(())
}

fn tasks() -> String {
    let line = |family: &Family| {
        format!("{:10}{:13}{}\n", family.name, family.domain.name(), family.about)
    };
    FAMILIES.iter().map(line).collect()
}

/// What each asks where it has a file and where it has none, and how much of that is measured.
fn benchmarks() -> String {
    let heads = ["name", "file", "without one", "metrics", "tiles", "graded", "what it is"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for benchmark in BENCHMARKS {
        let name = benchmark.name();
        let tasks = match benchmarks::benchmark(name).map_or(&[][..], |row| row.tasks) {
            CLOSED => format!("all but {}", DESCRIBED.join(" ")),
            tasks => tasks.join(" "),
        };
        let metrics: Vec<&str> = benchmark.metrics().iter().map(|metric| metric.name).collect();
        let file = benchmark.file();
        rows.push(vec![
            name.to_owned(),
            file.map_or_else(|| "-".to_owned(), |_| benchmark.asks().to_owned()),
            match file {
                Some(_) if tasks.is_empty() => "-".to_owned(),
                Some(_) => format!("{STAND_IN}: {tasks}"),
                None => format!("generated: {tasks}"),
            },
            metrics.join(" "),
            file.and_then(|file| file.tiles)
                .map_or_else(|| "-".to_owned(), |tiles| tiles.to_string()),
            if benchmark.grader().is_some() { "judge or rule" } else { "-" }.to_owned(),
            format!("{}. {}", benchmark.about(), benchmark.source()),
        ]);
    }
    let note = "\nfile: the name in `[eval.files]` under which its own file is given, VLMEvalKit's TSV \
                or the JSON of its release.\nstand-in: generated questions of these tasks, with the \
                same metrics; their numbers are not the benchmark's.\n";
    aligned(&rows) + note
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
        let modes = set.modes.iter().map(|mode| format!("{mode:?}").to_lowercase());
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

/// Parameters of each part, and what answering and training take without activations.
fn sizes() -> Result<String> {
    let heads = ["size", "ViT", "MLP", "LLM", "total", "answers", "LoRA", "full", "what it is"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for row in SIZES {
        let all = vec![Module::Vision, Module::Projector, Module::Language];
        let mut model = Model {
            size: row.size,
            checkpoint: None,
            dims: Dims::default(),
            train: all,
            lora: None,
            max_tiles: None,
            template: None,
            // As released; the embedded sizes answer in fp32.
            precision: (!row.size.is_embedded()).then_some(Precision::Bf16),
        };
        // The embedded tokenizer has a few hundred words; the corpus says how many.
        let config = Config::of(&model, 400, 0)?;
        let counts = Counts::of(&config);
        let train = Train { precision: Precision::Bf16, ..defaults().train };
        let full = memory::states(&config, &model, &train).total();
        model.lora = Some(Lora::default());
        let lora = memory::states(&config, &model, &train).total();
        rows.push(vec![
            row.size.name().to_owned(),
            millions(counts.vision),
            millions(counts.projector),
            millions(counts.language),
            millions(counts.total()),
            gib(memory::frozen(&config)),
            gib(lora),
            gib(full),
            row.note.to_owned(),
        ]);
    }
    for (name, note) in UNRELEASED {
        let mut row = vec![(*name).to_owned()];
        row.resize(heads.len() - 1, "?".to_owned());
        row.push((*note).to_owned());
        rows.push(row);
    }
    let note = "\nanswers: bf16 weights (tiny, small: fp32). LoRA: rank 16 beside every projection, the projector in \
                full, bf16 base.\nfull: everything trains, fp32 masters, gradients and moments. \
                Activations come on top.\n";
    Ok(aligned(&rows) + note)
}

/// `304.01 M`.
fn millions(count: u64) -> String {
    format!("{:.2} M", count as f64 / 1e6)
}

/// `16.2 GiB`.
fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", plan::memory::gib(bytes))
}

fn charts() -> String {
    let row = |(kind, about): &(&str, &str)| vec![(*kind).to_owned(), (*about).to_owned()];
    let kinds = aligned(&Chart::KINDS.iter().map(row).collect::<Vec<_>>());
    format!(
        "{kinds}\nEach also takes where = {{ prompt = \"cot\", variant = \"MPO\" }}, rows of these values alone.\n"
    )
}
