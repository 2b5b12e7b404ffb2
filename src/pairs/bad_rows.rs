//! Rows of imported pairs that cannot be taken: the first few are listed, all are counted, and
//! written to a file.

use super::brought::{Digest, digest};
use crate::data::mmpr::Set;
use crate::data::record::Pair;
use crate::data::rows::Row;
use crate::error::Context;
use crate::{Error, Result};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Mistakes that an error lists before it only counts them.
const MOST_LISTED: usize = 5;

/// What is wrong with the rows read so far.
pub struct Checks<'a> {
    /// Where all of it is written.
    path: &'a Path,
    file: Option<BufWriter<File>>,
    num_bad: usize,
    listed: Vec<String>,
    is_file: HashSet<Digest>,
}

impl<'a> Checks<'a> {
    /// No row is read yet; bad ones will be listed in the file `path`.
    pub fn new(path: &'a Path) -> Self {
        Self { path, file: None, num_bad: 0, listed: Vec::new(), is_file: HashSet::new() }
    }

    /// Checks every row of a set.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or written; bad rows are noted.
    pub fn read(&mut self, set: &Set) -> Result<()> {
        let root = if set.root.as_os_str().is_empty() { Path::new(".") } else { &set.root };
        // A root that is not there has no pictures, which is said row by row.
        let root = root.canonicalize().unwrap_or_default();
        for row in set.rows().iter() {
            let row = row?;
            let checked = set.pair(&row).and_then(|pair| self.pictures(set, &root, &row, &pair));
            if let Err(error) = checked {
                self.note(error.to_string())?;
            }
        }
        Ok(())
    }

    fn note(&mut self, told: String) -> Result<()> {
        let path = self.path;
        let doing = || format!("writing `{}`", path.display());
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(File::create(path).with_context(doing)?)),
        };
        writeln!(file, "{told}").with_context(doing)?;
        self.num_bad += 1;
        if self.listed.len() < MOST_LISTED {
            self.listed.push(told);
        }
        Ok(())
    }

    /// Whether the pictures are there, below the root whatever links say, and have a picture's
    /// header, each looked at once.
    fn pictures(&mut self, set: &Set, root: &Path, row: &Row, pair: &Pair) -> Result<()> {
        for image in &pair.image.0 {
            let path = set.root.join(image);
            let digest = digest(&[root, &path]);
            if self.is_file.contains(&digest) {
                continue;
            }
            if !path.is_file() {
                let path = path.display();
                return Err(set.fault(row, &format!("image `{path}` does not exist")));
            }
            let real: PathBuf = path.canonicalize().with_context(|| path.display().to_string())?;
            if !real.starts_with(root) {
                let reason = format!(
                    "image `{image}` is a link to `{}`, outside its root: put the picture itself there",
                    real.display()
                );
                return Err(set.fault(row, &reason));
            }
            crate::data::image::size(&path).map_err(|error| set.fault(row, &error.to_string()))?;
            self.is_file.insert(digest);
        }
        Ok(())
    }

    /// The error of all bad rows.
    ///
    /// # Errors
    ///
    /// If there are any.
    pub fn into_result(self) -> Result<()> {
        let Some(mut file) = self.file else { return Ok(()) };
        file.flush().with_context(|| format!("writing `{}`", self.path.display()))?;
        let more = match self.num_bad - self.listed.len() {
            0 => String::new(),
            more => format!("\n… and {more} more; all are listed in `{}`", self.path.display()),
        };
        let list = self.listed.join("\n");
        Err(Error::new(format!("{} bad rows in `pairs.import`:\n{list}{more}", self.num_bad))
            .hint("mend or remove these rows; nothing was imported"))
    }
}
