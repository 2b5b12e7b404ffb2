//! One data set of an MMPR meta.json: its rows by number, each checked where it is read, in MMPR's
//! form or another that [`forms`] knows.
//!
//! # Source
//!
//! InternVL's `internvl_chat_mpo.py` and the OpenGVLab/MMPR data card (Wang et al. 2024,
//! arXiv:2411.10442).

use super::forms::{self, Form};
use super::image::MOST_TILES;
use super::pairs::{DataSet, annotation_path};
use super::record::Pair;
use super::rows::{Row, Rows};
use super::template::IMAGE;
use super::tokenizer::IMAGE_CONTEXT;
use crate::error::{Error, Result};
use std::path::{Component, Path, PathBuf};

/// Where InternVL's rows have a film, which nothing here reads.
const VIDEO: &str = "<video>";

/// A data set whose annotation file is open.
#[derive(Debug)]
pub struct Set {
    /// Its name in the meta.json.
    pub name: String,
    /// Its entry.
    pub entry: DataSet,
    /// The folder that image paths are relative to.
    pub root: PathBuf,
    rows: Rows,
}

/// How often each row of a data set is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Passes {
    /// Every row, so many times.
    Whole(usize),
    /// So many rows, once.
    Some(usize),
}

impl Set {
    /// Opens the annotation file of a meta.json's entry and finds its rows. Paths are relative to
    /// the meta.json where that exists, else as written.
    ///
    /// # Errors
    ///
    /// An annotation file that cannot be read, an entry that cannot be meant: named by file and
    /// data set.
    pub fn open(meta: &Path, name: &str, entry: &DataSet) -> Result<Self> {
        let fault = |reason: &str, hint: &str| {
            Error::new(format!("{}: data set `{name}`: {reason}", meta.display())).hint(hint)
        };
        if !is_folder_name(name) {
            return Err(fault(
                "its name is no folder's, and its pictures would go to that path",
                "rename it: one word without `/`, `\\` and `..`",
            ));
        }
        check_limit(entry.max_dynamic_patch)
            .map_err(|reason| fault(&reason, "take it out for the model's own limit"))?;
        let beside = meta.parent().unwrap_or_else(|| Path::new(".")).join(&entry.root);
        let root = if beside.is_dir() { beside } else { PathBuf::from(&entry.root) };
        let rows = Rows::open(&annotation_path(meta, entry))?;
        Ok(Self { name: name.to_owned(), entry: entry.clone(), root, rows })
    }

    /// A JSONL file without a meta.json: its name is the data set's, and its folder the root.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or whose name is no folder's.
    pub fn alone(annotation: &Path) -> Result<Self> {
        let rows = Rows::open(annotation)?;
        let folder = annotation.parent().filter(|folder| !folder.as_os_str().is_empty());
        let root = folder.unwrap_or_else(|| Path::new(".")).to_owned();
        let name = annotation.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !is_folder_name(&name) {
            let file = annotation.display();
            return Err(Error::new(format!("{file} gives its data set the name `{name}`"))
                .hint("rename the file: NAME.jsonl"));
        }
        let entry = DataSet {
            root: root.to_string_lossy().into_owned(),
            annotation: annotation.to_string_lossy().into_owned(),
            data_augment: false,
            max_dynamic_patch: None,
            repeat_time: 1.into(),
            length: Some(rows.len()),
        };
        Ok(Self { name, entry, root, rows })
    }

    /// The rows of its annotation file.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// What `repeat_time` says: a share below 1 takes `⌊share · rows⌋` of them, a number from 1 all
    /// of them `⌊number⌋` times, as InternVL's trainer does.
    ///
    /// # Errors
    ///
    /// A `repeat_time` that is not above 0, or above 1,000.
    pub fn passes(&self) -> Result<Passes> {
        const MOST: f64 = 1000.0;
        let times = self.entry.repeat_time.as_f64().unwrap_or(0.0);
        match times {
            share if share > 0.0 && share < 1.0 => {
                Ok(Passes::Some((self.rows.len() as f64 * share) as usize))
            }
            times if (1.0..=MOST).contains(&times) => Ok(Passes::Whole(times as usize)),
            _ => Err(Error::new(format!(
                "data set `{}`: `repeat_time` is {}",
                self.name, self.entry.repeat_time
            ))
            .hint(format!("a share above 0 and below 1, or a number of passes up to {MOST}"))),
        }
    }

    /// A row as a pair: one picture without a marker has its marker put in front, and where the
    /// data set has a limit of tiles of its own, so has the pair.
    ///
    /// # Errors
    ///
    /// A row that is no pair, an empty text, two answers that are the same, markers and pictures
    /// that differ in number, a mark of image tokens, a picture outside the root, a limit of no
    /// tiles or of too many: named by file and line. Whether pictures exist is not looked at.
    pub fn pair(&self, row: &Row) -> Result<Pair> {
        let fault = |reason: String| self.fault(row, &reason);
        let mut pair: Pair = match Form::of(&row.text).map_err(fault)? {
            Form::Mmpr => self.rows.parse(row)?,
            form => forms::read(form, &self.rows.parse(row)?).map_err(fault)?,
        };
        mend(&mut pair).map_err(fault)?;
        check_limit(pair.max_tiles).map_err(fault)?;
        pair.max_tiles = pair.max_tiles.or(self.entry.max_dynamic_patch);
        Ok(pair)
    }

    /// What is wrong with a row, named by file and line.
    pub fn fault(&self, row: &Row, reason: &str) -> Error {
        Error::new(format!("{}:{}: {reason}", self.rows.path().display(), row.line))
    }
}

/// Whether a name is one part of a path, so that nothing below it lies elsewhere.
fn is_folder_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let is_one = matches!((parts.next(), parts.next()),
        (Some(Component::Normal(part)), None) if part == name);
    is_one && !name.contains(['\0', '\\'])
}

/// Refuses a limit of tiles that no picture can have, and one that none needs.
fn check_limit(most: Option<usize>) -> Result<(), String> {
    match most {
        Some(0) => Err("`max_dynamic_patch` is 0, and a picture has one tile at least".into()),
        Some(most) if most > MOST_TILES => {
            Err(format!("`max_dynamic_patch` is {most}, above {MOST_TILES} tiles"))
        }
        _ => Ok(()),
    }
}

fn mend(pair: &mut Pair) -> Result<(), String> {
    for (field, text) in
        [("question", &pair.question), ("chosen", &pair.chosen), ("rejected", &pair.rejected)]
    {
        if text.trim().is_empty() {
            return Err(format!("`{field}` is empty"));
        }
        // As a token it stands for a part of a picture, and there would be more of them than parts.
        if text.contains(IMAGE_CONTEXT) {
            return Err(format!("`{field}` holds the mark `{IMAGE_CONTEXT}` of an image token"));
        }
    }
    if pair.chosen == pair.rejected {
        return Err("`chosen` and `rejected` are the same".into());
    }
    if pair.question.contains(VIDEO) {
        return Err(format!("its question has a `{VIDEO}` place, and pictures are read"));
    }
    match (pair.image.0.len(), pair.question.matches(IMAGE).count()) {
        // MMPR's convention for one picture: the marker may be left out.
        (1, 0) => pair.question = format!("{IMAGE}\n{}", pair.question),
        (images, places) if images != places => {
            return Err(format!("{images} images for {places} `{IMAGE}` places"));
        }
        _ => {}
    }
    let is_below = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    for image in &pair.image.0 {
        if image.contains("://") {
            return Err(format!("image `{image}` is no file: fetch it below the root"));
        }
        if image.contains('\0') || !Path::new(image).components().all(is_below) {
            return Err(format!("image `{image}` leaves its root"));
        }
    }
    Ok(())
}
