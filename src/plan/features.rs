//! Whether a plan has a stage that keeps image features.

use crate::model::sizes::Row;
use crate::spec::Settings;
use crate::spec::model::Module;

/// Whether what the base's vision tower sees is computed once: it fits.
pub fn fit(settings: &Settings, limit_gib: f64) -> bool {
    gib(settings).is_none_or(|gib| gib <= limit_gib)
}

/// Whether a policy sees as its base does.
pub fn stay(settings: &Settings) -> bool {
    settings.loss.is_none() || !settings.model.train.contains(&Module::Vision)
}

/// Size of the kept features in GiB; None where it is not known before the files are read.
fn gib(settings: &Settings) -> Option<f64> {
    let corpus = &settings.corpus;
    if corpus.files.is_some() || settings.model.checkpoint.is_some() {
        return None;
    }
    let images = (corpus.train + corpus.validation + corpus.test) as f64;
    let row = Row::of(settings.model.size, &settings.model.dims);
    let (side, patch, width) = (row.image_side, row.tower.patch.max(1), row.tower.width);
    // The pixel shuffle makes one token of four patches, four times as wide: f32.
    let patches = (side / patch).pow(2) as f64;
    Some(images * patches * width as f64 * 4.0 / f64::from(1 << 30))
}
