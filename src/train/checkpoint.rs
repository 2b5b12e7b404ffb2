//! What a killed run goes on from: one folder a checkpoint, written beside its
//! place, synced and renamed, so that it is there wholly or not at all.
//!
//! ```text
//! WORK/NAME-00000040/   state.safetensors   tensors by name
//!                       state.json          step, scalars, rows of the CSV so far
//!                       state.b3            checksums of both
//! ```
//!
//! Tensors are as large as all else of a training, so that none is held twice: they are written a
//! piece at a time, each in its own type, and read from the mapped file to where they will live.

use crate::error::Context;
use crate::model::export::{self, Entry};
use crate::model::mapped::Mapped;
use crate::store::{Manifest, disk};
use crate::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};
use tch::Tensor;

/// The tensors' file.
const TENSORS: &str = "state.safetensors";
/// File beside the state with its checksums.
const CHECKSUMS: &str = "state.b3";

/// Writes and finds the checkpoints of one purpose in one work folder.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    work: PathBuf,
    name: &'static str,
}

/// A checkpoint read back: tensors by name, still in their file, and the scalars.
#[derive(Debug)]
pub struct Restored<S> {
    tensors: Mapped,
    /// Everything that is not a tensor.
    pub scalars: S,
}

impl<S> Restored<S> {
    /// Copies the tensor of that name to where it will live, which must have its shape.
    ///
    /// # Errors
    ///
    /// If it is missing or has another shape.
    pub fn copy_to(&self, name: &str, target: &Tensor) -> Result<()> {
        if !self.has(name) {
            return Err(Error::new(format!("the checkpoint has no `{name}`")));
        }
        let saved = self.tensors.numbers(name)?;
        let (found, shape) = (&saved.shape, target.size());
        if *found != shape {
            return Err(Error::new(format!(
                "the checkpoint's `{name}` is {found:?}, the model's {shape:?}"
            )));
        }
        let _no_grad = tch::no_grad_guard();
        saved.copy_to(&mut target.shallow_clone())?;
        self.tensors.release(name);
        Ok(())
    }

    /// Gives the parameters what was saved of them as `model.NAME`.
    ///
    /// # Errors
    ///
    /// As [`Self::copy_to`].
    pub fn put_back<'a>(
        &self,
        trained: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
    ) -> Result<()> {
        trained
            .into_iter()
            .try_for_each(|(name, parameter)| self.copy_to(&format!("model.{name}"), parameter))
    }

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.has(name)
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
        write_tensors(&beside.join(TENSORS), tensors).with_context(doing)?;
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
    Ok(Restored { tensors: Mapped::open(&folder.join(TENSORS))?, scalars })
}

/// Wide numbers go first, so that each tensor lies where it can be read in place.
fn write_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    let mut entries: Vec<Entry> =
        tensors.iter().map(|(name, tensor)| Entry::of(name, tensor)).collect();
    entries.sort_by_key(|entry| Reverse(entry.kind.elt_size_in_bytes()));
    export::write(path, entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

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
        let found = Tensor::zeros([1, 2], (Kind::Float, Device::Cpu));
        restored.copy_to("w", &found).unwrap();
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
        let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        let error = |name, shape| restored.copy_to(name, &zeros(shape)).unwrap_err().to_string();
        assert!(error("w", &[3, 4]).contains("`w`"));
        assert!(error("v", &[1]).contains("`v`"));
        assert!(restored.has("w") && !restored.has("v"));
    }

    #[test]
    fn tensors_keep_their_types_and_moments_of_an_older_checkpoint_are_taken_over() {
        let work = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(work.path(), "policy");
        let wide = Tensor::from_slice(&[1.0f32, -2.5, 0.3]);
        // An odd number of 16-bit numbers before wide ones, and one that is no list.
        let narrow = wide.to_kind(Kind::BFloat16);
        let step = Tensor::from(7.0f32);
        let state = [("mean.w", &narrow), ("model.w", &wide), ("step.w", &step)];
        let state = state.map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()));
        checkpoints.save(1, &state, &()).unwrap();
        let file = work.path().join("policy-00000001").join(TENSORS);
        for (name, tensor) in Tensor::read_safetensors(file).unwrap() {
            let (_, saved) = state.iter().find(|(saved, _)| *saved == name).unwrap();
            assert_eq!((tensor.kind(), tensor.size()), (saved.kind(), saved.size()), "{name}");
        }
        let (_, restored) = checkpoints.newest::<()>().unwrap();
        for (name, saved) in &state {
            let found = saved.zeros_like();
            restored.copy_to(name, &found).unwrap();
            assert!(found.equal(saved), "{name}");
        }
        // Older ones have moments in fp32, whatever the optimizer's.
        checkpoints.save(2, &[("mean.w".into(), narrow.to_kind(Kind::Float))], &()).unwrap();
        let (_, older) = checkpoints.newest::<()>().unwrap();
        let found = narrow.zeros_like();
        older.copy_to("mean.w", &found).unwrap();
        assert!(found.equal(&narrow));
    }
}
