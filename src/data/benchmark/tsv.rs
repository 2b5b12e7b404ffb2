//! VLMEvalKit's TSV: a header, a row a question, cells quoted as CSV's are.
//!
//! | column | what it holds |
//! |---|---|
//! | `index` | a unique number or text |
//! | `image` | base64; or a Python list of it; or up to 64 characters: the `index` of a row whose picture is reused; or nothing |
//! | `image_path` | a path or a list of them, read where `image` is absent or empty |
//! | others | texts |

use super::picture::is_path;
use super::{Faults, Pictures, Record, list};
use crate::Error;
use crate::error::{Context, Result};
use csv::ByteRecord;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::Path;

/// An `image` cell up to this long is another row's index (VLMEvalKit).
const LONGEST_INDEX: usize = 64;
/// Columns that hold pictures.
const PICTURES: [&str; 2] = ["image", "image_path"];

/// Reads the rows of a file, pictures going to their folder as they come.
///
/// # Errors
///
/// A file that cannot be opened or has no `index` or no `question`, and every faulty row:
/// cells missing, text that is not UTF-8, an index twice, broken base64, a damaged picture, the
/// index of a row that is not there.
pub fn read(path: &Path, pictures: &mut Pictures<'_>) -> Result<Vec<Record>> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(b'\t')
        .flexible(true)
        .from_path(path)
        .with_context(|| format!("opening {}", path.display()))?;
    let columns = columns(path, reader.byte_headers().with_context(|| path.display())?)?;
    let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut rows = Rows { columns, file, first: HashMap::new(), faults: Faults::default() };
    let mut records: Vec<Record> = Vec::new();
    let mut reused: Vec<(usize, String)> = Vec::new();
    let mut cells = ByteRecord::new();
    while reader.read_byte_record(&mut cells).with_context(|| path.display())? {
        let row = records.len();
        let line = cells.position().map_or(0, csv::Position::line);
        let place = format!("{} row {} (line {line})", path.display(), row + 1);
        let (record, other) = rows.read(&cells, row, place, pictures);
        reused.extend(other.map(|index| (row, index)));
        records.push(record);
    }
    for (row, index) in &reused {
        match rows.origin(index, &reused) {
            Some(other) => records[*row].images = records[other].images.clone(),
            None => rows.faults.note(
                &records[*row].place,
                format!("its picture is that of index `{index}`, which no row with a picture has"),
            ),
        }
    }
    rows.faults.check(path, records.len())?;
    Ok(records)
}

fn columns(path: &Path, header: &ByteRecord) -> Result<Vec<String>> {
    let columns: Vec<String> =
        header.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect();
    for needed in ["index", "question"] {
        if !columns.iter().any(|column| column == needed) {
            return Err(Error::new(format!("{} has no column `{needed}`", path.display())).hint(
                format!(
                    "it has {}; cells are parted by tabs, the first line names them",
                    columns.join(", ")
                ),
            ));
        }
    }
    match (1..columns.len()).find(|&at| columns[..at].contains(&columns[at])) {
        Some(at) => {
            Err(Error::new(format!("{} has two columns `{}`", path.display(), columns[at]))
                .hint("take one of them out"))
        }
        None => Ok(columns),
    }
}

struct Rows {
    columns: Vec<String>,
    file: String,
    /// The row of an index.
    first: HashMap<String, usize>,
    faults: Faults,
}

impl Rows {
    /// A row, and the index whose picture it reuses.
    fn read(
        &mut self,
        cells: &ByteRecord,
        row: usize,
        place: String,
        pictures: &mut Pictures<'_>,
    ) -> (Record, Option<String>) {
        let mut record = Record { place, file: self.file.clone(), ..Record::default() };
        if cells.len() != self.columns.len() {
            let (has, wants) = (cells.len(), self.columns.len());
            self.faults.note(&record.place, format!("{has} cells, but {wants} columns"));
            return (record, None);
        }
        let mut held = [None; PICTURES.len()];
        let mut fields = Map::new();
        for (column, cell) in self.columns.iter().zip(cells) {
            let Ok(text) = std::str::from_utf8(cell) else {
                self.faults.note(&record.place, format!("`{column}` is not UTF-8 text"));
                continue;
            };
            match PICTURES.iter().position(|name| name == column) {
                Some(at) => held[at] = Some(text.trim()).filter(|text| !text.is_empty()),
                None => drop(fields.insert(column.clone(), Value::from(text))),
            }
        }
        record.fields = fields;
        let Some(index) = record.text(&["index"]).map(|index| index.trim().to_owned()) else {
            self.faults.note(&record.place, "`index` is empty");
            return (record, None);
        };
        if let Some(first) = self.first.get(&index) {
            let first = first + 1;
            self.faults.note(&record.place, format!("index `{index}` is that of row {first} too"));
        } else {
            self.first.insert(index, row);
        }
        let [cell, paths] = held;
        match cell {
            Some(other) if other.len() <= LONGEST_INDEX && !other.starts_with('[') => {
                // A short path is no index; sets without embedded pictures have those.
                if !is_path(other) {
                    return (record, Some(other.to_owned()));
                }
                self.take(&mut record, other, pictures);
            }
            Some(held) => self.take(&mut record, held, pictures),
            None => paths.into_iter().for_each(|paths| self.take(&mut record, paths, pictures)),
        }
        (record, None)
    }

    /// Takes the one picture of a cell, or those of its list.
    fn take(&mut self, record: &mut Record, cell: &str, pictures: &mut Pictures<'_>) {
        let several = if cell.starts_with('[') { list::items(cell) } else { None };
        let several = several.unwrap_or_else(|| vec![cell.to_owned()]);
        for one in several {
            match pictures.take(&one) {
                Ok(path) => record.images.push(path),
                Err(message) => self.faults.note(&record.place, message),
            }
        }
    }

    /// The row whose picture an index stands for; it may itself reuse another's.
    fn origin(&self, index: &str, reused: &[(usize, String)]) -> Option<usize> {
        let mut row = *self.first.get(index)?;
        for _ in 0..=reused.len() {
            match reused.binary_search_by_key(&row, |(row, _)| *row) {
                Ok(at) => row = *self.first.get(&reused[at].1)?,
                Err(_) => return Some(row),
            }
        }
        None // A circle.
    }
}
