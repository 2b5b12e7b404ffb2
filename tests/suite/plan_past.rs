//! What `plan` takes from earlier runs: the time of tasks like its own, by their work.

use crate::plan::{machine, planned, read};
use prefab::plan::estimate::estimate;
use prefab::plan::past::Past;
use prefab::plan::{Plan, Stage, plan};
use serde_json::{Map, Value};
use std::path::Path;

const SPEC: &str = "schema = 1\nloss.algorithm = \"mpo\"\n[corpus]\ntrain = 1000\n\
                    [eval]\nbenchmarks = [\"reasoning\"]\n";

/// What TOML has no word for is left out, as in a record.
fn written(tables: &Map<String, Value>) -> toml::Value {
    fn whole(value: &Value) -> Option<toml::Value> {
        Some(match value {
            Value::Null => return None,
            Value::Array(list) => toml::Value::Array(list.iter().filter_map(whole).collect()),
            Value::Object(table) => toml::Value::Table(
                table
                    .iter()
                    .filter_map(|(key, value)| Some((key.clone(), whole(value)?)))
                    .collect(),
            ),
            other => toml::Value::try_from(other).unwrap(),
        })
    }
    whole(&Value::Object(tables.clone())).unwrap()
}

/// A store in which every task of a plan took ten seconds.
fn run(artifacts: &Path, plan: &Plan) {
    for task in &plan.tasks {
        let mut record = toml::Table::from_iter([("wall_s".to_owned(), 10.0.into())]);
        record.insert("settings".into(), written(&task.settings));
        let input = |(role, key): (&String, &String)| {
            let input = toml::Table::from_iter([("key".to_owned(), key.clone().into())]);
            (role.clone(), toml::Value::Table(input))
        };
        record.insert("inputs".into(), toml::Value::Table(task.inputs.iter().map(input).collect()));
        let folder = artifacts.join(&task.key);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("stage.toml"), toml::to_string(&record).unwrap()).unwrap();
    }
}

/// Seconds of the first task of a stage, where earlier ones tell.
fn seconds(past: &Past, plan: &Plan, stage: Stage) -> Option<f64> {
    let task = plan.tasks.iter().find(|task| task.stage == stage).unwrap();
    past.seconds(plan, task)
}

#[test]
fn time_goes_with_questions_pairs_and_epochs() {
    let store = tempfile::tempdir().unwrap();
    let done = planned(SPEC);
    run(store.path(), &done);
    let past = Past::read(store.path());
    for stage in Stage::ALL.into_iter().filter(|stage| *stage != Stage::Benchmarks) {
        let found = seconds(&past, &done, stage).unwrap_or_else(|| panic!("{stage}"));
        assert!((found - 10.0).abs() < 1e-9, "{stage}: {found}");
    }
    let with = |sets: &[&str]| plan(&read(SPEC, sets), &machine(), None);
    for (set, stage, wanted) in [
        ("train.epochs=3.0", Stage::Policy, 30.0),
        ("corpus.train=2000", Stage::Policy, 20.0),
        ("corpus.train=500", Stage::Candidates, 5.0),
        ("corpus.test=2200", Stage::Answers, 5.0),
        ("train.seed=0", Stage::Policy, 10.0),
    ] {
        let changed = if set == "train.seed=0" { with(&["seeds=[5]"]) } else { with(&[set]) };
        let found = seconds(&past, &changed, stage).unwrap_or_else(|| panic!("{set}"));
        assert!((found - wanted).abs() < 1e-9, "{set}: {found}");
    }
}

#[test]
fn what_is_not_like_it_tells_nothing() {
    let store = tempfile::tempdir().unwrap();
    run(store.path(), &planned(SPEC));
    let past = Past::read(store.path());
    let with = |sets: &[&str]| plan(&read(SPEC, sets), &machine(), None);
    for (set, stage) in [
        ("model.size=\"small\"", Stage::Base),
        ("model.dims.layers=2", Stage::Answers),
        ("model.checkpoint=\"PATH/TO/8B\"", Stage::Policy),
        ("train.precision=\"bf16\"", Stage::Policy),
        ("model.train=[\"vision\", \"projector\", \"language\"]", Stage::Policy),
        ("eval.benchmarks=[\"reasoning\", \"shift\"]", Stage::Answers),
    ] {
        assert_eq!(seconds(&past, &with(&[set]), stage), None, "{set}");
    }
    let imported = with(&["pairs.import=\"PATH/TO/meta.json\"", "pairs.sources=[\"import\"]"]);
    assert_eq!(seconds(&past, &imported, Stage::Policy), None, "imported pairs");
    // Another card, or none.
    let mut other = machine();
    other.device = "cuda-9.0".into();
    let other = plan(&read(SPEC, &[]), &other, None);
    assert_eq!(seconds(&past, &other, Stage::Policy), None);
    assert!(seconds(&past, &other, Stage::Corpus).is_some(), "a corpus is made on no card");
}

#[test]
fn a_released_size_stays_unknown_and_a_rough_guess_keeps_its_mark() {
    let store = tempfile::tempdir().unwrap();
    run(store.path(), &planned(SPEC));
    let past = Past::read(store.path());
    let estimated = |sets: &[&str]| {
        let plan = plan(&read(SPEC, sets), &machine(), None);
        let estimate = estimate(&plan, &|_| false, &|task| past.seconds(&plan, task));
        *estimate.rows.iter().find(|row| row.stage == Stage::Policy).unwrap()
    };
    let row = estimated(&["model.checkpoint=\"PATH/TO/8B\""]);
    assert_eq!((row.unknown, row.measured), (1, false), "{row:?}");
    let row = estimated(&["model.size=\"small\""]);
    assert_eq!((row.unknown, row.measured), (0, false), "{row:?}");
    assert!(row.seconds > 0.0, "{row:?}");
    assert!(estimated(&[]).measured);
}
