//! A recorded case: its fields by type, with errors that say where one is missing.

use crate::answer::metric::option::Options;
use crate::answer::python::value::float_json;
use crate::answer::python::{Py, PyResult};
use crate::{Error, Result};
use serde_json::{Value, json};

/// One recorded case of a group.
pub struct Case<'a> {
    /// Where it stands: metric, variant and position.
    pub place: String,
    /// The group's variant.
    pub variant: &'a str,
    /// Its fields.
    pub fields: &'a Value,
    /// The group, for what all its cases share.
    pub group: &'a Value,
}

/// How far two numbers may lie apart, absolutely and as a share.
const TOLERANCE: f64 = 1e-9;

impl Case<'_> {
    fn wrong(&self, field: &str, wanted: &str) -> Error {
        let found = match self.fields.get(field) {
            None => "missing".to_owned(),
            Some(value) => format!("`{value}`"),
        };
        Error::new(format!("{}: `{field}` is {found}, not {wanted}", self.place))
            .hint("is it a file of recorded metrics, as in tests/assets/metrics.json?")
    }

    /// Any field.
    pub fn value(&self, field: &str) -> Result<&Value> {
        self.fields.get(field).ok_or_else(|| self.wrong(field, "a value"))
    }

    /// A text.
    pub fn text(&self, field: &str) -> Result<&str> {
        self.value(field)?.as_str().ok_or_else(|| self.wrong(field, "text"))
    }

    /// A list.
    pub fn list(&self, field: &str) -> Result<&Vec<Value>> {
        self.value(field)?.as_array().ok_or_else(|| self.wrong(field, "a list"))
    }

    /// A list of texts.
    pub fn texts(&self, field: &str) -> Result<Vec<String>> {
        let texts = self.list(field)?.iter().map(|item| item.as_str().map(str::to_owned));
        texts.collect::<Option<_>>().ok_or_else(|| self.wrong(field, "a list of texts"))
    }

    /// The list of texts, or none for null or a missing field.
    pub fn texts_or_none(&self, field: &str) -> Result<Vec<String>> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                Ok(items.iter().map(|item| Py::from(item).str()).collect())
            }
            Some(_) => Err(self.wrong(field, "a list")),
        }
    }

    /// Options by the place of their letter, from a list or from letters with texts; letters
    /// that are not used have no text. None where the field is null or missing.
    pub fn choices(&self) -> Result<Vec<String>> {
        if !self.fields.get("choices").is_some_and(Value::is_object) {
            return self.texts_or_none("choices");
        }
        let mut texts = Vec::new();
        for (letter, text) in &*self.options("choices")? {
            if let Some(place) = ('A'..='Z').position(|known| letter.chars().eq([known])) {
                texts.resize(texts.len().max(place + 1), String::new());
                texts[place].clone_from(text);
            }
        }
        Ok(texts)
    }

    /// The answer that picks an option, as Python writes it.
    pub fn answer(&self) -> Result<String> {
        let fields = ["answer", "prediction", "extraction", "response"];
        let field = fields.into_iter().find(|field| self.fields.get(*field).is_some());
        Ok(self.py(field.unwrap_or("answer"))?.str())
    }

    /// A truth value.
    pub fn flag(&self, field: &str) -> Result<bool> {
        self.value(field)?.as_bool().ok_or_else(|| self.wrong(field, "true or false"))
    }

    /// Any field, as Python holds it.
    pub fn py(&self, field: &str) -> Result<Py> {
        self.value(field).map(Py::from)
    }

    /// Letters with their texts.
    pub fn options(&self, field: &str) -> Result<Box<Options>> {
        let fields = self.value(field)?.as_object();
        let fields = fields.ok_or_else(|| self.wrong(field, "letters with texts"))?;
        Ok(fields.iter().map(|(letter, text)| (letter.clone(), Py::from(text).str())).collect())
    }

    /// A field of each of some rows.
    pub fn of_rows<'v, T>(
        &self,
        rows: &'v [Value],
        field: &str,
        read: impl Fn(&'v Value) -> Option<T>,
    ) -> Result<Vec<T>> {
        let wrong = |index: usize| {
            Error::new(format!("{}: row {} has no `{field}` of its type", self.place, index + 1))
        };
        let read = |(index, row): (usize, &'v Value)| {
            row.get(field).and_then(&read).ok_or_else(|| wrong(index))
        };
        rows.iter().enumerate().map(read).collect()
    }
}

/// A float that JSON may not hold.
pub fn float_of(value: &Value) -> Option<f64> {
    match value {
        Value::String(word) => match word.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        value => value.as_f64(),
    }
}

/// What a peer's function gives, an exception as the recorder writes it.
pub fn raised<T>(result: PyResult<T>, write: impl FnOnce(T) -> Value) -> Value {
    match result {
        Ok(value) => write(value),
        Err(exception) => json!({ "error": exception.0 }),
    }
}

/// A number in JSON, null for none.
pub fn number(value: Option<f64>) -> Value {
    value.map_or(Value::Null, float_json)
}

/// 1 or 0.
pub fn score(right: bool) -> Value {
    f64::from(u8::from(right)).into()
}

/// Whether two values agree: numbers within the tolerance, the rest exactly.
pub fn agree(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            (a - b).abs() <= TOLERANCE * b.abs().max(1.0)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agree(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(key, a): (&String, &Value)| b.get(key).is_some_and(|b| agree(a, b));
            a.len() == b.len() && a.iter().all(same)
        }
        (a, b) => a == b,
    }
}
