//! The promises of the store, one artifact at a time.

use prefab::plan::Stage;
use prefab::store::{Checker, Finding, Held, Input, Look, Record, Store, clean};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

fn record(stage: Stage) -> Record {
    Record {
        stage,
        version: stage.version(),
        key: String::new(),
        checksum: String::new(),
        files: 0,
        bytes: 0,
        finished: String::new(),
        wall_s: 1.5,
        peak_gib: 0.25,
        device: "cpu".into(),
        threads: 1,
        prefab: "0.1.0".into(),
        commit: "unknown".into(),
        libtorch: "2.11.0".into(),
        inputs: BTreeMap::new(),
        settings: toml::Table::new(),
    }
}

fn ours(store: &Store, key: &str) -> prefab::store::Lock {
    match store.lock(key).unwrap() {
        Held::Ours(lock) => lock,
        Held::Theirs(owner) => panic!("{key} is held by {owner}"),
    }
}

fn make(store: &Store, key: &str, text: &str, inputs: &BTreeMap<String, Input>) -> Record {
    let draft = store.begin(ours(store, key), key, inputs.clone()).unwrap();
    fs::create_dir(draft.out().join("images")).unwrap();
    fs::write(draft.out().join("images/0.png"), text).unwrap();
    fs::write(draft.out().join("a.csv"), "a\n").unwrap();
    draft.commit(record(Stage::Corpus)).unwrap()
}

fn open(root: &Path) -> Store {
    Store::open(root).unwrap()
}

#[test]
fn an_artifact_exists_exactly_when_it_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let draft = store.begin(ours(&store, "corpus-1"), "corpus-1", BTreeMap::new()).unwrap();
    fs::write(draft.out().join("half"), "x").unwrap();
    drop(draft);
    assert!(!store.exists("corpus-1"));
    let made = make(&store, "corpus-1", "picture", &BTreeMap::new());
    assert!(store.exists("corpus-1"));
    // `a.csv` and the picture; what the broken draft wrote is gone.
    assert_eq!((made.files, made.bytes), (2, 2 + 7));
    assert!(matches!(Checker::new(&store).look("corpus-1", Look::Full), Ok(Finding::Sound(_))));
}

#[test]
fn the_manifest_is_in_the_format_of_b3sum() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    make(&store, "corpus-1", "picture", &BTreeMap::new());
    let text = fs::read_to_string(store.folder("corpus-1").join("payload.b3")).unwrap();
    let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    assert_eq!(text, format!("{}  a.csv\n{}  images/0.png\n", hash(b"a\n"), hash(b"picture")));
}

#[test]
fn every_kind_of_damage_is_found() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 5] = [
        ("a flipped bit", |at| fs::write(at.join("payload/images/0.png"), "pictura").unwrap()),
        ("a short file", |at| fs::write(at.join("payload/images/0.png"), "pict").unwrap()),
        ("a missing file", |at| fs::remove_file(at.join("payload/a.csv")).unwrap()),
        ("a torn record", |at| fs::write(at.join("stage.toml"), "stage = ").unwrap()),
        ("an edited manifest", |at| fs::write(at.join("payload.b3"), "00  a.csv\n").unwrap()),
    ];
    for (what, damage) in damages {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        make(&store, "corpus-1", "picture", &BTreeMap::new());
        let mut checker = Checker::new(&store);
        assert!(matches!(checker.look("corpus-1", Look::Full), Ok(Finding::Sound(_))));
        damage(&store.folder("corpus-1"));
        // The same checker, which has seen it whole, and a quick look both notice.
        assert!(matches!(checker.look("corpus-1", Look::Quick), Ok(Finding::Damaged(_))), "{what}");
        assert!(checker.settle("corpus-1", &BTreeMap::new(), Look::Quick).unwrap().is_none());
        assert!(!store.exists("corpus-1"), "{what}: set aside");
        assert!(store.folder("damaged-corpus-1-0").exists(), "{what}: kept");
    }
}

#[test]
fn a_lock_is_exclusive_and_says_who() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let lock = ours(&store, "corpus-1");
    match store.lock("corpus-1").unwrap() {
        Held::Theirs(owner) => assert_eq!(owner.pid, std::process::id()),
        Held::Ours(_) => panic!("a lock was given twice"),
    }
    assert!(store.is_locked("corpus-1"));
    drop(lock);
    assert!(!store.is_locked("corpus-1"));
    drop(ours(&store, "corpus-1"));
}

#[test]
fn the_lock_of_a_dead_process_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let text = "pid = 999999999\nhost = \"elsewhere\"\nsince = \"2026-01-01T00:00:00Z\"\n";
    fs::write(dir.path().join("locks/corpus-1"), text).unwrap();
    assert!(!store.is_locked("corpus-1"));
    let lock = ours(&store, "corpus-1");
    let now = fs::read_to_string(dir.path().join("locks/corpus-1")).unwrap();
    assert!(now.contains(&format!("pid = {}\n", std::process::id())), "{now}");
    drop(lock);
    assert!(!dir.path().join("locks/corpus-1").exists());
}

#[test]
fn checkpoints_outlive_a_draft_unless_an_input_changed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let input = |checksum: &str| {
        BTreeMap::from([(
            "corpus".to_owned(),
            Input { key: "corpus-1".into(), checksum: checksum.into() },
        )])
    };
    let begin = |inputs| store.begin(ours(&store, "base-1"), "base-1", inputs).unwrap();
    let draft = begin(input("aa"));
    fs::write(draft.work().join("checkpoint"), "step 3").unwrap();
    drop(draft);
    let draft = begin(input("aa"));
    assert!(draft.work().join("checkpoint").exists());
    drop(draft);
    let draft = begin(input("bb"));
    assert!(!draft.work().join("checkpoint").exists());
    draft.commit(record(Stage::Base)).unwrap();
    assert!(!dir.path().join("work/base-1").exists());
}

#[test]
fn rubbish_is_what_nothing_refers_to() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    make(&store, "corpus-1", "picture", &BTreeMap::new());
    make(&store, "corpus-2", "picture", &BTreeMap::new());
    fs::create_dir(store.folder("damaged-corpus-1-0")).unwrap();
    let list = clean::rubbish(&store, &BTreeSet::from(["corpus-1".to_owned()])).unwrap();
    let names: Vec<_> =
        list.iter().map(|item| item.path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["corpus-2", "damaged-corpus-1-0"]);
    clean::remove(&list).unwrap();
    assert!(store.exists("corpus-1") && !store.exists("corpus-2"));
}

#[test]
fn clean_and_run_keep_out_of_each_others_way() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (one, two) = (store.in_use().unwrap(), store.in_use().unwrap());
    assert_eq!(store.alone().unwrap_err().to_string(), "a run is using this store");
    drop((one, two));
    let alone = store.alone().unwrap();
    assert!(store.in_use().is_err());
    drop(alone);
}
