//! What each stage reads of the settings. A worker is given this slice and
//! nothing else, so a key cannot leave out what a stage depends on.
//!
//! Tables that a stage reads only a part of are given whole, with the parts it
//! does not read set to the embedded defaults: changing those changes no key.
//!
//! What says how a stage works and changes nothing of what it makes is set to its default, too,
//! and the worker is told it beside the slice: [`manner`].

use super::Stage;
use super::plain_loss::plain;
use super::versions::versions;
use crate::spec::candidates::Candidates;
use crate::spec::eval::{Eval, Split};
use crate::spec::later::LATER;
use crate::spec::model::Model;
use crate::spec::pairs::{Pairs, Source};
use crate::spec::server::Server;
use crate::spec::train::Train;
use crate::spec::{Settings, embedded};
use serde::Serialize;
use serde_json::{Map, Value};

/// The settings of one stage by table: exactly what its function is called with.
pub fn slice(stage: Stage, settings: &Settings) -> Map<String, Value> {
    let mut tables = Map::new();
    match stage {
        Stage::Corpus => {
            let mut corpus = settings.corpus.clone();
            if corpus.files.is_some() {
                corpus.tasks.clone_from(&embedded().corpus.tasks);
            }
            put(&mut tables, "corpus", &corpus);
        }
        Stage::Base => {
            let imported = settings.model.checkpoint.is_some();
            let base = if imported { &embedded().base } else { &settings.base };
            put(&mut tables, "base", base);
            let Model { template, precision, .. } = settings.model.clone();
            put(&mut tables, "model", &Model { template, precision, ..frozen(&settings.model) });
        }
        Stage::Features => put(&mut tables, "model", &frozen(&settings.model)),
        Stage::Candidates => put(&mut tables, "candidates", &sampled(&settings.candidates)),
        Stage::Pairs => put(&mut tables, "pairs", &built(&settings.pairs)),
        Stage::Reference => {
            let Train { precision, max_tokens, .. } = settings.train;
            put(&mut tables, "model", &frozen(&settings.model));
            put(&mut tables, "train", &Train { precision, max_tokens, ..embedded().train.clone() });
        }
        Stage::Policy => {
            put(&mut tables, "loss", &settings.loss.as_ref().map(plain));
            put(&mut tables, "train", &settings.train);
            put(&mut tables, "model", &sized(&settings.model));
            put(&mut tables, "eval", &looks(&settings.eval));
        }
        Stage::Benchmarks => {
            let files = settings.eval.files.clone();
            put(&mut tables, "eval", &Eval { files, ..embedded().eval.clone() });
        }
        Stage::Answers => {
            let judge = embedded().eval.judge.clone();
            put(&mut tables, "eval", &Eval { judge, ..measured(&settings.eval) });
        }
        Stage::Scores => put(&mut tables, "eval", &measured(&settings.eval)),
    }
    tables.extend(versions(stage, settings));
    let defaults = json(embedded());
    for path in manners(settings) {
        let table = tables.get_mut(path[0]);
        let value = table.and_then(|table| table.pointer_mut(&pointer(&path[1..])));
        if let (Some(value), Some(default)) = (value, defaults.pointer(&pointer(&path))) {
            value.clone_from(default);
        }
    }
    for path in LATER {
        if let Some(table) = tables.get_mut(path[0]) {
            forget(table, &defaults[path[0]], &path[1..]);
        }
    }
    tables
}

/// Whether what can change the bits of a tensor enters a task's key.
pub fn computes_tensors(stage: Stage, settings: &Settings) -> bool {
    match stage {
        Stage::Scores => settings.eval.judge.checkpoint.is_some(),
        Stage::Candidates => settings.candidates.needs_model(),
        Stage::Answers => !settings.eval.server.is_set(),
        Stage::Pairs => settings.pairs.needs_model(),
        _ => stage.has_tensors(),
    }
}

/// What a worker is told beside its slice, by table: how it is to work. It enters no key.
pub fn manner(tables: &Map<String, Value>, settings: &Settings) -> Map<String, Value> {
    let (own, defaults) = (json(settings), json(embedded()));
    let mut manner = Map::new();
    for path in manners(settings).into_iter().filter(|path| tables.contains_key(path[0])) {
        let name = pointer(&path);
        let value = own.pointer(&name).filter(|value| defaults.pointer(&name) != Some(value));
        if let Some(value) = value {
            let table = manner.entry(path[0]).or_insert(Value::Null);
            *path[1..].iter().fold(table, |table, name| &mut table[*name]) = value.clone();
        }
    }
    manner
}

/// Paths of the settings that change nothing of what a stage makes. How often and how long a
/// server is asked decides about rows that may fail for good.
fn manners(settings: &Settings) -> Vec<Vec<&'static str>> {
    let (pairs, eval) = (&settings.pairs, &settings.eval);
    let fails = |server: &Server| server.failures.is_some_and(|share| share.get() > 0.0);
    let servers: [(&[&str], bool); 5] = [
        (&["candidates", "server"], fails(&settings.candidates.server)),
        (&["pairs", "dropout_ntp", "server"], fails(&pairs.dropout_ntp.server)),
        (&["pairs", "judge", "server"], fails(&pairs.judge.server)),
        (&["eval", "server"], fails(&eval.server)),
        // Its grades may fail without being allowed to.
        (&["eval", "judge", "server"], true),
    ];
    let mut paths = vec![vec!["train", "checkpoint_every"]];
    for (server, may_fail) in servers {
        let names = ["requests", "key_variable", "attempts", "timeout_s"];
        let most = if may_fail { 2 } else { names.len() };
        paths.extend(names[..most].iter().map(|name| [server, &[*name]].concat()));
    }
    paths
}

fn pointer(path: &[&str]) -> String {
    format!("/{}", path.join("/"))
}

fn put(tables: &mut Map<String, Value>, name: &str, table: &impl Serialize) {
    tables.insert(name.to_owned(), json(table));
}

fn json(table: &impl Serialize) -> Value {
    serde_json::to_value(table).expect("settings are plain JSON")
}

/// Takes a setting out where it says what it says by default.
fn forget(table: &mut Value, defaults: &Value, path: &[&str]) {
    let [first, rest @ ..] = path else { return };
    let (Some(table), default) = (table.as_object_mut(), &defaults[*first]) else { return };
    match table.get_mut(*first) {
        Some(inner) if !rest.is_empty() => forget(inner, default, rest),
        Some(inner) if inner == default => drop(table.remove(*first)),
        _ => {}
    }
}

/// Without the looks of a policy in training.
fn measured(eval: &Eval) -> Eval {
    let Eval { every, slice, .. } = embedded().eval;
    Eval { every, slice, ..eval.clone() }
}

/// Without the settings of sampling where answers are ready-made.
fn sampled(candidates: &Candidates) -> Candidates {
    let Candidates { import, prompt, .. } = candidates.clone();
    match import {
        Some(_) => Candidates { import, prompt, ..embedded().candidates.clone() },
        None => candidates.clone(),
    }
}

/// Without the settings of sources that are not built.
fn built(pairs: &Pairs) -> Pairs {
    let mut built = pairs.clone();
    let default = &embedded().pairs;
    if !pairs.needs(Source::Correctness) {
        built.correctness = default.correctness.clone();
    }
    if !pairs.builds(Source::DropoutNtp) {
        built.dropout_ntp = default.dropout_ntp.clone();
    }
    if !pairs.needs(Source::DivideAndConquer) {
        built.divide_and_conquer = default.divide_and_conquer.clone();
    }
    if !pairs.asks_judge() {
        built.judge = default.judge.clone();
    }
    built
}

/// A model's shape, without what of it trains.
fn frozen(model: &Model) -> Model {
    let max_tiles = model.max_tiles;
    Model { train: embedded().model.train.clone(), lora: None, max_tiles, ..sized(model) }
}

/// A checkpoint has its own size; the base's config.json says how its pictures are cut, which
/// template it has and in which precision it answers.
fn sized(model: &Model) -> Model {
    let size = match model.checkpoint {
        Some(_) => embedded().model.size,
        None => model.size,
    };
    Model { size, max_tiles: None, template: None, precision: None, ..model.clone() }
}

/// What a policy in training needs to look at the validation split; nothing if it never does.
fn looks(eval: &Eval) -> Eval {
    let whole = &embedded().eval;
    match eval.every {
        0 => Eval { every: 0, ..whole.clone() },
        _ => Eval {
            // What it asks: questions with one right answer.
            benchmarks: vec!["reasoning".to_owned()],
            split: Split::Validation,
            files: whole.files.clone(),
            judge: whole.judge.clone(),
            server: whole.server.clone(),
            ..eval.clone()
        },
    }
}
