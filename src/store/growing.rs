//! A large file that an unfinished stage writes piece by piece, and goes on with after a kill.
//!
//! ```text
//! work/KEY/state/NAME        what is written so far, and perhaps more than the mark says
//! work/KEY/state/NAME.mark   bytes that are on the disk for sure, and their BLAKE3
//! ```

use super::disk;
use crate::error::Context;
use crate::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time between two marks: that much work is lost at most.
const EVERY: Duration = Duration::from_secs(10);

/// The file.
#[derive(Debug)]
pub struct Growing {
    path: PathBuf,
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    /// Where the next piece begins.
    position: u64,
    /// Bytes that an earlier worker left.
    kept: u64,
    marked: Instant,
    every: Duration,
}

impl Growing {
    /// A file that begins with `head`: gone on with where one with the same beginning was kept,
    /// else a new one.
    ///
    /// # Errors
    ///
    /// If the file system refuses.
    pub fn open(work: &Path, name: &str, head: &[u8]) -> Result<Self> {
        disk::create_dirs(work)?;
        let path = work.join(name);
        let doing = || format!("writing `{}`", path.display());
        let (kept, hasher) = match kept(&path, head) {
            Ok(kept) => kept.unwrap_or_default(),
            Err(error) => {
                tracing::warn!("`{}` is made anew: {error}", path.display());
                Default::default()
            }
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(doing)?;
        file.set_len(kept).with_context(doing)?;
        file.seek(SeekFrom::End(0)).with_context(doing)?;
        let (file, marked) = (BufWriter::with_capacity(1 << 20, file), Instant::now());
        let mut growing = Self { path, file, hasher, position: 0, kept, marked, every: EVERY };
        if !growing.skip(head.len() as u64) {
            growing.write(head)?;
        }
        Ok(growing)
    }

    /// Whether the next piece, of that many bytes, is there already: then it is passed over.
    pub fn skip(&mut self, bytes: u64) -> bool {
        let is_there = self.position + bytes <= self.kept;
        if is_there {
            self.position += bytes;
        }
        is_there
    }

    /// Writes the next piece.
    ///
    /// # Errors
    ///
    /// If the file system refuses, or what was kept ends within this piece.
    pub fn write(&mut self, piece: &[u8]) -> Result<()> {
        if self.position < self.kept {
            return Err(Error::new(format!(
                "`{}` was kept by another version",
                self.path.display()
            ))
            .hint("remove it, then run again"));
        }
        let doing = || format!("writing `{}`", self.path.display());
        self.file.write_all(piece).with_context(doing)?;
        self.hasher.update(piece);
        self.position += piece.len() as u64;
        if self.marked.elapsed() >= self.every {
            self.mark()?;
        }
        Ok(())
    }

    /// Notes how far it is, once that is on the disk.
    fn mark(&mut self) -> Result<()> {
        let doing = || format!("writing `{}`", self.path.display());
        self.file.flush().with_context(doing)?;
        self.file.get_ref().sync_data().with_context(doing)?;
        let text = format!("{} {}", self.position, self.hasher.finalize().to_hex());
        disk::replace(&mark_of(&self.path), text.as_bytes())?;
        self.marked = Instant::now();
        Ok(())
    }

    /// Gives the whole file its place.
    ///
    /// # Errors
    ///
    /// If the file system refuses.
    pub fn finish(self, to: &Path) -> Result<()> {
        let doing = || format!("writing `{}`", to.display());
        let file =
            self.file.into_inner().map_err(|error| error.into_error()).with_context(doing)?;
        file.sync_all().with_context(doing)?;
        std::fs::rename(&self.path, to).with_context(doing)
    }
}

fn mark_of(path: &Path) -> PathBuf {
    let name = path.file_name().expect("a file has a name").to_string_lossy();
    path.with_file_name(format!("{name}.mark"))
}

/// The bytes that an earlier worker left, with their hash so far; none where there are none, or of
/// a file that begins otherwise.
fn kept(path: &Path, head: &[u8]) -> Result<Option<(u64, blake3::Hasher)>> {
    let Ok(mark) = std::fs::read_to_string(mark_of(path)) else { return Ok(None) };
    let cut_off = || Error::new("its mark is cut off");
    let (bytes, sum) = mark.split_once(' ').ok_or_else(cut_off)?;
    let bytes: u64 = bytes.parse().context("reading its mark")?;
    let mut file = File::open(path).context("opening it")?.take(bytes);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; (1 << 20).max(head.len())];
    let mut first = true;
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read(&mut buffer[filled..]).context("reading it")? {
                0 => break,
                read => filled += read,
            }
        }
        if first && !buffer[..filled].starts_with(head) {
            return Ok(None);
        }
        first = false;
        if filled == 0 {
            break;
        }
        hasher.update(&buffer[..filled]);
    }
    match hasher.finalize().to_hex().as_str() == sum {
        true => Ok(Some((bytes, hasher))),
        false => Err(Error::new("it is damaged")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECES: [&[u8]; 3] = [b"one", b"two and", b"three"];

    /// Writes `count` pieces; how many of them had to be.
    fn write(work: &Path, head: &[u8], count: usize) -> (Growing, usize) {
        let mut growing = Growing::open(work, "file", head).unwrap();
        growing.every = Duration::ZERO;
        let mut made = 0;
        for piece in &PIECES[..count] {
            if !growing.skip(piece.len() as u64) {
                growing.write(piece).unwrap();
                made += 1;
            }
        }
        (growing, made)
    }

    #[test]
    fn it_goes_on_after_the_last_mark() {
        let work = tempfile::tempdir().unwrap();
        assert_eq!(write(work.path(), b"head", 2).1, 2);
        // A kill in the middle of a piece leaves more than the mark says.
        let path = work.path().join("file");
        let mut longer = std::fs::read(&path).unwrap();
        longer.extend(b"thr");
        std::fs::write(&path, longer).unwrap();
        let (growing, made) = write(work.path(), b"head", 3);
        assert_eq!(made, 1);
        let out = work.path().join("whole");
        growing.finish(&out).unwrap();
        assert_eq!(std::fs::read(&out).unwrap(), b"headonetwo andthree");
    }

    #[test]
    fn a_damaged_or_other_file_is_made_anew() {
        let work = tempfile::tempdir().unwrap();
        assert_eq!(write(work.path(), b"head", 2).1, 2);
        assert_eq!(write(work.path(), b"tail", 2).1, 2, "it begins otherwise");
        let path = work.path().join("file");
        for (damage, what) in [
            (&b"tailoneTwo and"[..], "a flipped bit"),
            (b"tailone", "shorter than its mark"),
            (b"", "nothing"),
        ] {
            std::fs::write(&path, damage).unwrap();
            assert_eq!(write(work.path(), b"tail", 2).1, 2, "{what}");
        }
        std::fs::write(mark_of(&path), "what").unwrap();
        assert_eq!(write(work.path(), b"tail", 2).1, 2, "no mark");
        assert_eq!(write(work.path(), b"tail", 2).1, 0, "as it was");
    }

    #[test]
    fn pieces_of_other_lengths_are_refused() {
        let work = tempfile::tempdir().unwrap();
        write(work.path(), b"head", 2);
        let mut growing = Growing::open(work.path(), "file", b"head").unwrap();
        assert!(!growing.skip(100));
        assert!(growing.write(&[0; 100]).unwrap_err().to_string().contains("another version"));
    }
}
