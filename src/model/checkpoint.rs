//! Hub-style directories: safetensors files mapped into memory, whole or sharded,
//! every name, shape and type checked; and written in the same form.

use super::config::{Config, Layout};
use super::{native, parameters};
use crate::error::Context;
use crate::{Error, Result};
use memmap2::Mmap;
use safetensors::tensor::{Dtype, Metadata, SafeTensors};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// A safetensors file, mapped: its tensors are read when they are asked for.
pub(crate) struct Mapped {
    pub(crate) path: PathBuf,
    map: Mmap,
    /// Where the tensors begin.
    start: usize,
    metadata: Metadata,
}

impl Mapped {
    /// Maps a file and checks its header.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let doing = || format!("reading `{}`", path.display());
        let file = File::open(path).with_context(doing)?;
        // SAFETY: artifacts and checkpoints are never edited in place, only replaced by rename,
        // so the mapped bytes do not change under us.
        let map = unsafe { Mmap::map(&file) }.with_context(doing)?;
        let (header, metadata) = SafeTensors::read_metadata(&map).with_context(doing)?;
        Ok(Self { path: path.to_owned(), map, start: header + 8, metadata })
    }

    /// Names of its tensors.
    pub(crate) fn names(&self) -> Vec<String> {
        self.metadata.tensors().into_keys().collect()
    }

    /// Type, shape and bytes of a tensor.
    pub(crate) fn tensor(&self, name: &str) -> Result<(Dtype, Vec<i64>, &[u8])> {
        let info = self.metadata.info(name).ok_or_else(|| {
            Error::new(format!("`{}` has no tensor `{name}`", self.path.display()))
        })?;
        let (begin, end) = info.data_offsets;
        let shape = info.shape.iter().map(|&dim| dim as i64).collect();
        Ok((info.dtype, shape, &self.map[self.start + begin..self.start + end]))
    }

    /// A tensor as f32; bf16 and fp16 are widened.
    fn float(&self, name: &str) -> Result<Tensor> {
        let (dtype, shape, bytes) = self.tensor(name)?;
        let doing = || format!("reading `{name}` of `{}`", self.path.display());
        let kind = match dtype {
            Dtype::F32 => Kind::Float,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::F16 => Kind::Half,
            other => {
                return Err(Error::new(format!(
                    "`{name}` of `{}` is {other:?} where F32, BF16 or F16 belongs",
                    self.path.display()
                )));
            }
        };
        let tensor = Tensor::f_from_data_size(bytes, &shape, kind).with_context(doing)?;
        tensor.f_to_kind(Kind::Float).with_context(doing)
    }
}

/// The tensors of a checkpoint directory, by their names in the original layout, in
/// the order of [`parameters::list`]. Also says whether the head is tied.
///
/// # Errors
///
/// A missing or damaged file; a tensor that is missing, not known to this kind of
/// model, or of another shape or type: each names the file and the tensor.
pub(crate) fn load(
    dir: &Path,
    config: &mut Config,
    device: Device,
) -> Result<Vec<(String, Tensor)>> {
    let files = shards(dir)?;
    // Where each part of each tensor lies: transformers' layout has some in thirds.
    let mut places: BTreeMap<String, BTreeMap<usize, (usize, String)>> = BTreeMap::new();
    for (index, file) in files.iter().enumerate() {
        for name in file.names() {
            let (original, part) = match config.layout {
                Layout::Original => (name.clone(), 0),
                Layout::Native => native::original(&name),
            };
            // A buffer that old files hold beside the weights.
            if !original.ends_with("rotary_emb.inv_freq") {
                places.entry(original).or_default().insert(part, (index, name));
            }
        }
    }
    // The file decides: released configs contradict themselves.
    config.language.tied = !places.contains_key(parameters::head_name(&config.language));
    let list = parameters::list(config);
    let known: BTreeSet<&str> = list.iter().map(|parameter| parameter.name.as_str()).collect();
    if let Some((name, parts)) = places.iter().find(|(name, _)| !known.contains(name.as_str())) {
        let (file, name) = parts.values().next().map_or((0, name), |(file, name)| (*file, name));
        return Err(Error::new(format!(
            "`{}` holds `{name}`, which config.json's model does not have",
            files[file].path.display()
        )));
    }
    let mut tensors = Vec::with_capacity(list.len());
    for parameter in list {
        let name = &parameter.name;
        let parts = places.get(name).ok_or_else(|| {
            let wanted = native::published(name, config.layout);
            Error::new(format!("no file in `{}` holds `{wanted}`", dir.display()))
        })?;
        let read: Result<Vec<Tensor>> =
            parts.values().map(|(file, name)| files[*file].float(name)).collect();
        let (file, published) = &parts[parts.keys().next().expect("a place has a part")];
        let doing = || format!("reading `{published}` of `{}`", files[*file].path.display());
        let mut read = read?;
        let tensor = match read.len() {
            1 => read.remove(0),
            _ => Tensor::f_cat(&read, 0).with_context(doing)?,
        };
        if tensor.size() != parameter.shape {
            return Err(Error::new(format!(
                "`{published}` of `{}` has shape {:?} where config.json wants {:?}",
                files[*file].path.display(),
                tensor.size(),
                parameter.shape
            )));
        }
        tensors.push((parameter.name, tensor.f_to_device(device).with_context(doing)?));
    }
    Ok(tensors)
}

/// The safetensors files of a directory.
fn shards(dir: &Path) -> Result<Vec<Mapped>> {
    let index = dir.join("model.safetensors.index.json");
    if !index.exists() {
        let file = Mapped::open(&dir.join("model.safetensors"))
            .map_err(|error| error.hint("a checkpoint is a directory with config.json and model.safetensors (or its index and shards)"))?;
        return Ok(vec![file]);
    }
    let doing = || format!("reading `{}`", index.display());
    let text = std::fs::read_to_string(&index).with_context(doing)?;
    let json: Value = serde_json::from_str(&text).with_context(doing)?;
    let map = json.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| Error::new(format!("{}: no `weight_map`", doing())))?;
    let names: BTreeSet<&str> = map.values().filter_map(Value::as_str).collect();
    if let Some(name) = names.iter().find(|name| name.contains(['/', '\\'])) {
        return Err(Error::new(format!("{}: `{name}` is not a file name", doing())));
    }
    names.into_iter().map(|name| Mapped::open(&dir.join(name))).collect()
}

/// Names of all tensors in the files of a directory.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>> {
    Ok(shards(dir)?.iter().flat_map(Mapped::names).collect())
}

/// The id of a special token, from a checkpoint's tokenizer files.
pub(crate) fn token_id(dir: &Path, token: &str) -> Option<i64> {
    let read = |name: &str| -> Option<Value> {
        serde_json::from_str(&std::fs::read_to_string(dir.join(name)).ok()?).ok()
    };
    let slow = || read("added_tokens.json")?.get(token)?.as_i64();
    let fast = || {
        let json = read("tokenizer.json")?;
        let added = json.get("added_tokens")?.as_array()?;
        added.iter().find(|entry| entry["content"] == token)?["id"].as_i64()
    };
    let configured = || {
        let json = read("tokenizer_config.json")?;
        let added = json.get("added_tokens_decoder")?.as_object()?;
        added.iter().find(|(_, entry)| entry["content"] == token)?.0.parse().ok()
    };
    slow().or_else(fast).or_else(configured)
}

/// Writes a tensor's bytes.
pub(crate) type Source<'a> = Box<dyn FnOnce(&mut dyn Write) -> Result<()> + 'a>;

/// One tensor to be written: its name, its shape and what gives its bytes when its turn comes.
pub(crate) struct Entry<'a> {
    pub(crate) name: String,
    pub(crate) shape: Vec<i64>,
    pub(crate) write: Source<'a>,
}

/// Writes f32 tensors, one after the other, in the given order.
pub(crate) fn write(path: &Path, entries: Vec<Entry>) -> Result<()> {
    let doing = || format!("writing `{}`", path.display());
    let mut header = serde_json::Map::new();
    let mut offset = 0;
    for entry in &entries {
        let end = offset + 4 * entry.shape.iter().product::<i64>();
        let info = json!({ "dtype": "F32", "shape": entry.shape, "data_offsets": [offset, end] });
        header.insert(entry.name.clone(), info);
        offset = end;
    }
    let mut header = serde_json::to_string(&header).expect("a JSON value prints");
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).with_context(doing)?);
    file.write_all(&(header.len() as u64).to_le_bytes()).with_context(doing)?;
    file.write_all(header.as_bytes()).with_context(doing)?;
    for entry in entries {
        (entry.write)(&mut file)?;
    }
    let file = file.into_inner().map_err(|error| error.into_error()).with_context(doing)?;
    file.sync_all().with_context(doing)
}

/// Writes a tensor's f32 values, little-endian.
pub(crate) fn write_values(tensor: &Tensor, out: &mut dyn Write) -> Result<()> {
    let _no_grad = tch::no_grad_guard();
    let tensor = tensor.to_kind(Kind::Float).to_device(Device::Cpu).contiguous();
    let mut bytes = vec![0; 4 * tensor.numel()];
    tensor.copy_data_u8(&mut bytes, tensor.numel());
    out.write_all(&bytes).context("writing tensors")
}
