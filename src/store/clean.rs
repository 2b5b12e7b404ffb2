//! What may go: artifacts that nothing refers to, and what broken runs left.

use super::{Store, disk};
use crate::error::Result;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// Something that may be removed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rubbish {
    /// The file or folder.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Why it may go.
    pub why: &'static str,
}

/// Lists what may be removed when only the artifacts in `wanted` are to stay.
///
/// # Errors
///
/// If the store cannot be read.
pub fn rubbish(store: &Store, wanted: &BTreeSet<String>) -> Result<Vec<Rubbish>> {
    let mut list = Vec::new();
    let parts = [("store", ""), ("work", ""), ("seen", ""), ("logs", ".log"), ("plans", ".json")];
    for (part, ending) in parts {
        let (folder, mut names) = (store.root().join(part), Vec::new());
        for entry in disk::explain(fs::read_dir(&folder), "reading", &folder)? {
            let entry = disk::explain(entry, "reading", &folder)?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        for name in names {
            let key = name.strip_suffix(ending).unwrap_or(&name);
            let why = match (part, wanted.contains(key)) {
                ("store", false) if key.starts_with("damaged-") => "damaged, was rebuilt",
                ("store", false) if key.starts_with("stale-") => "stale, was rebuilt",
                ("store", false) if key.starts_with("shed-") => "without weights, was rebuilt",
                ("store", false) if key.starts_with("new-") => "unfinished, nobody works on it",
                ("plans", _) => "frozen for an earlier run",
                ("work", true) if store.exists(key) => "checkpoints of a finished stage",
                (_, true) => continue,
                _ => "no spec refers to it",
            };
            let path = folder.join(&name);
            list.push(Rubbish { bytes: size(&path), path, why });
        }
    }
    Ok(list)
}

/// Bytes below a path; what cannot be read counts as none.
pub fn size(path: &std::path::Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(stat) if stat.is_dir() => fs::read_dir(path)
            .map_or(0, |entries| entries.flatten().map(|entry| size(&entry.path())).sum()),
        Ok(stat) => stat.len(),
        Err(_) => 0,
    }
}

/// Removes what was listed.
///
/// # Errors
///
/// If the file system refuses.
pub fn remove(list: &[Rubbish]) -> Result<()> {
    for Rubbish { path, .. } in list {
        if path.is_dir() {
            disk::remove_dir(path)?;
        } else {
            disk::explain(fs::remove_file(path), "removing", path)?;
        }
    }
    Ok(())
}
