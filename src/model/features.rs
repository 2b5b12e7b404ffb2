//! The features stage: every picture goes through the frozen vision tower once.
//!
//! Writes features.safetensors, one f32 tensor a split, `[tiles, image_tokens,
//! 4·vision_width]` (after pixel shuffle, before the projector; products in the precision that
//! the model answers in), and index.json, whose rows those are. Rows are in order of first appearance in the split's JSONL. A picture that
//! questions show with different limits of tiles has rows for each of them.
//! [`Features`] maps the file: only the rows that are asked for are read. A killed stage goes on
//! where it stopped.

use super::export;
use super::mapped::Mapped;
use super::{Config, Storage, Vlm};
use crate::data::image::{Tiling, View, count_of, tiles_of};
use crate::data::questions::read_split;
use crate::data::record::{Question, ours};
use crate::error::Context;
use crate::spec::eval::Split;
use crate::spec::model::Model;
use crate::stage::StageContext;
use crate::store::growing::Growing;
use crate::tasks::sources;
use crate::{Error, Result};
use safetensors::tensor::Dtype;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use tch::{Kind, Tensor};

/// Splits that have features; the base split's pictures are used once, by the base stage itself.
const SPLITS: [Split; 3] = [Split::Train, Split::Validation, Split::Test];
/// The payload's files.
const TENSORS: &str = "features.safetensors";
const INDEX: &str = "index.json";

/// Most tiles that are encoded together.
const TILES: usize = 64;
/// Most vision positions that are encoded together.
const PATCHES: usize = 8192;

/// An entry of index.json: where every picture is one tile, its path says all.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Indexed {
    Path(String),
    Tiled {
        #[serde(flatten)]
        view: View,
        tiles: usize,
    },
}

/// The features stage.
///
/// # Errors
///
/// Inputs that cannot be read, a picture that cannot be decoded.
pub fn run(_model: &Model, ctx: &StageContext) -> Result<()> {
    let _no_grad = tch::no_grad_guard();
    let corpus = ctx.input("corpus");
    let vlm = Vlm::load_as(ctx.input("base"), ctx.device, Storage::AsStored)?;
    let tiling = vlm.config.tiling();
    let mut splits = Vec::new();
    for split in SPLITS {
        // A corpus of files may have no validation split.
        if corpus.join(format!("{}.jsonl", split.name())).exists() {
            splits.push((split, views_of(corpus, split, &tiling)?));
        }
    }
    write(&splits, &vlm, ctx)?;
    let entry = |(view, tiles): &(View, usize)| match tiling.max_tiles {
        1 => Indexed::Path(view.path.clone()),
        _ => Indexed::Tiled { view: view.clone(), tiles: *tiles },
    };
    let index: BTreeMap<&str, Vec<Indexed>> = splits
        .iter()
        .map(|(split, views)| (split.name(), views.iter().map(entry).collect()))
        .collect();
    let index = serde_json::to_string(&index).expect("lists of paths print");
    std::fs::write(ctx.out.join(INDEX), index + "\n").context("writing index.json")
}

/// Encodes what is not encoded yet: a killed stage goes on behind its last batches.
fn write(splits: &[(Split, Vec<(View, usize)>)], vlm: &Vlm, ctx: &StageContext) -> Result<()> {
    let (corpus, tiling) = (ctx.input("corpus"), vlm.config.tiling());
    let tile = [vlm.config.image_tokens as i64, vlm.config.feature_width() as i64];
    let tiles = |views: &[(View, usize)]| views.iter().map(|(_, tiles)| *tiles).sum::<usize>();
    let shapes: Vec<[i64; 3]> =
        splits.iter().map(|(_, views)| [tiles(views) as i64, tile[0], tile[1]]).collect();
    let tensors = splits.iter().zip(&shapes);
    let head =
        export::header(tensors.map(|((split, _), shape)| (split.name(), &shape[..], Kind::Float)))?;
    let mut file = Growing::open(&ctx.work, TENSORS, &head)?;
    let total: usize = splits.iter().map(|(_, views)| views.len()).sum();
    let mut done = 0;
    for views in splits.iter().flat_map(|(_, views)| together(views, &vlm.config)) {
        if !file.skip((4 * tiles(views) as i64 * tile[0] * tile[1]) as u64) {
            let files = views.iter().map(|(view, _)| (corpus.join(&view.path), view.max_tiles));
            let (pixels, _) = tiles_of(&files.collect::<Vec<_>>(), &tiling)?;
            let pixels = pixels.to_device(vlm.device());
            let features = vlm.image_features_in(&pixels, vlm.config.precision); // [tiles, tokens, 4·vision_width]
            file.write(&export::numbers(&features, Kind::Float))?;
        }
        done += views.len();
        ctx.progress.report(done as u64, total as u64, "pictures");
    }
    file.finish(&ctx.out.join(TENSORS))
}

/// The pictures of a split as its questions show them, each once, with their numbers of tiles.
fn views_of(corpus: &Path, split: Split, tiling: &Tiling) -> Result<Vec<(View, usize)>> {
    let mut known = HashSet::new();
    let mut views = Vec::new();
    for question in read_split(corpus, split)? {
        for view in shown(&question, tiling) {
            if known.insert(view.clone()) {
                let tiles = tiles_in(&corpus.join(&view.path), &view, tiling)?;
                views.push((view, tiles));
            }
        }
    }
    Ok(views)
}

/// A question's pictures: cut as its benchmark was published, where the model cuts pictures at all,
/// or no finer than its data set's; else as the model says.
pub fn shown(question: &Question, tiling: &Tiling) -> Vec<View> {
    let published = question.says(ours::TILES).parse().ok().filter(|_| tiling.max_tiles > 1);
    let most = published.or_else(|| sources::tiles(question, tiling.max_tiles));
    most.map_or(*tiling, |most| tiling.up_to(most)).views(&question.images)
}

/// The pictures of some questions, in their order.
pub fn all_shown<'a>(
    questions: impl IntoIterator<Item = &'a Question>,
    config: &Config,
) -> Vec<View> {
    let tiling = config.tiling();
    questions.into_iter().flat_map(|question| shown(question, &tiling)).collect()
}

/// How many tiles a picture's file gives: no file is opened where it can be one alone.
pub(super) fn tiles_in(file: &Path, view: &View, tiling: &Tiling) -> Result<usize> {
    match view.max_tiles {
        1 => Ok(1),
        most => count_of(file, &tiling.up_to(most)),
    }
}

/// Consecutive pictures that go through the tower as one batch: as few as one, where it has
/// more tiles than are encoded together.
pub(super) fn together<'a, T>(
    pictures: &'a [(T, usize)],
    config: &Config,
) -> impl Iterator<Item = &'a [(T, usize)]> {
    let patches = config.image_tokens * config.shuffle * config.shuffle;
    let most = (PATCHES / patches).clamp(1, TILES);
    let mut rest = pictures;
    std::iter::from_fn(move || {
        let mut tiles = 0;
        let fits = rest.iter().take_while(|(_, count)| {
            tiles += count;
            tiles <= most
        });
        let count = fits.count().max(1).min(rest.len());
        let (batch, behind) = rest.split_at(count);
        rest = behind;
        (!batch.is_empty()).then_some(batch)
    })
}

/// The features artifact, mapped into memory.
pub struct Features {
    file: Mapped,
    splits: BTreeMap<Split, HashMap<View, Range<usize>>>,
}

impl Features {
    /// Opens the payload of a features stage.
    ///
    /// # Errors
    ///
    /// A file that is missing or damaged, an index that does not fit its tensor.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(INDEX);
        let doing = || format!("reading `{}`", path.display());
        let index = std::fs::read(&path).with_context(doing)?;
        let index: BTreeMap<String, Vec<Indexed>> =
            serde_json::from_slice(&index).with_context(doing)?;
        let file = Mapped::open(&dir.join(TENSORS))?;
        let mut splits = BTreeMap::new();
        for split in SPLITS {
            let Some(entries) = index.get(split.name()) else { continue };
            let (dtype, shape, _) = file.tensor(split.name())?;
            let mut end = 0;
            let mut rows = HashMap::new();
            for entry in entries {
                let (view, tiles) = match entry {
                    Indexed::Path(path) => (View { path: path.clone(), max_tiles: 1 }, 1),
                    Indexed::Tiled { view, tiles } => (view.clone(), *tiles),
                };
                rows.insert(view, end..end + tiles);
                end += tiles;
            }
            if dtype != Dtype::F32 || shape.len() != 3 || shape[0] != end as i64 {
                return Err(Error::new(format!(
                    "`{}` of `{}` is {dtype:?} {shape:?} for {end} tiles",
                    split.name(),
                    file.path.display(),
                )));
            }
            splits.insert(split, rows);
        }
        Ok(Self { file, splits })
    }

    /// The rows of a picture, one a tile.
    ///
    /// # Errors
    ///
    /// A picture that has none: the features are of another corpus.
    pub fn rows_of(&self, split: Split, view: &View) -> Result<Range<usize>> {
        self.splits.get(&split).and_then(|rows| rows.get(view)).cloned().ok_or_else(|| {
            Error::new(format!(
                "picture `{}` of the {} split has no features of {} tiles or fewer in `{}`",
                view.path,
                split.name(),
                view.max_tiles,
                self.file.path.display()
            ))
        })
    }

    /// Some rows, in the order asked for, on the CPU.
    ///
    /// # Shapes
    ///
    /// → `[rows, image_tokens, 4·vision_width]` f32.
    ///
    /// # Panics
    ///
    /// If a row is beyond the split: rows come from [`Self::rows_of`].
    pub fn rows(&self, split: Split, rows: impl IntoIterator<Item = usize>) -> Tensor {
        let (_, shape, bytes) = self.file.tensor(split.name()).expect("an index row has a tensor");
        let row_bytes = (4 * shape[1] * shape[2]) as usize;
        let mut gathered = Vec::new();
        let mut count = 0;
        for row in rows {
            gathered.extend_from_slice(&bytes[row * row_bytes..(row + 1) * row_bytes]);
            count += 1;
        }
        Tensor::from_data_size(&gathered, &[count, shape[1], shape[2]], Kind::Float)
    }
}
