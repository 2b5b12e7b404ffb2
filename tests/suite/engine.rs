//! The preference data engine as a whole: 2,000 generated questions with two answers each, killed
//! on the way, in little memory, to pairs that are read again.
//! `experiments/engine-100k.toml` is the same with 100,000.

use crate::support::real::rooted;
use crate::support::{Project, assert_code, stderr};
use prefab::data::pairs::read_meta;
use prefab::data::record::Pair;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const ENGINE: &str = r#"
schema = 1
model.checkpoint = "ROOT/experiments/base"
corpus = { base = 0, train = 2000, validation = 0, test = 8 }
candidates.per_question = 2
pairs.sources = ["correctness", "dropout_ntp", "divide_and_conquer"]
loss.algorithm = "mpo"
"#;

/// The most that a stage may take, in GiB.
const MOST: f64 = 4.0;

/// The artifacts of a stage.
fn of_stage(project: &Project, stage: &str) -> Vec<PathBuf> {
    below(&project.path(".prefab/store"), stage)
}

/// Whether an unfinished stage has kept a part of its work.
fn has_part(project: &Project, stage: &str) -> bool {
    let mut states = below(&project.path(".prefab/work"), stage).into_iter();
    states.any(|folder| !below(&folder.join("state"), "").is_empty())
}

fn below(folder: &Path, stage: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(stage);
    entries.map(|entry| entry.path()).filter(is).collect()
}

fn payload(project: &Project, stage: &str) -> PathBuf {
    let [folder] = &of_stage(project, stage)[..] else { panic!("one artifact of {stage}") };
    folder.join("payload")
}

/// What InternVL's trainer asks of a data set: its own rules, by hand.
fn assert_mmpr(payload: &Path) -> usize {
    let meta = read_meta(&payload.join("meta.json")).unwrap();
    let [(_, set)] = &meta[..] else { panic!("one data set") };
    assert!(set.annotation.ends_with(".jsonl"));
    let text = fs::read_to_string(payload.join(&set.annotation)).unwrap();
    for line in text.lines() {
        let record: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).unwrap();
        let text = |name: &str| record[name].as_str().unwrap().to_owned();
        assert_eq!(text("question").matches("<image>").count(), 1, "{line}");
        assert!(text("question").starts_with("<image>\n"), "{line}");
        assert!(payload.join(&set.root).join(text("image")).is_file(), "{line}");
        assert!(!text("chosen").is_empty() && text("chosen") != text("rejected"), "{line}");
    }
    text.lines().count()
}

#[test]
#[ignore = "slow: just test-slow-short"]
fn short_two_thousand_questions_are_paired_after_a_kill_and_read_again() {
    let (project, undisturbed) = (Project::real(&rooted(ENGINE)), Project::real(&rooted(ENGINE)));
    // Killed as a group once answers are being sampled.
    let mut child = project.start(&["--until", "pairs", "-j1"]);
    let patience = Instant::now() + Duration::from_secs(300);
    while !has_part(&project, "candidates") {
        assert!(Instant::now() < patience, "no answers in five minutes");
        std::thread::sleep(Duration::from_millis(50));
    }
    // SAFETY: a signal to the process group that `start` made.
    assert_eq!(unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) }, 0);
    child.wait().unwrap();
    assert_eq!(of_stage(&project, "pairs"), Vec::<PathBuf>::new());

    assert_code(&project.run(&["--until", "pairs", "-j1"]), 0);
    assert_code(&undisturbed.run(&["--until", "pairs", "-j1"]), 0);
    let text = |project: &Project, file: &str| {
        fs::read_to_string(payload(project, "pairs").join(file)).unwrap()
    };
    for file in ["pairs.jsonl", "meta.json", "stats.csv", "kinds.csv"] {
        assert_eq!(text(&project, file), text(&undisturbed, file), "{file}");
    }

    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for line in text(&project, "pairs.jsonl").lines() {
        let pair: Pair = serde_json::from_str(line).unwrap();
        let kind = pair.chosen_meta.unwrap()["kind"].as_str().unwrap().to_owned();
        *kinds.entry(kind).or_default() += 1;
    }
    for kind in ["correctness", "dropout_ntp", "divide_and_conquer"] {
        assert!(kinds.get(kind).is_some_and(|count| *count > 15), "{kinds:?}");
    }
    let stages = project.table("stages.csv");
    for record in csv::Reader::from_reader(stages.as_bytes()).records() {
        let record = record.unwrap();
        if let Ok(peak) = record[5].parse::<f64>() {
            assert!(peak < MOST, "{record:?}");
        }
    }

    let pairs = assert_mmpr(&payload(&project, "pairs"));
    let meta = payload(&project, "pairs").join("meta.json");
    let import = format!(
        "schema = 1\nmodel.checkpoint = \"ROOT/experiments/base\"\nloss.algorithm = \"mpo\"\n\
         corpus = {{ base = 0, train = 0, validation = 0, test = 8 }}\n\
         pairs.import = \"{}\"\n",
        meta.display()
    );
    let imported = Project::real(&rooted(&import));
    let output = imported.run(&["--until", "reference", "-j1"]);
    assert_code(&output, 0);
    let rows = fs::read_to_string(payload(&imported, "pairs").join("pairs.jsonl"))
        .unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    assert_eq!(rows.lines().count(), pairs);
}
