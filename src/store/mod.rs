//! Artifacts by key: written to a temporary folder, synced, renamed; never
//! edited afterwards. An artifact exists exactly when its folder has its name.
//!
//! ```text
//! .prefab/
//!   store/STAGE-KEY/   stage.toml   settings, inputs and their checksums, commit, device, cost
//!                      payload.b3   a checksum a file
//!                      payload/     what the stage made
//!   store/new-KEY/     being written, by the owner of the lock
//!   store/KEY/shed     its weights are gone, and may be: `train.keep = "none"`
//!   store/damaged-KEY-N/, store/stale-KEY-N/   set aside; `prefab clean` removes them
//!   work/KEY/          checkpoints of an unfinished stage; outlives a killed worker
//!   locks/KEY          held by the process that makes KEY
//!   seen/KEY           sizes, times and inodes at the last full check
//!   logs/KEY.log       what the workers said
//!   plans/HASH.json    frozen plans that workers are started on
//!   replies/           what servers replied, by what they were asked; nothing removes it
//! ```
//!
//! Several runs may share a store: [`Store::lock`] lets one of them make an
//! artifact while the others wait for it.

pub mod clean;
pub mod disk;
pub mod growing;
pub mod lock;
pub mod manifest;
pub mod parts;
mod shed;
pub mod verify;

pub use lock::{Held, Lock};
pub use manifest::{Input, Manifest, Record};
pub use shed::is_shed;
pub use verify::{Checker, Finding, Look};

use crate::error::{Context, Error, Result};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// The folder that holds a folder an artifact, in the store below `root`.
pub fn artifacts(root: &Path) -> PathBuf {
    root.join("store")
}

/// Where an artifact's own files lie, in a folder of artifacts.
pub fn payload(artifacts: &Path, key: &str) -> PathBuf {
    payload_of(&artifacts.join(key))
}

/// Where an artifact's own files lie in its folder.
pub fn payload_of(folder: &Path) -> PathBuf {
    folder.join("payload")
}

/// A folder of artifacts.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// Keeps `prefab clean` away while a run goes on.
#[derive(Debug)]
pub struct InUse(#[expect(dead_code, reason = "held, not read")] File);

impl Store {
    /// Opens the store below `root` (`.prefab`), making it where there is none.
    ///
    /// # Errors
    ///
    /// If the folders cannot be made.
    pub fn open(root: &Path) -> Result<Self> {
        for part in ["store", "work", "locks", "seen", "logs", "plans"] {
            disk::create_dirs(&root.join(part))?;
        }
        let root = root
            .canonicalize()
            .with_context(|| format!("opening the store `{}`", root.display()))?;
        Ok(Self { root })
    }

    /// The folder that was opened.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that holds a folder an artifact.
    pub fn artifacts(&self) -> PathBuf {
        artifacts(&self.root)
    }

    /// Where an artifact lies once it exists.
    pub fn folder(&self, key: &str) -> PathBuf {
        self.artifacts().join(key)
    }

    /// Where an artifact's own files lie.
    pub fn payload(&self, key: &str) -> PathBuf {
        payload_of(&self.folder(key))
    }

    /// The log of the workers that made, or tried to make, an artifact.
    pub fn log(&self, key: &str) -> PathBuf {
        self.root.join("logs").join(format!("{key}.log"))
    }

    /// Where what servers replied is kept, for every artifact.
    pub fn replies(&self) -> PathBuf {
        self.root.join("replies")
    }

    /// Whether an artifact exists, without looking inside.
    pub fn exists(&self, key: &str) -> bool {
        self.folder(key).exists()
    }

    /// Asks for the right to make an artifact.
    ///
    /// # Errors
    ///
    /// If the file system has no locks.
    pub fn lock(&self, key: &str) -> Result<Held> {
        Lock::take(&self.root.join("locks").join(key))
    }

    /// Whether a live process is making an artifact.
    pub fn is_locked(&self, key: &str) -> bool {
        Lock::is_taken(&self.root.join("locks").join(key))
    }

    /// Who is making an artifact, where someone is.
    pub fn owner(&self, key: &str) -> Option<lock::Owner> {
        Lock::owner(&self.root.join("locks").join(key))
    }

    /// Says that a run is reading this store, until the guard is dropped.
    ///
    /// # Errors
    ///
    /// If `prefab clean` is at work in it.
    pub fn in_use(&self) -> Result<InUse> {
        self.guard(File::try_lock_shared, "`prefab clean` is at work in this store")
    }

    /// Keeps runs away, until the guard is dropped.
    ///
    /// # Errors
    ///
    /// If a run is using it.
    pub fn alone(&self) -> Result<InUse> {
        self.guard(File::try_lock, "a run is using this store")
    }

    fn guard(&self, lock: fn(&File) -> Result<(), TryLockError>, busy: &str) -> Result<InUse> {
        let path = self.root.join("in-use");
        let doing = || format!("locking `{}`", path.display());
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(doing)?;
        match lock(&file) {
            Ok(()) => Ok(InUse(file)),
            Err(TryLockError::WouldBlock) => {
                Err(Error::spec(busy).hint("wait until it is done, then try again"))
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(doing),
        }
    }

    /// Starts, or goes on with, an artifact whose lock this process holds.
    /// Checkpoints made from inputs with other bytes are thrown away.
    ///
    /// # Errors
    ///
    /// If the folders cannot be made.
    pub fn begin(&self, lock: Lock, key: &str, inputs: BTreeMap<String, Input>) -> Result<Draft> {
        let folder = self.artifacts().join(format!("new-{key}"));
        disk::remove_dir(&folder)?;
        disk::create_dirs(&payload_of(&folder))?;
        let kept = self.root.join("work").join(key);
        let made_from = toml::to_string(&inputs).expect("inputs are flat tables");
        if fs::read_to_string(kept.join("inputs.toml")).ok().as_deref() != Some(&made_from) {
            disk::remove_dir(&kept)?;
            disk::create_dirs(&kept)?;
            disk::replace(&kept.join("inputs.toml"), made_from.as_bytes())?;
        }
        disk::create_dirs(&kept.join("state"))?;
        Ok(Draft { store: self.clone(), _lock: lock, key: key.into(), folder, kept, inputs })
    }

    /// Removes checkpoints of an artifact that exists: a worker was killed between
    /// the rename and its own tidying up.
    ///
    /// # Errors
    ///
    /// If they cannot be removed.
    pub fn tidy(&self, key: &str) -> Result<()> {
        let kept = self.root.join("work").join(key);
        if kept.exists()
            && self.exists(key)
            && let Held::Ours(_lock) = self.lock(key)?
        {
            disk::remove_dir(&kept)?;
        }
        Ok(())
    }

    /// Renames an artifact out of the way; its lock must be held.
    fn set_aside(&self, key: &str, kind: &str) -> Result<PathBuf> {
        let free = (0..)
            .map(|n| self.artifacts().join(format!("{kind}-{key}-{n}")))
            .find(|path| !path.exists())
            .expect("some number is free");
        disk::rename(&self.folder(key), &free)?;
        Ok(free)
    }
}

/// An artifact being made.
#[derive(Debug)]
pub struct Draft {
    store: Store,
    /// Released when the draft is dropped, after everything else is done.
    _lock: Lock,
    key: String,
    folder: PathBuf,
    kept: PathBuf,
    inputs: BTreeMap<String, Input>,
}

impl Draft {
    /// Folder to write the payload into; empty at the start.
    pub fn out(&self) -> PathBuf {
        payload_of(&self.folder)
    }

    /// Folder for checkpoints; holds what an earlier worker left.
    pub fn work(&self) -> PathBuf {
        self.kept.join("state")
    }

    /// Makes the artifact exist. `record` is completed with what only the store knows.
    ///
    /// # Errors
    ///
    /// If a byte did not reach the disk: then there is no artifact.
    pub fn commit(self, mut record: Record) -> Result<Record> {
        let manifest = Manifest::of(&self.out())?;
        let text = manifest.text();
        let size = |file| Ok(fs::metadata(self.out().join(file))?.len());
        let bytes: std::io::Result<u64> = manifest.0.keys().map(size).sum();
        record.key.clone_from(&self.key);
        record.checksum = blake3::hash(text.as_bytes()).to_hex().to_string();
        record.files = manifest.0.len();
        record.bytes = bytes.with_context(|| format!("measuring {}", self.key))?;
        record.finished = lock::now();
        record.inputs.clone_from(&self.inputs);
        let about = toml::to_string(&record).with_context(|| format!("describing {}", self.key))?;
        disk::write(&self.folder.join("payload.b3"), text.as_bytes())?;
        disk::write(&Record::path(&self.folder), about.as_bytes())?;
        disk::sync_tree(&self.folder)?;
        disk::rename(&self.folder, &self.store.folder(&self.key))?;
        disk::remove_dir(&self.kept)?;
        Ok(record)
    }
}
