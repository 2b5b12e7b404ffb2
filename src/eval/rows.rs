//! JSONL files, one record a line, with errors that name file and line.

use crate::error::Context;
use crate::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

/// Reads every record of a file; blank lines are skipped.
///
/// # Errors
///
/// A file that cannot be opened, and a line that is no such record.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let file = File::open(path).with_context(|| format!("could not open {}", path.display()))?;
    let mut records = Vec::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let place = || format!("{}:{}", path.display(), index + 1);
        let line = line.with_context(place)?;
        if !line.trim().is_empty() {
            records.push(serde_json::from_str(&line).with_context(place)?);
        }
    }
    Ok(records)
}

/// Writes records to a new file, in order.
///
/// # Errors
///
/// A file that cannot be written.
pub fn write<T: Serialize>(path: &Path, records: &[T]) -> Result<()> {
    let attempt = || -> Result<(), Error> {
        let mut file = BufWriter::new(File::create(path).context("could not create it")?);
        for record in records {
            serde_json::to_writer(&mut file, record).context("could not write a record")?;
            file.write_all(b"\n").context("could not write a record")?;
        }
        file.flush().context("could not write it whole")
    };
    attempt().map_err(|error| error.context(path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.jsonl");
        std::fs::write(&path, "1\n\n2\nthree\n").unwrap();
        let message = read::<u32>(&path).unwrap_err().to_string();
        assert!(message.contains("numbers.jsonl:4: expected"), "{message}");
        write(&path, &[1, 2]).unwrap();
        assert_eq!(read::<u32>(&path).unwrap(), [1, 2]);
    }
}
