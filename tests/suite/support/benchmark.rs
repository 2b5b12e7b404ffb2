//! A benchmark's files, as people have them.

use super::files::write;
use base64::Engine;
use prefab::data::record::Question;
use prefab::eval::{benchmark, files};
use prefab::stage::Progress;
use std::path::{Path, PathBuf};

/// A picture's bytes, a different one for each number.
pub fn bitmap(number: u8) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    let header: [u32; 14] = [54 + 192, 0, 54, 40, 8, 8, 24 << 16 | 1, 0, 192, 0, 0, 0, 0, 0];
    bytes.extend(header[..13].iter().flat_map(|word| word.to_le_bytes()));
    bytes.resize(54 + 192, number);
    bytes
}

pub fn base64(number: u8) -> String {
    base64::engine::general_purpose::STANDARD.encode(bitmap(number))
}

/// A folder for one test's files, with a picture.
pub struct Folder(pub tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("images/1.bmp", bitmap(1));
        folder
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        write(self.0.path(), name, text)
    }

    pub fn questions(&self, name: &str, path: &Path) -> prefab::Result<Vec<Question>> {
        files::questions_of(benchmark(name)?, path, &self.0.path().join("out"), &Progress::Silent)
    }

    #[track_caller]
    pub fn fails(&self, name: &str, file: &str, text: &str) -> String {
        let error = self.questions(name, &self.write(file, text)).unwrap_err();
        assert!(error.hint_text().is_some(), "no way out: {error}");
        error.to_string()
    }

    #[track_caller]
    pub fn reads(&self, name: &str, file: &str, text: &str) -> Vec<Question> {
        let path = self.write(file, text);
        self.questions(name, &path).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}
