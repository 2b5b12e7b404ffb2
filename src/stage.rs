//! What a stage function is given. One signature for all ten:
//! `fn run(settings…, &StageContext) -> Result<()>`.

use crate::Result;
use crate::store::parts;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where a stage reads, writes and says how far it is.
#[derive(Debug)]
pub struct StageContext {
    /// Payload folders of the artifacts it reads, by role (`corpus`, `base`, `features`,
    /// `candidates`, `pairs`, `reference`, `model`, `benchmarks`, `benchmark_features`, `answers`);
    /// read-only.
    pub inputs: BTreeMap<String, PathBuf>,
    /// Folder to write the payload into; renamed into the store on success.
    pub out: PathBuf,
    /// Folder for checkpoints: outlives a killed worker, removed on success.
    pub work: PathBuf,
    /// Folder of what servers replied, for every stage that asks the same: outlives them all.
    pub replies: PathBuf,
    /// Where tensors live.
    pub device: tch::Device,
    /// Tells the parent process.
    pub progress: Progress,
}

impl StageContext {
    /// The payload folder of an input.
    ///
    /// # Panics
    ///
    /// If the plan did not give this stage such an input: a bug.
    pub fn input(&self, role: &str) -> &Path {
        self.inputs.get(role).unwrap_or_else(|| panic!("the plan gives this stage a `{role}`"))
    }

    /// A part of the stage's work as an earlier worker kept it; else it is made, and kept.
    ///
    /// # Errors
    ///
    /// What `make` says, or what the disk says.
    pub fn part(&self, name: &str, make: impl FnOnce() -> Result<String>) -> Result<String> {
        parts::text(&self.work, name, make)
    }
}

/// Says how far a stage is; the parent turns it into a line with an ETA.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    silent: bool,
}

impl Progress {
    /// One that says nothing: for tests and library use.
    pub fn silent() -> Self {
        Self { silent: true }
    }

    /// `done` of `total` steps (or questions, or pictures), with a short note such as
    /// `loss 0.61  112 pairs/s`. Cheap: call it as often as you like.
    pub fn report(&self, done: u64, total: u64, note: impl std::fmt::Display) {
        if !self.silent {
            println!(
                "{}",
                serde_json::json!({ "done": done, "total": total, "note": note.to_string() })
            );
        }
    }
}

impl Progress {
    /// What the person who started the run should know, said above the progress lines.
    pub fn warn(&self, warning: &str) {
        tracing::warn!("{warning}");
        if !self.silent {
            println!("{}", serde_json::json!({ "warning": warning }));
        }
    }
}
