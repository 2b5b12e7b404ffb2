//! The rows of a JSONL file that need not fit into memory, by number.
//!
//! One pass over the file finds where rows start; of these, one in `STRIDE` is kept, so that
//! the index of three million rows takes 3 MB. A row is found by reading the few rows from the
//! nearest place before it. The file is read, not mapped: one that is cut short meanwhile is an
//! error, and no fault.

use super::lines;
use crate::error::{Context, Error, Result};
use memchr::{memchr, memchr_iter};
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Rows for each place that is kept.
const STRIDE: usize = 16;
/// Rows that are in memory together where threads share them.
const TOGETHER: usize = 1024;
/// Bytes read at a time while rows are looked for.
const PIECE: usize = 1 << 20;

/// An indexed JSONL file. Empty lines are no rows; a byte-order mark and CRLF line ends are
/// tolerated.
#[derive(Debug)]
pub struct Rows {
    path: PathBuf,
    file: File,
    /// Where every [`STRIDE`]th row starts.
    places: Vec<Place>,
    num_rows: usize,
    /// Bytes of the file.
    size: u64,
}

/// Where a row starts.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// In bytes from the file's start.
    offset: u64,
    /// Its line, from 1.
    line: u64,
}

/// One row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// Its line in the file, from 1.
    pub line: usize,
    /// Its text, without the line's end.
    pub text: Vec<u8>,
}

impl Rows {
    /// Opens a file and finds its rows, in one pass.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let unreadable = |error: std::io::Error| {
            Error::new(format!("{} cannot be read: {error}", path.display()))
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let mut rows = Self {
            path: path.to_owned(),
            file: file.try_clone().map_err(unreadable)?,
            places: Vec::new(),
            num_rows: 0,
            size: 0,
        };
        let mut piece = vec![0; PIECE];
        let mut place = Place { offset: 0, line: 1 };
        // Whether the line that is under way has more than spaces.
        let mut is_row = false;
        loop {
            let length = file.read(&mut piece).map_err(unreadable)?;
            if length == 0 {
                break;
            }
            let mut rest = &piece[..length];
            if rows.size == 0 {
                rest = without_mark(rest);
                place.offset = (length - rest.len()) as u64;
            }
            rows.size += length as u64;
            let end_of_piece = rows.size;
            let start = end_of_piece - rest.len() as u64;
            let mut from = 0;
            for end in memchr_iter(b'\n', rest) {
                is_row = is_row || has_text(&rest[from..end]);
                rows.note(place, is_row);
                from = end + 1;
                place = Place { offset: start + from as u64, line: place.line + 1 };
                is_row = false;
            }
            is_row = is_row || has_text(&rest[from..]);
        }
        rows.note(place, is_row);
        rows.places.shrink_to_fit();
        Ok(rows)
    }

    fn note(&mut self, place: Place, is_row: bool) {
        if is_row {
            if self.num_rows.is_multiple_of(STRIDE) {
                self.places.push(place);
            }
            self.num_rows += 1;
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.num_rows
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.num_rows == 0
    }

    /// A row by its number, from 0.
    ///
    /// # Errors
    ///
    /// A file that has changed since it was opened.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn row(&self, index: usize) -> Result<Row> {
        assert!(index < self.num_rows, "row {index} of {}", self.num_rows);
        let mut block = self.block(index / STRIDE)?;
        block.nth(index % STRIDE).ok_or_else(|| self.changed())
    }

    /// All rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<Row>> + '_ {
        (0..self.places.len()).flat_map(move |index| {
            let wanted = STRIDE.min(self.num_rows - index * STRIDE);
            let (rows, error) = match self.block(index) {
                Ok(block) => (block.take(wanted).collect(), None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            let short = (error.is_none() && rows.len() < wanted).then(|| Err(self.changed()));
            rows.into_iter().map(Ok).chain(error).chain(short)
        })
    }

    /// Makes something of every row, on all threads, and hands it over in the rows' order. Of
    /// several bad rows the first is told, whichever thread is the fastest.
    ///
    /// # Errors
    ///
    /// As [`Self::row`], and what `make` says.
    pub fn each<T: Send>(
        &self,
        make: impl Fn(usize, &Row) -> Result<T> + Sync,
        mut take: impl FnMut(usize, T),
    ) -> Result<()> {
        let mut rows = self.iter().enumerate();
        loop {
            let some: Vec<(usize, Result<Row>)> = rows.by_ref().take(TOGETHER).collect();
            if some.is_empty() {
                return Ok(());
            }
            let made: Vec<(usize, Result<T>)> = some
                .into_par_iter()
                .map(|(index, row)| (index, row.and_then(|row| make(index, &row))))
                .collect();
            for (index, made) in made {
                take(index, made?);
            }
        }
    }

    /// A row as a record.
    ///
    /// # Errors
    ///
    /// A row that is no such record, named by file, line and column.
    pub fn parse<T: DeserializeOwned>(&self, row: &Row) -> Result<T> {
        lines::parse(&self.path, row.line, &row.text)
    }

    /// The rows from one kept place to the next.
    fn block(&self, index: usize) -> Result<impl Iterator<Item = Row> + use<>> {
        let Place { offset, line } = self.places[index];
        let end = self.places.get(index + 1).map_or(self.size, |next| next.offset);
        let length = usize::try_from(end - offset).expect("some rows fit into memory");
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset).with_context(|| self.changed().to_string())?;
        let (mut at, mut line) = (0, line as usize);
        Ok(std::iter::from_fn(move || {
            while at < bytes.len() {
                let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length);
                let row = Row { line, text: bytes[at..end].trim_ascii().to_vec() };
                (at, line) = (end + 1, line + 1);
                if !row.text.is_empty() {
                    return Some(row);
                }
            }
            None
        }))
    }

    fn changed(&self) -> Error {
        Error::new(format!("{} has changed while it was read", self.path.display()))
    }
}

fn has_text(line: &[u8]) -> bool {
    !line.trim_ascii_start().is_empty()
}

fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> (tempfile::TempDir, Rows) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.jsonl");
        std::fs::write(&path, text).unwrap();
        let rows = Rows::open(&path).unwrap();
        (dir, rows)
    }

    #[test]
    fn rows_are_found_by_number_with_their_lines() {
        let text: String = (1..100)
            .map(
                |line| if line % 7 == 0 { " \r\n".into() } else { format!("{{\"n\":{line}}}\r\n") },
            )
            .collect();
        let (_dir, rows) = rows(&format!("\u{feff}{text}"));
        let lines: Vec<usize> = (1..100).filter(|line| line % 7 != 0).collect();
        assert_eq!(rows.len(), lines.len());
        for (index, row) in rows.iter().map(Result::unwrap).enumerate() {
            assert_eq!(row.line, lines[index]);
            assert_eq!(row.text, format!("{{\"n\":{}}}", lines[index]).as_bytes());
            assert_eq!(rows.row(index).unwrap(), row);
        }
    }

    #[test]
    fn threads_share_the_rows_and_the_first_bad_one_is_told() {
        let count = 3 * TOGETHER + 5;
        let (_dir, rows) = rows(&"{}\n".repeat(count));
        let mut taken = Vec::new();
        let line = |index, row: &Row| Ok((index, row.line));
        rows.each(line, |index, (own, line)| taken.push((index, own, line))).unwrap();
        assert!(taken.iter().copied().eq((0..count).map(|index| (index, index, index + 1))));
        for bad in [0, 700, TOGETHER + 1, count - 1] {
            let mut taken = 0;
            let make = |index: usize, _: &Row| match index >= bad {
                true => Err(Error::new(format!("row {index}"))),
                false => Ok(()),
            };
            let error = rows.each(make, |_, ()| taken += 1).unwrap_err();
            assert_eq!((error.to_string(), taken), (format!("row {bad}"), bad));
        }
    }

    #[test]
    fn files_without_rows_or_without_a_last_line_end_are_files() {
        for (text, number) in [("", 0), ("\n\n  \n", 0), ("a", 1), ("a\nb", 2), ("\u{feff}a\n", 1)]
        {
            let (_dir, rows) = rows(text);
            assert_eq!(
                (rows.len(), rows.iter().count(), rows.is_empty()),
                (number, number, number == 0)
            );
        }
    }

    #[test]
    fn a_row_longer_than_a_piece_is_one_row() {
        let long = "x".repeat(PIECE * 2 + 5);
        let (_dir, rows) = rows(&format!("a\n{long}\n{}b\n", " ".repeat(PIECE)));
        assert_eq!(rows.len(), 3);
        assert_eq!(rows.row(1).unwrap().text.len(), long.len());
        assert_eq!(rows.row(2).unwrap(), Row { line: 3, text: b"b".to_vec() });
    }

    #[test]
    fn a_file_that_is_cut_meanwhile_is_an_error() {
        let (dir, rows) = rows(&"row\n".repeat(40));
        std::fs::write(dir.path().join("rows.jsonl"), "row\n").unwrap();
        assert!(rows.row(30).unwrap_err().to_string().contains("has changed while"));
        assert!(rows.iter().any(|row| row.is_err()));
    }
}
