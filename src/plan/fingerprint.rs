//! Imported files enter a key by their content, not by their date.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Files up to this size are read whole.
const WHOLE: u64 = 16 << 20;
/// Of larger ones, this much of the head and of the tail.
const ENDS: u64 = 1 << 20;

/// A hash of a file, or of a folder's files by name. Files above 16 MiB (weights) count by
/// size, head and tail. None where there is nothing.
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
    let mut file = std::fs::File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    hasher.update(&size.to_le_bytes());
    let mut bytes = Vec::new();
    if size <= WHOLE {
        file.read_to_end(&mut bytes).ok()?;
    } else {
        file.by_ref().take(ENDS).read_to_end(&mut bytes).ok()?;
        file.seek(SeekFrom::End(-i64::try_from(ENDS).expect("a mebibyte fits"))).ok()?;
        file.read_to_end(&mut bytes).ok()?;
    }
    hasher.update(&bytes);
    Some(())
}
