//! Weights that have done their work: `train.keep = "none"`.
//!
//! An artifact is never edited, but for this: its weights may go once everything
//! that reads them exists. A file beside the payload says so before the first is
//! removed, so that a kill in between leaves no artifact that looks damaged.
//! Whoever needs the weights again has the artifact made again, to the same bytes.

use super::{Held, Store, disk};
use crate::error::{Context, Result};
use std::fs;
use std::path::Path;

/// The file that says so.
const MARK: &str = "shed";

/// Whether a payload file may be missing from an artifact that has shed its weights.
pub(super) fn is_weights(file: &str) -> bool {
    file.ends_with(".safetensors")
}

/// Whether the artifact in a folder has shed its weights.
pub fn is_shed(folder: &Path) -> bool {
    folder.join(MARK).exists()
}

impl Store {
    /// Whether an artifact has shed its weights.
    pub fn is_shed(&self, key: &str) -> bool {
        is_shed(&self.folder(key))
    }

    /// Removes the weights of an artifact. Does nothing where they are gone, or where
    /// another process makes it anew.
    ///
    /// # Errors
    ///
    /// If the file system refuses.
    pub fn shed(&self, key: &str) -> Result<()> {
        let Held::Ours(_lock) = self.lock(key)? else { return Ok(()) };
        let payload = self.payload(key);
        if !payload.exists() {
            return Ok(());
        }
        let (files, _) = disk::walk(&payload)?;
        let weights: Vec<_> = files.iter().filter(|file| is_weights(file)).collect();
        if weights.is_empty() {
            return Ok(());
        }
        let why = "The weights are gone: train.keep is \"none\", and every answer exists.\n";
        disk::replace(&self.folder(key).join(MARK), why.as_bytes())?;
        for file in weights {
            let path = payload.join(file);
            fs::remove_file(&path).with_context(|| format!("removing `{}`", path.display()))?;
        }
        tracing::info!("{key} has shed its weights");
        Ok(())
    }
}
