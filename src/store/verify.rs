//! Whether an artifact is what it was when it was made. A full look hashes every
//! byte; a quick one believes the last full look while no file's size, time or
//! inode has changed.

use super::manifest::{Input, Manifest, Record};
use super::{Held, Lock, Store, disk, payload_of, shed};
use crate::error::{Context, Error, Result};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How hard to look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Look {
    /// Hash only what changed since it was last hashed: enough for a result that nothing reads.
    Quick,
    /// Hash every byte, once in this checker's life: for what a worker is about to read, its
    /// weights among it.
    Full,
}

/// What a look found.
#[derive(Clone, Debug)]
pub enum Finding {
    /// There is no such artifact.
    Absent,
    /// It is whole.
    Sound(Box<Record>),
    /// It is whole but for its weights, which have done their work; a full look alone says so.
    Shed,
    /// It is not, for this reason.
    Damaged(String),
}

/// Looks at artifacts and remembers what it saw, for one execution of a plan.
#[derive(Debug)]
pub struct Checker<'a> {
    store: &'a Store,
    hashed: HashMap<String, String>,
}

impl<'a> Checker<'a> {
    /// One that has seen nothing yet.
    pub fn new(store: &'a Store) -> Self {
        Self { store, hashed: HashMap::new() }
    }

    /// Looks at one artifact.
    ///
    /// # Errors
    ///
    /// If the store itself cannot be read. Damage is a finding, not an error.
    pub fn look(&mut self, key: &str, look: Look) -> Result<Finding> {
        let folder = self.store.folder(key);
        if !folder.try_exists().with_context(|| format!("reading `{}`", folder.display()))? {
            return Ok(Finding::Absent);
        }
        Ok(match self.damage(key, &folder, look) {
            Ok(_) if look == Look::Full && shed::is_shed(&folder) => Finding::Shed,
            Ok(record) => Finding::Sound(Box::new(record)),
            Err(reason) => Finding::Damaged(reason),
        })
    }

    /// The record of a sound artifact, or what is wrong with it.
    fn damage(&mut self, key: &str, folder: &Path, look: Look) -> Result<Record, String> {
        let record = Record::load(folder).map_err(|error| error.to_string())?;
        let text = fs::read_to_string(folder.join("payload.b3"))
            .map_err(|error| format!("payload.b3: {error}"))?;
        if record.key != key || blake3::hash(text.as_bytes()).to_hex().as_str() != record.checksum {
            return Err("stage.toml and payload.b3 do not belong together".into());
        }
        let mut manifest = Manifest::parse(&text).ok_or("payload.b3 is not a list of checksums")?;
        if shed::is_shed(folder) {
            manifest.0.retain(|file, _| !shed::is_weights(file));
        }
        let payload = payload_of(folder);
        let stamp = stamp(&payload, &manifest, &record.checksum)?;
        let known = match look {
            Look::Quick => self.store.seen(key),
            Look::Full => None,
        };
        if self.hashed.get(key) == Some(&stamp) || known.as_deref() == Some(stamp.as_str()) {
            return Ok(record);
        }
        let files: Vec<String> = manifest.0.keys().cloned().collect();
        let found = Manifest::hash(&payload, &files).map_err(|error| error.to_string())?;
        let wrong: Vec<_> =
            files.iter().filter(|file| manifest.0[*file] != found.0[*file]).collect();
        if let Some(first) = wrong.first() {
            let others = match wrong.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            return Err(format!("payload/{first}{others}: not the bytes that were written"));
        }
        self.store.remember(key, &stamp);
        self.hashed.insert(key.into(), stamp);
        Ok(record)
    }

    /// The artifact, if it may be used as it is. If it is damaged, or its inputs are
    /// not the bytes that it was made from, it is set aside.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or the artifact not be set aside.
    pub fn settle(
        &mut self,
        key: &str,
        inputs: &BTreeMap<String, Input>,
        look: Look,
    ) -> Result<Option<Record>> {
        match judge(self.look(key, look)?, inputs) {
            Ok(settled) => Ok(settled),
            // Another run may be mending it at this moment; then its worker is waited for.
            Err(_) => match self.store.lock(key)? {
                Held::Ours(lock) => self.settle_locked(&lock, key, inputs, Look::Full),
                Held::Theirs(_) => Ok(None),
            },
        }
    }

    /// The same for the owner of the artifact's lock.
    ///
    /// # Errors
    ///
    /// As [`Checker::settle`].
    pub fn settle_locked(
        &mut self,
        _lock: &Lock,
        key: &str,
        inputs: &BTreeMap<String, Input>,
        look: Look,
    ) -> Result<Option<Record>> {
        match judge(self.look(key, look)?, inputs) {
            Ok(settled) => Ok(settled),
            Err(("shed", reason)) => {
                tracing::warn!("{key} is needed again, and {reason}: to be rebuilt");
                disk::remove_dir(&self.store.set_aside(key, "shed")?)?;
                Ok(None)
            }
            Err((kind, reason)) => {
                let aside = self.store.set_aside(key, kind)?;
                let aside = aside.display();
                tracing::warn!("{key} is {kind}: {reason}; set aside as `{aside}`, to be rebuilt");
                Ok(None)
            }
        }
    }
}

/// Refuses one payload file of an artifact that is not the bytes that were written, for those who read
/// it without a worker. An artifact without a list of checksums is taken as it is.
///
/// # Errors
///
/// If it is damaged or cannot be read; the way out is the hint.
pub fn file(folder: &Path, name: &str) -> Result<()> {
    let list = folder.join("payload.b3");
    if !list.exists() {
        return Ok(());
    }
    let doing = || format!("reading `{}`", list.display());
    let text = fs::read_to_string(&list).with_context(doing)?;
    let written = Manifest::parse(&text).unwrap_or_default();
    let found = Manifest::hash(&folder.join("payload"), &[name.to_owned()])?;
    if found.0.get(name) == written.0.get(name) {
        return Ok(());
    }
    let folder = folder.display();
    Err(Error::new(format!("`{folder}/payload/{name}` is not the bytes that its stage wrote"))
        .hint(format!("delete the folder `{folder}` and run the experiment again")))
}

/// The record of a usable artifact, none of an absent one, or why it cannot be used.
fn judge(
    finding: Finding,
    inputs: &BTreeMap<String, Input>,
) -> Result<Option<Record>, (&'static str, String)> {
    match finding {
        Finding::Absent => Ok(None),
        Finding::Damaged(reason) => Err(("damaged", reason)),
        Finding::Shed => Err(("shed", "its weights are gone (`train.keep` is \"none\")".into())),
        Finding::Sound(record) => match changed(&record, inputs) {
            None => Ok(Some(*record)),
            Some(role) => Err(("stale", format!("its input `{role}` was rebuilt to other bytes"))),
        },
    }
}

/// The role of the first input that is not what the artifact was made from.
fn changed(record: &Record, inputs: &BTreeMap<String, Input>) -> Option<String> {
    let mut roles = record.inputs.keys().chain(inputs.keys());
    roles.find(|role| record.inputs.get(*role) != inputs.get(*role)).cloned()
}

/// A digest of what `stat` says about every file; changes when any of them does.
fn stamp(payload: &Path, manifest: &Manifest, checksum: &str) -> Result<String, String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(checksum.as_bytes());
    for file in manifest.0.keys() {
        let stat =
            fs::metadata(payload.join(file)).map_err(|error| format!("payload/{file}: {error}"))?;
        for number in [stat.ino() as i64, stat.len() as i64, stat.mtime(), stat.mtime_nsec()] {
            hasher.update(&number.to_le_bytes());
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

impl Store {
    /// The stamp of the last full look, by whichever run.
    fn seen(&self, key: &str) -> Option<String> {
        fs::read_to_string(self.root().join("seen").join(key)).ok()
    }

    /// Keeps a stamp for the next run. Losing it costs a hash, so failure is no error.
    fn remember(&self, key: &str, stamp: &str) {
        if let Err(error) = disk::replace(&self.root().join("seen").join(key), stamp.as_bytes()) {
            tracing::debug!("not remembered: {error}");
        }
    }
}
