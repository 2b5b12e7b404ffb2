//! Pairs to look at: some of a pairs artifact, each with its pictures' files and why it was
//! paired. Rows are read one by one; a set of millions costs no memory.

use crate::data::pairs::read_meta;
use crate::data::record::Pair;
use crate::error::Context;
use crate::statistics;
use crate::{Error, Result};
use rand::seq::index::sample;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// A pair to look at.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Line of pairs.jsonl, from 1.
    pub row: usize,
    /// The record.
    pub pair: Pair,
    /// Files of its pictures.
    pub pictures: Vec<PathBuf>,
    /// Why the one answer is better than the other.
    pub why: String,
}

/// At most `count` pairs of an artifact's payload, drawn by `seed`, in file order; and how many
/// there are.
///
/// # Errors
///
/// A payload without pairs.jsonl, or a row that is none.
pub fn some(payload: &Path, count: usize, seed: u64) -> Result<(usize, Vec<Shown>)> {
    let path = payload.join("pairs.jsonl");
    let doing = || format!("reading `{}`", path.display());
    let lines =
        || -> Result<_> { Ok(BufReader::new(File::open(&path).with_context(doing)?).lines()) };
    let total = lines()?.count();
    let mut random = statistics::random("show/pairs", seed);
    let mut rows: Vec<usize> = sample(&mut random, total, count.min(total)).into_vec();
    rows.sort_unstable();
    let mut rows = rows.into_iter().peekable();
    let roots = roots(payload);
    let mut shown = Vec::new();
    for (row, line) in lines()?.enumerate() {
        if rows.next_if_eq(&row).is_none() {
            continue;
        }
        let parsed = serde_json::from_str::<Pair>(&line.with_context(doing)?);
        let pair = parsed
            .map_err(|error| Error::new(format!("{}:{}: {error}", path.display(), row + 1)))?;
        let pictures = pair.image.0.iter().map(|image| file(&roots, image)).collect();
        shown.push(Shown { row: row + 1, pictures, why: why(&pair), pair });
    }
    Ok((total, shown))
}

/// Folders that picture paths are relative to, as meta.json names them.
fn roots(payload: &Path) -> Vec<PathBuf> {
    let meta = read_meta(&payload.join("meta.json")).unwrap_or_default();
    meta.into_iter().map(|(_, set)| payload.join(set.root)).collect()
}

/// The file of a picture; the first root's where none has it.
fn file(roots: &[PathBuf], image: &str) -> PathBuf {
    let found = roots.iter().map(|root| root.join(image)).find(|path| path.exists());
    let path = found.or_else(|| Some(roots.first()?.join(image))).unwrap_or_else(|| image.into());
    path.canonicalize().unwrap_or(path)
}

/// Why a pair was made, from its provenance.
fn why(pair: &Pair) -> String {
    let (Some(chosen), Some(rejected)) = (&pair.chosen_meta, &pair.rejected_meta) else {
        return "ready-made".to_owned();
    };
    let text = |meta: &Value, key: &str| meta[key].as_str().unwrap_or("?").to_owned();
    let sample = |meta: &Value| format!("sample {}", meta["sample"]);
    let judged = |meta: &Value| {
        let last = meta["final"].as_str().map_or(String::new(), |last| format!(", answer {last}"));
        let loops = if meta["degenerate"] == true { ", repeats itself" } else { "" };
        format!("{} ({}{last}{loops})", sample(meta), text(meta, "verdict"))
    };
    match rejected["kind"].as_str() {
        Some(kind @ ("correctness" | "format")) => {
            format!("{kind}: {} against {}", judged(chosen), judged(rejected))
        }
        Some("dropout_ntp") => {
            let how = if rejected["image"] == true { "with" } else { "without" };
            let matched = if rejected["length"] == "match" { ", to the same length" } else { "" };
            // Pairs of one continuation each do not say which it was.
            let draw = rejected["draw"].as_u64().filter(|&draw| draw > 1);
            let apart = if rejected["apart"] == true { ", from what differs" } else { "" };
            let drawn = draw.map_or(String::new(), |draw| format!(", at draw {draw}{apart}"));
            format!(
                "dropout_ntp: {}, continued {how} the picture{matched} after {:?}{drawn}",
                sample(chosen),
                text(rejected, "kept")
            )
        }
        Some("divide_and_conquer") => {
            let denied = |meta: &Value| {
                let list = meta["denied"].as_array().cloned().unwrap_or_default();
                let names: Vec<String> =
                    list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                let which = if names.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", names.join("; "))
                };
                format!(
                    "{}: {} of {} claims denied{which}",
                    sample(meta),
                    names.len(),
                    meta["claims"]
                )
            };
            format!("divide_and_conquer: {} against {}", denied(chosen), denied(rejected))
        }
        _ => "ready-made".to_owned(),
    }
}

/// A text in lines of at most `width`, by whatever `measure` says; its own line breaks stay.
pub fn wrapped(text: &str, width: f64, measure: &dyn Fn(&str) -> f64) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if measure(&longer) <= width {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            // A word that is wider than a line is cut, as text without spaces is.
            for letter in word.chars() {
                line.push(letter);
                if measure(&line) > width && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, letter.to_string()));
                }
            }
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_are_broken_at_spaces_and_long_words_anywhere() {
        let count = |text: &str| text.chars().count() as f64;
        let lines = |text: &str| wrapped(text, 10.0, &count);
        // "red circle," is 11 wide, "circle, blue" 12, "blue" and "cat" together 8.
        assert_eq!(lines("red circle, blue cat"), ["red", "circle,", "blue cat"]);
        assert_eq!(lines("a\n\nb"), ["a", "", "b"]);
        assert_eq!(lines("abcdefghijklm no"), ["abcdefghij", "klm no"]);
        assert!(lines("").is_empty());
    }

    #[test]
    fn each_kind_says_why() {
        let pair = |chosen: Value, rejected: Value| {
            why(&Pair {
                chosen_meta: Some(chosen),
                rejected_meta: Some(rejected),
                ..Pair::default()
            })
        };
        assert_eq!(
            pair(
                json!({ "kind": "correctness", "sample": 2, "verdict": "right", "final": "3" }),
                json!({ "kind": "correctness", "sample": 0, "verdict": "wrong", "final": "1" }),
            ),
            "correctness: sample 2 (right, answer 3) against sample 0 (wrong, answer 1)"
        );
        let blind = json!({ "kind": "dropout_ntp", "kept": "a red", "image": false });
        assert_eq!(
            pair(json!({ "sample": 0 }), blind),
            "dropout_ntp: sample 0, continued without the picture after \"a red\""
        );
        let again =
            json!({ "kind": "dropout_ntp", "kept": "", "image": true, "draw": 3, "apart": true });
        assert_eq!(
            pair(json!({ "sample": 0 }), again),
            "dropout_ntp: sample 0, continued with the picture after \"\", at draw 3, from what \
             differs"
        );
        assert_eq!(
            pair(
                json!({ "sample": 1, "claims": 3, "denied": [] }),
                json!({ "kind": "divide_and_conquer", "sample": 4, "claims": 2, "denied": ["red cat"] }),
            ),
            "divide_and_conquer: sample 1: 0 of 3 claims denied against sample 4: 1 of 2 claims \
             denied (red cat)"
        );
        assert_eq!(why(&Pair::default()), "ready-made");
    }
}
