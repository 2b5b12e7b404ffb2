//! The features stage: every picture goes through the frozen vision tower once.
//!
//! Writes features.safetensors, one f32 tensor a split, `[images, image_tokens,
//! 4·vision_width]` (after pixel shuffle, before the projector), and index.json, the
//! picture path of each row. Rows are in order of first appearance in the split's JSONL.
//! [`Features`] maps the file: only the rows that are asked for are read.

use super::export::{self, Entry};
use super::mapped::Mapped;
use super::{Config, Vlm};
use crate::data::image;
use crate::data::questions::{Pictures, read_split};
use crate::error::Context;
use crate::run::stage::StageContext;
use crate::spec::eval::Split;
use crate::spec::model::Model;
use crate::{Error, Result};
use safetensors::tensor::Dtype;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Splits that have features; the base split's pictures are used once, by the base stage itself.
const SPLITS: [Split; 3] = [Split::Train, Split::Validation, Split::Test];
/// Pictures that are encoded together.
const BATCH: usize = 64;
/// The payload's files.
const TENSORS: &str = "features.safetensors";
const INDEX: &str = "index.json";

/// The features stage.
///
/// # Errors
///
/// Inputs that cannot be read, a picture that cannot be decoded or has another size than the
/// model's.
pub fn run(_model: &Model, ctx: &StageContext) -> Result<()> {
    let _no_grad = tch::no_grad_guard();
    let corpus = ctx.input("corpus");
    let vlm = Vlm::load(ctx.input("base"), ctx.device)?;
    let mut splits = Vec::new();
    for split in SPLITS {
        // A corpus of files may have no validation split.
        if corpus.join(format!("{}.jsonl", split.name())).exists() {
            splits.push((split, Pictures::of(&read_split(corpus, split)?)));
        }
    }
    let total: usize = splits.iter().map(|(_, pictures)| pictures.paths().len()).sum();
    let done = Cell::new(0);
    let row = [vlm.config.image_tokens as i64, vlm.config.feature_width() as i64];
    let entries = splits.iter().map(|(split, pictures)| {
        let (vlm, done) = (&vlm, &done);
        Entry {
            name: split.name().to_owned(),
            shape: vec![pictures.paths().len() as i64, row[0], row[1]],
            kind: Kind::Float,
            write: Box::new(move |out| {
                for paths in pictures.paths().chunks(BATCH) {
                    let pixels = image::batch(corpus, paths, vlm.config.image_side)?;
                    let features = vlm.image_features(&pixels.to_device(vlm.device()));
                    export::write_values(&features, out)?;
                    done.set(done.get() + paths.len());
                    ctx.progress.report(done.get() as u64, total as u64, "pictures");
                }
                Ok(())
            }),
        }
    });
    export::write(&ctx.out.join(TENSORS), entries.collect())?;
    let index: BTreeMap<&str, &[String]> =
        splits.iter().map(|(split, pictures)| (split.name(), pictures.paths())).collect();
    let index = serde_json::to_string(&index).expect("lists of paths print");
    std::fs::write(ctx.out.join(INDEX), index + "\n").context("writing index.json")
}

/// The features artifact, mapped into memory.
pub struct Features {
    file: Mapped,
    splits: BTreeMap<Split, HashMap<String, usize>>,
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
        let index: BTreeMap<String, Vec<String>> =
            serde_json::from_slice(&index).with_context(doing)?;
        let file = Mapped::open(&dir.join(TENSORS))?;
        let mut splits = BTreeMap::new();
        for split in SPLITS {
            let Some(paths) = index.get(split.name()) else { continue };
            let (dtype, shape, _) = file.tensor(split.name())?;
            if dtype != Dtype::F32 || shape.len() != 3 || shape[0] != paths.len() as i64 {
                return Err(Error::new(format!(
                    "`{}` of `{}` is {dtype:?} {shape:?} for {} pictures",
                    split.name(),
                    file.path.display(),
                    paths.len()
                )));
            }
            let rows = paths.iter().cloned().zip(0..).collect();
            splits.insert(split, rows);
        }
        Ok(Self { file, splits })
    }

    /// The row of a picture.
    ///
    /// # Errors
    ///
    /// A picture that has none: the features are of another corpus.
    pub fn index_of(&self, split: Split, image_path: &str) -> Result<usize> {
        self.splits.get(&split).and_then(|rows| rows.get(image_path)).copied().ok_or_else(|| {
            Error::new(format!(
                "picture `{image_path}` of the {} split has no features in `{}`",
                split.name(),
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
    /// If a row is beyond the split: rows come from [`Self::index_of`].
    pub fn rows(&self, split: Split, rows: &[usize]) -> Tensor {
        let (_, shape, bytes) = self.file.tensor(split.name()).expect("an index row has a tensor");
        let row_bytes = (4 * shape[1] * shape[2]) as usize;
        let mut gathered = Vec::with_capacity(rows.len() * row_bytes);
        for &row in rows {
            gathered.extend_from_slice(&bytes[row * row_bytes..(row + 1) * row_bytes]);
        }
        let size = [rows.len() as i64, shape[1], shape[2]];
        Tensor::from_data_size(&gathered, &size, Kind::Float)
    }
}

/// Image features of some pictures of a corpus: from the artifact where there is one, else by
/// the model's own vision tower.
///
/// # Shapes
///
/// → `[pictures, image_tokens, 4·vision_width]` f32 on the model's device.
///
/// # Errors
///
/// A picture without features, or one that cannot be decoded.
pub fn of_pictures(
    cached: Option<&Features>,
    model: &Vlm,
    corpus: &Path,
    split: Split,
    paths: &[&str],
) -> Result<Tensor> {
    let _no_grad = tch::no_grad_guard();
    if let Some(features) = cached {
        let rows: Result<Vec<usize>> =
            paths.iter().map(|path| features.index_of(split, path)).collect();
        return Ok(features.rows(split, &rows?).to_device(model.device()));
    }
    let mut parts = vec![none(&model.config, model.device())];
    for batch in paths.chunks(BATCH) {
        let pixels = image::batch(corpus, batch, model.config.image_side)?;
        parts.push(model.image_features(&pixels.to_device(model.device())));
    }
    Ok(Tensor::cat(&parts, 0))
}

/// Features of no picture.
fn none(config: &Config, device: Device) -> Tensor {
    let size = [0, config.image_tokens as i64, config.feature_width() as i64];
    Tensor::zeros(size, (Kind::Float, device))
}
