//! A whole spec: read, layered, checked, and expanded into points.

use super::benchmarks::benchmark;
use super::chart::Chart;
use super::draft::Draft;
use super::extract::Stack;
use super::files;
use super::layer::{At, DEFAULTS, Layer, insert, segments};
use super::lists::nearest;
use super::mistake::Mistakes;
use super::root::{self, ReferenceOf, Store};
use super::source::Source;
use super::{Settings, candidates, loss, pairs, train};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::OnceLock;

/// A spec whose every point is resolved and sound.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The file stem, with `@<8 hex>` where `--set` changed it.
    pub name: String,
    /// The text, byte for byte.
    pub text: String,
    /// The `--set` options it was read with.
    pub overrides: Vec<String>,
    /// Seeds of the policy stage.
    pub seeds: Vec<u64>,
    /// Variants × sweep, in plan order.
    pub points: Vec<Point>,
    /// Charts by name, in the spec's order.
    pub charts: Vec<(String, Chart)>,
    /// What is kept between runs.
    pub store: Store,
}

/// One variant at one point of the sweep.
#[derive(Clone, Debug)]
pub struct Point {
    /// The variant's name as written.
    pub variant: Option<String>,
    /// Swept values by dotted key.
    pub swept: Vec<(String, toml::Value)>,
    /// Everything resolved but the seed.
    pub settings: Settings,
    /// What each round runs with; one round where the spec says nothing. Empty without `[loss]`.
    pub rounds: Vec<Round>,
}

/// What one round of candidates → pairs → reference → policy runs with.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Round {
    /// How answers are sampled.
    pub candidates: candidates::Candidates,
    /// How pairs are built.
    pub pairs: pairs::Pairs,
    /// What the policy minimizes.
    pub loss: loss::Loss,
    /// How it is trained.
    pub train: train::Train,
    /// What it is held to.
    pub reference: ReferenceOf,
}

impl Round {
    /// What its stages run with, under one seed of the policy.
    pub fn settings(&self, of_point: &Settings, seed: u64) -> Settings {
        let mut settings = of_point.clone();
        settings.candidates = self.candidates.clone();
        settings.pairs = self.pairs.clone();
        settings.loss = Some(self.loss.clone());
        settings.train = self.train.clone();
        settings.train.seed = seed;
        settings
    }
}

impl Experiment {
    /// Keys of paths that the spec leaves to be filled in (`PATH/TO/…`).
    pub fn blanks(&self) -> Vec<String> {
        let mut keys: Vec<_> =
            self.points.iter().flat_map(|point| files::blanks(&point.settings)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// Reads a spec file under `--set` options.
///
/// # Errors
///
/// Everything that is wrong with it, in one error with exit code 2.
pub fn load(path: &Path, overrides: &[String]) -> Result<Experiment> {
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = name.ok_or_else(|| Error::spec(format!("`{}` names no file", path.display())))?;
    expand(&name, &path.display().to_string(), &read(path)?, overrides, true)
}

/// The text of a spec file.
///
/// # Errors
///
/// If it cannot be read, with the nearest spec as a hint.
pub fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|error| {
        let what = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
            _ => error.to_string(),
        };
        let error = Error::spec(format!("could not read the spec `{}`: {what}", path.display()));
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut known: Vec<String> = std::fs::read_dir("experiments")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
            .collect();
        known.sort();
        match nearest(&stem, known.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `experiments/{near}.toml`?")),
            None => error.hint("name a spec file, such as `experiments/quickstart.toml`"),
        }
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column =
            good.len() - good.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1) + 1;
        let place = format!("{}:{line}:{column}", path.display());
        Error::spec(format!("{place}: this byte is not UTF-8 text"))
            .hint("save the spec as UTF-8; text in another encoding belongs in data files")
    })
}

/// Reads a spec from text; `file` is what messages call it. Files that it names need not exist.
///
/// # Errors
///
/// Everything that is wrong with it, in one error with exit code 2.
pub fn parse(name: &str, file: &str, text: &str, overrides: &[String]) -> Result<Experiment> {
    expand(name, file, text, overrides, false)
}

fn expand(
    name: &str,
    file: &str,
    text: &str,
    overrides: &[String],
    files: bool,
) -> Result<Experiment> {
    let draft = Draft { files, ..Draft::read(file, text, overrides)? };
    let mut mistakes = draft.mistakes.clone();
    let seeds = draft.seeds(&mut mistakes);
    let store = draft.stack(&[], "the spec").table("store", &mut mistakes);
    let points = draft.points(seeds.len(), &mut mistakes);
    let charts = root::charts(&draft.spec, &draft.sources, &mut mistakes);
    let all = mistakes.is_empty().then_some(points.as_slice());
    draft.check_charts(&charts, &seeds, all, &mut mistakes);
    mistakes.into_result(&draft.sources)?;
    Ok(Experiment {
        name: overridden(name, overrides),
        text: text.to_owned(),
        overrides: overrides.to_vec(),
        seeds,
        points,
        charts,
        store: store.expect("a store table without mistakes was extracted"),
    })
}

/// The embedded defaults as settings; `[loss]` with the algorithm left at `mpo`.
pub fn defaults() -> Settings {
    let (source, mut table) =
        Source::parse("defaults.toml", DEFAULTS, 0).expect("the embedded defaults are TOML");
    insert(&mut table, &segments("loss.algorithm"), "mpo".into());
    let layer = Layer { name: "defaults.toml".to_owned(), source: 0, at: At::Root, table };
    let sources = [source];
    let mut mistakes = Mistakes::default();
    Stack::new(vec![layer], &sources, "defaults")
        .settings(true, &mut mistakes)
        .filter(|_| mistakes.is_empty())
        .unwrap_or_else(|| panic!("the embedded defaults are sound: {mistakes:?}"))
        .0
}

/// [`defaults`], worked out once.
pub fn embedded() -> &'static Settings {
    static DEFAULTS: OnceLock<Settings> = OnceLock::new();
    DEFAULTS.get_or_init(defaults)
}

fn overridden(name: &str, overrides: &[String]) -> String {
    if overrides.is_empty() {
        return name.to_owned();
    }
    let mut sorted = overrides.to_vec();
    sorted.sort();
    let hash = blake3::hash(sorted.join("\n").as_bytes()).to_hex();
    format!("{name}@{}", &hash[..8])
}

impl Settings {
    /// Whether a benchmark asks for likelihoods, which no server tells.
    pub fn measures_likelihood(&self) -> bool {
        let needs = |name: &String| benchmark(name).is_some_and(|row| row.needs_likelihood);
        self.eval.benchmarks.iter().any(needs)
    }
}
