//! Ready-made pairs: an MMPR meta.json and the JSONL files that it names, or one such file.
//!
//! Every row is checked before anything is written, in a pass of its own that keeps no row. The
//! pictures come along, below `images/NAME/` of this artifact.

use super::stats::Stats;
use super::{Built, Kind, choose};
use crate::data::mmpr::{Passes, Set};
use crate::data::pairs::read_meta;
use crate::data::record::Pair;
use crate::data::rows::Row;
use crate::error::Context;
use crate::eval::statistics;
use crate::{Error, Result};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// Mistakes that an error lists before it only counts them.
const MOST_LISTED: usize = 5;

/// Reads every pair that a meta.json names, as often as its `repeat_time` says. Of a share, the
/// rows are drawn without replacement by `seed` and the data set's name, and stay in order.
///
/// # Errors
///
/// A meta.json that cannot be read, and bad rows: each with file, line and reason, at most five
/// listed and all counted.
pub fn pairs(meta: &Path, seed: u64, out: &Path) -> Result<(Vec<Built>, Stats)> {
    let sets = open(meta).map_err(|error| error.context("`pairs.import`"))?;
    let mut checks = Checks::default();
    for (set, _) in &sets {
        checks.read(set)?;
    }
    checks.into_result()?;
    let mut import = Import { out, brought: HashSet::new(), built: Vec::new() };
    for (set, passes) in &sets {
        warn(set);
        match *passes {
            Passes::Whole(times) => {
                for _ in 0..times {
                    set.rows().iter().try_for_each(|row| import.add(set, &row?))?;
                }
            }
            Passes::Some(most) => {
                let random = statistics::random(&format!("repeat_time/{}", set.name), seed);
                for index in choose((0..set.rows().len()).collect(), most, random) {
                    import.add(set, &set.rows().row(index)?)?;
                }
            }
        }
    }
    Ok((import.built, Stats::default()))
}

/// The data sets of a meta.json, or of a JSONL file by itself.
fn open(meta: &Path) -> Result<Vec<(Set, Passes)>> {
    if meta.extension().is_some_and(|ending| ending == "jsonl") {
        return Ok(vec![(Set::alone(meta)?, Passes::Whole(1))]);
    }
    read_meta(meta)?
        .iter()
        .map(|(name, entry)| {
            let set = Set::open(meta, name, entry)?;
            let passes = set.passes().map_err(|error| error.context(meta.display()))?;
            Ok((set, passes))
        })
        .collect()
}

/// Says what an entry asks for that nothing here does.
fn warn(set: &Set) {
    let (name, entry, num_rows) = (&set.name, &set.entry, set.rows().len());
    if entry.length != num_rows {
        tracing::warn!(
            "data set `{name}` has {num_rows} rows and says that it has {}: was it cut short? \
             mend `length` in its meta.json if not",
            entry.length
        );
    }
    if entry.data_augment {
        tracing::warn!(
            "data set `{name}`: `data_augment` is not followed: pictures are trained as they are; \
             recompress the files themselves if that is wanted"
        );
    }
}

/// What is wrong with the rows read so far.
#[derive(Default)]
struct Checks {
    num_bad: usize,
    listed: Vec<String>,
    is_file: HashSet<Digest>,
}

/// The first half of a path's BLAKE3 hash: millions of paths need not be kept.
type Digest = [u8; 16];

fn digest(path: &Path) -> Digest {
    let hash = blake3::hash(path.as_os_str().as_encoded_bytes());
    hash.as_bytes().first_chunk().copied().expect("a hash has 32 bytes")
}

impl Checks {
    fn read(&mut self, set: &Set) -> Result<()> {
        for row in set.rows().iter() {
            let row = row?;
            let checked = set.pair(&row).and_then(|pair| self.pictures(set, &row, &pair));
            if let Err(error) = checked {
                self.num_bad += 1;
                if self.listed.len() < MOST_LISTED {
                    self.listed.push(error.to_string());
                }
            }
        }
        Ok(())
    }

    /// Whether the pictures are there, each looked for once.
    fn pictures(&mut self, set: &Set, row: &Row, pair: &Pair) -> Result<()> {
        for image in &pair.image.0 {
            let path = set.root.join(image);
            let digest = digest(&path);
            if self.is_file.contains(&digest) {
                continue;
            }
            if !path.is_file() {
                let path = path.display();
                return Err(set.fault(row, &format!("image `{path}` does not exist")));
            }
            self.is_file.insert(digest);
        }
        Ok(())
    }

    fn into_result(self) -> Result<()> {
        if self.num_bad == 0 {
            return Ok(());
        }
        let more = self.num_bad - self.listed.len();
        let more = if more > 0 { format!("\n… and {more} more") } else { String::new() };
        let list = self.listed.join("\n");
        Err(Error::new(format!("{} bad rows in `pairs.import`:\n{list}{more}", self.num_bad))
            .hint("mend or remove these rows; nothing was imported"))
    }
}

/// What has been imported so far.
struct Import<'a> {
    out: &'a Path,
    brought: HashSet<Digest>,
    built: Vec<Built>,
}

impl Import<'_> {
    /// Takes a row, and its pictures along where they have not come yet.
    fn add(&mut self, set: &Set, row: &Row) -> Result<()> {
        let mut pair = set.pair(row)?;
        for image in &mut pair.image.0 {
            let copy = format!("images/{}/{image}", set.name);
            let to = self.out.join(&copy);
            if self.brought.insert(digest(&to)) {
                bring(&set.root.join(&*image), &to)?;
            }
            *image = copy;
        }
        self.built.push(Built {
            pair,
            kind: Kind::Imported,
            task: set.name.clone(),
            tokens: None,
            truth: None,
        });
        Ok(())
    }
}

/// Copies a picture into the artifact; a link would let a later edit reach into the store.
fn bring(from: &Path, to: &Path) -> Result<()> {
    let doing = || format!("could not bring {} along", from.display());
    fs::create_dir_all(to.parent().expect("a picture lies in a folder")).with_context(doing)?;
    fs::copy(from, to).with_context(doing)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::record::Images;

    fn folder(rows: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("pictures")).unwrap();
        fs::write(folder.path().join("pictures/a.png"), b"a").unwrap();
        fs::write(folder.path().join("rows.jsonl"), rows).unwrap();
        let meta = r#"{"set": {"root": "pictures", "annotation": "rows.jsonl", "repeat_time": 1, "length": 2}}"#;
        fs::write(folder.path().join("meta.json"), meta).unwrap();
        folder
    }

    fn import(folder: &tempfile::TempDir) -> Result<(Vec<Built>, Stats)> {
        pairs(&folder.path().join("meta.json"), 0, &folder.path().join("out"))
    }

    #[test]
    fn good_rows_come_with_their_pictures() {
        let folder = folder(concat!(
            r#"{"image": "a.png", "question": "how many?", "chosen": "2", "rejected": "3"}"#,
            "\n\n",
            r#"{"question": "1 + 1?", "chosen": "2", "rejected": "3", "answer_gt": "2"}"#,
        ));
        let (built, _) = import(&folder).unwrap();
        assert_eq!(built.len(), 2);
        assert_eq!(built[0].pair.question, "<image>\nhow many?");
        assert_eq!(built[0].pair.image, Images(vec!["images/set/a.png".into()]));
        assert!(folder.path().join("out/images/set/a.png").is_file());
        assert!(built[1].pair.image.is_empty());
    }

    #[test]
    fn bad_rows_are_listed_with_their_lines_and_counted() {
        let folder = folder(concat!(
            r#"{"question": "q", "chosen": "", "rejected": "3"}"#,
            "\n",
            r#"{"question": "q", "chosen": "3", "rejected": "3"}"#,
            "\n",
            r#"{"image": "../a.png", "question": "q", "chosen": "2", "rejected": "3"}"#,
            "\n",
            r#"{"image": "b.png", "question": "q", "chosen": "2", "rejected": "3"}"#,
            "\n",
            r#"{"image": ["a.png", "a.png"], "question": "<image> q", "chosen": "2", "rejected": "3"}"#,
            "\n",
            "not json\n",
            r#"{"question": "q", "chosen": "2", "rejected": "3"}"#,
            "\n",
        ));
        let message = import(&folder).unwrap_err().to_string();
        for part in [
            "6 bad rows",
            "rows.jsonl:1: `chosen` is empty",
            "rows.jsonl:2: `chosen` and `rejected` are the same",
            "rows.jsonl:3: image `../a.png` leaves its root",
            "b.png` does not exist",
            "rows.jsonl:5: 2 images for 1 `<image>` places",
            "… and 1 more",
        ] {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert!(!folder.path().join("out").exists());
    }

    #[test]
    fn rows_repeat_or_thin_out() {
        let rows: String = (0..40)
            .map(|row| {
                format!("{{\"question\": \"{row}\", \"chosen\": \"2\", \"rejected\": \"3\"}}\n")
            })
            .collect();
        let folder = folder(&rows);
        let meta = folder.path().join("meta.json");
        let taken = |repeat_time: &str, seed: u64| -> Result<Vec<usize>> {
            let text = format!(
                r#"{{"set": {{"root": "pictures", "annotation": "rows.jsonl", "repeat_time": {repeat_time}, "length": 40}}}}"#
            );
            fs::write(&meta, text).unwrap();
            let (built, _) = pairs(&meta, seed, &folder.path().join("out"))?;
            Ok(built.iter().map(|built| built.pair.question.parse().unwrap()).collect())
        };
        assert_eq!(taken("1", 0).unwrap(), Vec::from_iter(0..40));
        assert_eq!(taken("2.0", 0).unwrap(), Vec::from_iter((0..40).chain(0..40)));
        let share = taken("0.26", 0).unwrap();
        assert_eq!(share.len(), 10);
        assert!(share.is_sorted() && share != Vec::from_iter(0..10), "{share:?}");
        assert_eq!(taken("0.26", 0).unwrap(), share);
        assert_ne!(taken("0.26", 1).unwrap(), share);
        for none in ["1.5", "0", "-1"] {
            let error = taken(none, 0).unwrap_err().to_string();
            assert!(error.contains("data set `set`: `repeat_time` is"), "{error}");
        }
    }
}
