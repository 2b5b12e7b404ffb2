//! Finished parts of an unfinished stage, kept in its work folder: the next
//! worker goes on after them when one is killed.
//!
//! ```text
//! work/KEY/state/NAME   BLAKE3 of the text in hexadecimal, a line break, the text
//! ```

use super::disk;
use crate::error::Context;
use crate::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// A part as it was kept; else it is made, and kept. A damaged one is named in
/// the log and made anew.
///
/// # Errors
///
/// What `make` says, or if the file system refuses.
pub fn text(work: &Path, name: &str, make: impl FnOnce() -> Result<String>) -> Result<String> {
    let path = work.join(name);
    match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Ok(file) => match file.split_once('\n') {
            Some((sum, text)) if sum == sum_of(text) => return Ok(text.to_owned()),
            _ => tracing::warn!("`{}` is damaged: made anew", path.display()),
        },
        Err(error) => tracing::warn!("`{}` cannot be read ({error}): made anew", path.display()),
    }
    let text = make()?;
    disk::create_dirs(work)?;
    disk::replace(&path, format!("{}\n{text}", sum_of(&text)).as_bytes())?;
    Ok(text)
}

/// The same for records, one a line.
///
/// # Errors
///
/// As [`text`], and for a part that another version of Prefab has kept.
pub fn rows<T: Serialize + DeserializeOwned>(
    work: &Path,
    name: &str,
    make: impl FnOnce() -> Result<Vec<T>>,
) -> Result<Vec<T>> {
    let write = |rows: Vec<T>| {
        let line = |row| serde_json::to_string(row).map(|line| line + "\n").context(name);
        rows.iter().map(line).collect::<Result<String>>()
    };
    let read = |line| {
        serde_json::from_str(line).map_err(|error| {
            Error::new(format!("reading `{}`: {error}", work.join(name).display()))
                .hint("another version of Prefab has kept it: remove it, then run again")
        })
    };
    // Fresh records are read back too, so that a resumed stage goes on from the same values.
    text(work, name, || write(make()?))?.lines().map(read).collect()
}

fn sum_of(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_made_once_and_again_when_it_is_damaged() {
        let work = tempfile::tempdir().unwrap();
        let make = |rows: &[f64]| rows_of(work.path(), rows);
        assert_eq!(make(&[0.1, 1e-300]), [0.1, 1e-300]);
        assert_eq!(make(&[2.0]), [0.1, 1e-300], "as kept");
        let path = work.path().join("part-0");
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(make(&[2.0]), [2.0], "a flipped bit");
        std::fs::write(&path, &std::fs::read(&path).unwrap()[..30]).unwrap();
        assert_eq!(make(&[3.0]), [3.0], "a torn file");
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert_eq!(make(&[4.0]), [4.0], "no text");
        assert_eq!(std::fs::read_dir(work.path()).unwrap().count(), 1);
    }

    fn rows_of(work: &Path, rows: &[f64]) -> Vec<f64> {
        super::rows(work, "part-0", || Ok(rows.to_vec())).unwrap()
    }
}
