//! One safetensors file, mapped: its tensors are read where they lie.

use crate::error::Context;
use crate::{Error, Result};
use memmap2::{Mmap, UncheckedAdvice};
use safetensors::tensor::{Dtype, Metadata, SafeTensors};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// A mapped file with its header.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) path: PathBuf,
    map: Mmap,
    /// Where the tensors begin.
    start: usize,
    metadata: Metadata,
}

/// Floating-point numbers of a tensor, in the file.
pub(crate) struct Source<'a> {
    pub(super) kind: Kind,
    bytes: &'a [u8],
    pub(crate) shape: Vec<i64>,
    doing: String,
}

impl Mapped {
    /// Maps a file and checks its header.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let doing = || format!("reading `{}`", path.display());
        if !path.is_file() {
            return Err(Error::new(format!("{}: there is no such file", doing())));
        }
        let file = File::open(path).with_context(doing)?;
        // SAFETY: artifacts and checkpoints are never edited in place, only replaced by rename,
        // so the mapped bytes do not change under us.
        let map = unsafe { Mmap::map(&file) }.with_context(doing)?;
        match SafeTensors::read_metadata(&map) {
            Ok((header, metadata)) => {
                Ok(Self { path: path.to_owned(), map, start: header + 8, metadata })
            }
            Err(error) => Err(Error::new(format!(
                "{}: {}",
                doing(),
                cut_short(&map).unwrap_or_else(|| error.to_string())
            ))),
        }
    }

    /// Names of its tensors.
    pub(crate) fn names(&self) -> Vec<String> {
        self.metadata.tensors().into_keys().collect()
    }

    /// Whether it has a tensor of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.metadata.info(name).is_some()
    }

    /// Bytes of 16-bit numbers, and of all others.
    pub(super) fn bytes_by_width(&self) -> [usize; 2] {
        let mut bytes = [0, 0];
        for info in self.metadata.tensors().values() {
            let is_narrow = matches!(info.dtype, Dtype::BF16 | Dtype::F16);
            bytes[usize::from(!is_narrow)] += info.data_offsets.1 - info.data_offsets.0;
        }
        bytes
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

    /// Gives back the memory that reading a tensor took: it would count beside its copy.
    pub(crate) fn release(&self, name: &str) {
        let Some(info) = self.metadata.info(name) else { return };
        let (begin, end) = info.data_offsets;
        // SAFETY: the map is of a file and is only read: pages that are given back are read again
        // when somebody wants them.
        let advised = unsafe {
            let advice = UncheckedAdvice::DontNeed;
            self.map.unchecked_advise_range(advice, self.start + begin, end - begin)
        };
        if let Err(error) = advised {
            tracing::debug!("{name}: its pages stay: {error}");
        }
    }

    /// A tensor of floating-point numbers that must have that shape and be finite.
    pub(super) fn float(&self, name: &str, shape: &[i64]) -> Result<Source<'_>> {
        let source = self.numbers(name)?;
        if source.shape != shape {
            let found = &source.shape;
            return Err(
                self.wrong(name, &format!("has shape {found:?} where config.json wants {shape:?}"))
            );
        }
        if let Some(at) = not_finite(source.kind, source.bytes) {
            return Err(self
                .wrong(name, &format!("holds a number that is not finite, at place {at}"))
                .hint("the file is damaged, or the training that wrote it had failed"));
        }
        Ok(source)
    }

    /// A tensor of floating-point numbers, whatever they are.
    pub(crate) fn numbers(&self, name: &str) -> Result<Source<'_>> {
        let (dtype, shape, bytes) = self.tensor(name)?;
        let kind = match dtype {
            Dtype::F32 => Kind::Float,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::F16 => Kind::Half,
            other => {
                return Err(
                    self.wrong(name, &format!("is {other:?} where F32, BF16 or F16 belongs"))
                );
            }
        };
        let doing = format!("reading `{name}` of `{}`", self.path.display());
        Ok(Source { kind, bytes, shape, doing })
    }

    fn wrong(&self, name: &str, what: &str) -> Error {
        Error::new(format!("`{name}` of `{}` {what}", self.path.display()))
    }
}

impl Source<'_> {
    /// Copies the numbers to where they will live: no other copy is made on the way, but
    /// on a GPU one of the tensor at hand where the type changes.
    pub(crate) fn copy_to(&self, target: &mut Tensor) -> Result<()> {
        let doing = || &self.doing;
        let width = self.kind.elt_size_in_bytes();
        if !(self.bytes.as_ptr() as usize).is_multiple_of(width) {
            // Only a writer that does not pad its header makes such a file.
            let copy = Tensor::f_from_data_size(self.bytes, &self.shape, self.kind);
            return target.f_copy_(&copy.with_context(doing)?).map(drop).with_context(doing);
        }
        let mut strides = vec![1; self.shape.len()];
        for axis in (1..self.shape.len()).rev() {
            strides[axis - 1] = strides[axis] * self.shape[axis];
        }
        let pointer = self.bytes.as_ptr();
        // SAFETY: as many bytes as shape and kind say, which the header's check and `numbers`
        // have seen; aligned; only read; and `view` does not outlive the map.
        let view =
            unsafe { Tensor::f_from_blob(pointer, &self.shape, &strides, self.kind, Device::Cpu) };
        target.f_copy_(&view.with_context(doing)?).map(drop).with_context(doing)
    }
}

/// The first number that is infinite or not a number: its exponent's bits are all set.
fn not_finite(kind: Kind, bytes: &[u8]) -> Option<usize> {
    let halves = |exponent: u16| {
        let mut numbers = bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
        numbers.position(|bits| bits & exponent == exponent)
    };
    match kind {
        Kind::BFloat16 => halves(0x7f80),
        Kind::Half => halves(0x7c00),
        _ => {
            bytes.chunks_exact(4).position(|b| u16::from_le_bytes([b[2], b[3]]) & 0x7f80 == 0x7f80)
        }
    }
}

/// Which tensor a file ends in, if it ends too early.
fn cut_short(map: &[u8]) -> Option<String> {
    let length = usize::try_from(u64::from_le_bytes(map.get(..8)?.try_into().ok()?)).ok()?;
    let start = length.checked_add(8)?;
    let header: Value = serde_json::from_slice(map.get(8..start)?).ok()?;
    let ends = header.as_object()?.iter().filter_map(|(name, entry)| {
        let end = usize::try_from(entry.get("data_offsets")?.get(1)?.as_u64()?).ok()?;
        Some((start.checked_add(end)?, name))
    });
    let (end, name) = ends.filter(|(end, _)| *end > map.len()).min()?;
    Some(format!("cut short in `{name}`: it ends at byte {end}, the file at byte {}", map.len()))
}
