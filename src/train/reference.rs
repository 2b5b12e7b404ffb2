//! The reference stage: summed log-probability and token count of both answers
//! of every pair under the model that the policies start from, computed once a
//! sweep.

use super::batch::{self, PairRow, Pairs, REFERENCE_COLUMNS};
use crate::data::tokenizer::Tokenizer;
use crate::error::Context;
use crate::model::{Pictures, Storage, Tower, Vlm};
use crate::spec::model::Model;
use crate::spec::train::Train;
use crate::stage::StageContext;
use crate::{Error, Result};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// File beside reference.csv that names the weights it was computed under.
pub const FINGERPRINT: &str = "model.blake3";

/// Pairs between two files in the work folder.
const CHUNK: usize = 512;

/// Tokens of one forward pass.
const TOKENS: usize = Train::REFERENCE_TOKENS;

/// Computes reference.csv from `base` (or a later round's `model`), `pairs`, `corpus`, `features`.
///
/// Chunks of pairs are kept in the work folder: a killed stage goes on after
/// the last whole one.
///
/// # Errors
///
/// A damaged input, pairs without answers, or what the disk says.
pub fn run(_: &Model, train: &Train, ctx: &StageContext) -> Result<()> {
    let start = ctx.inputs.get("model").or_else(|| ctx.inputs.get("base"));
    let start = start.expect("the plan gives this stage a `base` or a `model`");
    let tokenizer = Tokenizer::load(start)?;
    let model = Vlm::load_as(start, ctx.device, Storage::AsStored)?;
    model.set_trainable(&[]);
    let pairs = Pairs::open(ctx, &model.config, &tokenizer, Tower::Frozen, train.max_tokens)?;

    let mut text = format!("{REFERENCE_COLUMNS}\n");
    for first in (0..pairs.len()).step_by(CHUNK) {
        let end = (first + CHUNK).min(pairs.len());
        text += &ctx.part(&format!("reference-{first:08}.csv"), || {
            chunk(&model, &pairs.get(first..end)?, first, &pairs.pictures, train)
        })?;
        ctx.progress.report(end as u64, pairs.len() as u64, "pairs");
    }
    let doing = "writing the reference table";
    fs::write(ctx.out.join("reference.csv"), text).context(doing)?;
    fs::write(ctx.out.join(FINGERPRINT), fingerprint(start)? + "\n").context(doing)
}

/// The lines of some pairs, cut into forward passes of like size.
fn chunk(
    model: &Vlm,
    rows: &[PairRow],
    first: usize,
    pictures: &Pictures,
    train: &Train,
) -> Result<String> {
    let _no_grad = tch::no_grad_guard();
    let mut text = String::new();
    for (at, batch) in batches(rows) {
        let refs: Vec<&PairRow> = batch.iter().collect();
        let logps = batch::logps(model, &refs, pictures, train.precision)?;
        let doing = "reading log-probabilities";
        let chosen = Vec::<f32>::try_from(&logps.chosen).context(doing)?;
        let rejected = Vec::<f32>::try_from(&logps.rejected).context(doing)?;
        for (index, row) in batch.iter().enumerate() {
            let (chosen, rejected) = (chosen[index], rejected[index]);
            let pair = first + at + index;
            if !(chosen.is_finite() && rejected.is_finite()) {
                return Err(Error::new(format!(
                    "the reference log-probability of pair {pair} is not finite: {chosen}, {rejected}"
                ))
                .hint("the model's weights are damaged: `prefab verify model` on its folder"));
            }
            let (c, r) = (row.chosen.len(), row.rejected.len());
            writeln!(text, "{pair},{chosen},{rejected},{c},{r}").expect("a string takes every row");
        }
    }
    Ok(text)
}

/// Consecutive rows of no more than [`TOKENS`] tokens together, each at least one row.
fn batches(rows: &[PairRow]) -> Vec<(usize, &[PairRow])> {
    let mut batches = Vec::new();
    let (mut first, mut tokens) = (0, 0);
    for (index, row) in rows.iter().enumerate() {
        if index > first && tokens + row.tokens() > TOKENS {
            batches.push((first, &rows[first..index]));
            (first, tokens) = (index, 0);
        }
        tokens += row.tokens();
    }
    batches.push((first, &rows[first..]));
    batches
}

/// A hash of all weight files of a Hub-style directory.
///
/// # Errors
///
/// If a file cannot be read.
pub(super) fn fingerprint(folder: &Path) -> Result<String> {
    let doing = || format!("reading the weights in `{}`", folder.display());
    let mut files: Vec<_> = fs::read_dir(folder)
        .with_context(doing)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "safetensors"))
        .collect();
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for file in files {
        let file = fs::File::open(file).with_context(doing)?;
        hasher.update_reader(file).with_context(doing)?;
    }
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_row_once_and_an_oversized_row_goes_alone() {
        let row = |tokens: usize| PairRow {
            prompt: vec![0; tokens - 2],
            images: vec![],
            tiles: vec![],
            chosen: vec![1],
            rejected: vec![1],
        };
        let rows = [row(TOKENS / 2), row(TOKENS / 2), row(10), row(2 * TOKENS), row(10)];
        let sizes: Vec<_> = batches(&rows).iter().map(|(at, rows)| (*at, rows.len())).collect();
        assert_eq!(sizes, [(0, 2), (2, 1), (3, 1), (4, 1)]);
    }
}
