//! Reading a JSON object key by key, with messages that name the key.

use crate::{Error, Result};
use serde_json::Value;

/// Counts above this are damage: products of a few of them still fit a machine word.
pub(crate) const LARGEST: usize = 1 << 24;

fn count(value: &Value) -> Option<usize> {
    value.as_u64().filter(|&number| number <= LARGEST as u64).map(|number| number as usize)
}

fn positive(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| *number > 0.0 && number.is_finite())
}

/// A JSON object with its path, for messages.
pub(crate) struct Table<'a> {
    pub(crate) json: &'a Value,
    path: &'a str,
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(crate) fn root(json: &'a Value) -> Self {
        Self { json, path: "" }
    }

    pub(crate) fn table(&self, key: &'a str) -> Result<Table<'a>> {
        match self.json.get(key) {
            Some(json) if json.is_object() => Ok(Table { json, path: key }),
            _ => Err(self.error(key, "a table")),
        }
    }

    /// A table that need not be there.
    pub(crate) fn optional(&self, key: &'a str) -> Result<Option<Table<'a>>> {
        match self.json.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.table(key).map(Some),
        }
    }

    /// Refuses any key beside these.
    pub(crate) fn only_keys(&self, known: &[&str]) -> Result<()> {
        let mut keys = self.json.as_object().into_iter().flat_map(|table| table.keys());
        match keys.find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(self.error(key, "nothing, or a `rope_type` beside it,")),
            None => Ok(()),
        }
    }

    pub(crate) fn error(&self, key: &str, wanted: &str) -> Error {
        let dot = if self.path.is_empty() { "" } else { "." };
        let got = self.json.get(key).map_or("nothing".to_owned(), |value| format!("`{value}`"));
        Error::new(format!("`{}{dot}{key}` is {got} where {wanted} belongs", self.path))
    }

    fn get<T>(
        &self,
        key: &str,
        default: Option<T>,
        wanted: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        match self.json.get(key) {
            None | Some(Value::Null) => default.ok_or_else(|| self.error(key, wanted)),
            Some(value) => read(value).ok_or_else(|| self.error(key, wanted)),
        }
    }

    pub(crate) fn usize(&self, key: &str, default: Option<usize>) -> Result<usize> {
        self.get(key, default, "a count", count)
    }

    pub(crate) fn i64(&self, key: &str, default: Option<i64>) -> Result<i64> {
        self.get(key, default, "a whole number", Value::as_i64)
    }

    pub(crate) fn f64(&self, key: &str, default: Option<f64>) -> Result<f64> {
        self.get(key, default, "a number", Value::as_f64)
    }

    /// A number above 0.
    pub(crate) fn positive(&self, key: &str, default: Option<f64>) -> Result<f64> {
        self.get(key, default, "a number above 0", positive)
    }

    /// That many numbers above 0.
    pub(crate) fn positives(&self, key: &str, count: usize) -> Result<Vec<f64>> {
        self.get(key, None, &format!("a list of {count} numbers above 0"), |value| {
            let list: Option<Vec<f64>> = value.as_array()?.iter().map(positive).collect();
            list.filter(|list| list.len() == count)
        })
    }

    /// Refuses any word but the one that is known.
    pub(crate) fn only(&self, key: &str, known: &'a str) -> Result<()> {
        match self.str(key, known)? {
            word if word == known => Ok(()),
            _ => Err(self.error(key, &format!("`{known}`"))),
        }
    }

    pub(crate) fn bool(&self, key: &str, default: bool) -> Result<bool> {
        self.get(key, Some(default), "true or false", Value::as_bool)
    }

    pub(crate) fn str(&self, key: &str, default: &'a str) -> Result<&'a str> {
        match self.json.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value.as_str().ok_or_else(|| self.error(key, "a word")),
        }
    }

    /// A word that need not be there.
    pub(crate) fn word(&self, key: &str) -> Result<Option<&'a str>> {
        match self.json.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| self.error(key, "a word")),
        }
    }

    /// A side in pixels: a number, or two equal ones.
    pub(crate) fn side(&self, key: &str) -> Result<usize> {
        self.get(key, None, "a side in pixels", |value| match value {
            Value::Array(sides) if sides.len() == 2 && sides[0] == sides[1] => count(&sides[0]),
            value => count(value),
        })
    }
}
