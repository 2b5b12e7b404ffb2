//! Stages that only pretend: bytes computed from the key and the inputs, in
//! several files, with a checkpoint a step. For tests of planning, caching,
//! killing and resuming that should not train a model.
//!
//! A table `fake` in a task's settings makes one misbehave: see [`Fake`].

use super::dispatch::Executor;
use crate::error::{Context, Error, Result};
use crate::plan::{Plan, Task};
use crate::report::chart::Chart;
use crate::stage::StageContext;
use crate::store::{Manifest, Store, disk};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// In place of the real stages.
pub const FAKE: Executor = Executor { stage: |_| run, report };

/// The settings of a pretended stage.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct Fake {
    /// Steps, each with a checkpoint.
    pub steps: u64,
    /// Rest a step.
    pub sleep_ms: u64,
    /// Payload files.
    pub files: usize,
    /// How it ends: `bug`, `error`, `memory` or `lost`; in order of the attempts where a
    /// list. An attempt beyond the list ends well.
    pub ends: Vec<String>,
    /// Bytes that depend on the moment: a stage that breaks the promise of the same bytes.
    pub moody: bool,
    /// The input that another run takes away at the first attempt, which then fails.
    pub robs: Option<String>,
}

impl Default for Fake {
    fn default() -> Self {
        Self { steps: 4, sleep_ms: 2, files: 3, ends: Vec::new(), moody: false, robs: None }
    }
}

/// Where a pretended stage stands.
#[derive(Default, Deserialize, Serialize)]
struct Checkpoint {
    step: u64,
    state: String,
}

fn run(task: &Task, context: &StageContext) -> Result<()> {
    let fake: Fake =
        if task.settings.contains_key("fake") { task.table("fake")? } else { Fake::default() };
    let path = context.work.join("checkpoint.json");
    let mut at: Checkpoint = match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).context("reading a checkpoint")?,
        Err(_) => Checkpoint { step: 0, state: start(task, context)? },
    };
    misbehave(&fake, task, context)?;
    while at.step < fake.steps {
        std::thread::sleep(Duration::from_millis(fake.sleep_ms));
        at.state = digest(&[&at.state, &at.step.to_string()]);
        at.step += 1;
        let text = serde_json::to_string(&at).context("writing a checkpoint")?;
        disk::replace(&path, text.as_bytes())?;
        context.progress.report(at.step, fake.steps, format_args!("state {}", &at.state[..4]));
    }
    for file in 0..fake.files {
        let folder = context.out.join(format!("part-{}", file % 2));
        disk::create_dirs(&folder)?;
        let lines = (0..50).map(|line| digest(&[&at.state, &format!("{file}.{line}")]) + "\n");
        disk::write(&folder.join(format!("{file}.txt")), lines.collect::<String>().as_bytes())?;
    }
    Ok(())
}

/// A digest of the key and of every byte of the inputs.
fn start(task: &Task, context: &StageContext) -> Result<String> {
    let mut state = digest(&[&task.key]);
    for (role, folder) in &context.inputs {
        state = digest(&[&state, role, &Manifest::of(folder)?.text()]);
    }
    Ok(state)
}

fn digest(parts: &[&str]) -> String {
    blake3::hash(parts.join("\0").as_bytes()).to_hex()[..32].to_owned()
}

/// Ends as this attempt is told to; the work folder counts the attempts.
fn misbehave(fake: &Fake, task: &Task, context: &StageContext) -> Result<()> {
    if fake.moody {
        let now = format!("{:?}", std::time::SystemTime::now());
        disk::write(&context.out.join("mood.txt"), now.as_bytes())?;
    }
    if let Some(role) = &fake.robs {
        let mark = context.work.join("robbed");
        if !mark.exists() {
            disk::write(&mark, b"")?;
            let payload = context.input(role);
            disk::remove_dir(payload.parent().expect("a payload lies in its artifact"))?;
            return Err(Error::new(format!("the {role} is gone")));
        }
    }
    let path = context.work.join("attempts");
    let attempt = std::fs::read(&path).map_or(0, |text| text.len());
    let Some(end) = fake.ends.get(attempt) else { return Ok(()) };
    disk::replace(&path, &vec![b'.'; attempt + 1])?;
    match end.as_str() {
        "error" => Err(Error::new("the loss is NaN at step 3").hint("lower the learning rate")),
        "memory" => Err(Error::new("CUDA out of memory. Tried to allocate 2.00 GiB")),
        "lost" => {
            // SAFETY: a plain system call on this very process.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            Ok(())
        }
        _ => panic!("a bug in {}", task.key),
    }
}

/// A runs.csv with a row a file of every task, in plan order.
fn report(
    results: &Path,
    store: &Store,
    plan: &Plan,
    _charts: &[(String, Chart)],
) -> Result<Vec<PathBuf>> {
    let mut text = String::from("key,file,checksum\n");
    for task in &plan.tasks {
        if store.exists(&task.key) {
            for (file, sum) in Manifest::of(&store.payload(&task.key))?.0 {
                text += &format!("{},{file},{sum}\n", task.key);
            }
        }
    }
    let path = results.join("runs.csv");
    disk::replace(&path, text.as_bytes())?;
    Ok(vec![path])
}
