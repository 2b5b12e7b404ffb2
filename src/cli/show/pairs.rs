//! `prefab show pairs KEY`: random pairs side by side, with their pictures' files and why they
//! were paired.

use crate::report::pairs::{Shown, some, wrapped};
use crate::{Error, Result, store};
use std::path::{Path, PathBuf};

/// Columns of a page; each answer has one side of it.
const WIDTH: usize = 100;
const COLUMN: usize = (WIDTH - 3) / 2;

/// Some pairs of the artifact that a key, its beginning, or a folder names.
///
/// # Errors
///
/// A key that names no artifact, or more than one.
pub fn text(key: &str, store: &Path, count: usize, seed: u64) -> Result<String> {
    let payload = payload(key, store)?;
    let (total, shown) = some(&payload, count, seed)?;
    let mut text = format!("{} of {total} pairs in {}\n", shown.len(), payload.display());
    for one in &shown {
        text.push_str(&page(one));
    }
    Ok(text)
}

/// The payload that is meant.
fn payload(key: &str, store: &Path) -> Result<PathBuf> {
    for folder in [PathBuf::from(key), store::payload_of(Path::new(key))] {
        if folder.join("pairs.jsonl").is_file() {
            return Ok(folder);
        }
    }
    let artifacts = store::artifacts(store);
    let names = std::fs::read_dir(&artifacts).into_iter().flatten().flatten();
    let mut all: Vec<String> =
        names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    all.retain(|name| name.starts_with("pairs-"));
    all.sort();
    let begins = |name: &&String| {
        name.starts_with(key) || name["pairs-".len()..].starts_with(key) && key != "pairs"
    };
    let found: Vec<&String> = all.iter().filter(begins).collect();
    match found[..] {
        [one] => Ok(store::payload(&artifacts, one)),
        [] => Err(Error::spec(format!(
            "no pairs artifact in `{}` is called `{key}`",
            store.display()
        ))
        .hint(match all.is_empty() {
            true => "`prefab run SPEC --until pairs` makes one".to_owned(),
            false => format!("there are {}", all.join(", ")),
        })),
        _ => {
            Err(Error::spec(format!("`{key}` begins the names of {} pairs artifacts", found.len()))
                .hint(format!("more of one of {}", all.join(", "))))
        }
    }
}

fn page(shown: &Shown) -> String {
    let count = |text: &str| text.chars().count() as f64;
    let lines = |text: &str, width: usize| wrapped(text, width as f64, &count);
    let mut text = format!("\n{}\n", "─".repeat(WIDTH));
    // A path that is broken into lines cannot be opened.
    for picture in &shown.pictures {
        text.push_str(&format!("{:<10}{}\n", "picture", picture.display()));
    }
    let mut paragraph = |head: &str, body: &str| {
        for (index, line) in lines(body, WIDTH - 10).iter().enumerate() {
            let head = if index == 0 { head } else { "" };
            text.push_str(format!("{head:<10}{line}").trim_end());
            text.push('\n');
        }
    };
    paragraph("row", &shown.row.to_string());
    paragraph("question", &shown.pair.question);
    paragraph("why", &shown.why);
    if let Some(known) = &shown.pair.answer_gt {
        paragraph("known", known);
    }
    let side = |head: &str, body: &str| {
        let mut side = vec![head.to_owned(), String::new()];
        side.extend(lines(body, COLUMN));
        side
    };
    let (left, right) =
        (side("chosen", &shown.pair.chosen), side("rejected", &shown.pair.rejected));
    text.push('\n');
    for index in 0..left.len().max(right.len()) {
        let cell = |side: &[String]| side.get(index).cloned().unwrap_or_default();
        let line = format!("{:<COLUMN$} │ {}", cell(&left), cell(&right));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
