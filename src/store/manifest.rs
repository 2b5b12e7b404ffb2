//! What an artifact says about itself: `stage.toml`, and `payload.b3`, a
//! checksum a file in the format of `b3sum` (so `b3sum -c ../payload.b3` inside
//! `payload/` checks it without Prefab).

use crate::error::{Context, Error, Result};
use crate::plan::Stage;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// BLAKE3 of every payload file by relative path.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Manifest(pub BTreeMap<String, String>);

impl Manifest {
    /// Hashes every file below `payload`.
    ///
    /// # Errors
    ///
    /// If a file cannot be read.
    pub fn of(payload: &Path) -> Result<Self> {
        let (files, _) = super::disk::walk(payload)?;
        Self::hash(payload, &files)
    }

    /// Hashes the given files.
    pub(super) fn hash(payload: &Path, files: &[String]) -> Result<Self> {
        let hash = |file: &String| {
            let sum = hash_file(&payload.join(file))?;
            Ok((file.clone(), sum))
        };
        files.par_iter().map(hash).collect::<Result<_>>().map(Self)
    }

    /// The text of `payload.b3`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (file, sum) in &self.0 {
            writeln!(text, "{sum}  {file}").expect("a string takes every write");
        }
        text
    }

    /// Reads the text of `payload.b3`; `None` where a line is not `SUM  FILE`.
    pub fn parse(text: &str) -> Option<Self> {
        text.lines()
            .map(|line| line.split_once("  ").map(|(sum, file)| (file.into(), sum.into())))
            .collect::<Option<_>>()
            .map(Self)
    }
}

/// BLAKE3 of one file, in hexadecimal.
fn hash_file(path: &Path) -> Result<String> {
    let doing = || format!("reading `{}`", path.display());
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::open(path).with_context(doing)?).with_context(doing)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// An input as it was when the artifact was made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Input {
    /// Its folder name in the store.
    pub key: String,
    /// Its [`Record::checksum`].
    pub checksum: String,
}

/// `stage.toml`: where an artifact comes from.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// Which stage made it.
    pub stage: Stage,
    /// The stage's version: what its settings meant.
    pub version: u32,
    /// Its folder name in the store.
    pub key: String,
    /// BLAKE3 of `payload.b3`: the same for the same bytes, whoever made them.
    pub checksum: String,
    /// Number of payload files.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
    /// When it was finished, in UTC.
    pub finished: String,
    /// Seconds from start to finish, since the last checkpoint where the work was resumed.
    pub wall_s: f64,
    /// Largest resident memory of the worker.
    pub peak_gib: f64,
    /// `cpu`, or the card and its compute capability.
    pub device: String,
    /// Threads of the worker.
    pub threads: usize,
    /// Prefab's version.
    pub prefab: String,
    /// `git describe --always --dirty` of the folder it was run in.
    pub commit: String,
    /// libtorch's version.
    pub libtorch: String,
    /// What it was made from, by role.
    #[serde(default)]
    pub inputs: BTreeMap<String, Input>,
    /// The slice of the settings that it depends on, by table.
    #[serde(default)]
    pub settings: toml::Table,
}

impl Record {
    /// Where an artifact's folder has it.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join("stage.toml")
    }

    /// Reads `stage.toml` of an artifact's folder.
    ///
    /// # Errors
    ///
    /// If it is missing or not a record.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = Self::path(folder);
        let doing = || format!("reading `{}`", path.display());
        let text = std::fs::read_to_string(&path).with_context(doing)?;
        toml::from_str(&text).map_err(|error| Error::new(error.message())).with_context(doing)
    }
}

/// JSON as TOML; `null`, which TOML has no word for, is left out.
pub(crate) fn toml_of(value: &serde_json::Value) -> Option<toml::Value> {
    use serde_json::Value;
    Some(match value {
        Value::Null => return None,
        Value::Bool(yes) => toml::Value::Boolean(*yes),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => toml::Value::Integer(whole),
            None => toml::Value::Float(number.as_f64()?),
        },
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Array(list) => toml::Value::Array(list.iter().filter_map(toml_of).collect()),
        Value::Object(table) => toml::Value::Table(table_of(table)),
    })
}

/// A JSON object as a TOML table.
pub(crate) fn table_of(object: &serde_json::Map<String, serde_json::Value>) -> toml::Table {
    object.iter().filter_map(|(key, value)| Some((key.clone(), toml_of(value)?))).collect()
}
