//! A benchmark's file, or its folder of files that belong together.

use super::{Faults, Pictures, Record, json, tsv};
use crate::error::{Context, Error, Result};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Which files a benchmark is made of.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// How the names of files begin that hold questions, where a folder is given.
    pub main: &'static [&'static str],
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
/// A path where nothing lies, a folder without such files, a kind of file that is not read, and
/// faulty rows.
pub fn read(path: &Path, format: &Format, pictures: &mut Pictures<'_>) -> Result<Vec<Record>> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let files = match path.is_dir() {
        true => match beginning(folder, format.main)? {
            none if none.is_empty() => shards(folder)?,
            files => files,
        },
        false => vec![whole(path)?.to_path_buf()],
    };
    if files.is_empty() {
        return Err(Error::new(format!("{} has no file of this benchmark", path.display()))
            .hint(format!("its name begins with {}", format.main.join(" or "))));
    }
    let mut records = Vec::new();
    for file in &files {
        records.extend(match extension(file).as_str() {
            "tsv" => tsv::read(file, pictures)?,
            "json" | "jsonl" => json::read(file, Some(pictures))?,
            #[cfg(feature = "parquet")]
            "parquet" => super::parquet::read(file, pictures)?,
            other => {
                return Err(Error::new(format!("{}: `.{other}` is not read", file.display()))
                    .hint("give VLMEvalKit's .tsv, a .parquet, or export the table as .json or .jsonl"));
            }
        });
    }
    for join in format.joins {
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        // A table has everything in its own columns.
        let is_own = |file: &&PathBuf| {
            files.contains(file) || ["tsv", "parquet"].contains(&extension(file).as_str())
        };
        for file in beginning(here, &[join.file])?.iter().filter(|file| !is_own(file)) {
            put_beside(&mut records, join, file)?;
        }
    }
    if records.is_empty() {
        return Err(Error::new(format!("{} has no rows", path.display())));
    }
    Ok(records)
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Files of a folder whose names begin so, in order of the list and of names.
fn beginning(folder: &Path, names: &[&str]) -> Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("opening {}", folder.display()))?;
    let mut files: Vec<(usize, PathBuf)> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| ["tsv", "json", "jsonl", "parquet"].contains(&extension(path).as_str()))
        .filter_map(|path| {
            let name = path.file_name()?.to_string_lossy().into_owned();
            let rank = names.iter().position(|begin| name.starts_with(begin))?;
            Some((rank, path))
        })
        .collect();
    files.sort();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

/// What a table is called before its shard's number: `test` of `test-00000-of-00003.parquet`;
/// and how many shards it has.
fn shard(path: &Path) -> Option<(&str, usize)> {
    let stem = path.file_stem()?.to_str()?;
    let (rest, of) = stem.rsplit_once("-of-")?;
    let (table, number) = rest.rsplit_once('-')?;
    number.parse::<usize>().ok()?;
    Some((table, of.parse().ok()?))
}

/// A file that is no part of another.
fn whole(path: &Path) -> Result<&Path> {
    match shard(path) {
        Some((_, of)) if of > 1 => {
            Err(Error::new(format!("{} is one of {of} shards", path.display()))
                .hint("name the folder that holds them all"))
        }
        _ => Ok(path),
    }
}

/// The shards of the one Parquet table that a folder holds, as the Hub names them.
fn shards(folder: &Path) -> Result<Vec<PathBuf>> {
    let files: Vec<PathBuf> = beginning(folder, &[""])?
        .into_iter()
        .filter(|file| extension(file) == "parquet" && shard(file).is_some())
        .collect();
    let tables: BTreeSet<(&str, usize)> = files.iter().filter_map(|file| shard(file)).collect();
    let Some((table, of)) = tables.first() else { return Ok(files) };
    if tables.len() > 1 {
        let names: Vec<&str> = tables.iter().map(|(table, _)| *table).collect();
        return Err(Error::new(format!(
            "{} holds several tables: {}",
            folder.display(),
            names.join(", ")
        ))
        .hint("name one table's file, or give its shards a folder of their own"));
    }
    if files.len() != *of {
        return Err(Error::new(format!(
            "{} holds {} of the {of} shards of `{table}`",
            folder.display(),
            files.len()
        ))
        .hint("fetch the rest: a part would be scored as if it were the whole"));
    }
    Ok(files)
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
