//! From points to jobs and tasks: which stage reads what, and what is shared.

use super::features;
use super::fingerprint::{Prints, annotations, name_beside};
use super::key::{key, machine as machine_of};
use super::slice::{computes_tensors, manner, slice};
use super::{Job, Machine, Plan, Stage, Task, id};
use crate::eval;
use crate::spec::Settings;
use crate::spec::experiment::{Experiment, Point};
use crate::spec::root::ReferenceOf;
use crate::tasks::corpus;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Artifacts made on other devices that may stand in for one's own.
pub struct Reuse<'a> {
    /// The other machines, best first.
    pub machines: Vec<Machine>,
    /// Whether there is an artifact of a key.
    pub exists: &'a dyn Fn(&str) -> bool,
}

/// Expands an experiment. With `until`, no task of a later stage is planned.
pub fn plan(experiment: &Experiment, machine: &Machine, until: Option<Stage>) -> Plan {
    let nothing = Reuse { machines: Vec::new(), exists: &|_| false };
    plan_reusing(experiment, machine, until, &nothing)
}

/// The same with the artifacts of other devices, where this one has none.
pub fn plan_reusing(
    experiment: &Experiment,
    machine: &Machine,
    until: Option<Stage>,
    reuse: &Reuse,
) -> Plan {
    let mut graph = Graph {
        machine,
        reuse,
        prints: Prints::default(),
        until: until.unwrap_or(Stage::Scores),
        feature_gib: experiment.store.feature_gib.get(),
        tasks: Vec::new(),
        by_key: HashMap::new(),
    };
    let mut jobs: Vec<Job> = Vec::new();
    if graph.until >= Stage::Answers {
        for point in experiment.points.iter().filter(|point| point.settings.loss.is_some()) {
            graph.base_job(point, experiment.seeds[0], &mut jobs);
        }
    }
    for point in &experiment.points {
        for &seed in &experiment.seeds {
            graph.job(point, seed, &mut jobs);
        }
    }
    Plan { name: experiment.name.clone(), jobs, tasks: graph.tasks }
}

struct Graph<'a> {
    machine: &'a Machine,
    reuse: &'a Reuse<'a>,
    prints: Prints,
    until: Stage,
    feature_gib: f64,
    tasks: Vec<Task>,
    by_key: HashMap<String, usize>,
}

/// Tasks of one job, in pipeline order.
#[derive(Default)]
struct Chain(Vec<usize>);

impl Graph<'_> {
    /// The base by itself, evaluated once.
    fn base_job(&mut self, point: &Point, seed: u64, jobs: &mut Vec<Job>) {
        let mut settings = point.settings.clone();
        settings.loss = None;
        let mut chain = Chain::default();
        let corpus = self.corpus(&settings, &mut chain);
        let base = self.base(&settings, &corpus, &mut chain);
        let features = self.features(&settings, &corpus, &base, &mut chain);
        let model = Evaluated { model: &base, base: &base, features: features.as_ref() };
        self.evaluate(&settings, &corpus, Some(model), &mut chain);
        // Only what the base depends on tells one base from another.
        let tables = ["model.", "corpus.", "base.", "eval."];
        let swept: Vec<_> = point
            .swept
            .iter()
            .filter(|(key, _)| tables.iter().any(|table| key.starts_with(table)))
            .cloned()
            .collect();
        let id = id::id("base", &swept, None);
        let job = Job {
            id,
            variant: None,
            swept,
            seed,
            settings,
            rounds: Vec::new(),
            also: Vec::new(),
            tasks: chain.0,
        };
        add(jobs, job);
    }

    fn job(&mut self, point: &Point, seed: u64, jobs: &mut Vec<Job>) {
        let mut settings = point.settings.clone();
        settings.train.seed = seed;
        let mut chain = Chain::default();
        let corpus = self.corpus(&settings, &mut chain);
        if settings.eval.server.is_set() {
            // Nothing is trained beside it, and nobody here is asked.
            self.evaluate(&settings, &corpus, None, &mut chain);
        } else {
            self.train_and_evaluate(&settings, point, &corpus, &mut chain);
        }

        let algorithm = settings.loss.as_ref().map_or("base", |loss| loss.algorithm.row().name);
        let name = point.variant.as_deref().unwrap_or(algorithm);
        let seeded = settings.loss.is_some() && self.until >= Stage::Policy;
        let overridden = point.rounds.len() > 1
            || point.rounds.iter().any(|round| round.settings(&settings, seed) != settings);
        let job = Job {
            id: id::id(name, &point.swept, seeded.then_some(seed)),
            variant: point.variant.clone(),
            swept: point.swept.clone(),
            seed,
            settings,
            rounds: if overridden { point.rounds.clone() } else { Vec::new() },
            also: Vec::new(),
            tasks: chain.0,
        };
        add(jobs, job);
    }

    fn train_and_evaluate(
        &mut self,
        settings: &Settings,
        point: &Point,
        corpus: &str,
        chain: &mut Chain,
    ) {
        let base = self.base(settings, corpus, chain);
        let stays = features::stay(settings);
        let features = stays.then(|| self.features(settings, corpus, &base, chain)).flatten();
        let mut model = base.clone();
        for (index, round) in point.rounds.iter().enumerate() {
            let settings = round.settings(settings, settings.train.seed);
            model = self.round(
                &settings,
                Models { base: &base, previous: &model, first: index == 0 },
                round.reference,
                corpus,
                features.as_ref(),
                chain,
            );
        }
        let model = Evaluated { model: &model, base: &base, features: features.as_ref() };
        self.evaluate(settings, corpus, Some(model), chain);
    }

    fn corpus(&mut self, settings: &Settings, chain: &mut Chain) -> String {
        let files = settings.corpus.files.iter().flat_map(|files| {
            [files.base.as_ref(), Some(&files.train), files.validation.as_ref(), Some(&files.test)]
        });
        let mut files: Vec<String> = files.flatten().cloned().collect();
        if let Some(named) = &settings.corpus.files {
            for file in &files {
                self.prints.lies_at(file, &corpus::located(named, file));
            }
            let (name, pictures) = (corpus::named_pictures(&settings.corpus), &settings.corpus);
            files.extend(self.prints.beside(name, || corpus::pictures(pictures)));
        }
        self.task(Stage::Corpus, settings, &[], &files, chain)
    }

    fn base(&mut self, settings: &Settings, corpus: &str, chain: &mut Chain) -> String {
        match &settings.model.checkpoint {
            Some(path) => self.task(Stage::Base, settings, &[], std::slice::from_ref(path), chain),
            None => self.task(Stage::Base, settings, &[("corpus", corpus)], &[], chain),
        }
    }

    /// What the base's vision tower sees, kept where it fits.
    fn features(
        &mut self,
        settings: &Settings,
        corpus: &str,
        base: &str,
        chain: &mut Chain,
    ) -> Option<String> {
        features::fit(settings, self.feature_gib).then(|| {
            let inputs = [("corpus", corpus), ("base", base)];
            self.task(Stage::Features, settings, &inputs, &[], chain)
        })
    }

    fn round(
        &mut self,
        settings: &Settings,
        models: Models,
        reference: ReferenceOf,
        corpus: &str,
        features: Option<&String>,
        chain: &mut Chain,
    ) -> String {
        let pairs = self.pairs(settings, models, corpus, features, chain);
        // Imported pairs have pictures of their own, which the corpus' features do not cover.
        let features = features.filter(|_| settings.pairs.import.is_none());
        let held_to = match reference {
            ReferenceOf::Base => models.base,
            ReferenceOf::Previous => models.previous,
        };
        let inputs = [("model", held_to), ("pairs", &pairs), ("corpus", corpus)];
        let inputs = with(&inputs, "features", features);
        let reference = self.task(Stage::Reference, settings, &inputs, &[], chain);
        let inputs = [
            ("model", models.previous),
            ("corpus", corpus),
            ("pairs", pairs.as_str()),
            ("reference", reference.as_str()),
        ];
        let inputs = with(&inputs, "features", features);
        self.task(Stage::Policy, settings, &inputs, &[], chain)
    }

    /// Imported pairs need no model; others need candidates, and some sources the model too.
    fn pairs(
        &mut self,
        settings: &Settings,
        models: Models,
        corpus: &str,
        features: Option<&String>,
        chain: &mut Chain,
    ) -> String {
        let pairs = &settings.pairs;
        let judge = pairs.judge.checkpoint.iter().filter(|_| pairs.asks_judge());
        let named = pairs.import.iter().flat_map(|path| annotations(Path::new(path)));
        let named = named.map(|file| file.to_string_lossy().into_owned());
        let files = pairs.import.iter().cloned().chain(named).chain(judge.cloned());
        let files: Vec<String> = files.collect();
        if pairs.is_import_alone() {
            return self.task(Stage::Pairs, settings, &[("corpus", corpus)], &files, chain);
        }
        // Whatever trains later, the base samples and judges with what it sees.
        let asks = settings.candidates.needs_model() || pairs.needs_model();
        let seen = match features {
            None if models.first && asks => self.features(settings, corpus, models.base, chain),
            features => features.cloned(),
        };
        let features = seen.as_ref();
        let role = if models.first { "base" } else { "model" };
        let of_model = features.filter(|_| settings.candidates.needs_model());
        let inputs = with(&[("corpus", corpus), (role, models.previous)], "features", of_model);
        let samples = settings.candidates.import.as_slice();
        let candidates = self.task(Stage::Candidates, settings, &inputs, samples, chain);
        let inputs = [("corpus", corpus), ("base", models.previous), ("candidates", &candidates)];
        let features = features.filter(|_| pairs.needs_model());
        self.task(Stage::Pairs, settings, &with(&inputs, "features", features), &files, chain)
    }

    fn evaluate(
        &mut self,
        settings: &Settings,
        corpus: &str,
        by: Option<Evaluated>,
        chain: &mut Chain,
    ) {
        if self.until < Stage::Benchmarks {
            return;
        }
        let files = self.benchmarks(settings, chain);
        let features = by.and_then(|by| by.features);
        // Pictures of files are seen by the same tower.
        let of_files = by.zip(files.as_ref()).filter(|_| features.is_some()).map(|(by, files)| {
            let inputs = [("corpus", files.as_str()), ("base", by.base)];
            self.task(Stage::Features, settings, &inputs, &[], chain)
        });
        let mut inputs = vec![("corpus", corpus)];
        inputs.extend(by.map(|by| ("model", by.model)));
        let inputs = with(&inputs, "features", features);
        let inputs = with(&inputs, "benchmarks", files.as_ref());
        let inputs = with(&inputs, "benchmark_features", of_files.as_ref());
        let answers = self.task(Stage::Answers, settings, &inputs, &[], chain);
        let inputs = [("corpus", corpus), ("answers", answers.as_str())];
        let inputs = with(&inputs, "benchmarks", files.as_ref());
        let judge = settings.eval.judge.checkpoint.as_slice();
        self.task(Stage::Scores, settings, &inputs, judge, chain);
    }

    /// Benchmarks' own files, where there are some.
    fn benchmarks(&mut self, settings: &Settings, chain: &mut Chain) -> Option<String> {
        let mut files: Vec<String> = settings.eval.files.values().cloned().collect();
        for (benchmark, path) in &settings.eval.files {
            let name = name_beside(benchmark, path);
            files.extend(
                self.prints.beside(name, || eval::files::beside(benchmark, Path::new(path))),
            );
        }
        (!files.is_empty()).then(|| self.task(Stage::Benchmarks, settings, &[], &files, chain))
    }

    /// The key of a stage instance, which is planned unless it is already or comes too late.
    fn task(
        &mut self,
        stage: Stage,
        settings: &Settings,
        inputs: &[(&str, &str)],
        files: &[String],
        chain: &mut Chain,
    ) -> String {
        let mut tables = slice(stage, settings);
        let inputs: BTreeMap<String, String> =
            inputs.iter().map(|&(role, key)| (role.to_owned(), key.to_owned())).collect();
        let on = |tables: &mut Map<String, Value>, machine: &Machine| {
            tables.insert("machine".to_owned(), machine_of(machine, stage.threads()));
            key(stage, tables, &inputs)
        };
        let has_tensors = computes_tensors(stage, settings);
        if has_tensors {
            // In its place among the tables, whichever machine it will be.
            on(&mut tables, self.machine);
        }
        if !files.is_empty() {
            let mut print = |path: &String| (path.clone(), self.prints.of(path).into());
            let prints: Map<String, Value> = files.iter().map(&mut print).collect();
            tables.insert("files".to_owned(), Value::Object(prints));
        }
        let mut key = key(stage, &tables, &inputs);
        if has_tensors && !(self.reuse.exists)(&key) {
            for machine in &self.reuse.machines {
                let mut other = tables.clone();
                let theirs = on(&mut other, machine);
                if (self.reuse.exists)(&theirs) {
                    (key, tables) = (theirs, other);
                    break;
                }
            }
        }
        if stage > self.until {
            return key;
        }
        let index = *self.by_key.entry(key.clone()).or_insert(self.tasks.len());
        if index == self.tasks.len() {
            let level = inputs
                .values()
                .filter_map(|key| self.by_key.get(key))
                .map(|&input| self.tasks[input].level + 1)
                .max()
                .unwrap_or(0);
            let threads = stage.threads();
            let key = key.clone();
            let manner = manner(&tables, settings);
            self.tasks.push(Task { stage, key, settings: tables, manner, inputs, threads, level });
        }
        if !chain.0.contains(&index) {
            chain.0.push(index);
        }
        key
    }
}

/// The models that a round can use, by key.
#[derive(Clone, Copy)]
struct Models<'a> {
    base: &'a str,
    previous: &'a str,
    first: bool,
}

/// A model that is evaluated here, and what its base saw, where it sees the same.
#[derive(Clone, Copy)]
struct Evaluated<'a> {
    model: &'a str,
    base: &'a str,
    features: Option<&'a String>,
}

fn with<'a>(
    inputs: &[(&'a str, &'a str)],
    role: &'a str,
    key: Option<&'a String>,
) -> Vec<(&'a str, &'a str)> {
    inputs.iter().copied().chain(key.map(|key| (role, key.as_str()))).collect()
}

/// Adds a job, or notes it beside one that stands on the same tasks.
fn add(jobs: &mut Vec<Job>, mut job: Job) {
    if let Some(alike) = jobs.iter_mut().find(|other| other.tasks == job.tasks) {
        if alike.id != job.id && !alike.also.contains(&job.id) {
            alike.also.push(job.id);
        }
        return;
    }
    job.id = id::unique(job.id, |id| jobs.iter().any(|other| other.id == id));
    jobs.push(job);
}
