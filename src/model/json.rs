//! Reading a JSON object key by key, with messages that name the key.

use super::config::RopeScaling;
use crate::{Error, Result};
use serde_json::Value;

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

    fn error(&self, key: &str, wanted: &str) -> Error {
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
        self.get(key, default, "a count", |value| value.as_u64().map(|number| number as usize))
    }

    pub(crate) fn i64(&self, key: &str, default: Option<i64>) -> Result<i64> {
        self.get(key, default, "a whole number", Value::as_i64)
    }

    pub(crate) fn f64(&self, key: &str, default: Option<f64>) -> Result<f64> {
        self.get(key, default, "a number", Value::as_f64)
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

    /// A side in pixels: a number, or two equal ones.
    pub(crate) fn side(&self, key: &str) -> Result<usize> {
        self.get(key, None, "a side in pixels", |value| {
            match value {
                Value::Array(sides) if sides.len() == 2 && sides[0] == sides[1] => {
                    sides[0].as_u64()
                }
                value => value.as_u64(),
            }
            .map(|side| side as usize)
        })
    }

    /// `{ type | rope_type, factor }`.
    pub(crate) fn scaling(&self) -> Result<RopeScaling> {
        let kind = self.str("rope_type", self.str("type", "default")?)?;
        match kind {
            "default" => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear(self.f64("factor", None)?)),
            "dynamic" => Ok(RopeScaling::Dynamic(self.f64("factor", None)?)),
            other => Err(Error::new(format!("rope scaling `{other}` is unknown"))
                .hint("known ones: default, linear, dynamic")),
        }
    }
}
