//! Ready-made pairs: an MMPR meta.json and the JSONL files that it names.
//!
//! Every row is checked before anything is written. The pictures come along,
//! below `images/NAME/` of this artifact.

use super::stats::Stats;
use super::{Built, Kind};
use crate::data::pairs::{annotation_path, read_meta};
use crate::data::record::Pair;
use crate::error::Context;
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Component, Path, PathBuf};

/// Mistakes that an error lists before it only counts them.
const MOST_LISTED: usize = 5;

/// Reads every pair that a meta.json names.
///
/// # Errors
///
/// A meta.json that cannot be read, and bad rows: each with file, line and reason, at most five
/// listed and all counted.
pub fn pairs(meta: &Path, out: &Path) -> Result<(Vec<Built>, Stats)> {
    let sources = read_meta(meta).map_err(|error| error.context("`pairs.import`"))?;
    let mut checks = Checks::default();
    let mut built = Vec::new();
    let mut pictures = BTreeSet::new();
    for (name, source) in sources {
        let beside = meta.parent().unwrap_or_else(|| Path::new(".")).join(&source.root);
        let root = if beside.is_dir() { beside } else { PathBuf::from(&source.root) };
        let rows = read(&annotation_path(meta, &source), &root, &mut checks)?;
        let rows = repeated(rows, source.repeat_time.as_f64().unwrap_or(0.0))
            .map_err(|error| error.context(format!("{}: data set `{name}`", meta.display())))?;
        for mut pair in rows {
            for image in &mut pair.image.0 {
                let copy = format!("images/{name}/{image}");
                pictures.insert((root.join(&*image), copy.clone()));
                *image = copy;
            }
            built.push(Built {
                pair,
                kind: Kind::Imported,
                task: name.clone(),
                tokens: None,
                truth: None,
            });
        }
    }
    checks.into_result()?;
    for (from, to) in pictures {
        bring(&from, &out.join(to))?;
    }
    Ok((built, Stats::default()))
}

/// What is wrong with the rows read so far.
#[derive(Default)]
struct Checks {
    num_bad: usize,
    listed: Vec<String>,
    known_images: BTreeSet<PathBuf>,
}

impl Checks {
    fn bad(&mut self, message: String) {
        self.num_bad += 1;
        if self.listed.len() < MOST_LISTED {
            self.listed.push(message);
        }
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

fn read(annotation: &Path, root: &Path, checks: &mut Checks) -> Result<Vec<Pair>> {
    let doing = || format!("could not read {}", annotation.display());
    let file = fs::File::open(annotation).with_context(doing)?;
    let mut pairs = Vec::new();
    for (index, line) in BufReader::new(file).split(b'\n').enumerate() {
        let line = line.with_context(doing)?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let checked = serde_json::from_slice::<Pair>(&line)
            .map_err(|error| error.to_string())
            .and_then(|pair| check(pair, root, &mut checks.known_images));
        match checked {
            Ok(pair) => pairs.push(pair),
            Err(reason) => {
                checks.bad(format!("{}:{}: {reason}", annotation.display(), index + 1));
            }
        }
    }
    Ok(pairs)
}

/// The pair as Prefab writes it, or what is wrong with it.
fn check(mut pair: Pair, root: &Path, known: &mut BTreeSet<PathBuf>) -> Result<Pair, String> {
    for (field, text) in
        [("question", &pair.question), ("chosen", &pair.chosen), ("rejected", &pair.rejected)]
    {
        if text.trim().is_empty() {
            return Err(format!("`{field}` is empty"));
        }
    }
    if pair.chosen == pair.rejected {
        return Err("`chosen` and `rejected` are the same".into());
    }
    let (num_images, num_places) = (pair.image.0.len(), pair.question.matches("<image>").count());
    match (num_images, num_places) {
        // MMPR's convention for one picture: the placeholder may be left out.
        (1, 0) => pair.question = format!("<image>\n{}", pair.question),
        (images, places) if images != places => {
            return Err(format!("{images} images for {places} `<image>` places"));
        }
        _ => {}
    }
    for image in &pair.image.0 {
        let path = Path::new(image);
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(format!("image `{image}` leaves its root"));
        }
        let file = root.join(path);
        if known.contains(&file) {
            continue;
        }
        if !file.is_file() {
            return Err(format!("image `{}` does not exist", file.display()));
        }
        known.insert(file);
    }
    Ok(pair)
}

/// The rows as often as `repeat_time` says.
fn repeated(pairs: Vec<Pair>, times: f64) -> Result<Vec<Pair>> {
    if times > 0.0 && times < 1.0 {
        let kept = (pairs.len() as f64 * times) as usize;
        return Ok(pairs.into_iter().take(kept).collect());
    }
    if times < 1.0 || times.fract() != 0.0 {
        return Err(Error::new(format!("`repeat_time` is {times}"))
            .hint("a share below 1, or a whole number"));
    }
    let times = times as usize;
    Ok(std::iter::repeat_n(pairs, times).flatten().collect())
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
        pairs(&folder.path().join("meta.json"), &folder.path().join("out"))
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
        let row = Pair { question: "q".into(), ..Pair::default() };
        let rows = vec![row; 5];
        assert_eq!(repeated(rows.clone(), 3.0).unwrap().len(), 15);
        assert_eq!(repeated(rows.clone(), 0.5).unwrap().len(), 2);
        assert!(repeated(rows.clone(), 1.5).is_err());
        assert!(repeated(rows, 0.0).is_err());
    }
}
