//! JSONL: one record a line, faults named by file and line.

use crate::error::{Context, Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Faulty lines that an error numbers.
const NAMED: usize = 10;
const HINT: &str = "every line is one JSON object";

/// Every record of a file. A byte-order mark, CRLF line ends and empty lines are tolerated.
///
/// # Errors
///
/// An unreadable file, and a line that is no such record: named with its number.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    Ok(numbered(path)?.into_iter().map(|(_, record)| record).collect())
}

/// As [`read`], each with its line number, from 1.
pub(super) fn numbered<T: DeserializeOwned>(path: &Path) -> Result<Vec<(usize, T)>> {
    let bytes = std::fs::read(path)
        .map_err(|error| Error::new(format!("{} cannot be read: {error}", path.display())))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let (mut records, mut faults) = (Vec::new(), Vec::new());
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let text = text.trim_ascii();
        if text.is_empty() {
            continue;
        }
        match parse(path, line, text) {
            Ok(record) => records.push((line, record)),
            Err(error) => faults.push((line, error)),
        }
    }
    let Some((_, first)) = faults.first() else { return Ok(records) };
    let mut message = first.to_string();
    if faults.len() > 1 {
        let lines: Vec<String> =
            faults.iter().take(NAMED).map(|(line, _)| line.to_string()).collect();
        let (count, all) = (faults.len(), records.len() + faults.len());
        let more = if count > NAMED { ", …" } else { "" };
        message += &format!("\n  {count} of {all} lines are faulty: {}{more}", lines.join(", "));
    }
    Err(Error::new(message).hint(HINT))
}

/// A line as a record: a JSON object, though serde would take a list of fields as well.
pub(super) fn parse<T: DeserializeOwned>(path: &Path, line: usize, text: &[u8]) -> Result<T> {
    if text.first() != Some(&b'{') {
        return Err(
            Error::new(format!("{}:{line}:1: not a JSON object", path.display())).hint(HINT)
        );
    }
    serde_json::from_slice(text).map_err(|error| {
        // The parser counts lines from the record's own start: only its column says something.
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default();
        Error::new(format!("{}:{line}:{}: {what}", path.display(), error.column())).hint(HINT)
    })
}

/// One record a line, LF line ends; down to the disk.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write<'a, T: Serialize + 'a>(
    path: &Path,
    records: impl IntoIterator<Item = &'a T>,
) -> Result<()> {
    let mut file = Writer::create(path)?;
    records.into_iter().try_for_each(|record| file.add(record))?;
    file.finish()
}

/// Writes a file's records as they come.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    out: BufWriter<File>,
}

impl Writer {
    /// An empty file.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("writing {}", path.display()))?;
        Ok(Self { path: path.to_owned(), out: BufWriter::new(file) })
    }

    /// Adds a record.
    ///
    /// # Errors
    ///
    /// If the file system refuses.
    pub fn add(&mut self, record: &impl Serialize) -> Result<()> {
        let writing = || format!("writing {}", self.path.display());
        serde_json::to_writer(&mut self.out, record).with_context(writing)?;
        self.out.write_all(b"\n").with_context(writing)
    }

    /// Ends the file, and brings it to the disk.
    ///
    /// # Errors
    ///
    /// As [`Self::add`].
    pub fn finish(self) -> Result<()> {
        let file = self.out.into_inner().map_err(|error| error.into_error());
        file.and_then(|file| file.sync_all())
            .with_context(|| format!("writing {}", self.path.display()))
    }
}
