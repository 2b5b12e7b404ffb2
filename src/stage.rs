//! What a stage function is given. One signature for all ten:
//! `fn run(settings…, &StageContext) -> Result<()>`.

use crate::Result;
use crate::store::parts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

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

/// A line that a worker writes to its parent.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Line {
    /// How far it is.
    Progress {
        /// Steps done.
        done: u64,
        /// Steps in all.
        total: u64,
        /// A short note.
        note: String,
    },
    /// Something that the person at the terminal should know.
    Warning {
        /// The message.
        warning: String,
    },
    /// The artifact was there already: another run made it.
    Found {
        /// Always true.
        found: bool,
    },
    /// What went wrong.
    Error {
        /// The message.
        error: String,
        /// The way out.
        hint: Option<String>,
    },
}

impl Line {
    /// Writes it.
    pub fn tell(&self) {
        println!("{}", serde_json::to_string(self).expect("numbers and texts"));
    }
}

/// Says how far a stage is; the parent turns it into a line with an ETA.
#[derive(Clone, Debug, Default)]
pub enum Progress {
    /// To the parent process.
    #[default]
    Parent,
    /// To nobody but the log: for tests and library use.
    Silent,
    /// Warnings to a list.
    Kept(Arc<Mutex<Vec<String>>>),
}

impl Progress {
    /// `done` of `total` steps (or questions, or pictures), with a short note such as
    /// `loss 0.61  112 pairs/s`. Cheap: call it as often as you like.
    pub fn report(&self, done: u64, total: u64, note: impl std::fmt::Display) {
        if matches!(self, Self::Parent) {
            Line::Progress { done, total, note: note.to_string() }.tell();
        }
    }

    /// What the person who started the run should know, said above the progress lines.
    pub fn warn(&self, warning: &str) {
        tracing::warn!("{warning}");
        match self {
            Self::Parent => Line::Warning { warning: warning.to_owned() }.tell(),
            Self::Silent => {}
            Self::Kept(list) => {
                list.lock().expect("nobody panics with it").push(warning.to_owned());
            }
        }
    }

    /// What was warned of, where it is kept.
    pub fn warnings(&self) -> Vec<String> {
        match self {
            Self::Kept(list) => list.lock().expect("nobody panics with it").clone(),
            Self::Parent | Self::Silent => Vec::new(),
        }
    }
}
