//! Recorded checkpoints as they are on the Hub: with the files of a tokenizer that fits.

use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/internvl")
}

/// A picture to ask about.
pub fn picture() -> PathBuf {
    fixtures().join("images/img04_200x133_rgb.png")
}

/// A copy of a checkpoint whose config.json was edited, beside the tokenizer below `text…/tokenizers`.
pub fn edited(name: &str, tokenizer: &str, edit: impl Fn(&mut Value)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for from in [fixtures().join(name).join("model"), fixtures().join(tokenizer)] {
        for file in std::fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
    }
    let path = folder.path().join("config.json");
    let mut json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(&mut json);
    std::fs::write(path, json.to_string()).unwrap();
    folder
}

/// The same as it is.
pub fn whole(name: &str, tokenizer: &str) -> TempDir {
    edited(name, tokenizer, |_| ())
}
