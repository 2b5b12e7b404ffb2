//! Writes, syncs and renames that must survive a crash.

use crate::error::{Context, Error, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The way out of a full disk.
pub const MAKE_ROOM: &str = "make room, then run again to go on";

/// Files up to which each is synced by itself; above, the whole file system is.
const SYNC_EACH_UP_TO: usize = 64;

/// Says what could not be done to which path, and what to do about a full disk.
pub(crate) fn explain<T>(result: io::Result<T>, doing: &str, path: &Path) -> Result<T> {
    result.map_err(|error| {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        );
        let told = Error::new(format!("{doing} `{}`: {error}", path.display()));
        if full { told.hint(MAKE_ROOM) } else { told }
    })
}

/// Makes a folder and those above it.
///
/// # Errors
///
/// If the file system refuses.
pub fn create_dirs(path: &Path) -> Result<()> {
    explain(fs::create_dir_all(path), "creating", path)
}

/// Writes a whole file, without a promise that it survives a power cut.
///
/// # Errors
///
/// If the file system refuses; half a file may be left.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    explain(fs::write(path, bytes), "writing", path)
}

/// Puts a file in place at once: readers see the old bytes or the new ones, and
/// a crash leaves one of them.
///
/// # Errors
///
/// If the file system refuses; the old file is untouched then.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().expect("a file has a name").to_string_lossy();
    // The process id keeps two runs that share a folder apart.
    let fresh = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let done = (|| {
        let mut file = File::create(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    })();
    if done.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    explain(done, "writing", path)
}

/// Renames, then syncs the folder that holds the new name.
///
/// # Errors
///
/// If the file system refuses.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    explain(fs::rename(from, to), "renaming to", to)?;
    let folder = to.parent().expect("a renamed folder lies in another");
    explain(File::open(folder).and_then(|folder| folder.sync_all()), "syncing", folder)
}

/// Brings every file and folder below `root` to the disk.
///
/// # Errors
///
/// If the disk reports a failed write: the data must not be trusted then.
pub fn sync_tree(root: &Path) -> Result<()> {
    let (files, folders) = walk(root)?;
    if files.len() > SYNC_EACH_UP_TO {
        return explain(sync_file_system(root), "syncing", root);
    }
    for path in files.iter().map(|file| root.join(file)).chain(folders) {
        explain(File::open(&path).and_then(|file| file.sync_all()), "syncing", &path)?;
    }
    Ok(())
}

/// One system call for thousands of small files.
fn sync_file_system(root: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let folder = File::open(root)?;
    // SAFETY: the descriptor is open for the length of the call.
    match unsafe { libc::syncfs(folder.as_raw_fd()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Removes a file; none is fine.
///
/// # Errors
///
/// If the file system refuses.
pub fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            explain(Err(error), "removing", path)
        }
        _ => Ok(()),
    }
}

/// Removes a folder and everything in it; none is fine.
///
/// # Errors
///
/// If the file system refuses.
pub fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            explain(Err(error), "removing", path)
        }
        _ => Ok(()),
    }
}

/// Files below `root` by relative path, sorted, and the folders with `root` itself.
///
/// # Errors
///
/// If a folder cannot be read, or a name is not UTF-8 text on one line.
pub fn walk(root: &Path) -> Result<(Vec<String>, Vec<PathBuf>)> {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_owned()]);
    let mut next = 0;
    while let Some(folder) = folders.get(next).cloned() {
        next += 1;
        for entry in explain(fs::read_dir(&folder), "reading", &folder)? {
            let entry = explain(entry, "reading", &folder)?;
            let path = entry.path();
            if entry.file_type().with_context(|| format!("reading `{}`", path.display()))?.is_dir()
            {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).expect("walked from the root");
            match name.to_str() {
                Some(name) if !name.contains(['\n', '\\']) => files.push(name.to_owned()),
                _ => {
                    return Err(Error::new(format!("a file name is not plain text: `{name:?}`")));
                }
            }
        }
    }
    files.sort_unstable();
    Ok((files, folders))
}
