//! Parquet tables as the Hugging Face Hub publishes benchmarks: a row a question, pictures as
//! structs of `bytes` and `path`.
//!
//! Nested columns become JSON: lists, structs and maps. A table cut into shards
//! (`test-00000-of-00003.parquet`) is read by naming its folder.

use super::json::{self, PICTURES};
use super::{Faults, Pictures, Record};
use crate::error::{Context, Error, Result};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::{Map, Value};
use std::fs::File;
use std::path::Path;

/// Reads a table row by row, pictures going to their folder as they come.
///
/// # Errors
///
/// A file that is no Parquet table, packed in a way that is not read, one shard of several, and
/// every faulty row.
pub fn read(path: &Path, pictures: &mut Pictures<'_>) -> Result<Vec<Record>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let broken = |error: ParquetError| {
        Error::new(format!("{}: {error}", path.display()))
            .hint("the file is no whole Parquet table; fetch it again")
    };
    let table = SerializedFileReader::new(file).map_err(broken)?;
    let mut faults = Faults::default();
    let mut records = Vec::new();
    let stem = super::folder::table(path);
    for (number, row) in (1..).zip(table.get_row_iter(None).map_err(broken)?) {
        let place = format!("{} row {number}", path.display());
        let row = row.map_err(|error| {
            Error::new(format!("{place}: {error}"))
                .hint("Prefab reads tables packed with snappy or not at all, as the Hub's are")
        })?;
        let mut record = Record { place, file: stem.clone(), ..Record::default() };
        match fields(row, pictures) {
            Ok((fields, images)) => (record.fields, record.images) = (fields, images),
            Err(message) => faults.note(&record.place, message),
        }
        records.push(record);
    }
    faults.check(path, records.len())?;
    Ok(records)
}

/// Whether a column of pictures holds them and not their paths; not of what is no table.
pub fn embeds(path: &Path) -> bool {
    let Some(table) = File::open(path).ok().and_then(|file| SerializedFileReader::new(file).ok())
    else {
        return false;
    };
    let columns = table.metadata().file_metadata().schema().get_fields().to_vec();
    columns.iter().any(|column| PICTURES.contains(&column.name()) && column.is_group())
}

/// The columns of a row as JSON, and its pictures: the embedded ones of the first column that
/// holds any, else what the columns name.
fn fields(
    row: Row,
    pictures: &mut Pictures<'_>,
) -> Result<(Map<String, Value>, Vec<String>), String> {
    let (mut fields, mut images) = (Map::new(), Vec::new());
    for (name, field) in row.into_columns() {
        let embedded = match PICTURES.contains(&name.as_str()) {
            true => embedded(&field),
            false => Vec::new(),
        };
        if embedded.is_empty() {
            fields.insert(name, value(&field));
        } else if images.is_empty() {
            for bytes in embedded {
                images.push(pictures.keep(bytes)?);
            }
        }
    }
    if images.is_empty() {
        images = json::take(&mut fields, pictures)?;
    } else if let Some(named) = PICTURES.iter().find_map(|name| fields.remove(*name)) {
        // MathVista has the picture in one column and the name of its file in another.
        fields.entry("image_name").or_insert(named);
    }
    Ok((fields, images))
}

/// The bytes of a picture, of its struct, or of a list of either.
fn embedded(field: &Field) -> Vec<&[u8]> {
    match field {
        Field::Group(row) => {
            let bytes = row.get_column_iter().find(|(name, _)| *name == "bytes");
            match bytes {
                Some((_, Field::Bytes(bytes))) => vec![bytes.data()],
                _ => Vec::new(),
            }
        }
        Field::ListInternal(list) => list.elements().iter().flat_map(embedded).collect(),
        // Bytes that are text name a picture.
        Field::Bytes(bytes) if std::str::from_utf8(bytes.data()).is_err() => vec![bytes.data()],
        _ => Vec::new(),
    }
}

/// A column's value as JSON; bytes that are no text have none.
fn value(field: &Field) -> Value {
    match field {
        Field::Bool(truth) => (*truth).into(),
        Field::Byte(number) => (*number).into(),
        Field::Short(number) => (*number).into(),
        Field::Int(number) => (*number).into(),
        Field::Long(number) => (*number).into(),
        Field::UByte(number) => (*number).into(),
        Field::UShort(number) => (*number).into(),
        Field::UInt(number) => (*number).into(),
        Field::ULong(number) => (*number).into(),
        Field::Float(number) => f64::from(*number).into(),
        Field::Double(number) => (*number).into(),
        Field::Str(text) => text.as_str().into(),
        Field::Bytes(bytes) => std::str::from_utf8(bytes.data()).map_or(Value::Null, Value::from),
        Field::Group(row) => {
            row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect()
        }
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        Field::Null => Value::Null,
        other => other.to_string().into(),
    }
}
