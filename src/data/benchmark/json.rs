//! Lists of objects in JSON, and an object a line in JSONL.
//!
//! A `.json` file is a list, an object whose `data`, `annotations` or `questions` is one, or an
//! object of objects by id; POPE's are JSONL in spite of their name.

use super::{Faults, Pictures, Record};
use crate::error::{Context, Error, Result};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Fields that hold a picture: a path, base64, or a list of either.
pub(super) const PICTURES: [&str; 8] =
    ["image", "images", "image_path", "img_path", "imgname", "imagename", "decoded_image", "img"];

/// Reads the objects of a file, pictures going to their folder as they come; without `pictures`
/// they stay where they are, as fields.
///
/// # Errors
///
/// A file that cannot be opened, text that is not JSON, and every faulty row.
pub fn read(path: &Path, mut pictures: Option<&mut Pictures<'_>>) -> Result<Vec<Record>> {
    let mut faults = Faults::default();
    let mut records = Vec::new();
    let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut add = |place: String, value: Value| {
        let mut record = Record { place, file: file.clone(), ..Record::default() };
        match value {
            Value::Object(fields) => record.fields = fields,
            other => {
                faults.note(&record.place, format!("{} is no object", kind(&other)));
                return;
            }
        }
        if let Some(pictures) = &mut pictures {
            let taken = take(&mut record.fields, pictures);
            match taken {
                Ok(images) => record.images = images,
                Err(message) => faults.note(&record.place, message),
            }
        }
        records.push(record);
    };
    if is_lines(path)? {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        for (line, text) in (1..).zip(BufReader::new(file).lines()) {
            let place = format!("{}:{line}", path.display());
            let text = text.with_context(|| &place)?;
            let text = text.trim_start_matches('\u{feff}').trim();
            if !text.is_empty() {
                let value = serde_json::from_str(text).map_err(|error| {
                    // The parser counts lines from the record's own start.
                    let what = error.to_string();
                    let what = what.split(" at line ").next().unwrap_or_default();
                    Error::new(format!("{place}:{}: not JSON: {what}", error.column()))
                        .hint("every line is one JSON object")
                })?;
                add(place, value);
            }
        }
    } else {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let whole: Value =
            serde_json::from_slice(bytes).with_context(|| path.display().to_string())?;
        for (number, value) in (1..).zip(objects(whole, path)?) {
            add(format!("{} row {number}", path.display()), value);
        }
    }
    faults.check(path, records.len())?;
    Ok(records)
}

/// Whether a file holds an object a line: its first line is a whole one.
fn is_lines(path: &Path) -> Result<bool> {
    if path.extension().is_some_and(|end| end == "jsonl") {
        return Ok(true);
    }
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut line = Vec::new();
    let mut reader = BufReader::new(file);
    while line.trim_ascii().is_empty() {
        line.clear();
        if reader.read_until(b'\n', &mut line).with_context(|| path.display())? == 0 {
            return Ok(false);
        }
    }
    let more = !reader.fill_buf().with_context(|| path.display())?.trim_ascii().is_empty();
    Ok(more && serde_json::from_slice::<Map<String, Value>>(&line).is_ok())
}

/// The objects of a whole file.
fn objects(whole: Value, path: &Path) -> Result<Vec<Value>> {
    match whole {
        Value::Array(list) => Ok(list),
        Value::Object(mut map) => {
            for name in ["data", "annotations", "questions"] {
                if let Some(Value::Array(list)) = map.get_mut(name) {
                    return Ok(std::mem::take(list));
                }
            }
            // MM-Vet's answers are texts by id.
            let by_id = |(id, value): (String, Value)| match value {
                Value::Object(mut fields) => {
                    fields.entry("id").or_insert(id.into());
                    Value::Object(fields)
                }
                Value::String(text) => json!({ "id": id, "text": text }),
                other => other,
            };
            Ok(map.into_iter().map(by_id).collect())
        }
        other => Err(Error::new(format!("{} holds {}", path.display(), kind(&other)))
            .hint("it should hold a list of objects, or an object of objects by id")),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Takes the pictures out of an object's fields, their paths staying as `image_name`.
pub(super) fn take(
    fields: &mut Map<String, Value>,
    pictures: &mut Pictures<'_>,
) -> Result<Vec<String>, String> {
    let mut taken = Vec::new();
    for name in PICTURES {
        let several = match fields.get(name) {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(list)) => {
                list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => continue,
        };
        fields.remove(name);
        if !taken.is_empty() {
            continue;
        }
        for one in several.iter().filter(|one| !one.trim().is_empty()) {
            if super::picture::is_path(one) {
                fields.entry("image_name").or_insert(one.as_str().into());
            }
            taken.push(pictures.take(one)?);
        }
    }
    Ok(taken)
}
