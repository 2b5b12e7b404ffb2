//! Locks that a dead process cannot keep: the kernel holds them (`flock`), the
//! file's text only says who.

use crate::error::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A lock held by this process until dropped, or until the process is gone.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// What asking for a lock gave.
#[derive(Debug)]
pub enum Held {
    /// This process has it now.
    Ours(Lock),
    /// A live process has it.
    Theirs(Owner),
}

/// Who wrote a lock file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Owner {
    /// Process id.
    pub pid: u32,
    /// Host name.
    pub host: String,
    /// When it took the lock, in UTC.
    pub since: String,
}

impl Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {} since {}", self.pid, self.host, self.since)
    }
}

impl Owner {
    /// This process.
    pub fn here() -> Self {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self { pid: std::process::id(), host: host.trim().to_owned(), since: now() }
    }

    fn read(file: &mut File) -> Option<Self> {
        let mut text = String::new();
        file.rewind().ok()?;
        file.read_to_string(&mut text).ok()?;
        toml::from_str(&text).ok()
    }
}

impl Lock {
    /// Takes the lock at `path`, unless a live process has it. Text of an owner
    /// that is gone is replaced, with a log line.
    ///
    /// # Errors
    ///
    /// If the file system has no locks, or refuses the file.
    pub fn take(path: &Path) -> Result<Held> {
        let doing = || format!("locking `{}`", path.display());
        loop {
            let mut file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .with_context(doing)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    // Between taking and writing, a lock has no text yet.
                    let nobody = Owner { pid: 0, host: "this store".into(), since: now() };
                    return Ok(Held::Theirs(Owner::read(&mut file).unwrap_or(nobody)));
                }
                Err(TryLockError::Error(error)) => return Err(error).with_context(doing),
            }
            // The last owner removes the file: what we locked may have no name any more.
            let ours = file.metadata().with_context(doing)?;
            if !fs::metadata(path).is_ok_and(|named| named.ino() == ours.ino()) {
                continue;
            }
            if let Some(gone) = Owner::read(&mut file) {
                tracing::warn!("took over the lock of {gone}, which is gone: {}", path.display());
            }
            let text = toml::to_string(&Owner::here()).expect("an owner is a flat table");
            file.set_len(0).with_context(doing)?;
            file.rewind().with_context(doing)?;
            file.write_all(text.as_bytes()).with_context(doing)?;
            return Ok(Held::Ours(Self { file, path: path.to_owned() }));
        }
    }

    /// Who has the lock at `path`, as its text says.
    pub fn owner(path: &Path) -> Option<Owner> {
        Owner::read(&mut File::open(path).ok()?)
    }

    /// Whether a live process has the lock at `path`.
    pub fn is_taken(path: &Path) -> bool {
        File::open(path)
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while still locked, so that nobody else's file can be hit.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// The time of day, in UTC: `2026-11-23T08:35:11Z`.
pub fn now() -> String {
    let s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, s) = (s / 86_400, s % 86_400);
    // Days since 0000-03-01 in cycles of 400 years: March first makes leap days come last.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * march + 2) / 5 + 1, (march + 2) % 12 + 1);
    let year = era * 400 + year + u64::from(month < 3);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", s / 3600, s / 60 % 60, s % 60)
}
