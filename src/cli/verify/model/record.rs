//! A folder of recorded values, and its batches as sequences without padding.

use crate::error::Context;
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tch::{Device, Tensor};

/// What went in and what must come out.
pub(super) struct Record {
    pub(super) dir: PathBuf,
    /// expected.json.
    pub(super) json: Map<String, Value>,
    pub(super) inputs: BTreeMap<String, Tensor>,
    pub(super) expected: BTreeMap<String, Tensor>,
}

/// One row of a batch, its padding left out.
pub(super) struct Sample {
    /// Which row.
    pub(super) row: i64,
    /// Token ids where the attention mask is 1.
    pub(super) ids: Vec<i64>,
    /// Labels of the same positions; −100 is not supervised. Empty where none are recorded.
    pub(super) labels: Vec<i64>,
    /// Positions of the batch's rows, padding included.
    pub(super) padded: usize,
    /// Where those positions lie in the padded row.
    pub(super) places: Tensor,
    /// Which of the batch's flagged tiles stand in it.
    pub(super) tiles: Range<usize>,
}

/// What no loss looks at.
pub(super) const IGNORED: i64 = -100;

impl Record {
    pub(super) fn open(dir: &Path, device: Device) -> Result<Self> {
        let read = |name: &str| -> Result<BTreeMap<String, Tensor>> {
            let path = dir.join(name);
            let doing = || format!("reading `{}`", path.display());
            let tensors = Tensor::read_safetensors(&path).with_context(doing)?;
            Ok(tensors.into_iter().map(|(name, tensor)| (name, tensor.to_device(device))).collect())
        };
        let path = dir.join("expected.json");
        let doing = || format!("reading `{}`", path.display());
        let text = std::fs::read(&path).with_context(doing)?;
        Ok(Self {
            dir: dir.to_owned(),
            json: serde_json::from_slice(&text).with_context(doing)?,
            inputs: read("inputs.safetensors")?,
            expected: read("expected.safetensors")?,
        })
    }

    /// An input tensor.
    pub(super) fn input(&self, name: &str) -> Result<&Tensor> {
        self.inputs.get(name).ok_or_else(|| {
            Error::new(format!(
                "`{}` has no `{name}`",
                self.dir.join("inputs.safetensors").display()
            ))
        })
    }

    /// A recorded tensor, if it is there.
    pub(super) fn expected(&self, name: &str) -> Option<&Tensor> {
        self.expected.get(name)
    }

    /// Names of the recorded tensors.
    pub(super) fn tensors(&self) -> impl Iterator<Item = &str> {
        self.expected.keys().map(String::as_str)
    }

    /// Recorded tensors whose name begins so, with the rest of it.
    pub(super) fn expected_below(&self, prefix: &str) -> impl Iterator<Item = (&str, &Tensor)> {
        self.expected
            .iter()
            .filter_map(move |(name, tensor)| Some((name.strip_prefix(prefix)?, tensor)))
    }

    /// Recorded tensors `PREFIX.0`, `PREFIX.1`, …
    pub(super) fn indexed(&self, prefix: &str) -> impl Iterator<Item = (usize, &Tensor)> {
        self.expected_below(prefix)
            .filter_map(|(index, tensor)| Some((index.parse().ok()?, tensor)))
    }

    /// Which tiles of a batch are real: rows of its features.
    pub(super) fn flagged(&self, prefix: &str) -> Result<Option<Tensor>> {
        match self.inputs.get(&format!("{prefix}image_flags")) {
            None => Ok(None),
            Some(flags) => Ok(Some(flags.flatten(0, -1).eq(1).nonzero().squeeze_dim(1))),
        }
    }

    /// The rows of a batch, whichever side they are padded on. Tiles belong to the
    /// `<IMG_CONTEXT>` positions in reading order over the whole batch.
    pub(super) fn samples(
        &self,
        prefix: &str,
        image_token: i64,
        image_tokens: usize,
    ) -> Result<Vec<Sample>> {
        let named = |name: &str| format!("{prefix}{name}");
        let (ids, mask) = (self.input(&named("input_ids"))?, self.input(&named("attention_mask"))?);
        if ids.dim() != 2 || ids.size() != mask.size() {
            return Err(self.wrong(&named("input_ids"), "and its attention mask differ in shape"));
        }
        let labels = self.inputs.get(&named("labels"));
        if labels.is_some_and(|labels| labels.size() != ids.size()) {
            return Err(self.wrong(&named("labels"), "have another shape than the tokens"));
        }
        let mut samples = Vec::new();
        let mut first = 0;
        for row in 0..ids.size()[0] {
            let places = mask.get(row).eq(1).nonzero().squeeze_dim(1);
            let pick = |tensor: &Tensor| -> Vec<i64> {
                let picked = tensor.get(row).index_select(0, &places);
                Vec::try_from(picked).expect("a row of integers is a list")
            };
            let sample_ids = pick(ids);
            let images = sample_ids.iter().filter(|&&id| id == image_token).count();
            if !images.is_multiple_of(image_tokens) {
                return Err(self.wrong(
                    &named("input_ids"),
                    &format!("row {row} has {images} image tokens, a tile gives {image_tokens}"),
                ));
            }
            let tiles = first..first + images / image_tokens;
            first = tiles.end;
            samples.push(Sample {
                row,
                ids: sample_ids,
                padded: ids.size()[1] as usize,
                labels: labels.map(pick).unwrap_or_default(),
                places,
                tiles,
            });
        }
        Ok(samples)
    }

    pub(super) fn wrong(&self, name: &str, what: &str) -> Error {
        Error::new(format!(
            "`{name}` of `{}`: {what}",
            self.dir.join("inputs.safetensors").display()
        ))
    }
}

impl Sample {
    /// Supervised positions, as the position of what they predict: 1 and above.
    pub(super) fn supervised(&self) -> impl Iterator<Item = usize> {
        self.labels
            .iter()
            .enumerate()
            .skip(1)
            .filter(|(_, label)| **label != IGNORED)
            .map(|(at, _)| at)
    }

    /// The rows of a padded tensor that belong to this sample, `[tokens, …]`.
    pub(super) fn rows_of(&self, padded: &Tensor) -> Tensor {
        padded.get(self.row).index_select(0, &self.places)
    }
}
