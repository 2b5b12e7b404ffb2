//! What a spec means: jobs, stage graph, keys, what is cached, what the rest
//! will cost. Touches no tensor.

pub mod stage;

pub use stage::Stage;

use crate::spec::Settings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// Index into [`Plan::tasks`] of each stage's instance, by round for repeated ones (last round wins).
    pub tasks: Vec<usize>,
}

/// One stage instance.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Task {
    /// Which stage.
    pub stage: Stage,
    /// `STAGE-<32 hex>`: the artifact's folder name in the store.
    pub key: String,
    /// The slice of the settings that the stage reads, by table, and all that entered the key.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Artifact keys by role.
    pub inputs: BTreeMap<String, String>,
    /// Threads of the worker, part of the key where tensors are computed.
    pub threads: usize,
    /// Tasks of one level do not depend on each other.
    pub level: usize,
}
