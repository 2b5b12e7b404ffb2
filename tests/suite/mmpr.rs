//! MMPR data sets: bad rows by file and line, and sets that are large.

use crate::support::files::{message, write};
use crate::support::memory::anonymous;
use crate::support::mmpr::{folder, generate, import, import_file, picture};
use prefab::data::mmpr::{Passes, Set};
use prefab::data::pairs::{DataSet, read_meta};
use prefab::data::record::Images;
use proptest::prelude::*;
use std::path::Path;

fn open(dir: &Path) -> Set {
    let meta = dir.join("meta.json");
    let (name, entry) = read_meta(&meta).unwrap().remove(0);
    Set::open(&meta, &name, &entry).unwrap()
}

const GOOD: &str = r#"{"image":"a.png","question":"<image>\nq","chosen":"2","rejected":"3"}"#;

/// Bad rows, each with what is said of it behind FILE:LINE.
const BAD: [(&str, &str); 27] = [
    (r#"{"question":"q","chosen":"2","rej"#, ":33: EOF while parsing a string"),
    (r#"{"question":"q","chosen":"2","rejected":"3""#, ":43: EOF while parsing an object"),
    ("not json", ":1: not a JSON object"),
    (r#"["a.png","<image>","2","3"]"#, ":1: not a JSON object"),
    ("7", ":1: not a JSON object"),
    (r#"{"question":"q","rejected":"3"}"#, "missing field `chosen`"),
    (r#"{"question":"q","chosen":"2"}"#, "missing field `rejected`"),
    (r#"{"chosen":"2","rejected":"3"}"#, "missing field `question`"),
    (r#"{"question":"q","chosen":null,"rejected":"3"}"#, "invalid type: null, expected a string"),
    (r#"{"question":"q","chosen":"","rejected":"3"}"#, ": `chosen` is empty"),
    (r#"{"question":"q","chosen":" \n","rejected":"3"}"#, ": `chosen` is empty"),
    (r#"{"question":"q","chosen":"2","rejected":"2"}"#, "are the same"),
    (
        r#"{"image":"../secret.png","question":"q","chosen":"2","rejected":"3"}"#,
        "image `../secret.png` leaves its root",
    ),
    (
        r#"{"image":"deep/../../secret.png","question":"q","chosen":"2","rejected":"3"}"#,
        "leaves its root",
    ),
    (
        r#"{"image":"/etc/passwd","question":"q","chosen":"2","rejected":"3"}"#,
        "image `/etc/passwd` leaves its root",
    ),
    (r#"{"image":"a.png\u0000","question":"q","chosen":"2","rejected":"3"}"#, "leaves its root"),
    (
        r#"{"image":"s3://bucket/a.png","question":"q","chosen":"2","rejected":"3"}"#,
        "fetch it below the root",
    ),
    (
        r#"{"image":"none.png","question":"q","chosen":"2","rejected":"3"}"#,
        "none.png` does not exist",
    ),
    (
        r#"{"image":"../pictures/../rows.jsonl","question":"q","chosen":"2","rejected":"3"}"#,
        "leaves its root",
    ),
    (
        r#"{"image":["a.png","deep/b.png"],"question":"<image> q","chosen":"2","rejected":"3"}"#,
        ": 2 images for 1 `<image>` places",
    ),
    (
        r#"{"image":"a.png","question":"<image><image>","chosen":"2","rejected":"3"}"#,
        ": 1 images for 2 `<image>` places",
    ),
    (
        r#"{"question":"<image> q","chosen":"2","rejected":"3"}"#,
        ": 0 images for 1 `<image>` places",
    ),
    (r#"{"image":[3],"question":"q","chosen":"2","rejected":"3"}"#, "invalid type: integer `3`"),
    (
        r#"{"image":"a.png","question":"q","chosen":"2","rejected":"3","max_dynamic_patch":0}"#,
        ": `max_dynamic_patch` is 0",
    ),
    (
        r#"{"image":"a.png","question":"q","chosen":"2","rejected":"3","max_dynamic_patch":1025}"#,
        ": `max_dynamic_patch` is 1025, above 1024 tiles",
    ),
    (
        r#"{"question":"what is <IMG_CONTEXT>?","chosen":"2","rejected":"3"}"#,
        ": `question` holds the mark `<IMG_CONTEXT>`",
    ),
    (
        r#"{"question":"q","chosen":"a <IMG_CONTEXT>","rejected":"3"}"#,
        ": `chosen` holds the mark `<IMG_CONTEXT>`",
    ),
];

#[test]
fn every_kind_of_bad_row_is_named_by_file_and_line() {
    for (row, says) in BAD {
        let dir = folder(&format!("{GOOD}\n\n{row}\n{GOOD}\n"));
        let error = message(import(dir.path()));
        assert!(error.starts_with("1 bad rows"), "{error}");
        assert!(error.contains("rows.jsonl:3:") && error.contains(says), "{row}\n{error}");
        assert!(!dir.path().join("out").exists(), "{row}");
    }
}

#[test]
fn bad_rows_are_counted_and_the_first_are_listed() {
    let rows: Vec<&str> = BAD.iter().map(|(row, _)| *row).collect();
    let dir = folder(&rows.join("\n"));
    let error = message(import(dir.path()));
    assert!(error.starts_with("27 bad rows") && error.contains("\n… and 22 more; all"), "{error}");
    assert!(error.contains("rows.jsonl:5:") && !error.contains("rows.jsonl:6:"), "{error}");
    let all = std::fs::read_to_string(dir.path().join("bad_rows.txt")).unwrap();
    assert_eq!(all.lines().filter(|line| line.contains("rows.jsonl:")).count(), 27);
}

#[test]
fn a_set_is_read_exactly() {
    let dir = folder(&format!(
        "\u{feff}{GOOD}\r\n{}\n{}\n{}",
        r#"{"image":["a.png","deep/b.png"],"question":"<image><image>","chosen":"a\nb","rejected":"c","answer_gt":"1","length":9}"#,
        r#"{"image":"","question":"q","chosen":"2","rejected":"3","chosen_meta":{"x":[1]}}"#,
        r#"{"image":"./a.png","question":"no marker","chosen":"2","rejected":"3"}"#,
    ));
    let entry = r#"{"set": {"root": "pictures", "annotation": "rows.jsonl", "repeat_time": 0.5,
        "length": 4, "data_augment": true, "max_dynamic_patch": 6, "more": 1}}"#;
    write(dir.path(), "meta.json", entry);
    let set = open(dir.path());
    let DataSet { data_augment, max_dynamic_patch, .. } = set.entry;
    assert_eq!((data_augment, max_dynamic_patch), (true, Some(6)));
    assert_eq!(set.passes().unwrap(), Passes::Some(2));
    let pairs: Vec<_> = set.rows().iter().map(|row| set.pair(&row.unwrap()).unwrap()).collect();
    assert_eq!(pairs[0].max_tiles, Some(6));
    assert_eq!(pairs[1].image, Images(vec!["a.png".into(), "deep/b.png".into()]));
    assert_eq!((pairs[1].chosen.as_str(), pairs[1].answer_gt.as_deref()), ("a\nb", Some("1")));
    assert_eq!((pairs[2].image.0.len(), pairs[2].question.as_str()), (0, "q"));
    assert_eq!(pairs[2].chosen_meta, Some(serde_json::json!({"x": [1]})));
    assert_eq!(pairs[3].question, "<image>\nno marker");
    write(dir.path(), "meta.json", entry.replace("true", "false"));
    assert_eq!(import(dir.path()).unwrap(), 2);
}

#[test]
fn other_forms_are_imported_from_a_file_of_their_own() {
    let rows = [
        GOOD,
        r#"{"prompt":"how many?","images":["a.png"],"chosen":"2","rejected":"3"}"#,
        r#"{"prompt":[{"role":"user","content":"1 + 1?"}],"chosen":[{"role":"assistant","content":"2"}],"rejected":[{"role":"assistant","content":"3"}]}"#,
        r#"{"question":"how many?","image":"a.png","response_1":"3","response_2":"2","preference":2}"#,
        r#"{"question":"how many?","image_path":"deep/b.png","chosen":"2","rejected":"3","idx":4}"#,
    ];
    let dir = folder("");
    let path = write(dir.path(), "pictures/mine.jsonl", rows.join("\n"));
    let out = dir.path().join("out");
    let built = import_file(&path, &out, 0).unwrap();
    assert!(
        built
            .iter()
            .all(|built| (built.task.as_str(), built.pair.chosen.as_str()) == ("mine", "2"))
    );
    let images: Vec<&[String]> = built.iter().map(|built| built.pair.image.0.as_slice()).collect();
    let a = ["images/mine/a.png".to_owned()];
    assert_eq!(images, [&a[..], &a, &[], &a, &["images/mine/deep/b.png".to_owned()]]);
    assert!(out.join("images/mine/deep/b.png").is_file());
    let short = [rows[1], r#"{"prompt":"q","chosen":"2"}"#, r#"{"prompt":"q","response":"2"}"#];
    std::fs::write(&path, short.join("\n")).unwrap();
    let error = message(import_file(&path, &out, 0));
    for part in ["2 bad rows", "mine.jsonl:2: missing field `rejected`", "mine.jsonl:3: it has one"]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
#[ignore = "some seconds"]
fn short_a_hundred_thousand_rows_take_no_memory() {
    const ROWS: usize = 100_000;
    let dir = folder("");
    let path = dir.path().join("rows.jsonl");
    generate(&path, ROWS);
    (0..10).for_each(|image| picture(&dir.path().join(format!("pictures/{image}.png"))));
    let size = std::fs::metadata(&path).unwrap().len();
    let before = anonymous();
    let set = open(dir.path());
    let grown = anonymous().saturating_sub(before);
    assert_eq!(set.rows().len(), ROWS);
    // A small index, and no more than a piece of the file besides.
    assert!(grown < 8 << 20, "{grown} of {size} bytes");
    for draw in 0..10_000usize {
        let index = draw.wrapping_mul(7_919_777) % ROWS;
        let row = set.rows().row(index).unwrap();
        assert_eq!(row.line, index + 1);
        let pair = set.pair(&row).unwrap();
        assert_eq!(pair.answer_gt.as_deref(), Some(index.to_string().as_str()));
    }
    let before = anonymous();
    let good = set.rows().iter().filter(|row| set.pair(row.as_ref().unwrap()).is_ok()).count();
    let grown = anonymous().saturating_sub(before);
    assert_eq!(good, ROWS);
    assert!(grown < 8 << 20, "{grown}");
    // A share of it, with every row checked.
    let meta = r#"{"set": {"root": "pictures", "annotation": "rows.jsonl", "repeat_time": 0.01, "length": 100000}}"#;
    write(dir.path(), "meta.json", meta);
    assert_eq!(import(dir.path()).unwrap(), 1000);
    // One bad row among them is found.
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("How many of 77777?", "<image>", 1)).unwrap();
    let error = message(import(dir.path()));
    assert!(error.contains("1 bad rows") && error.contains("rows.jsonl:77778: "), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_damage_to_rows_is_other_rows_or_errors_with_their_lines(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let others = [
            r#"{"prompt":[{"role":"user","content":"q"}],"chosen":"2","rejected":"3"}"#,
            r#"{"prompt":"q","response_1":"2","response_2":"3","preference":1}"#,
        ];
        let rows = [GOOD, BAD[19].0, GOOD, others[0], BAD[4].0, others[1], GOOD];
        let mut bytes = rows.join("\n").into_bytes();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let dir = folder("");
        std::fs::write(dir.path().join("rows.jsonl"), &bytes).unwrap();
        let set = open(dir.path());
        let (mut rows, mut last) = (0, 0);
        for row in set.rows().iter() {
            let row = row.unwrap();
            prop_assert!(row.line > last);
            (rows, last) = (rows + 1, row.line);
            prop_assert_eq!(&set.rows().row(rows - 1).unwrap(), &row);
            if let Err(error) = set.pair(&row) {
                let text = error.to_string();
                let place = format!("rows.jsonl:{}:", row.line);
                prop_assert!(text.contains(&place), "{text}");
            }
        }
        prop_assert_eq!(rows, set.rows().len());
        if let Err(error) = import(dir.path()) {
            let text = error.to_string();
            prop_assert!(text.contains("bad rows"), "{text}");
        }
    }

    #[test]
    fn any_meta_is_read_or_refused(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let dir = folder(GOOD);
        let path = dir.path().join("meta.json");
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(&path, bytes).unwrap();
        if let Err(error) = import(dir.path()) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
