//! Imported files enter a key by their content, not by their date.

use crate::data::pairs::{annotation_path, read_meta};
use rayon::prelude::*;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Files up to this size are hashed in one piece, larger ones (weights) in pieces of it, side
/// by side.
const PIECE: u64 = 16 << 20;

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
