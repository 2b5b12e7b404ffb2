//! Pictures as pre-projector features: looked up where the vision tower is
//! frozen and its features are cached, encoded otherwise.

use crate::data::image;
use crate::error::Context;
use crate::model::{Features, Vlm};
use crate::run::stage::StageContext;
use crate::spec::eval::Split;
use crate::spec::train::Precision;
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// Where the features of a split's pictures come from.
pub struct Pictures {
    source: Source,
    device: Device,
}

enum Source {
    /// The features artifact of a split, mapped into memory.
    Artifact { features: Features, split: Split },
    /// `[pictures, image_tokens, 4·vision_width]` and the row of each path.
    Memory { features: Tensor, rows: HashMap<String, i64> },
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
        split: Split,
        trains_vision: bool,
        wanted: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self> {
        let wanted: BTreeSet<&str> = wanted.into_iter().collect();
        if let Some(folder) = ctx.inputs.get("features").filter(|_| !trains_vision) {
            let features = Features::open(folder)?;
            // Imported pairs bring pictures of their own, which have no features.
            if wanted.iter().all(|path| features.index_of(split, path).is_ok()) {
                let source = Source::Artifact { features, split };
                return Ok(Self { source, device: ctx.device });
            }
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

    /// Features held in memory, one row for each path.
    pub fn in_memory(features: Tensor, paths: &[String], device: Device) -> Self {
        let rows = (0..).zip(paths).map(|(row, path)| (path.clone(), row)).collect();
        Self { source: Source::Memory { features, rows }, device }
    }

    /// Features of those pictures in fp32, in that order: `[tiles, tokens, 4·vision_width]`.
    ///
    /// # Errors
    ///
    /// If a picture cannot be read.
    pub fn features(&self, model: &Vlm, paths: &[&str]) -> Result<Tensor> {
        self.features_in(model, paths, Precision::Fp32)
    }

    /// The same, with the matrix products of a tower that trains in `precision`. A frozen
    /// tower's features are fp32 wherever they come from.
    ///
    /// # Errors
    ///
    /// If a picture cannot be read.
    pub fn features_in(&self, model: &Vlm, paths: &[&str], precision: Precision) -> Result<Tensor> {
        match &self.source {
            Source::Artifact { features, split } => {
                let rows: Vec<usize> = paths
                    .iter()
                    .map(|path| features.index_of(*split, path))
                    .collect::<Result<_>>()?;
                Ok(features.rows(*split, &rows).to_device(self.device))
            }
            Source::Memory { features, rows } => {
                let at: Vec<i64> = paths.iter().map(|path| rows[*path]).collect();
                Ok(features.index_select(0, &Tensor::from_slice(&at)).to_device(self.device))
            }
            Source::Files { roots, trains } => {
                if paths.is_empty() {
                    let size =
                        [0, model.config.image_tokens as i64, model.config.feature_width() as i64];
                    return Ok(Tensor::zeros(size, (Kind::Float, self.device)));
                }
                let files: Vec<PathBuf> =
                    paths.iter().map(|path| find(roots, path)).collect::<Result<_>>()?;
                let pixels = image::batch(Path::new(""), &files, model.config.image_side)?;
                let pixels = pixels.to_device(self.device); // [tiles, 3, side, side]
                if *trains {
                    return Ok(model.image_features_in(&pixels, precision));
                }
                let _no_grad = tch::no_grad_guard();
                Ok(model.image_features(&pixels))
            }
        }
    }
}

/// A picture's file below the first root that has it.
fn find(roots: &[PathBuf], path: &str) -> Result<PathBuf> {
    let files = roots.iter().map(|root| root.join(path));
    files.into_iter().find(|file| file.exists()).ok_or_else(|| {
        let roots: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
        Error::new(format!("picture `{path}` is not below {}", roots.join(" or ")))
    })
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
