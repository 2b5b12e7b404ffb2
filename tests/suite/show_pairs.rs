//! Looking at pairs: `show pairs`, the contact sheet and pairs.csv of a report; and `show sources`.

use prefab::data::lines;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn prefab(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_prefab")).current_dir(folder).args(arguments).output().unwrap()
}

#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let whole = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{whole}");
    whole
}

/// Runs a small spec up to its pairs; the folder and the payload of the pairs.
fn paired() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/base");
    let spec = format!(
        "schema = 1\n[model]\ncheckpoint = {base:?}\n[corpus]\nbase = 0\ntrain = 24\nvalidation = 0\n\
         test = 1\ntasks = [\"count\", \"describe\"]\n[eval]\nbenchmarks = [\"reasoning\"]\n[candidates]\nper_question = 4\n\
         open_prompt = \"open\"\n[pairs]\nsources = [\"correctness\", \"dropout_ntp\"]\n\
         [loss]\nalgorithm = \"mpo\"\n"
    );
    std::fs::write(folder.path().join("look.toml"), spec).unwrap();
    let run = ["run", "look.toml", "--until", "pairs", "-d", "cpu", "--quiet"];
    said(&prefab(folder.path(), &run), 0);
    let store = folder.path().join(".prefab/store");
    let mut artifacts = std::fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path());
    let pairs = artifacts.find(|path| path.to_string_lossy().contains("/pairs-")).unwrap();
    let payload = pairs.join("payload");
    (folder, payload)
}

#[test]
fn pairs_are_shown_side_by_side_and_on_a_sheet() {
    let (folder, payload) = paired();
    let pairs = lines::read::<prefab::data::record::Pair>(&payload.join("pairs.jsonl")).unwrap();
    let key = payload.parent().unwrap().file_name().unwrap().to_str().unwrap();

    let text = said(&prefab(folder.path(), &["show", "pairs", &key[6..12], "-n", "1000"]), 0);
    assert!(text.starts_with(&format!("{0} of {0} pairs in", pairs.len())), "{text}");
    let pictures: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("picture")).collect();
    assert_eq!(pictures.len(), pairs.len());
    assert!(pictures.iter().all(|path| Path::new(path.trim()).is_file()), "{pictures:?}");
    assert!(text.contains("continued without the picture after"), "{text}");
    assert!(text.contains("correctness: sample "), "{text}");
    let first = pairs[0].chosen.split(' ').next().unwrap();
    assert!(text.contains(&format!("\n{first}")) && text.contains(" │ "), "{text}");
    // Random, but the same each time; another seed shows others.
    let some = |seed: &str| {
        said(&prefab(folder.path(), &["show", "pairs", key, "-n", "3", "--seed", seed]), 0)
    };
    assert_eq!(some("1"), some("1"));
    assert!((2..6).any(|seed| some(&seed.to_string()) != some("1")));
    assert_eq!(some("1").matches("\nrow ").count(), 3);
    let none = said(&prefab(folder.path(), &["show", "pairs", "ffffffffff"]), 2);
    assert!(none.contains("no pairs artifact") && none.contains(key), "{none}");
    assert!(said(&prefab(folder.path(), &["show", "pairs"]), 2).contains("needs the key"));

    said(&prefab(folder.path(), &["report", "results/look"]), 0);
    // What was collected is not lost to a store that holds nothing of it.
    let elsewhere = ["report", "results/look", "--store", "elsewhere"];
    assert!(said(&prefab(folder.path(), &elsewhere), 2).contains("stay as they are"));
    let results = folder.path().join("results/look");
    let table = std::fs::read_to_string(results.join("pairs.csv")).unwrap();
    let mut lines = table.lines();
    assert!(lines.next().unwrap().starts_with("pairs_of,kind,task,pairs,questions,chosen_tokens"));
    assert!(
        lines.next().unwrap().starts_with(&format!("{},correctness,all,", &key[..14])),
        "{table}"
    );
    assert!(table.contains("dropout_ntp,describe,"), "{table}");
    let file = results.join(format!("pairs/{}.png", &key[..14]));
    let sheet = image::open(&file).unwrap().into_rgb8();
    assert_eq!(sheet.width(), 1800);
    // The first picture is there, three and a half times as large: its middle.
    let shown = said(&prefab(folder.path(), &["show", "pairs", key, "-n", "8"]), 0);
    let path = shown.lines().find_map(|line| line.strip_prefix("picture")).unwrap().trim();
    let picture = image::open(path).unwrap().into_rgb8();
    let same = |x: u32, y: u32| {
        let scaled = |at: u32| 32 + at * 7 / 2 + 1;
        sheet.get_pixel(scaled(x), scaled(y)) == picture.get_pixel(x, y)
    };
    assert!((0..64).all(|at| same(at, at) && same(63 - at, at)));
    let page = std::fs::read_to_string(results.join("report.html")).unwrap();
    assert!(page.contains("data:image/png;base64,iVBOR") && page.contains("Some pairs"));
}

#[test]
fn sources_are_listed_with_their_treatment() {
    let folder = tempfile::tempdir().unwrap();
    let text = said(&prefab(folder.path(), &["show", "sources"]), 0);
    assert_eq!(text.lines().count(), 1 + 22, "{text}");
    let row = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(row("ChartQA").starts_with("ChartQA chart 12 relaxed"), "{}", row("ChartQA"));
    assert!(row("DocVQA").contains("anls") && row("DocVQA").ends_with("visual"));
    assert!(row("VQAv2").contains("general VQA 6") && row("VQAv2").ends_with("grounded"));
    assert!(row("ScienceQA").ends_with("background") && row("GEOS").ends_with("cot"));
}
