//! The child's side: one task of a frozen plan, in a process of its own.
//!
//! Standard output carries progress, a JSON object a line; the last line says
//! what went wrong. Standard error is the log.

use super::dispatch::Executor;
use super::{device, exit, machine};
use crate::error::{Context, Error, Result};
use crate::plan::{Plan, Task};
use crate::stage::{Line, Progress, StageContext};
use crate::store::{Checker, Held, Input, Look, Record, Store, disk, manifest};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

/// What a worker is started with.
pub struct Order<'a> {
    /// The frozen plan.
    pub plan: &'a Plan,
    /// Which of its tasks.
    pub index: usize,
    /// Where artifacts live.
    pub store: &'a Store,
    /// Where tensors live.
    pub device: tch::Device,
    /// How the device is named in keys and records.
    pub label: &'a str,
    /// The commit to record.
    pub commit: &'a str,
}

/// Does the task, and says how it went as a process exit code.
pub fn work(order: &Order, executor: &Executor) -> u8 {
    let Some(task) = order.plan.tasks.get(order.index) else {
        return tell(&Error::spec(format!("the plan has no task {}", order.index)));
    };
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| make(order, task, executor)));
    match done {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => tell(&error),
        Err(panic) => {
            // The panic hook has already written place and text to the log.
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("a panic without a text");
            let first = text.lines().next().unwrap_or_default();
            match tell(&Error::new(first)) {
                exit::MEMORY => exit::MEMORY,
                _ => exit::BUG,
            }
        }
    }
}

/// Writes an error to log and parent, and finds its exit code.
fn tell(error: &Error) -> u8 {
    let message = error.to_string();
    tracing::error!("{message}");
    let hint = error.hint_text().or_else(|| is_full(&message).then_some(disk::MAKE_ROOM));
    Line::Error { error: message.clone(), hint: hint.map(str::to_owned) }.tell();
    if is_memory(&message) { exit::MEMORY } else { error.exit_code() }
}

/// Whether an error says that there is no room on the disk.
fn is_full(message: &str) -> bool {
    ["No space left on device", "Disk quota exceeded"].iter().any(|words| message.contains(words))
}

/// Whether an error says that memory ran out: what may heal when others are done.
fn is_memory(message: &str) -> bool {
    let message = message.to_lowercase();
    let words =
        ["out of memory", "can't allocate", "cannot allocate", "not enough memory", "bad_alloc"];
    words.iter().any(|words| message.contains(words))
}

fn make(order: &Order, task: &Task, executor: &Executor) -> Result<u8> {
    let Order { store, .. } = order;
    let _in_use = store.in_use()?;
    let lock = match store.lock(&task.key)? {
        Held::Ours(lock) => lock,
        Held::Theirs(owner) => {
            tracing::info!("{} is being made by {owner}", task.key);
            return Ok(exit::BUSY);
        }
    };
    let inputs = inputs(store, task)?;
    let mut checker = Checker::new(store);
    if checker.settle_locked(&lock, &task.key, &inputs, Look::Quick)?.is_some() {
        Line::Found { found: true }.tell();
        return Ok(exit::DONE);
    }
    check_device(order, task)?;
    let draft = store.begin(lock, &task.key, inputs)?;
    let threads = i32::try_from(task.threads.max(1)).context("counting threads")?;
    tch::set_num_threads(threads);
    let context = StageContext {
        inputs: task.inputs.iter().map(|(role, key)| (role.clone(), store.payload(key))).collect(),
        out: draft.out(),
        work: draft.work(),
        replies: store.replies(),
        device: order.device,
        progress: Progress::default(),
    };
    tracing::info!("{} on {} with {threads} threads", task.key, device::name(order.device));
    let start = Instant::now();
    (executor.stage)(task.stage)(task, &context)?;
    let record = draft.commit(Record {
        stage: task.stage,
        version: task.stage.version(),
        key: String::new(),
        checksum: String::new(),
        files: 0,
        bytes: 0,
        finished: String::new(),
        wall_s: (start.elapsed().as_secs_f64() * 1e3).round() / 1e3,
        peak_gib: machine::peak_gib(),
        device: order.label.to_owned(),
        threads: task.threads,
        prefab: env!("CARGO_PKG_VERSION").into(),
        commit: order.commit.to_owned(),
        libtorch: device::libtorch_version(),
        inputs: BTreeMap::new(),
        settings: manifest::table_of(&task.settings),
    })?;
    tracing::info!("{} done in {} s, {} files", task.key, record.wall_s, record.files);
    Ok(exit::DONE)
}

/// Whether the bits that come out here are those that the key stands for.
fn check_device(order: &Order, task: &Task) -> Result<()> {
    let planned = task.settings.get("machine").and_then(|machine| machine["device"].as_str());
    match planned.filter(|planned| *planned != order.label) {
        None => Ok(()),
        Some(planned) => Err(Error::spec(format!(
            "{} was planned for `{planned}`, and this is `{}`",
            task.key, order.label
        ))
        .hint("plan again on this machine, without `--reuse-across-devices`")),
    }
}

/// The checksums that the inputs have now, by role.
///
/// # Errors
///
/// If one of them does not exist.
pub fn inputs(store: &Store, task: &Task) -> Result<BTreeMap<String, Input>> {
    let input = |(role, key): (&String, &String)| {
        let record = Record::load(&store.folder(key))?;
        Ok((role.clone(), Input { key: key.clone(), checksum: record.checksum }))
    };
    task.inputs.iter().map(input).collect()
}
