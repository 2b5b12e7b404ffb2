//! What a killed run goes on from: one folder a checkpoint, written beside its
//! place, synced and renamed, so that it is there wholly or not at all.
//!
//! ```text
//! WORK/NAME-00000040/   state.safetensors   tensors by name
//!                       state.json          step, scalars, rows of the CSV so far
//!                       state.b3            checksums of both
//! ```

use crate::error::Context;
use crate::store::{Manifest, disk};
use crate::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// File beside the state with its checksums.
const CHECKSUMS: &str = "state.b3";

/// Writes and finds the checkpoints of one purpose in one work folder.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    work: PathBuf,
    name: &'static str,
}

/// A checkpoint read back: tensors by name (fp32, on the CPU) and the scalars.
#[derive(Debug)]
pub struct Restored<S> {
    tensors: BTreeMap<String, Tensor>,
    /// Everything that is not a tensor.
    pub scalars: S,
}

impl<S> Restored<S> {
    /// The tensor of that name, which must have that shape.
    ///
    /// # Errors
    ///
    /// If it is missing or has another shape.
    pub fn tensor(&self, name: &str, shape: &[i64]) -> Result<Tensor> {
        let tensor = self
            .tensors
            .get(name)
            .ok_or_else(|| Error::new(format!("the checkpoint has no `{name}`")))?;
        if tensor.size() != shape {
            let found = tensor.size();
            return Err(Error::new(format!(
                "the checkpoint's `{name}` is {found:?}, the model's {shape:?}"
            )));
        }
        Ok(tensor.shallow_clone())
    }

    /// The tensor of that name, whatever its shape.
    pub fn find(&self, name: &str) -> Option<Tensor> {
        self.tensors.get(name).map(Tensor::shallow_clone)
    }

    /// Gives the parameters what was saved of them as `model.NAME`.
    ///
    /// # Errors
    ///
    /// As [`Self::tensor`].
    pub fn put_back<'a>(
        &self,
        trained: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
    ) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        for (name, parameter) in trained {
            let saved = self.tensor(&format!("model.{name}"), &parameter.size())?;
            parameter.shallow_clone().copy_(&saved);
        }
        Ok(())
    }

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }
}

impl Checkpoints {
    /// Checkpoints named `name` below `work`.
    pub fn new(work: &Path, name: &'static str) -> Self {
        Self { work: work.to_owned(), name }
    }

    /// Writes the state after `step` steps; older checkpoints go once it is in place.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    pub fn save(
        &self,
        step: usize,
        tensors: &[(String, Tensor)],
        scalars: &impl Serialize,
    ) -> Result<()> {
        let place = self.work.join(format!("{}-{step:08}", self.name));
        let doing = || format!("writing checkpoint `{}`", place.display());
        let beside = self.work.join(format!("{}.part", self.name));
        disk::remove_dir(&beside)?;
        disk::create_dirs(&beside)?;
        write_tensors(&beside.join("state.safetensors"), tensors).with_context(doing)?;
        let text = serde_json::to_vec(scalars).with_context(doing)?;
        disk::write(&beside.join("state.json"), &text)?;
        let sums = Manifest::of(&beside)?.text();
        disk::write(&beside.join(CHECKSUMS), sums.as_bytes())?;
        disk::sync_tree(&beside)?;
        disk::remove_dir(&place)?;
        disk::rename(&beside, &place)?;
        for (older, folder) in self.all() {
            if older < step {
                let _ = fs::remove_dir_all(folder);
            }
        }
        Ok(())
    }

    /// The newest checkpoint that can be read. A damaged one is named in the
    /// log and passed over: work is lost, never a result.
    pub fn newest<S: DeserializeOwned>(&self) -> Option<(usize, Restored<S>)> {
        let mut all = self.all();
        all.sort_unstable_by(|a, b| b.cmp(a));
        for (step, folder) in all {
            match read(&folder) {
                Ok(restored) => return Some((step, restored)),
                Err(error) => tracing::warn!(
                    "checkpoint `{}` cannot be read ({error}); going on from an earlier state",
                    folder.display()
                ),
            }
        }
        None
    }

    fn all(&self) -> Vec<(usize, PathBuf)> {
        let entries = fs::read_dir(&self.work).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let file_name = entry.file_name();
                let digits = file_name.to_str()?.strip_prefix(self.name)?.strip_prefix('-')?;
                Some((digits.parse().ok()?, entry.path()))
            })
            .collect()
    }
}

/// Parameters as a checkpoint names them: `model.NAME` what is trained, `best.NAME` a copy.
pub fn named<'a>(
    kind: &str,
    parameters: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
) -> Vec<(String, Tensor)> {
    let named =
        |(name, tensor): (&str, &Tensor)| (format!("{kind}.{name}"), tensor.shallow_clone());
    parameters.into_iter().map(named).collect()
}

fn read<S: DeserializeOwned>(folder: &Path) -> Result<Restored<S>> {
    let sums = fs::read_to_string(folder.join(CHECKSUMS)).context(CHECKSUMS)?;
    let mut found = Manifest::of(folder)?;
    found.0.remove(CHECKSUMS);
    if Manifest::parse(&sums).as_ref() != Some(&found) {
        return Err(Error::new("not the bytes that were written"));
    }
    let text = fs::read(folder.join("state.json")).context("state.json")?;
    let scalars = serde_json::from_slice(&text).context("state.json")?;
    let bytes = fs::read(folder.join("state.safetensors")).context("state.safetensors")?;
    let file = SafeTensors::deserialize(&bytes).context("state.safetensors")?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        let tensor = Tensor::f_from_data_size(view.data(), &shape, Kind::Float)
            .context("state.safetensors")?;
        tensors.insert(name, tensor);
    }
    Ok(Restored { tensors, scalars })
}

fn write_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    let shapes_and_bytes: Vec<(Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(_, tensor)| {
            let _no_grad = tch::no_grad_guard();
            let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
            let mut bytes = vec![0_u8; flat.numel() * 4];
            flat.f_copy_data_u8(&mut bytes, flat.numel()).context("copying a tensor")?;
            Ok((tensor.size().iter().map(|&n| n as usize).collect(), bytes))
        })
        .collect::<Result<_>>()?;
    let views: Vec<(&str, TensorView<'_>)> = tensors
        .iter()
        .zip(&shapes_and_bytes)
        .map(|((name, _), (shape, bytes))| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).context(name)?;
            Ok((name.as_str(), view))
        })
        .collect::<Result<_>>()?;
    safetensors::serialize_to_file(views, None, path).context("state.safetensors")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32]) -> Vec<(String, Tensor)> {
        vec![("w".into(), Tensor::from_slice(values).reshape([1, -1]))]
    }

    #[test]
    fn the_newest_checkpoint_comes_back_and_older_ones_go() {
        let work = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(work.path(), "policy");
        assert!(checkpoints.newest::<u32>().is_none());
        checkpoints.save(5, &tensor(&[1.0, 2.0]), &50_u32).unwrap();
        checkpoints.save(12, &tensor(&[3.0, f32::MIN_POSITIVE]), &120_u32).unwrap();
        let (step, restored) = checkpoints.newest::<u32>().unwrap();
        assert_eq!((step, restored.scalars), (12, 120));
        let found = restored.tensor("w", &[1, 2]).unwrap();
        assert_eq!(Vec::<f32>::try_from(found.flatten(0, -1)).unwrap(), [3.0, f32::MIN_POSITIVE]);
        assert_eq!(fs::read_dir(work.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_checkpoint_and_a_half_written_one_are_passed_over() {
        let work = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(work.path(), "policy");
        checkpoints.save(5, &tensor(&[1.0]), &5_u32).unwrap();
        let damaged = work.path().join("policy-00000009");
        fs::create_dir(&damaged).unwrap();
        fs::write(damaged.join("state.json"), "9").unwrap();
        fs::write(damaged.join("state.safetensors"), [1, 2, 3]).unwrap();
        fs::create_dir(work.path().join("policy.part")).unwrap();
        assert_eq!(checkpoints.newest::<u32>().unwrap().0, 5);
        // Readable, but for one bit of a tensor.
        let file = work.path().join("policy-00000005/state.safetensors");
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        assert!(checkpoints.newest::<u32>().is_none());
        checkpoints.save(10, &tensor(&[1.0]), &10_u32).unwrap();
        assert_eq!(checkpoints.newest::<u32>().unwrap().0, 10);
    }

    #[test]
    fn a_tensor_of_another_shape_is_refused_by_name() {
        let work = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(work.path(), "policy");
        checkpoints.save(1, &tensor(&[1.0]), &()).unwrap();
        let (_, restored) = checkpoints.newest::<()>().unwrap();
        assert!(restored.tensor("w", &[3, 4]).unwrap_err().to_string().contains("`w`"));
        assert!(restored.tensor("v", &[1]).unwrap_err().to_string().contains("`v`"));
        assert!(restored.has("w") && !restored.has("v"));
    }
}
