//! Which files of a folder a benchmark is read from: one table, or the parts that make it up.
//!
//! A folder may hold other splits and other benchmarks too. Whatever cannot be told apart is
//! refused by name: several tables read as one would be scored as if they were the benchmark.

use super::join::Format;
use crate::error::{Context, Error, Result};
use std::path::{Path, PathBuf};

/// Kinds of files that are read.
const KINDS: [&str; 4] = ["tsv", "json", "jsonl", "parquet"];

/// The files that hold the questions of a path: itself, or those of a folder.
///
/// # Errors
///
/// A shard without its others, a folder without such files, and one where several could be meant.
pub fn files(path: &Path, format: &Format) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![whole(path)?.to_path_buf()]);
    }
    let inside = format.inside.iter().map(|name| path.join(name)).filter(|folder| folder.is_dir());
    for folder in std::iter::once(path.to_path_buf()).chain(inside) {
        let chosen = choose(&folder, format)?;
        if !chosen.is_empty() {
            return Ok(chosen);
        }
    }
    let names: Vec<&str> =
        format.parts.iter().chain(format.main).copied().filter(|name| !name.is_empty()).collect();
    Err(Error::new(format!("{} has no file of this benchmark", path.display())).hint(
        match names.is_empty() {
            true => format!("it ends in .{}", KINDS.join(", .")),
            false => {
                format!("its name begins with {}; or name the file itself", names.join(" or "))
            }
        },
    ))
}

/// A file, or the shards that are one.
struct Table {
    /// The file's name; of shards what stands before their numbers: `test` of
    /// `test-00000-of-00003.parquet`.
    name: String,
    /// How many shards there should be; none where it is not cut.
    of: Option<usize>,
    files: Vec<PathBuf>,
}

impl Table {
    fn begins(&self, name: &str) -> bool {
        self.name.to_lowercase().starts_with(&name.to_lowercase())
    }

    /// Its files, all there.
    fn whole(self, folder: &Path) -> Result<Vec<PathBuf>> {
        match self.of {
            Some(of) if of != self.files.len() => Err(Error::new(format!(
                "{} holds {} of the {of} shards of `{}`",
                folder.display(),
                self.files.len(),
                self.name
            ))
            .hint("fetch the rest: a part would be scored as if it were the whole")),
            _ => Ok(self.files),
        }
    }
}

/// The tables of a folder, by name.
fn tables(folder: &Path) -> Result<Vec<Table>> {
    let mut tables: Vec<Table> = Vec::new();
    for file in beginning(folder, "")? {
        let own = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (name, of) = match shard(&file) {
            Some((table, of)) => (table.to_owned(), Some(of)),
            None => (own, None),
        };
        match tables.iter_mut().find(|table| table.of == of && table.name == name) {
            Some(table) => table.files.push(file),
            None => tables.push(Table { name, of, files: vec![file] }),
        }
    }
    Ok(tables)
}

/// The files of a folder that a benchmark is made of; none where there are none.
fn choose(folder: &Path, format: &Format) -> Result<Vec<PathBuf>> {
    let is_join = |table: &Table| format.joins.iter().any(|join| table.begins(join.file));
    let is_part = |table: &Table| format.parts.iter().any(|part| table.begins(part));
    let is_main = |table: &Table| {
        is_part(table) || format.main.iter().any(|name| !name.is_empty() && table.begins(name))
    };
    let (mut named, mut others): (Vec<Table>, Vec<Table>) =
        tables(folder)?.into_iter().partition(is_main);
    // What is put beside questions holds them only where nothing else does.
    if named.iter().any(|table| !is_join(table)) {
        named.retain(|table| !is_join(table));
    }
    if named.is_empty() && !format.main.contains(&"") {
        others.retain(|table| table.of.is_some());
    }
    let found = if named.is_empty() { others } else { named };
    if found.iter().any(is_part) {
        return together(found, folder, format);
    }
    match found.len() {
        0 | 1 => found.into_iter().next().map_or(Ok(Vec::new()), |table| table.whole(folder)),
        _ => Err(several(&found, folder)),
    }
}

/// The files of all parts, in the parts' order.
fn together(mut found: Vec<Table>, folder: &Path, format: &Format) -> Result<Vec<PathBuf>> {
    if found.len() > format.parts.len() {
        return Err(several(&found, folder));
    }
    let mut files = Vec::new();
    for part in format.parts {
        let at: Vec<usize> = (0..found.len()).filter(|&at| found[at].begins(part)).collect();
        match at.as_slice() {
            [at] => files.extend(found.remove(*at).whole(folder)?),
            [] => {
                return Err(Error::new(format!("{} has no file `{part}…`", folder.display()))
                    .hint(format!(
                        "the benchmark is {} together; name a file to score it alone",
                        format.parts.join(", ")
                    )));
            }
            _ => return Err(several(&found, folder)),
        }
    }
    match found.is_empty() {
        true => Ok(files),
        false => Err(several(&found, folder)),
    }
}

fn several(tables: &[Table], folder: &Path) -> Error {
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    let first = folder.join(tables[0].files[0].file_name().unwrap_or_default());
    Error::new(format!("{} holds several tables: {}", folder.display(), names.join(", "))).hint(
        format!(
            "name the file, such as {}, in place of its folder; shards want a folder of their own",
            first.display()
        ),
    )
}

/// A path's extension in lower case.
pub(super) fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Files of a folder that are read and whose names begin so, by name.
pub(super) fn beginning(folder: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("opening {}", folder.display()))?;
    let begins = |path: &PathBuf| {
        path.file_name().is_some_and(|own| own.to_string_lossy().starts_with(name))
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| KINDS.contains(&extension(path).as_str()) && begins(path))
        .collect();
    files.sort();
    Ok(files)
}

/// What a table is called before its shard's number, and how many shards it has.
fn shard(path: &Path) -> Option<(&str, usize)> {
    let stem = path.file_stem()?.to_str()?;
    let (rest, of) = stem.rsplit_once("-of-")?;
    let (table, number) = rest.rsplit_once('-')?;
    number.parse::<usize>().ok()?;
    Some((table, of.parse().ok()?))
}

/// The name of the table that a file is, or is a shard of.
pub(super) fn table(path: &Path) -> String {
    let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    shard(path).map_or_else(stem, |(table, _)| table.to_owned())
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
