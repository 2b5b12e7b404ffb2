//! Files for one test, and what is said of them.

use std::path::{Path, PathBuf};

/// Writes a file and the folders above it.
pub fn write(dir: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

/// The message of what must be an error.
pub fn message<T>(result: prefab::Result<T>) -> String {
    result.err().expect("an error").to_string()
}
