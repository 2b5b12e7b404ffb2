//! Files for one test, and what is said of them.

use std::path::{Path, PathBuf};

/// Writes a file and the folders above it.
pub fn write(dir: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

/// An error, with its hint, must hold every part, and no place in the code.
#[track_caller]
pub fn assert_says<T>(result: prefab::Result<T>, parts: &[&str]) {
    let error = result.err().expect("an error");
    let text = format!("{error}\n{}", error.hint_text().unwrap_or_default());
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(!text.contains("src/"), "no place in the code: {text}");
}

/// The message of what must be an error.
pub fn message<T>(result: prefab::Result<T>) -> String {
    result.err().expect("an error").to_string()
}
