//! What a policy sees of its questions: rows of cached features where the plan
//! gives them, else the pictures, encoded as they are needed.

use crate::data::image;
use crate::data::record::Question;
use crate::error::Context;
use crate::model::Vlm;
use crate::model::checkpoint::Mapped;
use crate::run::stage::StageContext;
use crate::spec::eval::Split;
use crate::{Error, Result};
use safetensors::Dtype;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

/// Pictures that are encoded together.
const BATCH: usize = 64;

/// Where a split's features come from.
pub enum Pictures {
    /// A file, made once for every policy with these vision weights; read row by row.
    Cached(Cached),
    /// The policy's own vision tower and the corpus artifact.
    Encoded(PathBuf),
}

/// A mapped features artifact.
pub struct Cached {
    file: Mapped,
    split: Split,
    /// Row of each picture.
    rows: HashMap<String, usize>,
}

/// The features of some questions, and which rows are whose.
#[derive(Debug)]
pub struct Seen {
    /// `[rows, image_tokens, 4·vision_width]`.
    pub features: Tensor,
    /// Rows of each question, in order.
    pub tiles: Vec<Range<usize>>,
}

impl Pictures {
    /// Those of a split: from the `features` input where there is one.
    ///
    /// # Errors
    ///
    /// A features artifact that cannot be read or lacks the split.
    pub fn open(ctx: &StageContext, split: Split) -> Result<Self> {
        match ctx.inputs.get("features") {
            Some(folder) => Ok(Self::Cached(Cached::open(folder, split)?)),
            None => Ok(Self::Encoded(ctx.input("corpus").to_path_buf())),
        }
    }

    /// The features of some questions, each picture once.
    ///
    /// # Errors
    ///
    /// A picture that has no features or cannot be read.
    pub fn of(&self, model: &Vlm, questions: &[&Question]) -> Result<Seen> {
        let mut paths: Vec<&str> = Vec::new();
        let mut tiles = Vec::with_capacity(questions.len());
        let mut first: HashMap<&[String], usize> = HashMap::new();
        for question in questions {
            // A question's pictures lie side by side; a question about the same ones shares them.
            let start = *first.entry(question.images.as_slice()).or_insert_with(|| {
                paths.extend(question.images.iter().map(String::as_str));
                paths.len() - question.images.len()
            });
            tiles.push(start..start + question.images.len());
        }
        let features = match self {
            Self::Cached(cached) => cached.gather(&paths)?.to_device(model.device()),
            Self::Encoded(corpus) => encode(model, corpus, &paths)?,
        };
        Ok(Seen { features, tiles })
    }
}

impl Cached {
    fn open(folder: &Path, split: Split) -> Result<Self> {
        let path = folder.join("index.json");
        let doing = || format!("could not read {}", path.display());
        let index = std::fs::read(&path).with_context(doing)?;
        let mut index: BTreeMap<String, Vec<String>> =
            serde_json::from_slice(&index).with_context(doing)?;
        let paths = index.remove(split.name()).unwrap_or_default();
        let file = Mapped::open(&folder.join("features.safetensors"))?;
        let (dtype, shape, _) = file.tensor(split.name())?;
        if dtype != Dtype::F32 || shape.len() != 3 || shape[0] != paths.len() as i64 {
            let (split, pictures) = (split.name(), paths.len());
            return Err(Error::new(format!(
                "features of `{split}` are {dtype:?} {shape:?} for {pictures} pictures"
            )));
        }
        Ok(Self { file, split, rows: paths.into_iter().zip(0..).collect() })
    }

    /// Some rows, `[rows, image_tokens, 4·vision_width]`.
    fn gather(&self, paths: &[&str]) -> Result<Tensor> {
        let (_, shape, bytes) = self.file.tensor(self.split.name())?;
        let row_bytes = (shape[1] * shape[2]) as usize * size_of::<f32>();
        let mut gathered = Vec::with_capacity(paths.len() * row_bytes);
        for &path in paths {
            let &row = self.rows.get(path).ok_or_else(|| {
                Error::new(format!("picture `{path}` has no features"))
                    .hint("the features were made for another corpus: run them again")
            })?;
            gathered.extend_from_slice(&bytes[row * row_bytes..(row + 1) * row_bytes]);
        }
        let size = [paths.len() as i64, shape[1], shape[2]];
        Tensor::f_from_data_size(&gathered, &size, Kind::Float).context("gathering features")
    }
}

/// Runs the vision tower over pictures.
fn encode(model: &Vlm, corpus: &Path, paths: &[&str]) -> Result<Tensor> {
    let _guard = tch::no_grad_guard();
    let batches = paths
        .chunks(BATCH)
        .map(|batch| {
            let pixels = image::batch(corpus, batch, model.config.image_side)?;
            Ok(model.image_features(&pixels.to_device(model.device())))
        })
        .collect::<Result<Vec<Tensor>>>()?;
    if batches.is_empty() {
        let size = [0, model.config.image_tokens as i64, model.config.feature_width() as i64];
        return Ok(Tensor::zeros(size, (Kind::Float, model.device())));
    }
    Ok(Tensor::cat(&batches, 0))
}
