//! Imported files, and those that they name, enter a key by their content, not by their date.

use crate::data::pairs::{annotation_path, read_meta};
use rayon::prelude::*;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Files up to this size are hashed in one piece, larger ones (weights) in pieces of it, side
/// by side.
const PIECE: u64 = 16 << 20;

/// Fingerprints of a plan's files by the names under which they enter keys, each taken once.
#[derive(Default)]
pub struct Prints(HashMap<String, Option<String>>);

impl Prints {
    /// That of a name: a path, unless it is known otherwise.
    pub fn of(&mut self, name: &str) -> Option<String> {
        self.lies_at(name, Path::new(name));
        self.0[name].clone()
    }

    /// The name stands for another path.
    pub fn lies_at(&mut self, name: &str, path: &Path) {
        self.0.entry(name.to_owned()).or_insert_with(|| fingerprint(path));
    }

    /// The name under which files enter a key that another file names; none where it names none, as
    /// one that holds its pictures.
    pub fn beside(&mut self, name: String, list: impl FnOnce() -> Vec<PathBuf>) -> Option<String> {
        let known = self.0.entry(name.clone());
        known.or_insert_with(|| together(&list())).is_some().then_some(name)
    }
}

/// The name under which what lies beside a benchmark's file enters a key.
pub fn name_beside(benchmark: &str, path: &str) -> String {
    format!("{benchmark}: beside {path}")
}

/// A hash of a file, or of a folder's files by name. None where there is nothing.
pub fn fingerprint(path: &Path) -> Option<String> {
    let mut hasher = blake3::Hasher::new();
    if path.is_dir() {
        let mut names: Vec<_> =
            std::fs::read_dir(path).ok()?.flatten().map(|entry| entry.path()).collect();
        names.sort();
        for file in names.iter().filter(|path| path.is_file()) {
            hasher.update(file.file_name()?.as_encoded_bytes());
            add(&mut hasher, file)?;
        }
    } else {
        add(&mut hasher, path)?;
    }
    Some(hasher.finalize().to_hex()[..32].to_owned())
}

/// A hash of some files by their names and contents, side by side: what another file names. None
/// where there are none.
fn together(files: &[PathBuf]) -> Option<String> {
    let hash = |path: &PathBuf| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(path.file_name()?.as_encoded_bytes()).update(&[0]);
        add(&mut hasher, path)?;
        Some(hasher.finalize())
    };
    let hashes: Vec<Option<blake3::Hash>> = files.par_iter().map(hash).collect();
    let mut hasher = blake3::Hasher::new();
    for hash in hashes.iter().flatten() {
        hasher.update(hash.as_bytes());
    }
    hashes.iter().any(Option::is_some).then(|| hasher.finalize().to_hex()[..32].to_owned())
}

fn add(hasher: &mut blake3::Hasher, path: &Path) -> Option<()> {
    let file = File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    hasher.update(&size.to_le_bytes());
    if size <= PIECE {
        hasher.update(&read(&file, 0, size)?);
        return Some(());
    }
    let hash = |piece: u64| {
        let start = piece * PIECE;
        Some(*blake3::hash(&read(&file, start, PIECE.min(size - start))?).as_bytes())
    };
    let hashes: Option<Vec<[u8; 32]>> =
        (0..size.div_ceil(PIECE)).into_par_iter().map(hash).collect();
    for hash in hashes? {
        hasher.update(&hash);
    }
    Some(())
}

fn read(file: &File, start: u64, length: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, start).ok()?;
    Some(bytes)
}

/// The JSONL files that an MMPR meta.json names; none where it cannot be read.
pub fn annotations(meta: &Path) -> Vec<PathBuf> {
    let sources = read_meta(meta).unwrap_or_default();
    sources.iter().map(|(_, source)| annotation_path(meta, source)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_large_file_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let mut bytes = vec![7_u8; 2 * PIECE as usize + 5];
        let mut seen = std::collections::BTreeSet::new();
        for at in [0, PIECE as usize + 1, 2 * PIECE as usize, bytes.len() - 1] {
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            seen.insert(fingerprint(folder.path()).unwrap());
        }
        assert_eq!(seen.len(), 4);
        assert_eq!(fingerprint(&folder.path().join("absent")), None);
    }
}
