//! A spec taken apart: texts, layers, variants, rounds and sweep, before its
//! points are resolved.

use super::check;
use super::experiment::{Point, Round};
use super::extract::Stack;
use super::files;
use super::finder::Finder;
use super::layer::{At, DEFAULTS, Layer, insert, lookup, segments};
use super::loss::Loss;
use super::mistake::{Mistake, Mistakes};
use super::root::{self, ReferenceOf, RoundTable, VariantTable};
use super::source::{Place, Source};
use super::sweep::{self, Axis, Holder, Setting};
use super::{Settings, set};
use crate::Result;

/// More jobs than this are a slip of the pen.
const MOST_POINTS: usize = 10_000;

/// A spec taken apart, before its points are resolved.
#[derive(Debug)]
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
        let mut spec = match Source::parse(file, text, 1) {
            Ok((source, spec)) => {
                sources.push(source);
                spec
            }
            Err(mistake) => return Err(alone(mistake, sources, file, text)),
        };
        let mut mistakes = Mistakes::default();
        root::check_root(&spec, &sources, &mut mistakes);
        root::take_untabled(&mut spec, &sources, &mut mistakes);

        let mut sets = Vec::new();
        for option in overrides {
            let index = sources.len();
            match set::parse(option, index) {
                Ok((source, table)) => {
                    sources.push(source);
                    sets.push((index, table));
                }
                Err(mistake) => return Err(alone(mistake, sources, "--set", option)),
            }
        }
        for (index, table) in &sets {
            set::check(*index, table, &sources, &mut mistakes);
        }

        let rounds = root::rounds(&spec, &[], &sources, &mut mistakes);
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
            || rounds
                .iter()
                .chain(variants.iter().flat_map(|variant| &variant.rounds))
                .any(|round| names_loss(&round.layer.table))
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

    pub fn seeds(&self, mistakes: &mut Mistakes) -> Vec<u64> {
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

    /// Every variant at every point of the sweep.
    pub fn points(&self, num_seeds: usize, mistakes: &mut Mistakes) -> Vec<Point> {
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
        let points = variants.iter().map(size).fold(0, usize::saturating_add);
        let count = points.saturating_mul(num_seeds.max(1));
        if count > MOST_POINTS {
            let swept = if self.swept_keys().is_empty() { "seeds" } else { "sweep" };
            let (source, span) = root::at(&self.sources, &[swept], Place::Key);
            mistakes.push(Mistake {
                message: format!("this makes {count} jobs; {MOST_POINTS} are the most"),
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
    pub fn swept_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        let own = self.variants.iter().flat_map(|variant| &variant.axes);
        for set in self.axes.iter().chain(own).flat_map(|axis| &axis.steps[0]) {
            if !keys.contains(&set.key) {
                keys.push(set.key.clone());
            }
        }
        keys
    }

    /// The values that a key is swept over.
    pub fn swept_values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a toml::Value> {
        let own = self.variants.iter().flat_map(|variant| &variant.axes);
        let sets = self.axes.iter().chain(own).flat_map(|axis| &axis.steps).flatten();
        sets.filter(move |set| set.key == key).map(|set| &set.value)
    }

    /// What a key of a table that no round sets is set to, in one job or another.
    pub fn values(&self, key: &str) -> Vec<&toml::Value> {
        let path = segments(key);
        let whole = self.base.iter().rev().find_map(|layer| lookup(&layer.table, &path));
        let mut values: Vec<&toml::Value> = Vec::new();
        let variants = self.variants.iter().map(Some);
        let none = self.variants.is_empty().then_some(None);
        for variant in variants.chain(none) {
            let own = variant.iter().flat_map(|variant| &variant.axes);
            let sets = self.axes.iter().chain(own).flat_map(|axis| &axis.steps).flatten();
            let swept = sets.filter(|set| set.key == key).map(|set| &set.value);
            let before = values.len();
            values.extend(swept);
            if values.len() == before {
                values.extend(variant.and_then(|v| lookup(&v.layer.table, &path)).or(whole));
            }
        }
        values
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
        let own = variant.map(|variant| &variant.rounds).filter(|rounds| !rounds.is_empty());
        for (index, round) in own.unwrap_or(&self.rounds).iter().enumerate() {
            let mut above = above.clone();
            above.push(round.layer.clone());
            match self.resolve(&above, &label, mistakes) {
                Some(settings) => {
                    self.check_moving(index, round, &settings, mistakes);
                    rounds.extend(round_of(&settings, round.reference));
                }
                None => sound = false,
            }
        }
        let settings = settings.filter(|_| sound)?;
        if own.unwrap_or(&self.rounds).is_empty() {
            rounds.extend(round_of(&settings, ReferenceOf::Base));
        }
        Some(Point {
            variant: variant.map(|variant| variant.name.clone()),
            swept: swept.iter().map(|set| (set.key.clone(), set.value.clone())).collect(),
            settings,
            rounds,
        })
    }

    /// A moving reference starts from the model that the policy starts from.
    fn check_moving(
        &self,
        index: usize,
        round: &RoundTable,
        settings: &Settings,
        mistakes: &mut Mistakes,
    ) {
        let moves = settings.loss.as_ref().is_some_and(Loss::moves_reference);
        if index > 0 && moves && round.reference == ReferenceOf::Base {
            let (source, span) =
                (round.layer.source, round.layer.span(&self.sources, &[], Place::Key));
            mistakes.push(Mistake {
                message: "tr_dpo moves the model that its policy starts from, and this round is \
                          held to the base"
                    .to_owned(),
                hint: "write `reference = \"previous\"` in this round".to_owned(),
                source,
                span,
            });
        }
    }

    fn resolve(&self, above: &[Layer], label: &str, mistakes: &mut Mistakes) -> Option<Settings> {
        let layers = self.layers(above);
        let (settings, removed) =
            Stack::new(layers.clone(), &self.sources, label).settings(self.with_loss, mistakes)?;
        let mut find = Finder { layers: &layers, sources: &self.sources, removed, mistakes };
        check::settings(&settings, &mut find);
        if self.files {
            files::check(&settings, &mut find);
        }
        Some(settings)
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
