//! What earlier tasks took, for tasks like them: the same stage on the same device with a model of the
//! same size or checkpoint, on generated questions or the same files, from pairs made here or the same
//! import. What differs beside that (questions, pairs, epochs) is work, and time goes with it.

use super::estimate::seconds;
use super::{Plan, Settings, Stage, Task};
use crate::spec::embedded;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The settings of a task by table, and the keys of its inputs.
type Known<'a> = (&'a Map<String, Value>, Vec<&'a str>);

/// One artifact's record.
struct Record {
    stage: Stage,
    /// Wall time in seconds.
    wall_s: f64,
    settings: Map<String, Value>,
    inputs: Vec<String>,
}

/// What the tasks of a store took.
pub struct Past {
    /// Seconds of each, and what they hang on, by stage.
    made: BTreeMap<Stage, Vec<(f64, Work)>>,
}

/// What a task's time hangs on.
struct Work {
    settings: Settings,
    device: Value,
}

impl Past {
    /// Reads every record of a folder of artifacts. One that cannot be read tells nothing.
    pub fn read(artifacts: &Path) -> Self {
        let mut records: HashMap<String, Record> = HashMap::new();
        for entry in std::fs::read_dir(artifacts).into_iter().flatten().flatten() {
            let key = entry.file_name().to_string_lossy().into_owned();
            records.extend(Record::read(&key, &entry.path()).map(|record| (key, record)));
        }
        let mut made: BTreeMap<Stage, Vec<(f64, Work)>> = BTreeMap::new();
        for (key, record) in &records {
            let work = Work::of(key, &|key| {
                let record = records.get(key)?;
                Some((&record.settings, record.inputs.iter().map(String::as_str).collect()))
            });
            let work = work.map(|work| (record.wall_s, work));
            made.entry(record.stage).or_default().extend(work);
        }
        Self { made }
    }

    /// Seconds that a task of a plan will take, the median of those like it; none where there are none.
    pub fn seconds(&self, plan: &Plan, task: &Task) -> Option<f64> {
        let wanted = Work::of(&task.key, &|key| {
            let task = plan.tasks.iter().find(|task| task.key == key)?;
            Some((&task.settings, task.inputs.values().map(String::as_str).collect()))
        })?;
        let amount = |work: &Work| seconds(task.stage, &work.settings);
        let like = self
            .made
            .get(&task.stage)?
            .iter()
            .filter(|(_, work)| work.is_like(&wanted, task.stage));
        let scaled = like.map(|(wall_s, work)| match amount(work) {
            0.0 => *wall_s,
            done => wall_s * amount(&wanted) / done,
        });
        let mut times: Vec<f64> = scaled.collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    }
}

impl Record {
    /// The record of an artifact's folder; none where it is not one.
    fn read(key: &str, folder: &Path) -> Option<Self> {
        let stage = Stage::of(key.split_once('-')?.0)?;
        let text = std::fs::read_to_string(folder.join("stage.toml")).ok()?;
        let table: toml::Table = toml::from_str(&text).ok()?;
        let inputs = table.get("inputs").and_then(toml::Value::as_table).into_iter().flatten();
        let inputs = inputs.filter_map(|(_, input)| Some(input.get("key")?.as_str()?.to_owned()));
        let settings =
            table.get("settings").and_then(|settings| serde_json::to_value(settings).ok());
        Some(Self {
            stage,
            wall_s: table.get("wall_s")?.as_float()?,
            inputs: inputs.collect(),
            settings: settings
                .and_then(|settings| settings.as_object().cloned())
                .unwrap_or_default(),
        })
    }
}

impl Work {
    /// From the slices of a task and of all that it stands on, its own last: each says what it reads, and
    /// the defaults say the rest. None where one of them is not known.
    fn of<'a>(key: &'a str, find: &dyn Fn(&str) -> Option<Known<'a>>) -> Option<Self> {
        let mut whole = serde_json::to_value(embedded()).expect("settings are plain JSON");
        let (mut wanted, mut order) = (vec![key], Vec::new());
        while let Some(key) = wanted.pop() {
            let (settings, inputs) = find(key)?;
            if !order.iter().any(|(known, _)| *known == key) {
                wanted.extend(inputs);
                order.push((key, settings));
            }
        }
        let tables = |settings: &'a Map<String, Value>| {
            settings.iter().filter(|(name, _)| crate::spec::lists::TABLES.contains(&name.as_str()))
        };
        let defaults = whole.clone();
        for (name, table) in order.iter().rev().flat_map(|(_, settings)| tables(settings)) {
            whole[name] = over(&defaults[name], table);
        }
        let settings = serde_json::from_value(whole).ok()?;
        let device = order[0].1.get("machine").map(|machine| machine["device"].clone());
        Some(Self { settings, device: device.unwrap_or_default() })
    }

    /// Whether the time of one tells that of the other.
    fn is_like(&self, other: &Self, stage: Stage) -> bool {
        let (a, b) = (&self.settings, &other.settings);
        let model = |settings: &Settings| {
            let model = settings.model.clone();
            (model.size, model.dims, model.checkpoint)
        };
        // What trains, and in which numbers; looks in between.
        let training = |settings: &Settings| {
            let (model, train) = (settings.model.clone(), &settings.train);
            (model.train, model.lora, train.precision, settings.eval.every > 0)
        };
        // How many questions and pairs files have, they alone know.
        let files = |settings: &Settings| {
            let import = settings.pairs.import.is_some();
            let pairs = import.then(|| settings.pairs.clone());
            (settings.corpus.files.clone(), settings.eval.files.clone(), pairs)
        };
        let asked = |settings: &Settings| {
            let eval = settings.eval.clone();
            (eval.benchmarks, eval.server, eval.judge)
        };
        let sources = |settings: &Settings| {
            (settings.pairs.sources.clone(), settings.candidates.server.clone())
        };
        self.device == other.device
            && model(a) == model(b)
            && files(a) == files(b)
            && sources(a) == sources(b)
            && (stage != Stage::Policy || training(a) == training(b))
            && (stage < Stage::Benchmarks || asked(a) == asked(b))
    }
}

/// A table with another's values over it.
fn over(below: &Value, above: &Value) -> Value {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            let mut both = below.clone();
            for (key, value) in above {
                let inner = both.get(key).unwrap_or(&Value::Null);
                let value = over(inner, value);
                both.insert(key.clone(), value);
            }
            Value::Object(both)
        }
        _ => above.clone(),
    }
}
