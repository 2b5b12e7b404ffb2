//! Models written back: in either layout, in any of the number types, whole or in shards. The
//! state of a training is written by the same hand.

use super::config::Layout;
use super::native;
use super::parameters::is_embedding;
use super::vlm::{Vlm, kind_of};
use crate::error::Context;
use crate::{Error, Result};
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Numbers that are written together.
const PIECE: i64 = 1 << 20;

/// How a model is written.
#[derive(Clone, Copy, Debug)]
pub struct Export {
    /// Names of its tensors.
    pub layout: Layout,
    /// Type of its numbers; none writes each tensor as it was read.
    pub kind: Option<Kind>,
    /// Largest file; above it weights are cut into shards with an index.
    pub shard_bytes: u64,
}

impl Export {
    /// transformers' own limit.
    pub const SHARD_BYTES: u64 = 5_000_000_000;
}

impl Vlm {
    /// Writes `config.json` and `model.safetensors`, in the layout it was read from and the
    /// type that it answers in: what is measured is what was saved. Adapters are added to their
    /// matrices.
    ///
    /// # Errors
    ///
    /// A folder that cannot be written to.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let shard_bytes = u64::MAX;
        let kind = Some(kind_of(self.config.precision));
        self.export(dir, Export { layout: self.config.layout, kind, shard_bytes })
    }

    /// Writes `config.json` and the weights.
    ///
    /// # Errors
    ///
    /// A folder that cannot be written to, a layout that cannot say what the model is.
    pub fn export(&self, dir: &Path, how: Export) -> Result<()> {
        let doing = || format!("writing `{}`", dir.display());
        std::fs::create_dir_all(dir).with_context(doing)?;
        let kinds = self.stored.iter().map(|stored| how.kind.unwrap_or(*stored));
        let kinds: Vec<Kind> = kinds.collect();
        let moves = how.layout != self.config.layout;
        // Files of several types keep the name that they have: they answer in that one.
        let uniform = kinds.iter().all(|kind| *kind == kinds[0]).then(|| kinds[0]);
        let named = uniform.or(moves.then(|| kind_of(self.config.precision))).map(config_name);
        let config = self.config.to_json(how.layout, named)?;
        std::fs::write(dir.join("config.json"), config).with_context(doing)?;
        let mut entries = Vec::new();
        for ((name, tensor), kind) in self.parameters.iter().zip(kinds.iter().copied()) {
            for piece in native::pieces(name, &self.config.language, how.layout) {
                entries.push(Entry {
                    name: piece.name.clone(),
                    shape: piece.shape(&tensor.size()),
                    kind,
                    write: Box::new(move |out| {
                        let numbers = piece.of(&self.merged(name, tensor));
                        write_numbers(&piece.name, &numbers, kind, out)
                    }),
                });
            }
        }
        // The original layout has a head in every released file; one that was read without stays so.
        if self.config.language.tied && how.layout == Layout::Original && moves {
            let ((_, embedding), kind) = (self.parameters.iter().zip(kinds.iter().copied()))
                .find(|((name, _), _)| is_embedding(name))
                .expect("a model has an embedding");
            entries.push(Entry {
                name: super::parameters::head_name(&self.config.language).to_owned(),
                shape: embedding.size(),
                kind,
                write: Box::new(move |out| write_numbers("the head", embedding, kind, out)),
            });
        }
        write_shards(dir, entries, how.shard_bytes)
    }
}

/// Writes a tensor's bytes.
pub(crate) type Source<'a> = Box<dyn FnOnce(&mut dyn Write) -> Result<()> + 'a>;

/// One tensor to be written: its name, its shape and what gives its bytes when its turn comes.
pub(crate) struct Entry<'a> {
    pub(crate) name: String,
    pub(crate) shape: Vec<i64>,
    pub(crate) kind: Kind,
    pub(crate) write: Source<'a>,
}

impl<'a> Entry<'a> {
    /// A tensor in the type that it has.
    pub(crate) fn of(name: &'a str, tensor: &'a Tensor) -> Self {
        let kind = tensor.kind();
        Self {
            name: name.to_owned(),
            shape: tensor.size(),
            kind,
            write: Box::new(move |out| write_numbers(name, tensor, kind, out)),
        }
    }

    fn bytes(&self) -> u64 {
        self.kind.elt_size_in_bytes() as u64 * self.shape.iter().product::<i64>() as u64
    }
}

/// One file, or shards with an index.
fn write_shards(dir: &Path, entries: Vec<Entry>, limit: u64) -> Result<()> {
    let total: u64 = entries.iter().map(Entry::bytes).sum();
    let mut shards: Vec<Vec<Entry>> = vec![vec![]];
    let mut size = 0;
    for entry in entries {
        size += entry.bytes();
        if size > limit && !shards.last().expect("there is a first").is_empty() {
            shards.push(vec![]);
            size = entry.bytes();
        }
        shards.last_mut().expect("there is a first").push(entry);
    }
    let count = shards.len();
    if count == 1 {
        return write(&dir.join("model.safetensors"), shards.remove(0));
    }
    let mut map = serde_json::Map::new();
    for (index, shard) in shards.into_iter().enumerate() {
        let file = format!("model-{:05}-of-{count:05}.safetensors", index + 1);
        map.extend(shard.iter().map(|entry| (entry.name.clone(), file.as_str().into())));
        write(&dir.join(&file), shard)?;
    }
    let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
    let path = dir.join("model.safetensors.index.json");
    let text = serde_json::to_string_pretty(&index).expect("a JSON value prints");
    std::fs::write(&path, text + "\n").with_context(|| format!("writing `{}`", path.display()))
}

/// Writes tensors, one after the other, in the given order.
pub(crate) fn write(path: &Path, entries: Vec<Entry>) -> Result<()> {
    let doing = || format!("writing `{}`", path.display());
    let header =
        header(entries.iter().map(|entry| (entry.name.as_str(), &*entry.shape, entry.kind)))?;
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).with_context(doing)?);
    file.write_all(&header).with_context(doing)?;
    for entry in entries {
        (entry.write)(&mut file)?;
    }
    let file = file.into_inner().map_err(|error| error.into_error()).with_context(doing)?;
    file.sync_all().with_context(doing)
}

/// What stands before the numbers of tensors in a safetensors file: their names, shapes and types.
pub(crate) fn header<'a>(
    tensors: impl Iterator<Item = (&'a str, &'a [i64], Kind)>,
) -> Result<Vec<u8>> {
    let mut header = serde_json::Map::new();
    // transformers before 5 reads no file without it.
    header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut offset = 0;
    for (name, shape, kind) in tensors {
        let bytes = kind.elt_size_in_bytes() as u64 * shape.iter().product::<i64>() as u64;
        let dtype = header_name(kind)?;
        let range = [offset, offset + bytes];
        let info = json!({ "dtype": dtype, "shape": shape, "data_offsets": range });
        header.insert(name.to_owned(), info);
        offset += bytes;
    }
    let mut header = serde_json::to_string(&header).expect("a JSON value prints");
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    Ok([&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat())
}

/// Writes a tensor's numbers in a type of the file's, little-endian, a piece at a time: a large
/// embedding would take its size once more.
fn write_numbers(name: &str, tensor: &Tensor, kind: Kind, out: &mut dyn Write) -> Result<()> {
    /// The largest number of fp16.
    const LARGEST: f64 = 65504.0;
    let _no_grad = tch::no_grad_guard();
    let flat = tensor.detach().contiguous().view([-1]);
    let count = flat.numel() as i64;
    for at in (0..count).step_by(PIECE as usize) {
        let piece = flat.narrow(0, at, PIECE.min(count - at));
        if kind == Kind::Half && piece.abs().max().double_value(&[]) > LARGEST {
            return Err(Error::new(format!(
                "`{name}` has numbers above {LARGEST}, fp16's largest"
            ))
            .hint("write the model as bf16 or fp32"));
        }
        out.write_all(&numbers(&piece, kind)).context("writing tensors")?;
    }
    Ok(())
}

/// A tensor's numbers as bytes of a type, little-endian.
pub(crate) fn numbers(tensor: &Tensor, kind: Kind) -> Vec<u8> {
    let _no_grad = tch::no_grad_guard();
    let tensor = tensor.to_kind(kind).to_device(Device::Cpu).contiguous();
    let mut bytes = vec![0; kind.elt_size_in_bytes() * tensor.numel()];
    tensor.copy_data_u8(&mut bytes, tensor.numel());
    bytes
}

/// The type's name in a safetensors header.
fn header_name(kind: Kind) -> Result<&'static str> {
    match kind {
        Kind::Float => Ok("F32"),
        Kind::BFloat16 => Ok("BF16"),
        Kind::Half => Ok("F16"),
        other => Err(Error::new(format!("weights are not written as {other:?}"))),
    }
}

/// The type's name in config.json.
fn config_name(kind: Kind) -> &'static str {
    match kind {
        Kind::BFloat16 => "bfloat16",
        Kind::Half => "float16",
        _ => "float32",
    }
}
