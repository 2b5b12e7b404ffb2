//! Ready-made pairs: an MMPR meta.json and the JSONL files that it names, or one such file.
//!
//! Every row is checked before anything is written, in a pass of its own that keeps no row; those
//! that are wanted are read again, one at a time, so that a set of millions is never in memory.
//! Their pictures come along, below `images/NAME/` of this artifact.

use super::bad_rows::Checks;
use super::brought::Brought;
use super::{Built, Kind, choose};
use crate::Result;
use crate::data::mmpr::{Passes, Set};
use crate::data::pairs::read_meta;
use crate::data::rows::Row;
use crate::error::Context;
use crate::statistics;
use rand::Rng;
use std::ops::RangeInclusive;
use std::path::Path;

/// What InternVL's transform draws from where a data set has `data_augment`.
const QUALITIES: RangeInclusive<u8> = 75..=100;

/// Ready-made pairs whose rows have been checked, by number.
#[derive(Debug)]
pub struct Imported {
    sets: Vec<(Set, Passes)>,
    seed: u64,
}

impl Imported {
    /// Finds every pair that a meta.json names, as often as its `repeat_time` says. Of a share,
    /// the rows are drawn without replacement by `seed` and the data set's name, and stay in order.
    ///
    /// # Errors
    ///
    /// A meta.json that cannot be read, and bad rows: each with file, line and reason, at most five
    /// in the error and all of them in the file `bad_rows`.
    pub fn open(meta: &Path, seed: u64, bad_rows: &Path) -> Result<Self> {
        let sets = open(meta).context("`pairs.import`")?;
        let mut checks = Checks::new(bad_rows);
        sets.iter().try_for_each(|(set, _)| checks.read(set))?;
        checks.into_result()?;
        Ok(Self { sets, seed })
    }

    /// What entries claim that is not so, and sets of which nothing is taken.
    pub fn warnings(&self) -> Vec<String> {
        let each =
            self.sets.iter().flat_map(|(set, passes)| [shortened(set), untouched(set, *passes)]);
        each.flatten().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sets.iter().map(taken).sum()
    }

    /// The data set of a pair.
    ///
    /// # Panics
    ///
    /// If there is no such pair.
    pub fn task(&self, mut number: usize) -> &str {
        let own = self.sets.iter().find(|set| {
            let is_own = number < taken(set);
            number -= if is_own { 0 } else { taken(set) };
            is_own
        });
        &own.expect("the number of a pair").0.name
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hands over the pairs with these numbers, which rise, and brings their pictures below `out`.
    ///
    /// # Errors
    ///
    /// A file that has changed meanwhile, a picture that cannot be brought, and what `take` says.
    pub fn each(
        &self,
        mut numbers: &[usize],
        out: &Path,
        mut take: impl FnMut(Built) -> Result<()>,
    ) -> Result<()> {
        let mut pictures = Brought::new(out);
        let mut first = 0;
        for (set, passes) in &self.sets {
            let (times, drawn) = match *passes {
                Passes::Whole(times) => (times, None),
                Passes::Some(most) => (1, Some(self.drawn(set, most))),
            };
            for _ in 0..times {
                let end = first + drawn.as_ref().map_or(set.rows().len(), Vec::len);
                let (here, later) =
                    numbers.split_at(numbers.partition_point(|number| *number < end));
                let row = |number: &usize| match &drawn {
                    Some(drawn) => drawn[number - first],
                    None => number - first,
                };
                let mut wanted = here.iter().map(row).peekable();
                for (index, row) in set.rows().iter().enumerate() {
                    if wanted.peek().is_none() {
                        break;
                    }
                    let row = row?;
                    if wanted.next_if_eq(&index).is_some() {
                        take(self.built(set, index, &row, &mut pictures)?)?;
                    }
                }
                (numbers, first) = (later, end);
            }
        }
        Ok(())
    }

    fn drawn(&self, set: &Set, most: usize) -> Vec<usize> {
        let random = statistics::random(&format!("repeat_time/{}", set.name), self.seed);
        choose((0..set.rows().len()).collect(), most, random)
    }

    fn built(
        &self,
        set: &Set,
        index: usize,
        row: &Row,
        pictures: &mut Brought<'_>,
    ) -> Result<Built> {
        let mut pair = set.pair(row)?;
        let quality = set.entry.data_augment.then(|| self.quality(set, index));
        for image in &mut pair.image.0 {
            let brought = pictures.bring(set, image, quality);
            *image = brought.map_err(|error| set.fault(row, &error.to_string()))?;
        }
        Ok(Built { pair, kind: Kind::Imported, task: set.name.clone(), tokens: None, truth: None })
    }

    /// The JPEG quality of a row's pictures.
    fn quality(&self, set: &Set, index: usize) -> u8 {
        let purpose = format!("data_augment/{}/{index}", set.name);
        statistics::random(&purpose, self.seed).random_range(QUALITIES)
    }
}

/// How many pairs are taken of a data set.
fn taken((set, passes): &(Set, Passes)) -> usize {
    match *passes {
        Passes::Whole(times) => times * set.rows().len(),
        Passes::Some(most) => most,
    }
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
            let passes = set.passes().with_context(|| meta.display())?;
            Ok((set, passes))
        })
        .collect()
}

/// Of a set with another number of rows than its entry says.
fn shortened(set: &Set) -> Option<String> {
    let (name, num_rows) = (&set.name, set.rows().len());
    set.entry.length.filter(|length| *length != num_rows).map(|length| {
        format!(
            "data set `{name}` has {num_rows} rows and says that it has {length}: was it cut short? \
             mend `length` in its meta.json if not"
        )
    })
}

/// Of a set without rows, or of too few for its share.
fn untouched(set: &Set, passes: Passes) -> Option<String> {
    let (name, times, num_rows) = (&set.name, &set.entry.repeat_time, set.rows().len());
    match passes {
        _ if num_rows == 0 => Some(format!("data set `{name}` has no rows")),
        Passes::Some(0) => Some(format!(
            "data set `{name}`: a `repeat_time` of {times} takes none of its {num_rows} rows"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::record::Images;
    use std::fs;

    fn folder(rows: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("pictures")).unwrap();
        image::RgbImage::new(2, 2).save(folder.path().join("pictures/a.png")).unwrap();
        fs::write(folder.path().join("rows.jsonl"), rows).unwrap();
        let meta = r#"{"set": {"root": "pictures", "annotation": "rows.jsonl", "repeat_time": 1, "length": 2}}"#;
        fs::write(folder.path().join("meta.json"), meta).unwrap();
        folder
    }

    fn import(folder: &tempfile::TempDir, seed: u64) -> Result<Vec<Built>> {
        let (meta, bad_rows) =
            (folder.path().join("meta.json"), folder.path().join("bad_rows.txt"));
        let imported = Imported::open(&meta, seed, &bad_rows)?;
        let all: Vec<usize> = (0..imported.len()).collect();
        let mut built = Vec::new();
        imported.each(&all, &folder.path().join("out"), |one| {
            built.push(one);
            Ok(())
        })?;
        Ok(built)
    }

    #[test]
    fn good_rows_come_with_their_pictures() {
        let folder = folder(concat!(
            r#"{"image": "a.png", "question": "how many?", "chosen": "2", "rejected": "3"}"#,
            "\n\n",
            r#"{"question": "1 + 1?", "chosen": "2", "rejected": "3", "answer_gt": "2"}"#,
        ));
        let built = import(&folder, 0).unwrap();
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
            r#"{"question": "<video>\nq", "chosen": "2", "rejected": "3"}"#,
            "\n",
        ));
        let message = import(&folder, 0).unwrap_err().to_string();
        for part in [
            "7 bad rows",
            "rows.jsonl:1: `chosen` is empty",
            "rows.jsonl:2: `chosen` and `rejected` are the same",
            "rows.jsonl:3: image `../a.png` leaves its root",
            "b.png` does not exist",
            "rows.jsonl:5: 2 images for 1 `<image>` places",
            "… and 2 more",
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
            let built = import(&folder, seed)?;
            Ok(built.iter().map(|built| built.pair.question.parse().unwrap()).collect())
        };
        assert_eq!(taken("1", 0).unwrap(), Vec::from_iter(0..40));
        assert_eq!(taken("2.0", 0).unwrap(), Vec::from_iter((0..40).chain(0..40)));
        let share = taken("0.26", 0).unwrap();
        assert_eq!(share.len(), 10);
        assert!(share.is_sorted() && share != Vec::from_iter(0..10), "{share:?}");
        assert_eq!(taken("0.26", 0).unwrap(), share);
        assert_ne!(taken("0.26", 1).unwrap(), share);
        assert_eq!(taken("2.5", 0).unwrap(), Vec::from_iter((0..40).chain(0..40)));
        for none in ["0", "-1", "1e18"] {
            let error = taken(none, 0).unwrap_err().to_string();
            assert!(error.contains("data set `set`: `repeat_time` is"), "{error}");
        }
    }

    #[test]
    fn some_of_the_pairs_are_those_with_their_numbers() {
        let row = |row: usize| {
            format!("{{\"question\": \"{row}\", \"chosen\": \"2\", \"rejected\": \"3\"}}\n")
        };
        let folder = folder(&(0..40).map(row).collect::<String>());
        let entry = |repeat_time: &str| {
            format!(
                r#"{{"root": "pictures", "annotation": "rows.jsonl", "repeat_time": {repeat_time}, "length": 40}}"#
            )
        };
        let text = format!(r#"{{"a": {}, "b": {}}}"#, entry("2"), entry("0.5"));
        fs::write(folder.path().join("meta.json"), text).unwrap();
        let all = import(&folder, 0).unwrap();
        assert_eq!(all.len(), 100);
        let path = |name: &str| folder.path().join(name);
        let imported = Imported::open(&path("meta.json"), 0, &path("bad_rows.txt")).unwrap();
        let numbers = [0, 39, 40, 77, 80, 83, 99];
        assert!(numbers.iter().all(|&at| imported.task(at) == all[at].task));
        let mut some = Vec::new();
        let take = |built: Built| {
            some.push((built.task, built.pair.question));
            Ok(())
        };
        imported.each(&numbers, &folder.path().join("out"), take).unwrap();
        let wanted = numbers.map(|at| (all[at].task.clone(), all[at].pair.question.clone()));
        assert_eq!(some, wanted);
    }
}
