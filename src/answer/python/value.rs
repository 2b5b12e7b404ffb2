//! A Python value: what JSON holds and what scorers return.

use super::number::float_repr;
use super::text::is_printable;
use serde_json::Value;

/// A Python value with Python's equality.
#[derive(Clone, Debug)]
pub enum Py {
    /// `None`.
    None,
    /// `True` or `False`, which equal 1 and 0.
    Bool(bool),
    /// An integer of any size, as decimal digits.
    Int(String),
    /// A float.
    Float(f64),
    /// Text.
    Str(String),
    /// A list.
    List(Vec<Py>),
    /// A tuple, which equals no list.
    Tuple(Vec<Py>),
    /// A dictionary, in the order in which it was written.
    Dict(Vec<(Py, Py)>),
}

impl From<&Value> for Py {
    fn from(json: &Value) -> Self {
        match json {
            Value::Null => Self::None,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) if number.is_f64() => {
                Self::Float(number.as_f64().unwrap_or(f64::NAN))
            }
            Value::Number(number) => Self::Int(number.to_string()),
            Value::String(text) => Self::Str(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(fields) => Self::Dict(
                fields.iter().map(|(key, value)| (Self::Str(key.clone()), value.into())).collect(),
            ),
        }
    }
}

impl From<&Py> for Value {
    /// As the recorder writes it: floats that JSON cannot hold are words.
    fn from(value: &Py) -> Self {
        match value {
            Py::None => Self::Null,
            Py::Bool(truth) => Self::Bool(*truth),
            // Beyond 64 bits JSON readers see a float, and so does the file that it is compared with.
            Py::Int(digits) => serde_json::from_str(digits).unwrap_or(Self::Null),
            Py::Float(number) => float_json(*number),
            Py::Str(text) => Self::String(text.clone()),
            Py::List(items) | Py::Tuple(items) => items.iter().map(Self::from).collect(),
            Py::Dict(fields) => fields
                .iter()
                .map(|(key, value)| (key.str(), Self::from(value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

/// A float in JSON; `NaN`, `Infinity` and `-Infinity` as words.
pub fn float_json(number: f64) -> Value {
    let word = if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    serde_json::Number::from_f64(number).map_or_else(|| word.into(), Value::Number)
}

impl PartialEq for Py {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::List(a), Self::List(b)) | (Self::Tuple(a), Self::Tuple(b)) => a == b,
            (Self::Dict(a), Self::Dict(b)) => {
                a.len() == b.len() && a.iter().all(|pair| b.contains(pair))
            }
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Float(number), other) | (other, Self::Float(number)) => {
                other.integer().is_some_and(|digits| {
                    number.fract() == 0.0
                        && super::number::truncate(*number).is_some_and(|exact| exact == digits)
                })
            }
            (a, b) => a.integer().is_some_and(|a| b.integer().is_some_and(|b| a == b)),
        }
    }
}

impl Py {
    /// The decimal digits of an integer or truth value.
    pub fn integer(&self) -> Option<&str> {
        match self {
            Self::Int(digits) => Some(digits),
            Self::Bool(true) => Some("1"),
            Self::Bool(false) => Some("0"),
            _ => None,
        }
    }

    /// `str(value)`.
    pub fn str(&self) -> String {
        match self {
            Self::Str(text) => text.clone(),
            other => other.repr(),
        }
    }

    /// `repr(value)`.
    pub fn repr(&self) -> String {
        let joined = |items: &[Self]| items.iter().map(Self::repr).collect::<Vec<_>>().join(", ");
        match self {
            Self::None => "None".to_owned(),
            Self::Bool(true) => "True".to_owned(),
            Self::Bool(false) => "False".to_owned(),
            Self::Int(digits) => digits.clone(),
            Self::Float(number) => float_repr(*number),
            Self::Str(text) => quoted(text),
            Self::List(items) => format!("[{}]", joined(items)),
            Self::Tuple(items) if items.len() == 1 => format!("({},)", joined(items)),
            Self::Tuple(items) => format!("({})", joined(items)),
            Self::Dict(fields) => {
                let pair =
                    |(key, value): &(Self, Self)| format!("{}: {}", key.repr(), value.repr());
                format!("{{{}}}", fields.iter().map(pair).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// `repr` of text: single quotes unless it holds one and no double quote.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut written = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            c if c == quote => {
                written.push('\\');
                written.push(c);
            }
            c if is_printable(c) => written.push(c),
            c => match u32::from(c) {
                code @ 0..0x100 => written.push_str(&format!("\\x{code:02x}")),
                code @ 0x100..0x1_0000 => written.push_str(&format!("\\u{code:04x}")),
                code => written.push_str(&format!("\\U{code:08x}")),
            },
        }
    }
    written.push(quote);
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_written_as_python_writes_them() {
        for (json, text) in [
            (json!(null), "None"),
            (json!(true), "True"),
            (json!(3.0), "3.0"),
            (json!(["B"]), "['B']"),
            (json!({"a": "B", "n": [1, null]}), "{'a': 'B', 'n': [1, None]}"),
            (json!(["it's", "\"'\n\u{200b}é"]), r#"["it's", '"\'\n\u200bé']"#),
        ] {
            assert_eq!(Py::from(&json).str(), text);
        }
    }

    #[test]
    fn equality_crosses_number_types() {
        assert_eq!(Py::Int("1".into()), Py::Float(1.0));
        assert_eq!(Py::Bool(true), Py::Int("1".into()));
        assert_eq!(Py::Int("100000000000000000000".into()), Py::Float(1e20));
        assert_ne!(Py::Int("14".into()), Py::Str("14".into()));
        assert_ne!(Py::Float(f64::NAN), Py::Float(f64::NAN));
        assert_ne!(Py::None, Py::Bool(false));
    }
}
