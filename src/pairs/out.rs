//! The files of a pairs artifact, written a pair at a time.
//!
//! pairs.jsonl holds all pairs. Sampled ones have their pictures in the corpus, imported ones
//! beside them; where there are both, each has a file of its own too, as MMPR's meta.json has one
//! root a file. It has one limit of tiles a file as well, which InternVL's trainer reads there and
//! in no row: pairs of several limits are parted by them.

use super::kinds::Table;
use super::stats::Stats;
use super::{Built, Kind};
use crate::data::lines::Writer;
use crate::data::pairs::{DataSet, write_meta};
use crate::data::record::Pair;
use crate::data::rows::Rows;
use crate::spec::pairs::Source;
use crate::stage::StageContext;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// What has been written so far.
pub struct Out<'a> {
    ctx: &'a StageContext,
    pairs: Writer,
    /// Sampled and imported pairs by themselves, where there are both.
    apart: Option<[Part; 2]>,
    has_imported: bool,
    kinds: Table,
    limits: Limits,
}

/// Pairs by the most tiles that a picture of them has, where it is not the model's own limit.
type Limits = BTreeMap<Option<usize>, usize>;

/// Pairs of one origin.
struct Part {
    name: &'static str,
    file: &'static str,
    rows: Writer,
    limits: Limits,
}

impl Part {
    fn create(ctx: &StageContext, name: &'static str, file: &'static str) -> Result<Self> {
        Ok(Self { name, file, rows: Writer::create(&ctx.out.join(file))?, limits: Limits::new() })
    }
}

impl<'a> Out<'a> {
    /// Begins the files.
    ///
    /// # Errors
    ///
    /// If the file system refuses.
    pub fn create(ctx: &'a StageContext, has_sampled: bool, has_imported: bool) -> Result<Self> {
        let apart = match has_sampled && has_imported {
            false => None,
            true => Some([
                Part::create(ctx, "prefab_pairs", "sampled.jsonl")?,
                Part::create(ctx, "prefab_imported", "imported.jsonl")?,
            ]),
        };
        let pairs = Writer::create(&ctx.out.join("pairs.jsonl"))?;
        Ok(Self { ctx, pairs, apart, has_imported, kinds: Table::default(), limits: Limits::new() })
    }

    /// Adds a pair.
    ///
    /// # Errors
    ///
    /// An imported picture that hides one of the corpus; or if the file system refuses.
    pub fn add(&mut self, built: &Built, stats: &mut Stats) -> Result<()> {
        stats.add_pair(built);
        self.kinds.add(built);
        self.pairs.add(&built.pair)?;
        *self.limits.entry(built.pair.max_tiles).or_default() += 1;
        let Some(apart) = &mut self.apart else { return Ok(()) };
        let is_imported = built.kind == Kind::Imported;
        if is_imported {
            clash(self.ctx, &built.pair)?;
        }
        let part = &mut apart[usize::from(is_imported)];
        *part.limits.entry(built.pair.max_tiles).or_default() += 1;
        part.rows.add(&built.pair)
    }

    /// Ends the files, and writes meta.json and the tables.
    ///
    /// # Errors
    ///
    /// If the file system refuses.
    pub fn finish(self, made: &BTreeMap<Source, usize>, stats: &Stats) -> Result<()> {
        let ctx = self.ctx;
        self.pairs.finish()?;
        let sets = match self.apart {
            None => {
                let root = if self.has_imported { ".".to_owned() } else { corpus_root(ctx) };
                data_sets(ctx, "prefab_pairs", &root, "pairs.jsonl", &self.limits)?
            }
            Some(parts) => {
                let mut sets = Vec::new();
                for (part, root) in parts.into_iter().zip([corpus_root(ctx), ".".to_owned()]) {
                    part.rows.finish()?;
                    sets.extend(data_sets(ctx, part.name, &root, part.file, &part.limits)?);
                }
                sets
            }
        };
        write_meta(&ctx.out.join("meta.json"), &sets)?;
        self.kinds.write(&ctx.out.join("kinds.csv"), made, stats)?;
        stats.write(&ctx.out.join("stats.csv"))?;
        ctx.progress.report(1, 1, format_args!("{} pairs", self.limits.values().sum::<usize>()));
        Ok(())
    }
}

/// Refuses a picture that a trainer, who looks in the corpus first, would take for another.
fn clash(ctx: &StageContext, pair: &Pair) -> Result<()> {
    match pair.image.0.iter().find(|image| ctx.input("corpus").join(image).exists()) {
        None => Ok(()),
        Some(image) => Err(Error::new(format!(
            "the imported picture `{image}` has the path of a picture of the corpus"
        ))
        .hint("give the data set another name in its meta.json")),
    }
}

/// The corpus' payload, seen from this artifact's: both are two folders below the store.
fn corpus_root(ctx: &StageContext) -> String {
    let corpus = ctx.input("corpus");
    let mut parts: Vec<_> =
        corpus.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
    parts.reverse();
    format!("../../{}", parts.join("/"))
}

/// MMPR's entries for the pairs of a file: one, or one for each limit of tiles, whose rows are then
/// copied into a file of their own.
fn data_sets(
    ctx: &StageContext,
    name: &str,
    root: &str,
    file: &str,
    limits: &Limits,
) -> Result<Vec<(String, DataSet)>> {
    let entry = |annotation: String, limit: Option<usize>, length: usize| DataSet {
        root: root.to_owned(),
        annotation,
        data_augment: false,
        max_dynamic_patch: limit,
        repeat_time: 1.into(),
        length: Some(length),
    };
    if limits.len() < 2 {
        let (limit, length) =
            limits.iter().next().map_or((None, 0), |(limit, count)| (*limit, *count));
        return Ok(vec![(name.to_owned(), entry(file.to_owned(), limit, length))]);
    }
    let rows = Rows::open(&ctx.out.join(file))?;
    let mut sets = Vec::new();
    for (&limit, &count) in limits {
        let tiles = limit.map_or("own".to_owned(), |limit| limit.to_string());
        let annotation = format!("{}_{tiles}_tiles.jsonl", file.trim_end_matches(".jsonl"));
        let mut writer = Writer::create(&ctx.out.join(&annotation))?;
        for row in rows.iter() {
            let pair: Pair = rows.parse(&row?)?;
            if pair.max_tiles == limit {
                writer.add(&pair)?;
            }
        }
        writer.finish()?;
        sets.push((format!("{name}_{tiles}_tiles"), entry(annotation, limit, count)));
    }
    Ok(sets)
}
