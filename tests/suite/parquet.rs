//! The Hub's Parquet tables, as pyarrow writes them (`tests/record/parquet.py`).

use prefab::data::record::Question;
use prefab::eval::{benchmark, files};
use prefab::stage::Progress;
use std::fs;
use std::path::{Path, PathBuf};

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assets/parquet").join(name)
}

/// The questions of a table, and how many pictures were written for them.
fn read(name: &str, path: &Path) -> prefab::Result<(Vec<Question>, usize)> {
    let out = tempfile::tempdir().unwrap();
    let questions = files::questions_of(benchmark(name)?, path, out.path(), &Progress::Silent)?;
    for image in questions.iter().flat_map(|question| &question.images) {
        assert!(out.path().join(image).is_file(), "{image}");
    }
    let pictures = fs::read_dir(out.path().join("images").join(name)).into_iter().flatten();
    Ok((questions, pictures.count()))
}

fn answers(questions: &[Question]) -> Vec<&str> {
    questions.iter().map(|question| question.answer.as_deref().unwrap_or_default()).collect()
}

#[track_caller]
fn fails(path: &Path, says: &str) {
    let error = read("chartqa", path).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
    assert!(error.hint_text().is_some(), "no way out: {error}");
}

#[test]
fn a_table_in_shards_is_read_by_its_folder() {
    let (questions, pictures) = read("chartqa", &recorded("chartqa")).unwrap();
    assert_eq!(answers(&questions), ["4", "Inspired", "5.7"]);
    // The first two rows hold the same picture.
    assert_eq!(pictures, 2);
    assert_eq!(questions[0].images, questions[1].images);
}

#[test]
fn options_are_lists_and_answers_their_index() {
    let (science, _) = read("scienceqa", &recorded("scienceqa.parquet")).unwrap();
    // The second row has no picture: the benchmark's metric is of those with one.
    assert_eq!(science[0].choices, ["water", "rock"]);
    assert_eq!(answers(&science)[0], "B");
    let (diagrams, _) = read("ai2d", &recorded("ai2d.parquet")).unwrap();
    assert_eq!(answers(&diagrams), ["A"]);
    assert_eq!(diagrams[0].choices[0], "snake");
    let (documents, _) = read("docvqa", &recorded("docvqa.parquet")).unwrap();
    assert_eq!(answers(&documents), ["1/8/93"]);
    assert_eq!(documents[0].aliases, ["January 8, 1993"]);
}

#[test]
fn the_embedded_picture_counts_where_another_column_names_a_file() {
    let (questions, pictures) = read("mathvista", &recorded("mathvista.parquet")).unwrap();
    assert_eq!((questions.len(), pictures), (2, 2));
    assert_eq!(answers(&questions)[0], "1.2");
    assert_eq!(questions[1].choices, ["Yes", "No"]);
}

#[test]
fn what_is_no_table_or_a_part_of_one_is_named() {
    fails(&recorded("chartqa/test-00001-of-00002.parquet"), "is one of 2 shards");
    fails(&recorded("packed.parquet"), "packed.parquet row 1");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::copy(recorded("chartqa/test-00000-of-00002.parquet"), at("test-00000-of-00002.parquet"))
        .unwrap();
    fails(folder.path(), "holds 1 of the 2 shards of `test`");
    fs::copy(recorded("docvqa.parquet"), at("train-00000-of-00001.parquet")).unwrap();
    fails(folder.path(), "holds several tables: test, train");

    let whole = fs::read(recorded("docvqa.parquet")).unwrap();
    fs::write(at("cut.parquet"), &whole[..whole.len() / 2]).unwrap();
    let error = read("docvqa", &at("cut.parquet")).unwrap_err();
    assert!(error.to_string().contains("cut.parquet"), "{error}");
    // Damage anywhere is an error or other text, never a panic.
    for byte in (4..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[byte] ^= 0x5a;
        fs::write(at("damaged.parquet"), damaged).unwrap();
        let _ = read("docvqa", &at("damaged.parquet"));
    }
}
