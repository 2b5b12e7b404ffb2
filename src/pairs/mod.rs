//! Preference pairs from sampled answers, in MMPR's format.
//!
//! | file | pairs |
//! |---|---|
//! | [`correctness`] | right answers against wrong ones, and against unparsable ones |
//! | [`dropout_ntp`] | answers against their beginnings, continued without the picture |
//! | [`divide_and_conquer`] | answers against those with more claims that a judge denies |
//! | [`import`] | ready-made |
//!
//! `sampled` holds what they work on, `local` and [`judge`] who writes and judges for them,
//! [`degenerate`], [`consistency`] and [`claims`] what they look at, `mix` what stays of each kind,
//! [`stats`] and [`kinds`] the tables. Each pair says where it comes from, in `chosen_meta` and
//! `rejected_meta`: question, sample, verdict, final answer, length, task and kind. **To add a
//! source:** one file that makes [`Built`] pairs, a variant of
//! [`Source`] and an arm in [`run`].

mod arithmetic;
pub mod claims;
pub mod consistency;
mod contradiction;
pub mod correctness;
pub mod degenerate;
pub mod divide_and_conquer;
pub mod dropout_ntp;
pub mod import;
pub mod judge;
pub mod kinds;
mod local;
mod mix;
mod record;
mod sampled;
pub mod stats;

use crate::data::pairs::{DataSet, write_meta, write_pairs};
use crate::data::record::Pair;
use crate::data::template::{Prompter, Template};
use crate::data::tokenizer::Tokenizer;
use crate::model::Config;
use crate::run::stage::StageContext;
use crate::spec::pairs::{Chosen, Pairs, Source};
use crate::{Error, Result};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use sampled::Sampled;
use stats::Stats;
use std::collections::HashSet;
use std::path::Path;

/// Why one answer is the worse one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Its final answer is wrong.
    Correctness,
    /// It has no final answer that can be read.
    Format,
    /// It was continued without the picture.
    DropoutNtp,
    /// More of its claims are denied.
    DivideAndConquer,
    /// The pair was made elsewhere.
    Imported,
}

impl Kind {
    /// All of them, in the order of pairs.jsonl.
    pub const ALL: [Self; 5] =
        [Self::Correctness, Self::Format, Self::DropoutNtp, Self::DivideAndConquer, Self::Imported];

    /// The word used in metadata and statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Correctness => "correctness",
            Self::Format => "format",
            Self::DropoutNtp => "dropout_ntp",
            Self::DivideAndConquer => "divide_and_conquer",
            Self::Imported => "imported",
        }
    }

    /// Which source makes it.
    pub fn source(self) -> Source {
        match self {
            Self::Correctness | Self::Format => Source::Correctness,
            Self::DropoutNtp => Source::DropoutNtp,
            Self::DivideAndConquer => Source::DivideAndConquer,
            Self::Imported => Source::Import,
        }
    }
}

/// What every source that works on sampled answers is given.
#[derive(Clone, Copy)]
pub struct Shop<'a> {
    settings: &'a Pairs,
    ctx: &'a StageContext,
    sampled: &'a Sampled,
    tokenizer: &'a Tokenizer,
    prompter: &'a Prompter<'a>,
}

/// A pair whose chosen answer was sampled.
#[derive(Debug)]
pub struct Paired {
    built: Built,
    question: usize,
    chosen: usize,
}

/// A pair with what statistics need to know of it.
#[derive(Clone, Debug)]
pub struct Built {
    /// The record as written.
    pub pair: Pair,
    /// Why the rejected answer is the worse one.
    pub kind: Kind,
    /// Task family, or the imported data set's name.
    pub task: String,
    /// Lengths of chosen and rejected in tokens; none where the pair was made elsewhere.
    pub tokens: Option<(usize, usize)>,
    /// How it compares with what the generator knows; none where nothing is known.
    pub truth: Option<Truth>,
}

/// How a pair's answers compare with the rationales that a generated question knows.
#[derive(Clone, Copy, Debug)]
pub struct Truth {
    /// The chosen answer is the careful rationale, right throughout.
    pub is_careful: bool,
    /// The same with lines in any order, for families that list facts in no particular one.
    pub is_careful_in_any_order: bool,
    /// The chosen and the rejected answer are the sloppy rationale, where the question has one.
    pub is_sloppy: Option<(bool, bool)>,
}

/// The pairs stage: writes pairs.jsonl, meta.json, stats.csv and kinds.csv.
///
/// # Errors
///
/// Unreadable inputs, bad imported rows, a judge or server that fails, and no pairs at all,
/// which says why.
pub fn run(settings: &Pairs, ctx: &StageContext) -> Result<()> {
    let mut stats = Stats::default();
    let mut built = match settings.is_import_alone() {
        true => Vec::new(),
        false => sampled_pairs(settings, ctx, &mut stats)?,
    };
    let num_sampled = built.len();
    if let Some(meta) = &settings.import {
        built.extend(import::pairs(Path::new(meta), settings.seed, &ctx.out)?.0);
    }
    // Each kind by itself: a reader who wants one of them can cut the file.
    built.sort_by_key(|built| built.kind);
    let made = kinds::made(&built);
    let built = mix::thin(settings, built, &mut stats);
    if built.is_empty() {
        return Err(stats.why_none(settings));
    }
    stats.add_pairs(&built);
    kinds::write(&ctx.out.join("kinds.csv"), &built, &made, &stats)?;
    write_pairs(&ctx.out.join("pairs.jsonl"), built.iter().map(|built| &built.pair))?;
    let data_sets = data_sets(settings, ctx, &built, num_sampled > 0)?;
    write_meta(&ctx.out.join("meta.json"), &data_sets)?;
    stats.write(&ctx.out.join("stats.csv"))?;
    ctx.progress.report(1, 1, format_args!("{} pairs", built.len()));
    Ok(())
}

/// Pairs of every source that works on sampled answers.
fn sampled_pairs(settings: &Pairs, ctx: &StageContext, stats: &mut Stats) -> Result<Vec<Built>> {
    ctx.progress.report(0, 1, "pairing answers");
    let sampled = Sampled::read(ctx)?;
    let tokenizer = match settings.dropout_ntp.server.is_set() {
        true => Tokenizer::load(ctx.input("base"))?,
        // Only the template enters a question's text; no token is looked up here.
        false => Tokenizer::build(std::iter::empty()),
    };
    let prompter = Prompter::new(&tokenizer, &template(ctx)?, 0)?;
    let (tokenizer, prompter) = (&tokenizer, &prompter);
    let shop = Shop { settings, ctx, sampled: &sampled, tokenizer, prompter };
    let mut built = Vec::new();
    // A source that only lends its chosen answers counts in no statistics.
    let mut lent = Stats::default();
    let mut work = |source, make: fn(&Shop<'_>, &mut Stats) -> Result<Vec<Paired>>| {
        if !settings.needs(source) {
            return Ok(Vec::new());
        }
        let builds = settings.builds(source);
        let paired = make(&shop, if builds { &mut *stats } else { &mut lent })?;
        let chosen: Vec<(usize, usize)> =
            paired.iter().map(|paired| (paired.question, paired.chosen)).collect();
        if builds {
            built.extend(paired.into_iter().map(|paired| paired.built));
        }
        Ok::<_, Error>(chosen)
    };
    let right = work(Source::Correctness, correctness::pairs)?;
    let affirmed = work(Source::DivideAndConquer, divide_and_conquer::pairs)?;
    if settings.builds(Source::DropoutNtp) {
        let of = settings.dropout_ntp.of;
        let paired = if of == Chosen::Correctness { right } else { affirmed };
        let cuts = dropout_ntp::cuts(&shop, of, &paired, stats);
        built.extend(dropout_ntp::pairs(&shop, &cuts, stats)?);
    }
    let before = built.len();
    let mut known = HashSet::new();
    built.retain(|built| {
        let Pair { image, question, chosen, rejected, .. } = &built.pair;
        known
            .insert(blake3::hash(format!("{image:?}\0{question}\0{chosen}\0{rejected}").as_bytes()))
    });
    stats.skipped("all", "same_pair", before - built.len());
    Ok(built)
}

/// At most `most` items, drawn without replacement and left in their order.
fn choose<T>(items: Vec<T>, most: usize, mut random: ChaCha8Rng) -> Vec<T> {
    if items.len() <= most {
        return items;
    }
    // The first `most` places of a Fisher-Yates shuffle of the indices.
    let mut indices: Vec<usize> = (0..items.len()).collect();
    for place in 0..most {
        let other = random.random_range(place..indices.len());
        indices.swap(place, other);
    }
    let mut is_kept = vec![false; items.len()];
    indices[..most].iter().for_each(|&index| is_kept[index] = true);
    items.into_iter().zip(is_kept).filter_map(|(item, is_kept)| is_kept.then_some(item)).collect()
}

/// The chat template of the model that answered; the embedded one where no model is given.
fn template(ctx: &StageContext) -> Result<String> {
    match ctx.inputs.get("base") {
        Some(base) => match Config::load(base)?.template {
            Some(template) => Ok(template),
            None => Ok(Template::fitting(&Tokenizer::load(base)?)?.name.to_owned()),
        },
        None => Ok("plain".to_owned()),
    }
}

/// MMPR's entries for these pairs. Sampled pairs have their pictures in the corpus, imported
/// ones beside them; where there are both, each has a file of its own besides pairs.jsonl.
fn data_sets(
    settings: &Pairs,
    ctx: &StageContext,
    built: &[Built],
    has_sampled: bool,
) -> Result<Vec<(String, DataSet)>> {
    if !(has_sampled && settings.import.is_some()) {
        let root = if settings.import.is_some() { ".".to_owned() } else { corpus_root(ctx) };
        return Ok(vec![("prefab_pairs".into(), data_set(&root, "pairs.jsonl", built.len()))]);
    }
    let mut entries = Vec::new();
    for (name, root, imported) in
        [("prefab_pairs", corpus_root(ctx), false), ("prefab_imported", ".".to_owned(), true)]
    {
        let of = built.iter().filter(|built| (built.kind == Kind::Imported) == imported);
        let pairs: Vec<&Pair> = of.map(|built| &built.pair).collect();
        let file = if imported { "imported.jsonl" } else { "sampled.jsonl" };
        write_pairs(&ctx.out.join(file), pairs.iter().copied())?;
        entries.push((name.to_owned(), data_set(&root, file, pairs.len())));
    }
    // A trainer looks for a picture in the corpus first.
    let clash = built.iter().filter(|built| built.kind == Kind::Imported).find_map(|built| {
        built.pair.image.0.iter().find(|image| ctx.input("corpus").join(image).exists())
    });
    match clash {
        None => Ok(entries),
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

/// MMPR's entry for some pairs.
fn data_set(root: &str, annotation: &str, length: usize) -> DataSet {
    DataSet {
        root: root.to_owned(),
        annotation: annotation.to_owned(),
        data_augment: false,
        max_dynamic_patch: None,
        repeat_time: 1.into(),
        length,
    }
}

/// An error that says what to change, for a stage without any pair.
fn no_pairs(reason: &str, hint: &str) -> Error {
    Error::new(format!("no preference pairs could be built: {reason}")).hint(hint)
}
