//! Pictures as pre-projector features: looked up where the vision tower is
//! frozen and its features are cached, encoded otherwise.

use crate::data::image;
use crate::error::Context;
use crate::model::Vlm;
use crate::run::stage::StageContext;
use crate::{Error, Result};
use safetensors::tensor::SafeTensors;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// Where the features of a split's pictures come from.
#[derive(Debug)]
pub struct Pictures {
    source: Source,
    device: Device,
}

#[derive(Debug)]
enum Source {
    /// `[images, tokens, 4·vision_width]` and the row of each path.
    Cached { features: Tensor, rows: HashMap<String, i64> },
    /// Folders to look in, first hit wins; whether the encoding carries a gradient.
    Files { roots: Vec<PathBuf>, trains: bool },
}

impl Pictures {
    /// The pictures `wanted` of one split: from the `features` artifact where
    /// the stage has one, the tower is frozen and all of them are in it.
    ///
    /// # Errors
    ///
    /// If the artifact is damaged.
    pub fn open<'a>(
        ctx: &StageContext,
        split: &str,
        trains_vision: bool,
        wanted: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self> {
        let wanted: BTreeSet<&str> = wanted.into_iter().collect();
        if let Some(folder) = ctx.inputs.get("features").filter(|_| !trains_vision)
            && let Some(source) = cached(folder, split, &wanted)?
        {
            return Ok(Self { source, device: ctx.device });
        }
        let trains = trains_vision;
        let source = Source::Files { roots: image_roots(ctx)?, trains };
        tracing::info!(
            "{} pictures are encoded once a pass{}",
            wanted.len(),
            if trains { ", with gradient" } else { "" }
        );
        Ok(Self { source, device: ctx.device })
    }

    /// Features held in memory, a row a path.
    pub fn in_memory(features: Tensor, paths: &[String], device: Device) -> Self {
        let rows = rows_of(paths);
        Self { source: Source::Cached { features, rows }, device }
    }

    /// Features of those pictures, in that order: `[tiles, tokens, 4·vision_width]`.
    ///
    /// # Errors
    ///
    /// If a picture cannot be read.
    pub fn features(&self, model: &Vlm, paths: &[&str]) -> Result<Tensor> {
        match &self.source {
            Source::Cached { features, rows } => {
                let at: Vec<i64> = paths
                    .iter()
                    .map(|path| {
                        rows.get(*path).copied().ok_or_else(|| {
                            Error::new(format!("picture `{path}` has no cached features"))
                        })
                    })
                    .collect::<Result<_>>()?;
                Ok(features.index_select(0, &Tensor::from_slice(&at)).to_device(self.device))
            }
            Source::Files { roots, trains } => {
                let pixels: Vec<Tensor> =
                    paths.iter().map(|path| pixels(roots, path, model)).collect::<Result<_>>()?;
                if pixels.is_empty() {
                    let width = model.config.feature_width() as i64;
                    return Ok(Tensor::zeros([0, 0, width], (Kind::Float, self.device)));
                }
                let pixels = Tensor::stack(&pixels, 0).to_device(self.device); // [tiles, 3, side, side]
                let _no_grad = (!trains).then(tch::no_grad_guard);
                Ok(model.image_features(&pixels))
            }
        }
    }
}

/// Pixels of a picture below the first root that has it: `[3, side, side]`.
fn pixels(roots: &[PathBuf], path: &str, model: &Vlm) -> Result<Tensor> {
    let file = roots
        .iter()
        .map(|root| root.join(path))
        .find(|file| file.exists())
        .ok_or_else(|| Error::new(format!("picture `{path}` is in none of {roots:?}")))?;
    image::pixels(&file, model.config.image_side)
}

/// The corpus, and the root that imported pairs name.
fn image_roots(ctx: &StageContext) -> Result<Vec<PathBuf>> {
    let mut roots: Vec<PathBuf> = ctx.inputs.get("corpus").cloned().into_iter().collect();
    if let Some(pairs) = ctx.inputs.get("pairs") {
        let meta = pairs.join("meta.json");
        if let Ok(text) = std::fs::read_to_string(&meta) {
            let parsed: BTreeMap<String, serde_json::Value> =
                serde_json::from_str(&text).with_context(|| meta.display().to_string())?;
            let named = parsed.values().filter_map(|entry| entry["root"].as_str());
            roots.extend(named.map(|root| pairs.join(root)));
        }
    }
    Ok(roots)
}

fn cached(folder: &Path, split: &str, wanted: &BTreeSet<&str>) -> Result<Option<Source>> {
    let doing = || format!("reading features in `{}`", folder.display());
    let index = std::fs::read(folder.join("index.json")).with_context(doing)?;
    let mut index: BTreeMap<String, Vec<String>> =
        serde_json::from_slice(&index).with_context(doing)?;
    let Some(paths) = index.remove(split) else { return Ok(None) };
    let rows = rows_of(&paths);
    if wanted.iter().any(|path| !rows.contains_key(*path)) {
        return Ok(None);
    }
    let bytes = std::fs::read(folder.join("features.safetensors")).with_context(doing)?;
    let file = SafeTensors::deserialize(&bytes).with_context(doing)?;
    let view = file.tensor(split).with_context(doing)?;
    let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
    if shape.first() != Some(&(paths.len() as i64)) {
        return Err(Error::new(format!("{}: index and tensor differ in rows", doing()))
            .hint("remove the features artifact; the next run computes it again"));
    }
    let features =
        Tensor::f_from_data_size(view.data(), &shape, Kind::Float).with_context(doing)?;
    Ok(Some(Source::Cached { features, rows }))
}

fn rows_of(paths: &[String]) -> HashMap<String, i64> {
    paths.iter().enumerate().map(|(row, path)| (path.clone(), row as i64)).collect()
}
