//! Preference pairs from sampled answers, in MMPR's format.
//!
//! [`correctness`] pairs right answers with wrong ones; [`import`] takes ready-made
//! pairs. A further source is one file that makes [`Built`] pairs and an arm in
//! [`run`]. Each pair says where it comes from, in `chosen_meta` and `rejected_meta`:
//! question, sample, verdict, final answer, length, task and kind.

pub mod correctness;
pub mod import;
pub mod stats;

use crate::data::pairs::{DataSet, write_meta, write_pairs};
use crate::data::questions::read_split;
use crate::data::record::{Answer, Pair};
use crate::data::template::Prompter;
use crate::data::tokenizer::Tokenizer;
use crate::eval::{rows, statistics};
use crate::model::Config;
use crate::run::stage::StageContext;
use crate::spec::eval::Split;
use crate::spec::pairs::Pairs;
use crate::{Error, Result};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// Why one answer is the worse one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Its final answer is wrong.
    Correctness,
    /// It has no final answer that can be read.
    Format,
    /// The pair was made elsewhere.
    Imported,
}

impl Kind {
    /// The word used in metadata and statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Correctness => "correctness",
            Self::Format => "format",
            Self::Imported => "imported",
        }
    }
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

/// The pairs stage: writes pairs.jsonl, meta.json and stats.csv.
///
/// # Errors
///
/// Unreadable inputs, bad imported rows, and no pairs at all, which says why.
pub fn run(settings: &Pairs, ctx: &StageContext) -> Result<()> {
    let (mut built, mut stats) = match &settings.import {
        Some(meta) => import::pairs(Path::new(meta), &ctx.out)?,
        None => {
            let corpus = ctx.input("corpus");
            let questions = read_split(corpus, Split::Train)?;
            let candidates: Vec<Answer> =
                rows::read(&ctx.input("candidates").join("candidates.jsonl"))?;
            ctx.progress.report(0, 1, "pairing answers");
            // Only the template enters a question's text; no token is looked up here.
            let tokenizer = Tokenizer::build(std::iter::empty());
            let prompter = Prompter::new(&tokenizer, &template(ctx)?, 0)?;
            correctness::pairs(settings, &prompter, &questions, &candidates)?
        }
    };
    // Each kind by itself: a reader who wants one of them can cut the file.
    built.sort_by_key(|built| built.kind);
    if let Some(most) = settings.max {
        let before = built.len();
        built = choose(built, most, statistics::random("pairs/max", settings.seed));
        stats.skipped("all", "over_max", before - built.len());
    }
    if built.is_empty() {
        return Err(stats.why_none());
    }
    stats.add_pairs(&built);
    let pairs: Vec<Pair> = built.into_iter().map(|built| built.pair).collect();
    write_pairs(&ctx.out.join("pairs.jsonl"), &pairs)?;
    let root = image_root(settings, ctx);
    write_meta(
        &ctx.out.join("meta.json"),
        &[("prefab_pairs".into(), data_set(&root, pairs.len()))],
    )?;
    stats.write(&ctx.out.join("stats.csv"))?;
    ctx.progress.report(1, 1, format_args!("{} pairs", pairs.len()));
    Ok(())
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
        Some(base) => Ok(Config::load(base)?.template),
        None => Ok("plain".to_owned()),
    }
}

/// Where pictures lie, seen from this artifact's payload: beside the pairs where they came along,
/// else in the corpus' payload. Both payloads are two folders below the store.
fn image_root(settings: &Pairs, ctx: &StageContext) -> String {
    if settings.import.is_some() {
        return ".".to_owned();
    }
    let corpus = ctx.input("corpus");
    let mut parts: Vec<_> =
        corpus.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
    parts.reverse();
    format!("../../{}", parts.join("/"))
}

/// MMPR's entry for these pairs.
fn data_set(root: &str, length: usize) -> DataSet {
    DataSet {
        root: root.to_owned(),
        annotation: "pairs.jsonl".to_owned(),
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
