//! A whole spec: read, layered, checked, and expanded into points.

use super::chart::Chart;
use super::check::{self, Finder};
use super::extract::Stack;
use super::layer::{At, DEFAULTS, Layer, insert, lookup, segments};
use super::lists::{COLUMNS, LIKELIHOOD_BENCHMARKS, ROOT, nearest, suggest};
use super::mistake::{Mistake, Mistakes};
use super::root::{self, ReferenceOf, RoundTable, Store, VariantTable};
use super::source::{Place, Source};
use super::sweep::{self, Axis, Holder, Setting};
use super::{Settings, candidates, loss, pairs, schema, train};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// More jobs than this are a slip of the pen.
const MOST_POINTS: usize = 10_000;

/// A spec whose every point is resolved and sound.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The file stem, with `@<8 hex>` where `--set` changed it.
    pub name: String,
    /// The text, byte for byte.
    pub text: String,
    /// The `--set` options it was read with.
    pub overrides: Vec<String>,
    /// A sentence for the report.
    pub description: Option<String>,
    /// Seeds of the policy stage.
    pub seeds: Vec<u64>,
    /// Swept keys, in the spec's order.
    pub axes: Vec<String>,
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
    std::fs::read_to_string(path).map_err(|error| {
        let what = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            std::io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
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
    let points = draft.points(&mut mistakes);
    let charts = root::charts(&draft.spec, &draft.sources, &mut mistakes);
    draft.check_charts(&charts, &mut mistakes);
    mistakes.into_result(&draft.sources)?;
    Ok(Experiment {
        name: overridden(name, overrides),
        text: text.to_owned(),
        overrides: overrides.to_vec(),
        description: draft.spec.get("description").and_then(|d| d.as_str()).map(str::to_owned),
        seeds,
        axes: draft.swept_keys(),
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

fn overridden(name: &str, overrides: &[String]) -> String {
    if overrides.is_empty() {
        return name.to_owned();
    }
    let mut sorted = overrides.to_vec();
    sorted.sort();
    let hash = blake3::hash(sorted.join("\n").as_bytes()).to_hex();
    format!("{name}@{}", &hash[..8])
}

/// A spec taken apart, before its points are resolved.
pub(super) struct Draft {
    /// Defaults, the spec, then one for each `--set`.
    pub sources: Vec<Source>,
    /// Layers of the whole spec, lowest first.
    pub base: Vec<Layer>,
    /// The spec as written.
    pub spec: toml::Table,
    pub variants: Vec<VariantTable>,
    pub rounds: Vec<RoundTable>,
    pub axes: Vec<Axis>,
    pub with_loss: bool,
    /// Whether files that the spec names must exist.
    pub files: bool,
    pub mistakes: Mistakes,
}

impl Draft {
    /// Takes a spec apart. What can be reported together is left in `mistakes`.
    pub fn read(file: &str, text: &str, overrides: &[String]) -> Result<Self> {
        let (defaults, mut default_table) =
            Source::parse("defaults.toml", DEFAULTS, 0).expect("the embedded defaults are TOML");
        let mut sources = vec![defaults];
        let alone = |mistake: Mistake, mut sources: Vec<Source>, name: &str, text: &str| {
            // A text that does not parse still has lines to show.
            let mut mistakes = Mistakes::default();
            let (mut shown, _) = Source::parse(name, "", 0).expect("an empty text is TOML");
            shown.text = text.to_owned();
            sources.push(shown);
            mistakes.push(mistake);
            mistakes.into_error(&sources)
        };
        let spec = match Source::parse(file, text, 1) {
            Ok((source, spec)) => {
                sources.push(source);
                spec
            }
            Err(mistake) => return Err(alone(mistake, sources, file, text)),
        };
        let mut mistakes = Mistakes::default();
        root::check_root(&spec, &sources, &mut mistakes);

        let mut sets = Vec::new();
        for option in overrides {
            let index = sources.len();
            match parse_set(option, index) {
                Ok((source, table)) => {
                    sources.push(source);
                    sets.push((index, table));
                }
                Err(mistake) => return Err(alone(mistake, sources, "--set", option)),
            }
        }
        for (index, table) in &sets {
            check_set(*index, table, &sources, &mut mistakes);
        }

        let rounds = root::rounds(&spec, &sources, &mut mistakes);
        let top = std::iter::once((1, &spec)).chain(sets.iter().map(|(index, t)| (*index, t)));
        let holders: Vec<Holder> =
            top.map(|(source, table)| Holder { source, prefix: Vec::new(), table }).collect();
        let mut swept = Vec::new();
        let axes = sweep::axes(&holders, &mut swept, &sources, &mut mistakes);
        let variants = root::variants(&spec, &swept, &sources, &mut mistakes);

        let names_loss = |table: &toml::Table| table.contains_key("loss");
        let with_loss = names_loss(&spec)
            || sets.iter().any(|(_, table)| names_loss(table))
            || variants.iter().any(|variant| names_loss(&variant.layer.table))
            || rounds.iter().any(|round| names_loss(&round.layer.table))
            || axes
                .iter()
                .chain(variants.iter().flat_map(|variant| &variant.axes))
                .flat_map(|axis| &axis.steps[0])
                .any(|set| set.key.starts_with("loss."));
        if !with_loss {
            default_table.remove("loss");
        }

        let layer = |name: &str, source, table| Layer {
            name: name.to_owned(),
            source,
            at: At::Root,
            table,
        };
        let mut base =
            vec![layer("defaults.toml", 0, default_table), layer("spec", 1, spec.clone())];
        base.extend(sets.into_iter().map(|(i, table)| layer(&format!("--set {i}"), i, table)));
        let mut draft =
            Self { sources, base, spec, variants, rounds, axes, with_loss, files: false, mistakes };
        draft.check_combinations();
        Ok(draft)
    }

    /// The layers of the whole spec with more on top.
    pub fn stack(&self, above: &[Layer], point: &str) -> Stack<'_> {
        Stack::new(self.layers(above), &self.sources, point)
    }

    fn layers(&self, above: &[Layer]) -> Vec<Layer> {
        self.base.iter().chain(above).cloned().collect()
    }

    fn seeds(&self, mistakes: &mut Mistakes) -> Vec<u64> {
        let seeds: Vec<u64> =
            self.stack(&[], "the spec").table("seeds", mistakes).unwrap_or_default();
        let written = self.base[1..].iter().rposition(|layer| layer.table.contains_key("seeds"));
        let Some(layer) = written.map(|index| &self.base[index + 1]) else { return seeds };
        let mut wrong = |message: String, hint: &str| {
            let span = layer.span(&self.sources, &["seeds".to_owned()], Place::Value);
            mistakes.push(Mistake { message, hint: hint.to_owned(), source: layer.source, span });
        };
        let empty = layer.table["seeds"].as_array().is_some_and(Vec::is_empty);
        if empty {
            wrong("`seeds` is empty: there would be no jobs".to_owned(), "write `seeds = [0]`");
        }
        if let Some(twice) = (1..seeds.len()).find(|&i| seeds[..i].contains(&seeds[i])) {
            let message = format!("`seeds` has {} twice", seeds[twice]);
            wrong(message, "take one of them out: jobs that are alike run once");
        }
        if seeds.len() > 1 && !self.with_loss {
            wrong(
                "`seeds` vary the policy stage, and a spec without `[loss]` has none".to_owned(),
                "sweep `\"base.seed\" = [0, 1, 2]` instead, or add `[loss]`",
            );
        }
        seeds
    }

    /// Settings that another layer always replaces, and other impossible combinations.
    fn check_combinations(&mut self) {
        let mut found = Vec::new();
        let swept: Vec<&Setting> = self.axes.iter().flat_map(|axis| &axis.steps[0]).collect();
        for variant in &self.variants {
            let own = variant.axes.iter().flat_map(|axis| &axis.steps[0]);
            found.extend(own.filter_map(|set| {
                let path = segments(&set.key);
                lookup(&variant.layer.table, &path)?;
                Some(Mistake {
                    message: format!("variant `{}` sets `{}` and sweeps it", variant.name, set.key),
                    hint: "leave one of the two".to_owned(),
                    source: 1,
                    span: variant.layer.span(&self.sources, &path, Place::Key),
                })
            }));
        }
        let over = self.variants.iter().map(|v| (&v.layer, format!("variant `{}`", v.name)));
        let rounds = self.rounds.iter().map(|r| (&r.layer, r.layer.name.clone()));
        let sets = self.base[2..].iter().map(|layer| (layer, "`--set`".to_owned()));
        for (layer, who) in over.chain(rounds).chain(sets) {
            for set in &swept {
                let path = segments(&set.key);
                if lookup(&layer.table, &path).is_some() {
                    found.push(Mistake {
                        message: format!("{who} sets `{}`, which is swept too", set.key),
                        hint: "take it out here, or out of the sweep: one would hide the other"
                            .to_owned(),
                        source: layer.source,
                        span: layer.span(&self.sources, &path, Place::Key),
                    });
                }
            }
        }
        if self.swept_keys().iter().any(|key| key == "loss.algorithm") {
            for layer in &self.base[1..] {
                for weight in ["w_p", "w_q", "w_g"] {
                    let path = ["loss".to_owned(), weight.to_owned()];
                    if lookup(&layer.table, &path).is_some() {
                        found.push(Mistake {
                            message: format!(
                                "`loss.{weight}` at the top beside a sweep of `loss.algorithm` \
                                 would replace every algorithm's own weight"
                            ),
                            hint: "write variants with an algorithm and weights each, or sweep \
                                   both in one `[[sweep.zip]]`"
                                .to_owned(),
                            source: layer.source,
                            span: layer.span(&self.sources, &path, Place::Key),
                        });
                    }
                }
            }
        }
        if let Some(round) = self.rounds.first().filter(|_| !self.with_loss) {
            found.push(Mistake {
                message: "`[[round]]` repeats the policy stage, and there is no `[loss]`"
                    .to_owned(),
                hint: "add `[loss]` with an algorithm, or take the rounds out".to_owned(),
                source: 1,
                span: round.layer.span(&self.sources, &[], Place::Key),
            });
        }
        if let Some(round) = self.rounds.get(1)
            && self.base.iter().any(|l| lookup(&l.table, &segments("pairs.import")).is_some())
        {
            found.push(Mistake {
                message: "a second round samples anew, and `pairs.import` has no candidates"
                    .to_owned(),
                hint: "take out `pairs.import`, or the rounds after the first".to_owned(),
                source: 1,
                span: round.layer.span(&self.sources, &[], Place::Key),
            });
        }
        if let Some(round) = self.rounds.first().filter(|r| r.reference == ReferenceOf::Previous) {
            found.push(Mistake {
                message: "the first round has no previous policy to be held to".to_owned(),
                hint: "write `reference = \"base\"`, or leave it out".to_owned(),
                source: 1,
                span: round.layer.span(&self.sources, &["reference".to_owned()], Place::Value),
            });
        }
        found.into_iter().for_each(|mistake| self.mistakes.push(mistake));
    }

    /// Every variant at every point of the sweep.
    fn points(&self, mistakes: &mut Mistakes) -> Vec<Point> {
        self.check_base(mistakes);
        let variants: Vec<Option<&VariantTable>> = match self.variants.len() {
            0 => vec![None],
            _ => self.variants.iter().map(Some).collect(),
        };
        let axes_of = |variant: Option<&VariantTable>| -> Vec<Axis> {
            self.axes.iter().chain(variant.iter().flat_map(|v| &v.axes)).cloned().collect()
        };
        let size = |variant: &Option<&VariantTable>| {
            axes_of(*variant).iter().fold(1, |size: usize, a| size.saturating_mul(a.steps.len()))
        };
        let count = variants.iter().map(size).fold(0, usize::saturating_add);
        if count > MOST_POINTS {
            let (source, span) = root::at(&self.sources, &["sweep"], Place::Key);
            mistakes.push(Mistake {
                message: format!("this makes {count} jobs a seed; {MOST_POINTS} are the most"),
                hint: "sweep fewer values, or put lists side by side in `[[sweep.zip]]`".to_owned(),
                source,
                span,
            });
            return Vec::new();
        }
        let mut points = Vec::new();
        for variant in variants {
            for swept in sweep::points(&axes_of(variant)) {
                points.extend(self.point(variant, &swept, mistakes));
            }
        }
        points
    }

    /// Keys of `[sweep]`, then those that only variants sweep.
    fn swept_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        let own = self.variants.iter().flat_map(|variant| &variant.axes);
        for set in self.axes.iter().chain(own).flat_map(|axis| &axis.steps[0]) {
            if !keys.contains(&set.key) {
                keys.push(set.key.clone());
            }
        }
        keys
    }

    /// The tables at the top by themselves: a variant may hide what is wrong with them.
    fn check_base(&self, mistakes: &mut Mistakes) {
        let mut filler = toml::Table::new();
        if self.base.iter().all(|l| lookup(&l.table, &segments("loss.algorithm")).is_none())
            && (!self.variants.is_empty() || !self.axes.is_empty() || !self.rounds.is_empty())
            && self.base.iter().all(|l| l.table.get("loss").is_none_or(toml::Value::is_table))
        {
            insert(&mut filler, &segments("loss.algorithm"), "mpo".into());
        }
        let mut layers = self.base.clone();
        if self.with_loss {
            let filler = Layer { name: "filler".into(), source: 0, at: At::Root, table: filler };
            layers.insert(1, filler);
        }
        Stack::new(layers, &self.sources, "the spec").settings(self.with_loss, mistakes);
    }

    fn point(
        &self,
        variant: Option<&VariantTable>,
        swept: &[Setting],
        mistakes: &mut Mistakes,
    ) -> Option<Point> {
        let label = variant.map_or("the spec".to_owned(), |v| format!("variant `{}`", v.name));
        let mut above: Vec<Layer> = variant.map(|v| v.layer.clone()).into_iter().collect();
        above.extend(sweep::layers(swept));
        let settings = self.resolve(&above, &label, mistakes);
        let mut rounds = Vec::new();
        let mut sound = settings.is_some();
        for round in &self.rounds {
            let mut above = above.clone();
            above.push(round.layer.clone());
            match self.resolve(&above, &label, mistakes) {
                Some(settings) => rounds.extend(round_of(&settings, round.reference)),
                None => sound = false,
            }
        }
        let settings = settings.filter(|_| sound)?;
        if self.rounds.is_empty() {
            rounds.extend(round_of(&settings, ReferenceOf::Base));
        }
        Some(Point {
            variant: variant.map(|variant| variant.name.clone()),
            swept: swept.iter().map(|set| (set.key.clone(), set.value.clone())).collect(),
            settings,
            rounds,
        })
    }

    fn resolve(&self, above: &[Layer], label: &str, mistakes: &mut Mistakes) -> Option<Settings> {
        let layers = self.layers(above);
        let (settings, removed) =
            Stack::new(layers.clone(), &self.sources, label).settings(self.with_loss, mistakes)?;
        let mut find = Finder { layers: &layers, sources: &self.sources, removed, mistakes };
        check::settings(&settings, &mut find);
        if self.files {
            check::files(&settings, &mut find);
        }
        Some(settings)
    }

    /// Axes must be columns, and what is measured must be measured.
    fn check_charts(&self, charts: &[(String, Chart)], mistakes: &mut Mistakes) {
        let swept = self.swept_keys();
        let columns: Vec<&str> =
            COLUMNS.iter().copied().chain(swept.iter().map(String::as_str)).collect();
        let benchmarks: Option<Vec<String>> = self
            .base
            .iter()
            .rev()
            .find_map(|layer| lookup(&layer.table, &segments("eval.benchmarks")).cloned())
            .and_then(|list| list.try_into().ok());
        for (name, chart) in charts {
            let mut wrong = |key: &[&str], message: String, hint: String, place| {
                let path: Vec<&str> =
                    ["chart", name, chart.kind()].into_iter().chain(key.iter().copied()).collect();
                let (source, span) = root::at(&self.sources, &path, place);
                mistakes.push(Mistake { message, hint, source, span });
            };
            for (key, column) in chart.columns() {
                // Questions are no rows of runs.csv, but every score has its interval over them.
                let over_questions = key == "band" && column == "question";
                if !over_questions && !columns.contains(&column) {
                    let hint = if schema::keys().iter().any(|known| known == column) {
                        format!("`{column}` is not swept here: sweep it, or choose another column")
                    } else {
                        suggest(column, "columns", &columns)
                    };
                    wrong(&[key], format!("runs.csv has no column `{column}`"), hint, Place::Value);
                }
            }
            for column in chart.rows().keys() {
                if !columns.contains(&column.as_str()) {
                    let message = format!("runs.csv has no column `{column}`");
                    wrong(
                        &["where", column],
                        message,
                        suggest(column, "columns", &columns),
                        Place::Key,
                    );
                }
            }
            let (key, measured) = chart.measured();
            if let (Some((benchmark, _)), Some(benchmarks)) =
                (measured.split_once('.'), &benchmarks)
                && !benchmarks.iter().any(|known| known == benchmark)
            {
                let names: Vec<&str> = benchmarks.iter().map(String::as_str).collect();
                let hint = match nearest(benchmark, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("`eval.benchmarks` has {}", names.join(", ")),
                };
                let message = format!("`{measured}` is not measured: no benchmark `{benchmark}`");
                wrong(&[key], message, hint, Place::Value);
            }
        }
    }
}

fn round_of(settings: &Settings, reference: ReferenceOf) -> Option<Round> {
    Some(Round {
        candidates: settings.candidates.clone(),
        pairs: settings.pairs.clone(),
        loss: settings.loss.clone()?,
        train: settings.train.clone(),
        reference,
    })
}

impl Settings {
    /// Whether scores need the model itself, not only its answers.
    pub fn scores_need_model(&self) -> bool {
        self.eval.benchmarks.iter().any(|name| LIKELIHOOD_BENCHMARKS.contains(&name.as_str()))
    }
}

/// `key=value` as TOML; a bare word is a text.
fn parse_set(option: &str, index: usize) -> Result<(Source, toml::Table), Mistake> {
    let Some((key, value)) = option.split_once('=').filter(|(key, _)| !key.trim().is_empty())
    else {
        return Err(Mistake {
            message: format!("`--set {option}` sets nothing"),
            hint: "write `--set table.key=value`, such as `--set loss.beta=0.3`".to_owned(),
            source: index,
            span: 0..option.len(),
        });
    };
    let quoted = || format!("{} = {}", key.trim(), toml::Value::String(value.trim().to_owned()));
    Source::parse("--set", option, index).or_else(|mistake| {
        match Source::parse("--set", &quoted(), index) {
            Ok((mut source, table)) if bare(value) => {
                source.text = quoted();
                Ok((source, table))
            }
            _ => Err(mistake),
        }
    })
}

/// A word that needs no quotes on a command line.
fn bare(value: &str) -> bool {
    let value = value.trim();
    !value.is_empty() && !value.contains(['[', ']', '{', '}', '"', '\''])
}

fn check_set(index: usize, table: &toml::Table, sources: &[Source], mistakes: &mut Mistakes) {
    for key in table.keys() {
        let refused =
            ["schema", "variant", "round", "chart", "description"].contains(&key.as_str());
        if refused || !ROOT.contains(&key.as_str()) {
            let full = schema::keys().iter().find(|known| known.rsplit('.').next() == Some(key));
            let hint = match full {
                Some(full) => format!("did you mean `--set {full}=…`?"),
                None if refused => format!("change `{key}` in the spec itself"),
                None => suggest(key, "what can be set", ROOT),
            };
            mistakes.push(Mistake {
                message: format!("`--set` cannot set `{key}`"),
                hint,
                source: index,
                span: sources[index].span(std::slice::from_ref(key), Place::Key),
            });
        }
    }
}
