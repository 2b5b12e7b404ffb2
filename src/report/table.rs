//! CSV files, read and written.

use crate::error::Context;
use crate::{Error, Result};
use std::path::Path;

/// A CSV file in memory: LF line ends, quotes only where they are needed.
pub struct Table(csv::Writer<Vec<u8>>);

impl Table {
    /// An empty one.
    pub fn new(header: &[&str]) -> Self {
        let mut table = Self(csv::Writer::from_writer(Vec::new()));
        table.row(header);
        table
    }

    /// One more row.
    pub fn row<T: AsRef<[u8]>>(&mut self, cells: &[T]) {
        self.0.write_record(cells).expect("rows are as long as the header, memory does not fail");
    }

    /// Adds the rows of a file to a table of several, which it begins; in front of each stands
    /// what the file is of, in a column of its own.
    ///
    /// # Errors
    ///
    /// Files whose columns differ.
    pub fn gather(table: &mut Option<Self>, [column, of]: [&str; 2], file: &Csv) -> Result<()> {
        let (header, rows) = file;
        let header = || header.iter().map(String::as_str);
        let table = table.get_or_insert_with(|| {
            Self::new(&[column].into_iter().chain(header()).collect::<Vec<_>>())
        });
        for row in rows {
            let cells = [of].into_iter().chain(row);
            table.0.write_record(cells).with_context(|| format!("gathering the rows of `{of}`"))?;
        }
        Ok(())
    }

    /// The text.
    pub fn finish(self) -> String {
        let bytes = self.0.into_inner().expect("memory does not fail");
        String::from_utf8(bytes).expect("cells are UTF-8")
    }
}

/// The header and the rows of a CSV file.
pub type Csv = (Vec<String>, Vec<csv::StringRecord>);

/// A CSV file, with errors that name it.
pub fn read_csv(path: &Path) -> Result<Csv> {
    let reading = || format!("reading {}", path.display());
    let mut reader = csv::Reader::from_path(path).with_context(reading)?;
    let header = reader.headers().with_context(reading)?.iter().map(str::to_owned).collect();
    let rows = reader.records().collect::<Result<Vec<_>, _>>().with_context(reading)?;
    Ok((header, rows))
}

/// A cell's number; `None` where it is empty or not finite, which is "not measured".
pub(super) fn number(path: &Path, line: usize, name: &str, text: &str) -> Result<Option<f64>> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(value) => Ok(Some(value).filter(|value| value.is_finite())),
        Err(_) => Err(Error::new(format!(
            "reading {}: line {line}: `{name}` is `{text}`, not a number",
            path.display()
        ))
        .hint("delete the artifact's folder and run the experiment again")),
    }
}

/// An optional number as a cell: empty where it was not measured.
pub fn cell<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
