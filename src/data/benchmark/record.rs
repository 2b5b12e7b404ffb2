//! A row of a benchmark's file, whatever the format.

use super::list;
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::path::Path;

/// A row: its fields by name, and the pictures that were taken out of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Where it stands: `FILE row 12 (line 13)`, `FILE:12`.
    pub place: String,
    /// The stem of its file's name.
    pub file: String,
    /// Everything but pictures.
    pub fields: Map<String, Value>,
    /// Its pictures, as paths below the folder that [`super::Pictures`] writes to.
    pub images: Vec<String>,
}

impl Record {
    /// The first of some fields that says something, as text; numbers and truth values as they are
    /// written.
    pub fn text(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| text(self.fields.get(*name)?))
    }

    /// As [`Self::text`].
    ///
    /// # Errors
    ///
    /// If none of them says anything.
    pub fn needs(&self, names: &[&str]) -> Result<String, String> {
        self.text(names).ok_or_else(|| format!("`{}` is missing or empty", names.join("` or `")))
    }

    /// The first of some fields that is a JSON list.
    pub fn array(&self, names: &[&str]) -> Option<Vec<String>> {
        names.iter().find_map(|name| self.fields.get(*name)?.as_array()?.iter().map(item).collect())
    }

    /// The first of some fields that is a list of texts: a JSON list, or one that Python printed.
    pub fn texts(&self, names: &[&str]) -> Option<Vec<String>> {
        names.iter().find_map(|name| match self.fields.get(*name)? {
            Value::String(cell) => list::texts(cell),
            _ => self.array(&[name]),
        })
    }

    /// The first of some fields that is a list: a JSON list, or one that Python printed.
    pub fn list(&self, names: &[&str]) -> Option<Vec<String>> {
        names.iter().find_map(|name| match self.fields.get(*name)? {
            Value::String(cell) => list::items(cell),
            _ => self.array(&[name]),
        })
    }

    /// The options in columns `A`, `B`, … up to the first letter that is not there. An empty cell is
    /// an option that is not there, unless a later one is: then the row is faulty.
    ///
    /// # Errors
    ///
    /// Options with a gap.
    pub fn lettered(&self) -> Result<Vec<String>, String> {
        let letter = |letter: char| self.text(&[letter.to_string().as_str()]);
        let options: Vec<String> = ('A'..='Z').map_while(letter).collect();
        let next = (b'A' + options.len() as u8) as char;
        let gap = ('A'..='Z').skip(options.len() + 1).find(|later| letter(*later).is_some());
        match gap {
            Some(later) => Err(format!("option {later} is there, but option {next} is not")),
            None => Ok(options),
        }
    }
}

/// A value as text; an empty one says nothing.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// An item of a list: a text, which may be empty, or an object that holds one (VQA's annotators'
/// answers).
fn item(value: &Value) -> Option<String> {
    match value {
        Value::Object(fields) => item(fields.get("answer").filter(|answer| !answer.is_object())?),
        Value::String(text) => Some(text.clone()),
        other => text(other),
    }
}

/// Faulty rows that an error names; the rest is counted.
const NAMED: usize = 5;

/// What is wrong with the rows of a file.
#[derive(Debug, Default)]
pub struct Faults {
    first: Vec<String>,
    count: usize,
}

impl Faults {
    /// Notes a faulty row.
    pub fn note(&mut self, place: &str, message: impl std::fmt::Display) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(format!("\n  {place}: {message}"));
        }
    }

    /// All is well, or an error that names rows.
    ///
    /// # Errors
    ///
    /// If a row was faulty.
    pub fn check(&self, path: &Path, rows: usize) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let more = self.count - self.first.len();
        let more = if more > 0 { format!("\n  … and {more} more") } else { String::new() };
        Err(Error::new(format!(
            "{}: {} faults in {rows} rows:{}{more}",
            path.display(),
            self.count,
            self.first.concat()
        ))
        .hint("mend or remove these rows, or fetch the file again; nothing was kept"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(fields: Value) -> Record {
        Record { fields: fields.as_object().unwrap().clone(), ..Record::default() }
    }

    #[test]
    fn fields_are_read_as_text_whatever_they_are() {
        let row = record(json!({ "a": " ", "b": 3, "c": true, "d": null, "e": [1, "x"],
                                 "f": "['y', 2]", "g": [{ "answer": "z" }] }));
        assert_eq!(row.text(&["a", "d", "b"]).as_deref(), Some("3"));
        assert_eq!(row.text(&["c"]).as_deref(), Some("true"));
        assert!(row.needs(&["a", "d"]).unwrap_err().contains("`a` or `d`"));
        assert_eq!(row.list(&["a", "e"]), Some(vec!["1".into(), "x".into()]));
        assert_eq!(row.list(&["f"]), Some(vec!["y".into(), "2".into()]));
        assert_eq!(row.list(&["g"]), Some(vec!["z".into()]));
    }

    #[test]
    fn lettered_options_have_no_gap() {
        let row = record(json!({ "A": "x", "B": "y", "C": "", "D": "" }));
        assert_eq!(row.lettered(), Ok(vec!["x".into(), "y".into()]));
        let row = record(json!({ "A": "x", "B": "", "C": "z" }));
        assert_eq!(row.lettered(), Err("option C is there, but option B is not".into()));
        assert_eq!(record(json!({})).lettered(), Ok(vec![]));
    }
}
