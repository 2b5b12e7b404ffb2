//! Object HalBench: which objects of a description are not in the picture, by response and by
//! mention.
//!
//! A judge lists the objects that a description names; the synonym list maps them to COCO's classes,
//! and the picture's own are known. The folder of its file holds `obj_halbench*.jsonl`, the synonym
//! list (`synonyms*.txt`, a row a class, the class first) and either `objects*.json` (an object
//! of `{"objects": […]}` by image id) or COCO 2014's `instances_*.json` and `captions_*.json`
//! below `annotations`.

use super::coco;
use super::{FAILED_SHARE, Grade, Graded, LENGTH, card};
use crate::Result;
use crate::answer::metric::chair::{Mention, Vocabulary, object_list};
use crate::answer::python::text::words;
use crate::data::benchmark::{Format, Join, Record};
use crate::data::record::{Question, ours};
use crate::error::{Context, Error};
use crate::eval::benchmark::File;
use crate::eval::benchmark::file::{ALONE, plain};
use crate::eval::describe::{COVERAGE, MENTION_RATE, RESPONSE_RATE, count_objects};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

static FILE: File = File {
    format: Format {
        main: &["obj_halbench"],
        joins: &[Join {
            name: "known",
            file: "objects",
            key: &["image_id"],
            of: &["image_id", "id"],
        }],
        ..ALONE
    },
    tiles: Some(6),
    direct: Some(""),
    question,
    beside: gold,
    bring: bring_gold,
    ..File::PLAIN
};

/// Descriptions up to this many words are not looked at, as published.
const SHORTEST: usize = 3;

/// See the module.
pub static OBJECT_HALBENCH: Graded = Graded {
    card: card(
        "object_halbench",
        "objects in descriptions that are not in the picture, by response and by mention",
        "Rohrbach et al. 2018, arXiv:1809.02156 (CHAIR); Yu et al. 2024, arXiv:2312.00849",
    ),
    file: &FILE,
    metrics: &[RESPONSE_RATE, MENTION_RATE, COVERAGE, FAILED_SHARE, LENGTH],
    group: |_| Vec::new(),
    columns: |_| Vec::new(),
    ask,
    read: |_, reply| object_list(reply).map(|words| Grade { numbers: Vec::new(), words }),
    plain: |answer| (words(answer).count() <= SHORTEST).then(Grade::default),
    by_rule: |facts| Grade { numbers: Vec::new(), words: facts.named.clone() },
    count: |question, grade, counts| {
        let (named, present) = classes(question, &grade.words);
        count_objects(&named, &present, counts)
    },
};

/// The class of each word that an answer names, and the classes in the picture. Generated pictures
/// have no synonyms.
fn classes(question: &Question, said: &[String]) -> (Vec<String>, BTreeSet<String>) {
    if let Some(truth) = &question.generated {
        let lower = |words: &[String]| -> BTreeSet<String> {
            words.iter().map(|word| word.to_lowercase()).collect()
        };
        return (lower(said).into_iter().collect(), lower(&truth.objects));
    }
    let rows = serde_json::from_str(question.says(ours::SYNONYMS)).unwrap_or_default();
    let present = serde_json::from_str(question.says("objects")).unwrap_or_default();
    let named = named(&Vocabulary::new(&synonyms(rows)), said);
    (named.into_iter().map(|mention| mention.class).collect(), present)
}

fn synonyms(rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    rows.into_iter().filter(|row| !row.is_empty()).collect()
}

/// What some phrases name, each word once as published, two synonyms of a class twice: by the
/// phrase, by two words that are one object, else by its last word; in singular or plural.
pub fn named(vocabulary: &Vocabulary, phrases: &[String]) -> Vec<Mention> {
    let mut objects = Vec::new();
    for phrase in phrases {
        let phrase = phrase.trim().to_lowercase();
        let parts: Vec<String> = phrase.split_whitespace().map(str::to_owned).collect();
        let last = parts.last().cloned().unwrap_or_default();
        let known = |word: &String| !vocabulary.mentions(std::slice::from_ref(word)).is_empty();
        let whole = singulars(&phrase).into_iter().find(&known);
        let found = whole
            .or_else(|| joined(vocabulary, &parts))
            .or_else(|| singulars(&last).into_iter().find(&known));
        objects.extend(found.filter(|word| !objects.contains(word)));
    }
    vocabulary.mentions(&objects)
}

/// The classes that a text names: two words that are one object before single ones, so that there is
/// no dog in a hot dog.
pub fn in_text(vocabulary: &Vocabulary, text: &str) -> BTreeSet<String> {
    let known = |word: &String| !vocabulary.mentions(std::slice::from_ref(word)).is_empty();
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| singulars(word).into_iter().find(&known).unwrap_or_else(|| word.to_owned()))
        .collect();
    let mut objects = Vec::new();
    let mut place = 0;
    while place < words.len() {
        match joined(vocabulary, &words[place..words.len().min(place + 2)]) {
            Some(object) => {
                objects.push(object);
                place += 2;
            }
            None => {
                objects.push(words[place].clone());
                place += 1;
            }
        }
    }
    vocabulary.mentions(&objects).into_iter().map(|mention| mention.class).collect()
}

/// A word and what it may be the plural of.
fn singulars(word: &str) -> Vec<String> {
    let ends = [("", ""), ("ies", "y"), ("ves", "fe"), ("es", ""), ("s", ""), ("men", "man")];
    let of =
        |(end, begin): &(&str, &str)| word.strip_suffix(end).map(|stem| format!("{stem}{begin}"));
    ends.iter().filter_map(of).collect()
}

/// The object that some words are together, the last in singular or plural: "wine glasses".
fn joined(vocabulary: &Vocabulary, words: &[String]) -> Option<String> {
    let (last, before) = words.split_last()?;
    singulars(last).into_iter().find_map(|last| {
        let words: Vec<String> = before.iter().cloned().chain([last]).collect();
        vocabulary.two_word_objects(&words).pop()
    })
}

fn question(record: &Record) -> std::result::Result<Question, String> {
    let mut question = plain(record)?;
    let objects = record.list(&["objects", "known.objects"]).ok_or_else(|| {
        "no objects are known of its picture: `objects`, objects.json, or COCO's annotations"
            .to_owned()
    })?;
    let objects = serde_json::to_string(&objects).expect("texts print");
    question.meta.insert("objects".to_owned(), objects);
    // Brought by `bring_gold`, over any column of the file's.
    let synonyms = record.text(&[ours::SYNONYMS]);
    question.meta.extend(synonyms.map(|rows| (ours::SYNONYMS.to_owned(), rows)));
    Ok(question)
}

/// Puts what is known of pictures beside rows: the synonym list, and COCO's classes where the rows
/// have no objects.
///
/// # Errors
///
/// A folder without a synonym list, and files that cannot be read.
fn bring_gold(records: &mut [Record], path: &Path) -> Result<()> {
    let folder = folder_of(path);
    let rows = synonym_list(folder)?;
    let lists = |record: &Record| record.list(&["objects", "known.objects"]).is_some();
    if !records.iter().all(lists) {
        coco::bring(records, &folder.join("annotations"), &rows)?;
    }
    let rows = serde_json::to_string(&rows).expect("texts print");
    for record in records {
        record.fields.insert(ours::SYNONYMS.to_owned(), rows.as_str().into());
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// The files that [`bring_gold`] may read.
fn gold(path: &Path) -> Vec<PathBuf> {
    let folder = folder_of(path);
    let synonyms = synonym_files(folder).unwrap_or_default();
    synonyms.into_iter().chain(coco::files(&folder.join("annotations"))).collect()
}

fn synonym_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display())?;
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("synonyms") && name.ends_with(".txt")
        })
        .collect();
    files.sort();
    Ok(files)
}

/// The rows of `synonyms*.txt`: words parted by commas, the class first.
fn synonym_list(folder: &Path) -> Result<Vec<Vec<String>>> {
    let files = synonym_files(folder)?;
    let file = files.first().ok_or_else(|| {
        Error::new(format!("{} has no synonym list `synonyms*.txt`", folder.display()))
            .hint("fetch the list that RLAIF-V and CHAIR use, a row a class, the class first")
    })?;
    let text = std::fs::read_to_string(file).with_context(|| file.display())?;
    let row = |line: &str| -> Vec<String> {
        line.split(',').map(|word| word.trim().to_lowercase()).filter(|w| !w.is_empty()).collect()
    };
    Ok(text.lines().map(row).filter(|row: &Vec<String>| !row.is_empty()).collect())
}

fn ask(_: &Question, answer: &str) -> String {
    format!(
        "List the things that can be seen according to this description of a picture: people, animals \
         and objects, each once, as a noun in the singular without colour, number or place. Leave out \
         what it says is not there, what it only compares with, and rooms, places, parts and \
         feelings.\n\nExample: \"Two brown dogs lie on a sofa, there is no cat.\" gives \
         [\"dog\", \"sofa\"]\n\nDescription: {answer}\n\nReply with the JSON list alone; [] where \
         there is nothing."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_name_classes_in_singular_or_plural() {
        let rows = [
            vec!["dog", "puppy"],
            vec!["chair", "seat"],
            vec!["wine glass"],
            vec!["person", "man", "woman"],
            vec!["knife"],
            vec!["bus"],
            vec!["tie"],
        ];
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|&word| word.to_owned()).collect()).collect();
        let vocabulary = Vocabulary::new(&rows);
        for (phrases, expected) in [
            (vec!["dog"], vec!["dog"]),
            (vec!["Puppies"], vec!["dog"]),
            (vec!["dog", "dogs", "puppy"], vec!["dog", "dog"]),
            (vec!["wooden chair"], vec!["chair"]),
            (vec!["wine glasses"], vec!["wine glass"]),
            (vec!["two women"], vec!["person"]),
            (vec!["knives"], vec!["knife"]),
            (vec!["buses"], vec!["bus"]),
            (vec!["bow tie"], vec!["tie"]),
            (vec!["sky", ""], vec![]),
            (vec![], vec![]),
        ] {
            let phrases: Vec<String> = phrases.into_iter().map(str::to_owned).collect();
            let found = named(&vocabulary, &phrases);
            let found: Vec<&str> = found.iter().map(|mention| mention.class.as_str()).collect();
            assert_eq!(found, expected, "{phrases:?}");
        }
        let found =
            in_text(&vocabulary, "A man with two puppies and wine glasses beside a bow tie.");
        let found: Vec<String> = found.into_iter().collect();
        assert_eq!(found, ["dog", "person", "tie", "wine glass"]);
    }
}
