//! Where every task of a plan stands, and what may be done next. Pure
//! bookkeeping: no process, no file.

use super::{Failed, Outcome};
use crate::plan::{Plan, Stage};
use crate::stage::Line;
use crate::store::Record;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// Further attempts at a task whose worker was lost.
const RETRIES: u32 = 2;

/// Rest before another attempt, times the number of attempts made.
const REST: Duration = Duration::from_millis(500);

/// Where a task stands.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Beyond `--until`.
    Outside,
    /// Some input does not exist yet, or nobody has looked.
    Waiting,
    /// Its artifact, or its inputs, are being checked.
    Looking,
    /// Can start, not before a moment, and perhaps only while nothing else runs.
    Ready {
        /// The moment.
        from: Instant,
        /// Whether it needs the machine for itself.
        alone: bool,
    },
    /// A worker is at it.
    Running,
    /// Another run's worker is at it.
    Elsewhere,
    /// Its artifact exists; `cached` if it did before.
    Done {
        /// Whether this run found it.
        cached: bool,
    },
    /// It cannot be done: reason and way out.
    Failed(String, Option<String>),
    /// Something it needs has failed.
    Blocked,
}

impl State {
    /// The word in stages.csv.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Outside => "left out",
            Self::Waiting | Self::Looking | Self::Ready { .. } => "waiting",
            Self::Running | Self::Elsewhere => "running",
            Self::Done { .. } => "done",
            Self::Failed(..) => "failed",
            Self::Blocked => "blocked",
        }
    }
}

/// One task's entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it stands.
    pub state: State,
    /// Workers that were lost at it.
    pub lost: u32,
    /// What its artifact says about itself.
    pub record: Option<Record>,
    /// Memory of the worker that failed.
    pub peak_gib: Option<f64>,
    /// Whether its worker found the artifact, made by another run.
    pub found: bool,
    /// The last words of its worker.
    pub said: Option<(String, Option<String>)>,
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The artifact exists.
    Done,
    /// Another process has the lock.
    Busy,
    /// Memory ran out.
    Memory,
    /// Killed from outside.
    Lost,
    /// An input was gone when it looked.
    Bereft,
    /// A bug, or an error that stays.
    Failed,
}

/// All tasks of a plan.
#[derive(Debug)]
pub struct Board<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// An entry a task, in plan order.
    pub entries: Vec<Entry>,
    by_key: HashMap<&'a str, usize>,
}

impl<'a> Board<'a> {
    /// Nothing looked at yet. Tasks beyond `until`, and those that need them, stay outside.
    pub fn new(plan: &'a Plan, until: Option<Stage>) -> Self {
        let by_key: HashMap<_, _> =
            plan.tasks.iter().enumerate().map(|(index, task)| (task.key.as_str(), index)).collect();
        let mut entries: Vec<Entry> = Vec::new();
        for task in &plan.tasks {
            let outside = until.is_some_and(|last| task.stage > last)
                || task
                    .inputs
                    .values()
                    .any(|key| entries[by_key[key.as_str()]].state == State::Outside);
            let state = if outside { State::Outside } else { State::Waiting };
            entries.push(Entry {
                state,
                lost: 0,
                record: None,
                peak_gib: None,
                found: false,
                said: None,
            });
        }
        Self { plan, entries, by_key }
    }

    /// Indices of the tasks that a task reads.
    pub fn inputs(&self, index: usize) -> impl Iterator<Item = usize> {
        self.plan.tasks[index].inputs.values().map(|key| self.by_key[key.as_str()])
    }

    /// The task that makes an artifact.
    pub fn task_of(&self, key: &str) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    /// Whether a task's weights are not to be kept and all that read them are done.
    pub fn has_served(&self, index: usize) -> bool {
        let readers = || {
            (0..self.entries.len())
                .filter(|reader| self.inputs(*reader).any(|input| input == index))
        };
        let done = |reader: usize| matches!(self.entries[reader].state, State::Done { .. });
        self.plan.tasks[index].sheds_weights() && readers().count() > 0 && readers().all(done)
    }

    /// Indices of the tasks in a state.
    pub fn all(&self, wanted: impl Fn(&State) -> bool) -> Vec<usize> {
        (0..self.entries.len()).filter(|index| wanted(&self.entries[*index].state)).collect()
    }

    /// Tasks whose inputs exist now: to be looked at. Marks those that never will be.
    pub fn promote(&mut self) -> Vec<usize> {
        let mut ready = Vec::new();
        for index in self.all(|state| *state == State::Waiting) {
            let inputs: Vec<_> =
                self.inputs(index).map(|input| &self.entries[input].state).collect();
            if inputs.iter().any(|state| matches!(state, State::Failed(..) | State::Blocked)) {
                self.entries[index].state = State::Blocked;
            } else if inputs.iter().all(|state| matches!(state, State::Done { .. })) {
                self.entries[index].state = State::Looking;
                ready.push(index);
            }
        }
        ready
    }

    /// An artifact turned out not to exist: it, and what was built on it, must be looked at anew.
    pub fn reset(&mut self, index: usize) {
        self.entries[index].state = State::Waiting;
        let readers: Vec<usize> = (0..self.entries.len())
            .filter(|reader| matches!(self.entries[*reader].state, State::Done { .. }))
            .filter(|reader| self.inputs(*reader).any(|input| input == index))
            .collect();
        for reader in readers {
            self.reset(reader);
        }
    }

    /// Hears a worker's last words.
    pub fn hear(&mut self, index: usize, line: &Line) {
        match line {
            Line::Error { error, hint } => {
                self.entries[index].said = Some((error.clone(), hint.clone()));
            }
            Line::Found { found } => self.entries[index].found = *found,
            Line::Warning { warning } => {
                tracing::warn!("{}: {warning}", self.title(index));
            }
            Line::Progress { .. } => {}
        }
    }

    /// Decides what follows from a worker's end. Only what may heal is tried again:
    /// a lost worker, or one that ran out of memory beside others; never a bug or a NaN.
    pub fn ended(&mut self, index: usize, end: End, how: &str, peak_gib: f64) {
        let entry = &mut self.entries[index];
        entry.state = match end {
            End::Done => State::Done { cached: entry.found },
            End::Busy => State::Elsewhere,
            End::Memory | End::Lost if entry.lost < RETRIES => {
                entry.lost += 1;
                let alone = end == End::Memory || entry.lost > 1;
                tracing::warn!("{} {how}; will try again", self.plan.tasks[index].key);
                State::Ready { from: Instant::now() + REST * entry.lost, alone }
            }
            End::Bereft if entry.lost < RETRIES => {
                entry.lost += 1;
                tracing::warn!("{} {how}; will look again", self.plan.tasks[index].key);
                State::Waiting
            }
            _ => {
                entry.peak_gib = Some(peak_gib);
                let (message, hint) = entry.said.take().unwrap_or_else(|| (how.to_owned(), None));
                State::Failed(message, hint)
            }
        };
    }

    /// `policy mpo-s0`: the stage, and the job that alone needs it.
    pub fn title(&self, index: usize) -> String {
        let task = &self.plan.tasks[index];
        let stage = task.stage;
        let jobs: Vec<_> = self.plan.jobs.iter().filter(|job| job.tasks.contains(&index)).collect();
        match jobs.as_slice() {
            [job] => format!("{stage} {}", job.id),
            [] => format!("{stage} {}", &task.key[task.key.len().saturating_sub(8)..]),
            many => format!("{stage} ({} jobs)", many.len()),
        }
    }

    /// Whether some job has all that the report reads.
    pub fn any_job_done(&self) -> bool {
        let done = |index: &usize| matches!(self.entries[*index].state, State::Done { .. });
        self.plan.jobs.is_empty() || self.plan.jobs.iter().any(|job| job.tasks.iter().all(done))
    }

    /// Seconds that the rest will take at `workers` at a time; none while a stage that is
    /// left has never been timed.
    pub fn rest_s(&self, workers: usize) -> Option<f64> {
        let mut left_s = 0.0;
        let stages: BTreeSet<_> = self.plan.tasks.iter().map(|task| task.stage).collect();
        for stage in stages {
            let of_stage = || {
                self.plan
                    .tasks
                    .iter()
                    .zip(&self.entries)
                    .filter(move |(task, _)| task.stage == stage)
            };
            let walls: Vec<_> =
                of_stage().filter_map(|(_, entry)| Some(entry.record.as_ref()?.wall_s)).collect();
            let left = of_stage()
                .filter(|(_, entry)| matches!(entry.state.name(), "waiting" | "running"))
                .count();
            if left > 0 && walls.is_empty() {
                return None;
            }
            left_s += left as f64 * walls.iter().sum::<f64>() / walls.len().max(1) as f64;
        }
        Some(left_s / workers.max(1) as f64)
    }

    /// Counts, for the end of a run.
    pub fn outcome(&self) -> Outcome {
        let mut outcome = Outcome::default();
        for (index, entry) in self.entries.iter().enumerate() {
            match &entry.state {
                State::Done { cached: true } => outcome.cached += 1,
                State::Done { cached: false } => outcome.done += 1,
                State::Failed(why, hint) => outcome.failed.push(Failed {
                    key: self.plan.tasks[index].key.clone(),
                    title: self.title(index),
                    why: why.clone(),
                    hint: hint.clone(),
                }),
                State::Outside => {}
                _ => outcome.left += 1,
            }
        }
        outcome
    }
}
