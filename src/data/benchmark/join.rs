//! A benchmark's rows, with the fields of files that belong beside them.

use super::folder::{beginning, extension, files};
use super::{Faults, Pictures, Record, json, tsv};
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Which files a benchmark is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Format {
    /// How the name of the file begins that holds the questions, where a folder is given: any of
    /// these; the empty name is every file's.
    pub main: &'static [&'static str],
    /// How the names of files begin that make up the benchmark together.
    pub parts: &'static [&'static str],
    /// Folders inside the given one that may hold them.
    pub inside: &'static [&'static str],
    /// Files beside them.
    pub joins: &'static [Join],
}

/// A file whose fields are put beside those of a question, under `NAME.FIELD`.
#[derive(Clone, Copy, Debug)]
pub struct Join {
    /// What the fields are called by here.
    pub name: &'static str,
    /// How the file's name begins.
    pub file: &'static str,
    /// The question's fields by which its row is found.
    pub key: &'static [&'static str],
    /// The fields of the other file that it must equal.
    pub of: &'static [&'static str],
}

/// The rows of a file or folder, pictures going to their folder as they come.
///
/// # Errors
///
/// A path where nothing lies, a folder without such files or with several that could be meant, a
/// kind of file that is not read, and faulty rows.
pub fn read(path: &Path, format: &Format, pictures: &mut Pictures<'_>) -> Result<Vec<Record>> {
    let files = files(path, format)?;
    let mut records = Vec::new();
    for file in &files {
        records.extend(rows(file, pictures)?);
    }
    for (join, file) in joined(&files, format)? {
        put_beside(&mut records, join, &file)?;
    }
    if records.is_empty() {
        return Err(Error::new(format!("{} has no rows", path.display())));
    }
    Ok(records)
}

/// The files that reading a path opens beside itself: pictures that its rows name, and what is put
/// beside these. Rows that cannot be read name none: whoever reads them says so.
pub fn beside(path: &Path, format: &Format) -> Vec<PathBuf> {
    let Ok(files) = files(path, format) else { return Vec::new() };
    let mut pictures = Pictures::listed(path);
    for file in files.iter().filter(|file| !embeds(file)) {
        let _ = rows(file, &mut pictures);
    }
    let joined = joined(&files, format).unwrap_or_default();
    let mut all: Vec<PathBuf> = files.into_iter().filter(|file| file != path).collect();
    all.extend(joined.into_iter().map(|(_, file)| file));
    // A folder's own files enter its fingerprint.
    all.retain(|file| !path.is_dir() || file.parent() != Some(path));
    all.extend(pictures.found());
    all
}

/// Whether a file holds its pictures, so that there is no need to look for any.
#[cfg_attr(not(feature = "parquet"), expect(unused_variables, reason = "no tables are read"))]
fn embeds(file: &Path) -> bool {
    #[cfg(feature = "parquet")]
    return extension(file) == "parquet" && super::parquet::embeds(file);
    #[cfg(not(feature = "parquet"))]
    return false;
}

fn rows(file: &Path, pictures: &mut Pictures<'_>) -> Result<Vec<Record>> {
    pictures.open(file);
    match extension(file).as_str() {
        "tsv" => tsv::read(file, pictures),
        "json" | "jsonl" => json::read(file, Some(pictures)),
        #[cfg(feature = "parquet")]
        "parquet" => super::parquet::read(file, pictures),
        other => Err(Error::new(format!("{}: `.{other}` is not read", file.display()))
            .hint("give VLMEvalKit's .tsv, a .parquet, or export the table as .json or .jsonl")),
    }
}

/// Whether a file has everything in its own columns.
fn is_table(file: &Path) -> bool {
    ["tsv", "parquet"].contains(&extension(file).as_str())
}

/// The files that are put beside those with the questions: in their folder, else one folder
/// down, where InternVL's layout has the data sets' own releases (`docvqa/val/val_v1.0.json`).
fn joined(files: &[PathBuf], format: &Format) -> Result<Vec<(&'static Join, PathBuf)>> {
    let folder = files.first().and_then(|file| file.parent()).unwrap_or(Path::new(""));
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut found = Vec::new();
    for join in format.joins {
        let there = beginning(here, join.file)?;
        let is_there = |file: &PathBuf| !is_table(file);
        let below = if there.iter().any(is_there) || files.iter().any(|file| is_table(file)) {
            Vec::new()
        } else {
            subfolders(here)
                .iter()
                .flat_map(|folder| beginning(folder, join.file))
                .flatten()
                .collect()
        };
        let own = |file: &PathBuf| files.iter().any(|own| own.file_name() == file.file_name());
        let all = there.into_iter().chain(below).filter(|file| is_there(file) && !own(file));
        found.extend(all.map(|file| (join, file)));
    }
    Ok(found)
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Puts the fields of a file beside those of the questions that they belong to.
fn put_beside(records: &mut [Record], join: &Join, file: &Path) -> Result<()> {
    let others = json::read(file, None)?;
    let mut by_key: HashMap<String, &Record> = HashMap::new();
    let mut faults = Faults::default();
    for other in &others {
        let Some(key) = other.text(join.of) else { continue };
        if by_key.insert(plain(&key).to_owned(), other).is_some() {
            faults.note(&other.place, format!("`{key}` is there twice"));
        }
    }
    faults.check(file, others.len())?;
    for record in records {
        let Some(key) = record.text(join.key) else { continue };
        let Some(other) = by_key.get(plain(&key)) else { continue };
        for (name, value) in &other.fields {
            record.fields.insert(format!("{}.{name}", join.name), value.clone());
        }
    }
    Ok(())
}

/// A key as it is compared: MM-Vet writes `v1_12` in one file and `12` in another.
fn plain(key: &str) -> &str {
    key.trim().trim_start_matches("v1_")
}
