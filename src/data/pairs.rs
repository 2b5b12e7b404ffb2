//! Preference pairs on disk, as MMPR has them: JSONL of [`Pair`](super::record::Pair)s, and a
//! meta.json that names data sets (Wang et al. 2024, arXiv:2411.10442; the
//! layout of the OpenGVLab/MMPR data card).

use crate::error::{Context, Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One data set of a meta.json.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct DataSet {
    /// Folder that image paths are relative to.
    pub root: String,
    /// JSONL of pairs.
    pub annotation: String,
    /// Whether InternVL's trainer recompresses pictures at random.
    #[serde(default)]
    pub data_augment: bool,
    /// Most tiles of a picture, where this data set has its own limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_dynamic_patch: Option<usize>,
    /// Passes over this data set: a whole number, or a share below one.
    #[serde(default = "once")]
    pub repeat_time: serde_json::Number,
    /// Number of pairs, where the file says it: InternVL's trainer for preferences counts itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
}

fn once() -> serde_json::Number {
    1.into()
}

/// A meta.json: data sets by name, in file order.
pub type Meta = Vec<(String, DataSet)>;

/// Reads a meta.json.
///
/// # Errors
///
/// Invalid JSON (one published file has a trailing comma), or a data set
/// without root or annotation, named.
pub fn read_meta(path: &Path) -> Result<Meta> {
    let reading = || format!("reading {}", path.display());
    let text = std::fs::read_to_string(path).with_context(reading)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let table: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).with_context(reading).map_err(|error| {
            error.hint("a meta.json is one JSON object, without a comma after its last entry")
        })?;
    table
        .into_iter()
        .map(|(name, entry)| match serde_json::from_value(entry) {
            Ok(entry) => Ok((name, entry)),
            Err(error) => {
                Err(Error::new(format!("{}: data set `{name}`: {error}", path.display())))
            }
        })
        .collect()
}

/// Writes a meta.json.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write_meta(path: &Path, meta: &[(String, DataSet)]) -> Result<()> {
    let writing = || format!("writing {}", path.display());
    let table: serde_json::Map<String, serde_json::Value> = meta
        .iter()
        .map(|(name, entry)| Ok((name.clone(), serde_json::to_value(entry)?)))
        .collect::<serde_json::Result<_>>()
        .with_context(writing)?;
    let text = serde_json::to_string_pretty(&table).with_context(writing)?;
    std::fs::write(path, text + "\n").with_context(writing)
}

/// Where a data set's annotation file lies: as written, or relative to the
/// meta.json where that exists.
pub fn annotation_path(meta: &Path, entry: &DataSet) -> PathBuf {
    let beside = meta.parent().unwrap_or(Path::new(".")).join(&entry.annotation);
    if beside.exists() { beside } else { PathBuf::from(&entry.annotation) }
}
