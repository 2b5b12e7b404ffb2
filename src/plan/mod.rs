//! What a spec means: jobs, stage graph, keys, what is cached, what the rest
//! will cost. Touches no tensor.
//!
//! [`plan()`] expands an [`Experiment`](crate::spec::Experiment) into a [`Plan`], which is plain data: as
//! JSON it is the frozen plan that any launcher works off piecemeal.
//!
//! ```text
//! corpus ─ base ─ features ─┬─ candidates ─ pairs ─ reference ─ policy ─ answers ─ scores
//!                           └─ answers ─ scores                (the job `base`)
//! benchmarks ─ features ─ answers                              (benchmarks' own files)
//! ```
//!
//! **To add a stage:** a variant and a row in [`stage`], its tables in
//! `slice`, its inputs in [`graph`], its cost in [`estimate`].

pub mod estimate;
mod features;
pub mod fingerprint;
pub mod graph;
pub mod id;
pub mod key;
pub mod memory;
pub mod past;
mod plain_loss;
pub mod slice;
pub mod stage;
mod versions;

pub use graph::{Reuse, plan, plan_reusing};
pub use stage::Stage;

use crate::error::{Context, Kind};
use crate::spec::{Round, Settings};
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// An expanded, frozen experiment: any launcher can execute it piecemeal.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Plan {
    /// The spec's file stem, with `@<8 hex>` where overrides changed it.
    pub name: String,
    /// Rows of jobs.csv, in plan order; `base` first where there is a loss.
    pub jobs: Vec<Job>,
    /// Stage instances, each once, inputs before their readers.
    pub tasks: Vec<Task>,
}

/// One point of the sweep.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Job {
    /// Readable and unique: `mpo-beta0.1-s0`.
    pub id: String,
    /// The variant's name as written.
    pub variant: Option<String>,
    /// Swept values by dotted key, in the spec's order.
    pub swept: Vec<(String, toml::Value)>,
    /// Seed of the policy stage.
    pub seed: u64,
    /// Everything resolved.
    pub settings: Settings,
    /// What each round runs with, where there are several or one that overrides settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
    /// Ids of points that resolve to the same tasks and are not run again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// Indices into [`Plan::tasks`] of every instance it stands on, in pipeline order,
    /// round by round: the last of a stage is the job's own.
    pub tasks: Vec<usize>,
}

/// One stage instance.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Task {
    /// Which stage.
    pub stage: Stage,
    /// `STAGE-<32 hex>`: the artifact's folder name in the store.
    pub key: String,
    /// The slice of the settings that the stage reads, by table, and all that entered the key:
    /// `machine` where tensors are computed, `files` where files are imported.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// How the stage is to work, by table, where that is not the default: told its worker, and in
    /// no key, since it changes nothing of what is made.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub manner: serde_json::Map<String, serde_json::Value>,
    /// Artifact keys by role.
    pub inputs: BTreeMap<String, String>,
    /// Threads of the worker, part of the key where tensors are computed.
    pub threads: usize,
    /// Tasks of one level do not depend on each other.
    pub level: usize,
}

/// What can change the bits of a tensor, beside settings and inputs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Machine {
    /// `cpu`, or `cuda` with its compute capability: `cuda-9.0`.
    pub device: String,
    /// libtorch's version.
    pub libtorch: String,
    /// Which kernels serve: `fused`, `plain`.
    pub kernels: String,
}

impl Task {
    /// One table of the slice, as the stage function takes it, told how to work.
    ///
    /// # Errors
    ///
    /// If the plan was frozen by another version of Prefab.
    pub fn table<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let mut table = self.settings.get(name).cloned().unwrap_or(serde_json::Value::Null);
        if let Some(manner) = self.manner.get(name) {
            tell(&mut table, manner);
        }
        serde_json::from_value(table).map_err(|error| {
            Error::new(format!("`{}` in the plan's task {}: {error}", name, self.key))
                .hint("the plan was frozen by another version of Prefab: plan again")
        })
    }

    /// Whether its weights may go once everything that reads them exists.
    pub fn sheds_weights(&self) -> bool {
        let keep = self.settings.get("train").and_then(|train| train.get("keep"));
        self.stage == Stage::Policy && keep.is_some_and(|keep| keep == "none")
    }
}

/// Overrides what a table holds. What it leaves out nobody asks for.
fn tell(table: &mut serde_json::Value, manner: &serde_json::Value) {
    let Some(told) = manner.as_object() else {
        table.clone_from(manner);
        return;
    };
    for (name, value) in told {
        if let Some(inner) = table.get_mut(name) {
            tell(inner, value);
        }
    }
}

impl Plan {
    /// Reads a frozen plan.
    ///
    /// # Errors
    ///
    /// If it is not one.
    pub fn load(path: &Path) -> Result<Self> {
        let doing = || format!("reading the plan `{}`", path.display());
        let text = std::fs::read(path).with_context(doing);
        text.and_then(|text| serde_json::from_slice(&text).with_context(doing))
            .map_err(|error| error.kind(Kind::Spec))
    }

    /// The job's own instance of a stage: that of its last round.
    pub fn task_of(&self, job: &Job, stage: Stage) -> Option<&Task> {
        job.tasks.iter().rev().map(|&index| &self.tasks[index]).find(|task| task.stage == stage)
    }

    /// How many levels there are.
    pub fn levels(&self) -> usize {
        self.tasks.iter().map(|task| task.level + 1).max().unwrap_or(0)
    }
}
