//! Preference pairs from sampled answers, in MMPR's format.
//!
//! | file | pairs |
//! |---|---|
//! | [`correctness`] | right answers against wrong ones, and against unparsable ones |
//! | [`dropout_ntp`] | answers against their beginnings, continued without the picture |
//! | [`divide_and_conquer`] | answers against those with more claims that a judge denies |
//! | [`import`] | ready-made |
//!
//! `sampled` holds what they work on, `out` writes the files, `brought` the pictures of imported
//! pairs, `local` and [`judge`] who writes and judges for them,
//! [`degenerate`], [`consistency`] and [`claims`] what they look at, `mix` what stays of each kind,
//! [`stats`] and [`kinds`] the tables. Each pair says where it comes from, in `chosen_meta` and
//! `rejected_meta`: question, sample, verdict, final answer, length, task and kind. **To add a
//! source:** one file that makes [`Built`] pairs, a variant of
//! [`Source`] and an arm in [`run`].

mod arithmetic;
mod bad_rows;
mod brought;
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
mod out;
mod record;
mod sampled;
pub mod stats;

use crate::data::record::Pair;
use crate::data::template::{Prompter, Template};
use crate::data::tokenizer::Tokenizer;
use crate::model::Config;
use crate::spec::pairs::{Chosen, Pairs, Source};
use crate::stage::StageContext;
use crate::{Error, Result};
use import::Imported;
use mix::Slot;
use out::Out;
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
    /// Most tiles of a picture that the model cuts.
    max_tiles: usize,
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
    let mut sampled = match settings.is_import_alone() {
        true => Vec::new(),
        false => sampled_pairs(settings, ctx, &mut stats)?,
    };
    let bad_rows = ctx.work.join("bad_rows.txt");
    let open = |meta: &String| Imported::open(Path::new(meta), settings.seed, &bad_rows);
    let imported = settings.import.as_ref().map(open).transpose()?;
    let warnings = imported.as_ref().map(Imported::warnings).unwrap_or_default();
    warnings.iter().for_each(|warning| ctx.progress.warn(warning));
    // Each kind by itself: a reader who wants one of them can cut the file.
    sampled.sort_by_key(|built| built.kind);
    let slots = slots(&sampled, imported.as_ref().map_or(0, Imported::len));
    let made = kinds::made(&slots);
    let task = |slot: &Slot| match &imported {
        Some(imported) if slot.kind == Kind::Imported => imported.task(slot.number),
        _ => sampled[slot.number].task.as_str(),
    };
    let kept = mix::thin(settings, slots, &task, &mut stats, &ctx.progress)?;
    if kept.is_empty() {
        return Err(match settings.is_import_alone() {
            true => {
                let told = warnings.join("; ");
                let reason = if told.is_empty() { "`pairs.import` has no rows" } else { &told };
                no_pairs(reason, "give `pairs.import` rows, or take a larger share of them")
            }
            false => stats.why_none(settings),
        });
    }
    let mut out = Out::create(ctx, !sampled.is_empty(), imported.is_some())?;
    let (ready, own): (Vec<Slot>, Vec<Slot>) =
        kept.into_iter().partition(|slot| slot.kind == Kind::Imported);
    own.iter().try_for_each(|slot| out.add(&sampled[slot.number], &mut stats))?;
    if let Some(imported) = &imported {
        let numbers: Vec<usize> = ready.into_iter().map(|slot| slot.number).collect();
        imported.each(&numbers, &ctx.out, |built| out.add(&built, &mut stats))?;
    }
    out.finish(&made, &stats)
}

/// All pairs by their places: imported ones come last.
fn slots(sampled: &[Built], num_imported: usize) -> Vec<Slot> {
    let own = sampled.iter().enumerate();
    let own = own.map(|(number, built)| Slot { kind: built.kind, number });
    let ready = (0..num_imported).map(|number| Slot { kind: Kind::Imported, number });
    own.chain(ready).collect()
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
    let (template, max_tiles) = of_model(ctx)?;
    let prompter = Prompter::new(&tokenizer, &template, 0)?;
    let (tokenizer, prompter) = (&tokenizer, &prompter);
    let shop = Shop { settings, ctx, sampled: &sampled, tokenizer, prompter, max_tiles };
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
    let mut known = HashSet::new();
    built.retain(|built| {
        let Pair { image, question, chosen, rejected, .. } = &built.pair;
        let text = format!("{image:?}\0{question}\0{chosen}\0{rejected}");
        let is_new = known.insert(blake3::hash(text.as_bytes()));
        stats.skipped(&built.task, "same_pair", usize::from(!is_new));
        is_new
    });
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

/// Chat template and most tiles of the model that answered; the embedded ones where no model is
/// given.
fn of_model(ctx: &StageContext) -> Result<(String, usize)> {
    let Some(base) = ctx.inputs.get("base") else { return Ok(("plain".to_owned(), 1)) };
    let config = Config::load(base)?;
    let template = match config.template {
        Some(template) => template,
        None => Template::fitting(&Tokenizer::load(base)?)?.name.to_owned(),
    };
    Ok((template, config.max_tiles))
}

/// An error that says what to change, for a stage without any pair.
fn no_pairs(reason: &str, hint: &str) -> Error {
    Error::new(format!("no preference pairs could be built: {reason}")).hint(hint)
}
