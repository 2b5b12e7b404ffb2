//! Pictures as pre-projector features: looked up where the vision tower is frozen and its
//! features are cached, encoded otherwise.

use super::features::{self, Features, together};
use super::{Config, Vlm};
use crate::data::image::{Tiling, View, tiles_of};
use crate::data::pairs::read_meta;
use crate::spec::eval::Split;
use crate::spec::train::Precision;
use crate::stage::StageContext;
use crate::{Error, Result};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::PathBuf;
use tch::{Device, Kind, Tensor};

/// Where the features of a split's pictures come from.
pub struct Pictures {
    source: Source,
    tiling: Tiling,
    device: Device,
}

enum Source {
    /// The features artifact of a split, mapped into memory.
    Artifact { features: Features, split: Split },
    /// `[pictures, image_tokens, 4·vision_width]` and the row of each path: one tile each.
    Memory { features: Tensor, rows: HashMap<String, i64> },
    /// Folders to look in, first hit wins; the encoding of a tower that trains carries a gradient.
    Files { roots: Vec<PathBuf>, tower: Tower },
}

/// Whether the vision tower learns from what its pictures are for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tower {
    /// It stays as it is: a picture is encoded once.
    Frozen,
    /// It learns: a picture is encoded whenever it is seen, with gradient.
    Trains,
}

/// How many tiles pictures have: what [`Pictures`] know of it without a tensor, for threads to
/// share.
#[derive(Clone, Copy)]
pub(crate) enum Counter<'a> {
    Artifact { features: &'a Features, split: Split },
    One,
    Files { roots: &'a [PathBuf], tiling: &'a Tiling },
}

impl Counter<'_> {
    /// As [`Pictures::tiles`].
    pub(crate) fn tiles(self, view: &View) -> Result<usize> {
        match self {
            Self::Artifact { features, split } => Ok(features.rows_of(split, view)?.len()),
            Self::Files { roots, tiling } if view.max_tiles != 1 => {
                features::tiles_in(&find(roots, &view.path)?, view, tiling)
            }
            Self::One | Self::Files { .. } => Ok(1),
        }
    }
}

/// The features of some questions' pictures, and which rows are whose.
#[derive(Debug)]
pub struct Seen {
    /// `[rows, image_tokens, 4·vision_width]`.
    pub features: Tensor,
    /// Rows of each question, in order.
    pub tiles: Vec<Range<usize>>,
    /// Tiles of each picture of each question.
    pub counts: Vec<Vec<usize>>,
}

impl Pictures {
    /// The pictures `wanted` of one split, as a model of this configuration sees them: from
    /// the `features` artifact where the stage has one, the tower is frozen and all of them
    /// are in it.
    ///
    /// # Errors
    ///
    /// If the artifact is damaged.
    pub fn open<'a>(
        ctx: &StageContext,
        config: &Config,
        split: Split,
        tower: Tower,
        wanted: impl IntoIterator<Item = &'a View>,
    ) -> Result<Self> {
        let wanted: BTreeSet<&View> = wanted.into_iter().collect();
        Self::of(ctx, "features", config, split, tower, wanted)
    }

    /// Those of benchmarks' own files, as [`Self::open`] finds a split's.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn of_benchmarks<'a>(
        ctx: &StageContext,
        config: &Config,
        wanted: impl IntoIterator<Item = &'a View>,
    ) -> Result<Self> {
        let wanted: BTreeSet<&View> = wanted.into_iter().collect();
        Self::of(ctx, "benchmark_features", config, Split::Test, Tower::Frozen, wanted)
    }

    fn of(
        ctx: &StageContext,
        role: &str,
        config: &Config,
        split: Split,
        tower: Tower,
        wanted: BTreeSet<&View>,
    ) -> Result<Self> {
        if let Some(folder) = ctx.inputs.get(role).filter(|_| tower == Tower::Frozen) {
            let features = Features::open(folder)?;
            // Imported pairs bring pictures of their own, which have no features.
            if wanted.iter().all(|view| features.rows_of(split, view).is_ok()) {
                let source = Source::Artifact { features, split };
                return Ok(Self { source, tiling: config.tiling(), device: ctx.device });
            }
        }
        tracing::info!(
            "{} pictures are encoded once a pass{}",
            wanted.len(),
            if tower == Tower::Trains { ", with gradient" } else { "" }
        );
        Self::files(ctx, config, tower)
    }

    /// Pictures that go through the model's own tower whenever they are seen.
    ///
    /// # Errors
    ///
    /// If the meta.json of the pairs cannot be read.
    pub fn files(ctx: &StageContext, config: &Config, tower: Tower) -> Result<Self> {
        let source = Source::Files { roots: image_roots(ctx)?, tower };
        Ok(Self { source, tiling: config.tiling(), device: ctx.device })
    }

    /// Features held in memory, one row for each path.
    pub fn in_memory(features: Tensor, paths: &[String], config: &Config) -> Self {
        let rows = (0..).zip(paths).map(|(row, path)| (path.clone(), row)).collect();
        let device = features.device();
        Self { source: Source::Memory { features, rows }, tiling: config.tiling(), device }
    }

    /// How this model's pictures become tiles.
    pub fn tiling(&self) -> &Tiling {
        &self.tiling
    }

    /// How many tiles a picture has.
    ///
    /// # Errors
    ///
    /// If it is not there, or has no readable header.
    pub fn tiles(&self, view: &View) -> Result<usize> {
        self.counter().tiles(view)
    }

    /// What [`Self::tiles`] goes by.
    pub(crate) fn counter(&self) -> Counter<'_> {
        match &self.source {
            Source::Artifact { features, split } => Counter::Artifact { features, split: *split },
            Source::Memory { .. } => Counter::One,
            Source::Files { roots, .. } => Counter::Files { roots, tiling: &self.tiling },
        }
    }

    /// Features of those pictures in fp32, in that order: `[tiles, tokens, 4·vision_width]`.
    ///
    /// # Errors
    ///
    /// If a picture cannot be read.
    pub fn features(&self, model: &Vlm, views: &[&View]) -> Result<Tensor> {
        self.features_in(model, views, Precision::Fp32)
    }

    /// The same, with the matrix products of a tower that trains in `precision`. A frozen
    /// tower's are in the precision that the model answers in, wherever they are made.
    ///
    /// # Errors
    ///
    /// If a picture cannot be read.
    pub fn features_in(
        &self,
        model: &Vlm,
        views: &[&View],
        precision: Precision,
    ) -> Result<Tensor> {
        match &self.source {
            Source::Artifact { features, split } => {
                let rows: Vec<Range<usize>> = views
                    .iter()
                    .map(|view| features.rows_of(*split, view))
                    .collect::<Result<_>>()?;
                Ok(features.rows(*split, rows.into_iter().flatten()).to_device(self.device))
            }
            Source::Memory { features, rows } => {
                let at: Vec<i64> = views.iter().map(|view| rows[&view.path]).collect();
                let at = Tensor::from_slice(&at).to_device(features.device());
                Ok(features.index_select(0, &at))
            }
            Source::Files { roots, tower } => {
                let file = |view: &&View| Ok((find(roots, &view.path)?, view.max_tiles));
                let files: Vec<(PathBuf, usize)> = views.iter().map(file).collect::<Result<_>>()?;
                self.encode(model, &files, (*tower == Tower::Trains).then_some(precision))
            }
        }
    }

    /// Files through the tower: with gradient and in one batch where it trains, else a few
    /// tiles at a time.
    fn encode(
        &self,
        model: &Vlm,
        files: &[(PathBuf, usize)],
        trains: Option<Precision>,
    ) -> Result<Tensor> {
        let config = &model.config;
        if files.is_empty() {
            let size = [0, config.image_tokens as i64, config.feature_width() as i64];
            return Ok(Tensor::zeros(size, (Kind::Float, self.device)));
        }
        if let Some(precision) = trains {
            let (pixels, _) = tiles_of(files, &self.tiling)?; // [tiles, 3, side, side]
            return Ok(model.image_features_in(&pixels.to_device(self.device), precision));
        }
        let _no_grad = tch::no_grad_guard();
        let mut parts = Vec::new();
        for files in together(files, config) {
            let (pixels, _) = tiles_of(files, &self.tiling)?;
            parts.push(model.image_features_in(&pixels.to_device(self.device), config.precision));
        }
        Ok(Tensor::cat(&parts, 0))
    }

    /// What a model sees of some questions' pictures. Those about the same pictures share rows.
    ///
    /// # Errors
    ///
    /// A picture that has no features or cannot be read.
    pub fn see_as(
        &self,
        model: &Vlm,
        questions: impl IntoIterator<Item = Vec<View>>,
    ) -> Result<Seen> {
        let (mut views, mut tiles, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        let mut first: HashMap<Vec<View>, usize> = HashMap::new();
        let mut rows = 0;
        for shown in questions {
            if let Some(&alike) = first.get(&shown) {
                tiles.push(Range::clone(&tiles[alike]));
                counts.push(Vec::clone(&counts[alike]));
                continue;
            }
            first.insert(shown.clone(), tiles.len());
            let each: Vec<usize> =
                shown.iter().map(|view| self.tiles(view)).collect::<Result<_>>()?;
            let start = rows;
            rows += each.iter().sum::<usize>();
            tiles.push(start..rows);
            counts.push(each);
            views.extend(shown);
        }
        let features = self.features(model, &views.iter().collect::<Vec<_>>())?;
        Ok(Seen { features, tiles, counts })
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

/// The corpus, benchmarks' files, and the root that imported pairs name.
fn image_roots(ctx: &StageContext) -> Result<Vec<PathBuf>> {
    let folders = ["corpus", "benchmarks"].into_iter().filter_map(|role| ctx.inputs.get(role));
    let mut roots: Vec<PathBuf> = folders.cloned().collect();
    if let Some(pairs) = ctx.inputs.get("pairs") {
        let meta = pairs.join("meta.json");
        if meta.exists() {
            roots.extend(read_meta(&meta)?.into_iter().map(|(_, set)| pairs.join(set.root)));
        }
    }
    Ok(roots)
}
