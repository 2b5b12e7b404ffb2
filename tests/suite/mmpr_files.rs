//! Where an import reads and writes: names and links that lead elsewhere, pictures that are
//! recompressed, and memory that a large set does not take.

use crate::support::files::{message, write};
use crate::support::memory::{forget, peak};
use crate::support::mmpr::{folder, generate, import, import_file, picture};
use crate::support::small::Small;
use prefab::spec::embedded;
use prefab::spec::pairs::Pairs;
use std::os::unix::fs::symlink;
use std::path::Path;

const GOOD: &str = r#"{"image":"a.png","question":"<image>\nq","chosen":"2","rejected":"3"}"#;

#[test]
fn a_data_set_whose_name_leads_elsewhere_is_refused() {
    for name in
        ["../../../../evil", "/evil", "a/b", "a/", "./a", ".", "..", "", "a\\\\b", "a\\u0000"]
    {
        let dir = folder(GOOD);
        let entry = format!(
            r#"{{"{name}": {{"root": "pictures", "annotation": "rows.jsonl", "length": 1}}}}"#
        );
        write(dir.path(), "meta.json", &entry);
        let error = message(import(dir.path()));
        assert!(error.contains("meta.json: data set `"), "{error}");
        assert!(error.contains("its name is no folder's"), "{error}");
        assert!(!dir.path().join("out").exists(), "{name}");
    }
    let dir = folder("");
    let path = write(dir.path(), "pictures/..jsonl", GOOD);
    let error = message(import_file(&path, &dir.path().join("out"), 0));
    assert!(error.contains("..jsonl gives its data set the name `.`"), "{error}");
}

#[test]
fn a_limit_of_no_tiles_or_of_millions_is_refused() {
    for limit in [0, 100_000_000] {
        let dir = folder(GOOD);
        let entry = format!(
            r#"{{"set": {{"root": "pictures", "annotation": "rows.jsonl", "length": 1, "max_dynamic_patch": {limit}}}}}"#
        );
        write(dir.path(), "meta.json", entry);
        let error = message(import(dir.path()));
        let said = format!("data set `set`: `max_dynamic_patch` is {limit}");
        assert!(error.contains(&said), "{error}");
    }
}

#[test]
fn links_stay_below_the_root() {
    let link = |image: &str| GOOD.replace("a.png", image);
    let dir =
        folder(&[GOOD, &link("inside.png"), &link("out.png"), &link("up/secret.png")].join("\n"));
    let pictures = dir.path().join("pictures");
    symlink("deep/b.png", pictures.join("inside.png")).unwrap();
    symlink("../secret.png", pictures.join("out.png")).unwrap();
    symlink("..", pictures.join("up")).unwrap();
    let error = message(import(dir.path()));
    assert!(error.starts_with("2 bad rows"), "{error}");
    assert!(error.contains("rows.jsonl:3: image `out.png` is a link to `"), "{error}");
    assert!(error.contains("rows.jsonl:4: image `up/secret.png` is a link to `"), "{error}");
    assert!(!dir.path().join("out").exists());
    // A root that is a link itself, and links within it, are the user's own.
    write(dir.path(), "rows.jsonl", [GOOD, &link("inside.png")].join("\n"));
    std::fs::rename(&pictures, dir.path().join("elsewhere")).unwrap();
    symlink("elsewhere", &pictures).unwrap();
    assert_eq!(import(dir.path()).unwrap(), 2);
    assert!(dir.path().join("out/images/set/inside.png").is_file());
}

#[test]
fn a_broken_picture_is_named_by_its_row_and_its_own_file() {
    let dir = folder(&[GOOD, &GOOD.replace("a.png", "deep/b.png")].join("\n"));
    // No picture at all: found before anything is written, with all other bad rows.
    write(dir.path(), "pictures/deep/b.png", "text");
    let error = message(import(dir.path()));
    assert!(error.starts_with("1 bad rows") && error.contains("rows.jsonl:2: picture "), "{error}");
    assert!(error.contains("pictures/deep/b.png cannot be decoded"), "{error}");
    // One that breaks off: found where it is copied.
    let picture = image::RgbImage::from_fn(40, 40, |x, y| image::Rgb([x as u8, y as u8, 9]));
    picture.save(dir.path().join("pictures/b.jpg")).unwrap();
    let whole = std::fs::read(dir.path().join("pictures/b.jpg")).unwrap();
    std::fs::write(dir.path().join("pictures/b.jpg"), &whole[..whole.len() / 2]).unwrap();
    write(dir.path(), "rows.jsonl", [GOOD, &GOOD.replace("a.png", "b.jpg")].join("\n"));
    let error = message(import(dir.path()));
    assert!(error.contains("rows.jsonl:2: picture "), "{error}");
    assert!(error.contains("pictures/b.jpg cannot be decoded: the file is truncated"), "{error}");
}

#[test]
fn pairs_of_several_limits_have_an_entry_each_and_warnings_say_what_was_not_taken() {
    let dir = folder(GOOD);
    let entry = |more: &str| format!(r#"{{"root": "pictures", "annotation": "rows.jsonl"{more}}}"#);
    let text = format!(
        r#"{{"a": {}, "b": {}, "c": {}}}"#,
        entry(r#", "max_dynamic_patch": 3"#),
        entry(r#", "repeat_time": 2.5, "length": 7"#),
        entry(r#", "repeat_time": 0.5"#)
    );
    let meta = write(dir.path(), "meta.json", &text);
    let settings =
        Pairs { import: Some(meta.to_str().unwrap().to_owned()), ..embedded().pairs.clone() };
    let small = Small::new(&["count"], 1);
    let ctx = small.stage("imported", &["corpus"]);
    prefab::pairs::run(&settings, &ctx).unwrap();
    let sets = prefab::data::pairs::read_meta(&ctx.out.join("meta.json")).unwrap();
    let told: Vec<_> =
        sets.iter().map(|(name, set)| (&**name, set.max_dynamic_patch, set.length)).collect();
    assert_eq!(
        told,
        [("prefab_pairs_own_tiles", None, Some(2)), ("prefab_pairs_3_tiles", Some(3), Some(1))]
    );
    for (_, set) in &sets {
        let rows =
            prefab::data::lines::read::<prefab::data::record::Pair>(&ctx.out.join(&set.annotation))
                .unwrap();
        assert_eq!(Some(rows.len()), set.length);
        assert!(rows.iter().all(|pair| pair.max_tiles == set.max_dynamic_patch));
    }
    let imported = prefab::pairs::import::Imported::open(&meta, 0, &meta).unwrap();
    let warnings = imported.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("`b` has 1 rows and says that it has 7"), "{warnings:?}");
    assert!(
        warnings[1].contains("a `repeat_time` of 0.5 takes none of its 1 rows"),
        "{warnings:?}"
    );
    // One limit throughout is said of the whole file; nothing taken at all is an error that says so.
    let run = |meta: &str, name: &str| {
        write(dir.path(), "meta.json", meta);
        let ctx = small.stage(name, &["corpus"]);
        prefab::pairs::run(&settings, &ctx).map(|()| ctx)
    };
    let limit = entry(r#", "max_dynamic_patch": 3"#);
    let ctx = run(&format!(r#"{{"a": {limit}}}"#), "limited").unwrap();
    let [(name, set)] = &prefab::data::pairs::read_meta(&ctx.out.join("meta.json")).unwrap()[..]
    else {
        panic!("one data set")
    };
    assert_eq!(
        (&**name, &*set.annotation, set.max_dynamic_patch),
        ("prefab_pairs", "pairs.jsonl", Some(3))
    );
    let error = message(run(&format!(r#"{{"c": {}}}"#, entry(r#", "repeat_time": 0.5"#)), "none"));
    assert!(error.contains("takes none of its 1 rows"), "{error}");
}

#[test]
fn pictures_of_a_data_set_that_asks_for_it_are_recompressed_by_row() {
    let row = |row: usize| GOOD.replace("\\nq", &format!("\\n{row}?"));
    let dir = folder(&(0..60).map(row).collect::<Vec<_>>().join("\n"));
    let picture =
        image::RgbImage::from_fn(40, 24, |x, y| image::Rgb([x as u8 * 6, y as u8 * 9, 77]));
    picture.save(dir.path().join("pictures/a.png")).unwrap();
    let entry = r#"{"set": {"root": "pictures", "annotation": "rows.jsonl", "length": 60, "data_augment": true}}"#;
    let meta = write(dir.path(), "meta.json", entry);
    let paths = |seed: u64, out: &str| -> Vec<String> {
        let built = import_file(&meta, &dir.path().join(out), seed).unwrap();
        built.into_iter().map(|built| built.pair.image.0[0].clone()).collect()
    };
    let (first, again, other) = (paths(0, "first"), paths(0, "again"), paths(1, "other"));
    assert_eq!(first, again);
    assert_ne!(first, other);
    let mut distinct: Vec<&String> = first.iter().collect();
    distinct.sort();
    distinct.dedup();
    // 60 draws of 26 qualities miss (25/26)⁶⁰ = 9.5 % of them: 23.5 are seen.
    assert!((15..=26).contains(&distinct.len()), "{distinct:?}");
    let bytes = |path: &str| std::fs::read(dir.path().join("first").join(path)).unwrap();
    for path in &distinct {
        let quality = path.strip_prefix("images/set/q").unwrap().split_once('/').unwrap();
        assert_eq!(quality.1, "a.png");
        assert!((75..=100).contains(&quality.0.parse::<u8>().unwrap()), "{path}");
        assert_eq!(bytes(path), std::fs::read(dir.path().join("again").join(path)).unwrap());
        let seen = prefab::data::image::decode(&dir.path().join("first").join(path)).unwrap();
        assert_eq!(seen.dimensions(), (40, 24));
        assert!(seen != picture && bytes(path).starts_with(b"\xff\xd8"), "{path}");
    }
    assert!(bytes(distinct[1]) != bytes(distinct[distinct.len() - 1]));
}

#[test]
fn a_large_import_takes_hardly_any_memory() {
    // PREFAB_TEST_ROWS=200000 measures a larger one.
    let rows = std::env::var("PREFAB_TEST_ROWS").map_or(30_000, |rows| rows.parse().unwrap());
    let dir = folder("");
    generate(&dir.path().join("rows.jsonl"), rows);
    (0..10).for_each(|image| picture(&dir.path().join(format!("pictures/{image}.png"))));
    let entry = format!(
        r#"{{"set": {{"root": "pictures", "annotation": "rows.jsonl", "length": {rows}}}}}"#
    );
    let meta = write(dir.path(), "meta.json", &entry);
    let settings =
        Pairs { import: Some(meta.to_str().unwrap().to_owned()), ..embedded().pairs.clone() };
    let small = Small::new(&["count"], 1);
    let ctx = small.stage("imported", &["corpus"]);
    forget();
    let before = peak();
    prefab::pairs::run(&settings, &ctx).unwrap();
    let grown = peak() - before;
    println!("{rows} rows: {} KiB more", grown >> 10);
    // Some hundred bytes a row of places and hashes, and pieces of the file; no texts.
    assert!(grown < (8 << 20) + 300 * rows as u64, "{grown}");
    let written = std::fs::read_to_string(ctx.out.join("pairs.jsonl")).unwrap();
    assert_eq!(written.lines().count(), rows);
    assert_eq!(small.kinds("imported", "imported", "set", "questions"), rows.to_string());
    let parts = ["sampled.jsonl", "imported.jsonl"].map(|name| ctx.out.join(name));
    assert!(!parts.iter().any(|part| Path::exists(part)));
}
