//! Recorded values on disk: JSON fields and tensors, faults named.

use crate::error::Context;
use crate::{Error, Result};
use image::RgbImage;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Map, Value};
use std::path::Path;

/// A JSON file, if it is there.
pub fn json(path: &Path) -> Result<Option<Value>> {
    let doing = || format!("reading {}", path.display());
    match path.exists() {
        false => Ok(None),
        true => serde_json::from_slice(&std::fs::read(path).with_context(doing)?)
            .with_context(doing)
            .map(Some),
    }
}

/// The schema that a record says it has, where it is not the one that is known.
pub fn other_schema(record: &Value) -> Option<String> {
    let schema = record.get("schema").filter(|schema| **schema != 1)?;
    Some(format!("schema {schema}"))
}

/// The fields of an object.
pub fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| Error::new(format!("{what} is not an object")))
}

/// The list of that name.
pub fn array<'a>(value: &'a Value, name: &str) -> Result<&'a Vec<Value>> {
    let list = value.get(name).and_then(Value::as_array);
    list.ok_or_else(|| Error::new(format!("`{name}` is not a list")))
}

/// The text of that name.
pub fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    let text = value.get(name).and_then(Value::as_str);
    text.ok_or_else(|| Error::new(format!("`{name}` is not text")))
}

/// The number of that name: whole, not negative.
pub fn whole(value: &Value, name: &str) -> Result<usize> {
    let number = value.get(name).and_then(Value::as_u64);
    let number = number.and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| Error::new(format!("`{name}` is not a whole number")))
}

/// The number of that name, a side in pixels.
pub fn side(value: &Value, name: &str) -> Result<usize> {
    match whole(value, name)? {
        side @ 1..=MOST_PIXELS => Ok(side),
        side => {
            Err(Error::new(format!("`{name}` is {side}, not a side of 1 to {MOST_PIXELS} pixels")))
        }
    }
}

/// How many tokens a tile has.
pub fn image_tokens(value: &Value) -> Result<usize> {
    let name = "num_image_token";
    match whole(value, name)? {
        tokens @ ..=MOST_TOKENS => Ok(tokens),
        tokens => Err(Error::new(format!("`{name}` is {tokens}, above {MOST_TOKENS}"))),
    }
}

/// Of a tile, whatever the model.
const MOST_PIXELS: usize = 4096;
/// Of a tile that large, a patch of 32 pixels a token.
const MOST_TOKENS: usize = (MOST_PIXELS / 32).pow(2);

/// A list of numbers.
pub fn floats(value: &Value) -> Result<Vec<f64>> {
    serde_json::from_value(value.clone())
        .with_context(|| format!("`{value}` is no list of numbers"))
}

/// The tensors of a file; none where there is no file.
pub struct Tensors {
    bytes: Vec<u8>,
}

impl Tensors {
    /// Reads and checks a file's header.
    pub fn open(path: &Path) -> Result<Self> {
        let doing = || format!("reading {}", path.display());
        if !path.exists() {
            let none = [(8u64.to_le_bytes()).as_slice(), b"{}      "].concat();
            return Ok(Self { bytes: none });
        }
        let bytes = std::fs::read(path).with_context(doing)?;
        SafeTensors::deserialize(&bytes).with_context(doing)?;
        Ok(Self { bytes })
    }

    fn file(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).expect("checked when opened")
    }

    /// Their names, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.file().names().iter().map(|name| (*name).into()).collect();
        names.sort_unstable();
        names
    }

    /// A tensor of that type, if there is one of that name.
    pub fn get(&self, name: &str, dtype: Dtype) -> Result<Option<TensorView<'_>>> {
        let Ok(view) = self.file().tensor(name) else { return Ok(None) };
        if view.dtype() != dtype {
            return Err(Error::new(format!("`{name}` is {:?}, not {dtype:?}", view.dtype())));
        }
        Ok(Some(view))
    }

    /// A picture: `[height, width, 3]` u8.
    pub fn picture(&self, name: &str) -> Result<RgbImage> {
        let view = self.get(name, Dtype::U8)?;
        let view = view.ok_or_else(|| Error::new(format!("there is no `{name}`")))?;
        let &[height, width, 3] = view.shape() else {
            return Err(Error::new(format!("`{name}` is {:?}, not a picture", view.shape())));
        };
        let picture = RgbImage::from_raw(width as u32, height as u32, view.data().to_vec());
        picture.ok_or_else(|| Error::new(format!("`{name}` is no picture")))
    }
}
