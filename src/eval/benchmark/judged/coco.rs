//! What is in a picture of COCO 2014: the classes of its segmentations, and those that its captions
//! name.

use super::object_halbench::in_text;
use crate::Result;
use crate::answer::metric::chair::Vocabulary;
use crate::data::benchmark::Record;
use crate::error::{Context, Error};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// `instances_*.json` and `captions_*.json`; what is not needed is skipped as it is read.
#[derive(Deserialize)]
struct Annotations {
    #[serde(default)]
    categories: Vec<Category>,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    #[serde(default)]
    category_id: Option<u64>,
    #[serde(default)]
    caption: Option<String>,
}

/// How the names of its files begin.
const KINDS: [&str; 2] = ["instances_", "captions_"];

/// The files of a folder that are read.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    KINDS.iter().flat_map(|kind| beginning(folder, kind)).collect()
}

/// Puts the objects of each row's picture beside it, by its `image_id`.
///
/// # Errors
///
/// A folder without both kinds of files, and files that cannot be read.
pub fn bring(records: &mut [Record], folder: &Path, synonyms: &[Vec<String>]) -> Result<()> {
    let vocabulary = Vocabulary::new(synonyms);
    let mut present: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for record in records.iter() {
        if let Some(id) = image_id(record) {
            present.entry(id).or_default();
        }
    }
    for kind in KINDS {
        let files = beginning(folder, kind);
        if files.is_empty() {
            return Err(Error::new(format!(
                "no objects are known: there is neither objects.json nor {}",
                folder.join(format!("{kind}*.json")).display()
            ))
            .hint("fetch COCO 2014's annotations into that folder, or write objects.json"));
        }
        for file in files {
            let doing = || format!("reading {}", file.display());
            let reader = BufReader::new(File::open(&file).with_context(doing)?);
            let read: Annotations = serde_json::from_reader(reader).with_context(doing)?;
            let classes: BTreeMap<u64, &str> =
                read.categories.iter().map(|class| (class.id, class.name.as_str())).collect();
            for annotation in &read.annotations {
                let Some(objects) = present.get_mut(&annotation.image_id) else { continue };
                let class = annotation.category_id.and_then(|id| classes.get(&id));
                // A list may have another of a category's names for its class.
                let named = |name| vocabulary.class(name).unwrap_or(name).to_owned();
                objects.extend(class.map(|class| named(class)));
                let caption = annotation.caption.as_deref().unwrap_or_default().to_lowercase();
                objects.extend(in_text(&vocabulary, &caption));
            }
        }
    }
    for record in records {
        let objects = image_id(record).and_then(|id| present.get(&id)).cloned().unwrap_or_default();
        let list = objects.into_iter().map(serde_json::Value::from).collect();
        record.fields.insert("objects".to_owned(), serde_json::Value::Array(list));
    }
    Ok(())
}

/// A picture's number: `image_id`, or the digits that end its file's name.
fn image_id(record: &Record) -> Option<u64> {
    let text = record.text(&["image_id", "image_name"])?;
    let stem = text.rsplit('/').next()?.split('.').next()?;
    stem.rsplit('_').next()?.parse().ok()
}

fn beginning(folder: &Path, name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|file| {
            let own = file.file_name().unwrap_or_default().to_string_lossy();
            own.starts_with(name) && own.ends_with(".json")
        })
        .collect();
    files.sort();
    files
}
