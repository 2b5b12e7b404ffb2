//! The loop that works off a plan: looks at what exists, starts workers on what
//! does not, hears them, and ends them on a signal.

use super::process::{Worker, Workers};
use super::progress::{Display, say};
use super::state::{Board, End, State};
use super::{Options, exit, machine, results, worker};
use crate::error::{Context, Error, Result};
use crate::plan::{Plan, Task};
use crate::stage::Line;
use crate::store::{Checker, Look, Record, Store};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Something happened.
#[derive(Debug)]
pub enum Event {
    /// A worker wrote a line.
    Heard(usize, Line),
    /// A worker ended.
    Exited {
        /// Its task.
        index: usize,
        /// How.
        status: ExitStatus,
        /// Its largest memory.
        peak_gib: f64,
    },
    /// The checker looked at a task.
    Looked(usize, Result<Looked>),
    /// Someone wants the run to stop.
    Signal,
}

/// What the checker says about a task whose inputs exist.
#[derive(Debug)]
pub enum Looked {
    /// Its artifact is there.
    Fresh(Box<Record>),
    /// It must be made, and its inputs are whole.
    Build,
    /// These inputs were damaged or stale, and have been set aside.
    Broken(Vec<String>),
}

/// How often the clock is looked at when nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// Listens for signals until dropped.
#[derive(Debug)]
pub struct Signals(signal_hook::iterator::Handle);

impl Signals {
    /// Turns the first signal into an event. A second one, or one that comes when nobody
    /// hears events any more (while the report is written), ends the process.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn listen(told: Sender<Event>) -> Result<Self> {
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])
            .context("listening for signals")?;
        let handle = signals.handle();
        std::thread::spawn(move || {
            for (count, _) in signals.forever().enumerate() {
                if told.send(Event::Signal).is_err() || count > 0 {
                    std::process::exit(exit::INTERRUPTED.into());
                }
            }
        });
        Ok(Self(handle))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Works until all is done, nothing can go on, or a signal comes. True if it was a signal.
///
/// # Errors
///
/// If the store or the tables cannot be written.
pub fn work_off(
    board: &mut Board,
    store: &Store,
    workers: &Workers,
    options: &Options,
    (send, events): (Sender<Event>, Receiver<Event>),
) -> Result<bool> {
    let (ask, asked) = channel();
    let (plan, looked) = (board.plan, send.clone());
    std::thread::scope(|scope| {
        scope.spawn(move || look_after(plan, store, &asked, &looked));
        let display = Display::new(board, options.workers);
        let mut pool = Pool {
            board,
            store,
            workers,
            options,
            ask,
            send,
            running: BTreeMap::new(),
            display,
            stopping: false,
        };
        let ended = pool.run(&events);
        for (index, (worker, _)) in &pool.running {
            worker.kill();
            pool.board.entries[*index].state = State::Waiting;
        }
        ended
    })
}

/// The checker's thread: answers every question until nobody can ask any more.
fn look_after(plan: &Plan, store: &Store, asked: &Receiver<usize>, answer: &Sender<Event>) {
    let mut checker = Checker::new(store);
    for index in asked {
        let _ = answer.send(Event::Looked(index, look_at(&mut checker, store, &plan.tasks[index])));
    }
}

fn look_at(checker: &mut Checker, store: &Store, task: &Task) -> Result<Looked> {
    // An input without a record is as damaged as one with wrong bytes.
    if let Ok(inputs) = worker::inputs(store, task)
        && let Some(record) = checker.settle(&task.key, &inputs, Look::Quick)?
    {
        store.tidy(&task.key)?;
        return Ok(Looked::Fresh(Box::new(record)));
    }
    let mut broken = Vec::new();
    for key in task.inputs.values() {
        // What an input was made from is not in question here: only its own bytes.
        let made_from =
            Record::load(&store.folder(key)).map(|record| record.inputs).unwrap_or_default();
        if checker.settle(key, &made_from, Look::Full)?.is_none() {
            broken.push(key.clone());
        }
    }
    Ok(if broken.is_empty() { Looked::Build } else { Looked::Broken(broken) })
}

struct Pool<'a, 'b> {
    board: &'a mut Board<'b>,
    store: &'a Store,
    workers: &'a Workers,
    options: &'a Options,
    ask: Sender<usize>,
    send: Sender<Event>,
    running: BTreeMap<usize, (Worker, tch::Device)>,
    display: Display,
    stopping: bool,
}

impl Pool<'_, '_> {
    fn run(&mut self, events: &Receiver<Event>) -> Result<bool> {
        results::write(self.board, &self.options.results, self.workers)?;
        let mut written = Instant::now();
        loop {
            if !self.stopping {
                self.revisit();
                for index in self.board.promote() {
                    self.ask.send(index).expect("the checker listens as long as the pool lives");
                }
                self.start_workers()?;
            }
            let busy = |state: &State| match state {
                State::Looking | State::Running => true,
                State::Ready { .. } | State::Elsewhere => !self.stopping,
                _ => false,
            };
            if self.board.all(busy).is_empty() {
                return Ok(false);
            }
            match events.recv_timeout(TICK) {
                Ok(Event::Signal) => return Ok(true),
                Ok(event) => {
                    self.handle(event)?;
                    // Tables follow the work, but not every event of a large sweep.
                    if written.elapsed() > Duration::from_secs(1) {
                        results::write(self.board, &self.options.results, self.workers)?;
                        written = Instant::now();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("the pool holds a sender"),
            }
            self.display.whole(self.board);
        }
    }

    /// Looks whether another run has finished, or given up, what we wait for.
    fn revisit(&mut self) {
        for index in self.board.all(|state| *state == State::Elsewhere) {
            if !self.store.is_locked(&self.board.plan.tasks[index].key) {
                self.board.entries[index].state = State::Waiting;
            }
        }
    }

    /// Starts workers while places and threads are free, in plan order.
    fn start_workers(&mut self) -> Result<()> {
        let cores = machine::cores();
        let need = |task: &Task| task.threads.clamp(1, cores);
        let mut used: usize =
            self.running.keys().map(|index| need(&self.board.plan.tasks[*index])).sum();
        for index in self.board.all(|state| matches!(state, State::Ready { .. })) {
            let State::Ready { from, alone } = self.board.entries[index].state else { continue };
            let task = &self.board.plan.tasks[index];
            let full = self.running.len() >= self.options.workers || used + need(task) > cores;
            if full || from > Instant::now() || (alone && !self.running.is_empty()) {
                continue;
            }
            let device = self.least_used();
            let log = self.store.log(&task.key);
            let worker = self.workers.start(index, task.threads, device, &log, &self.send)?;
            self.running.insert(index, (worker, device));
            self.board.entries[index].state = State::Running;
            self.display.start(index, self.board.title(index));
            used += need(task);
            if alone {
                break;
            }
        }
        Ok(())
    }

    /// The device that the fewest workers are on.
    fn least_used(&self) -> tch::Device {
        let on = |device: &tch::Device| {
            self.running.values().filter(|(_, taken)| taken == device).count()
        };
        *self.options.devices.list.iter().min_by_key(|device| on(device)).expect("a device")
    }

    fn handle(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Heard(index, line) => {
                self.display.hear(index, &line);
                self.board.hear(index, &line);
            }
            Event::Looked(index, looked) => {
                self.looked(index, looked?);
                self.shed(index)?;
            }
            Event::Exited { index, status, peak_gib } => {
                self.running.remove(&index);
                self.exited(index, status, peak_gib);
                self.shed(index)?;
            }
            Event::Signal => unreachable!("a signal ends the loop"),
        }
        Ok(())
    }

    /// Weights that are not to be kept go when all that read them are done, `index` among them.
    fn shed(&self, index: usize) -> Result<()> {
        for input in self.board.inputs(index).filter(|input| self.board.has_served(*input)) {
            self.store.shed(&self.board.plan.tasks[input].key)?;
        }
        Ok(())
    }

    fn looked(&mut self, index: usize, looked: Looked) {
        match looked {
            Looked::Fresh(record) => {
                let entry = &mut self.board.entries[index];
                entry.record = Some(*record);
                entry.state = State::Done { cached: true };
            }
            Looked::Build => {
                self.board.entries[index].state =
                    State::Ready { from: Instant::now(), alone: false };
            }
            Looked::Broken(keys) => {
                self.board.entries[index].state = State::Waiting;
                for key in keys {
                    if let Some(input) = self.board.task_of(&key) {
                        self.board.reset(input);
                    }
                }
            }
        }
    }

    fn exited(&mut self, index: usize, status: ExitStatus, peak_gib: f64) {
        let task = &self.board.plan.tasks[index];
        let key = &task.key;
        let log = self.store.log(key);
        let mut record = None;
        let (mut end, mut how) = match (status.code().map(|code| code as u8), status.signal()) {
            (Some(exit::DONE), _) => match Record::load(&self.store.folder(key)) {
                Ok(found) => {
                    record = Some(found);
                    (End::Done, String::new())
                }
                Err(error) => (End::Failed, format!("left no artifact: {error}")),
            },
            (Some(exit::BUSY), _) => (End::Busy, "is made by another run".into()),
            (Some(exit::MEMORY), _) => (End::Memory, "ran out of memory".into()),
            (Some(code), _) => (End::Failed, format!("ended with exit code {code}")),
            (None, Some(libc::SIGKILL | libc::SIGTERM | libc::SIGHUP | libc::SIGINT)) => {
                (End::Lost, "was killed".into())
            }
            (None, Some(libc::SIGABRT)) if ran_out_of_memory(&log) => {
                (End::Memory, "ran out of memory".into())
            }
            (None, signal) => (End::Failed, format!("crashed (signal {})", signal.unwrap_or(0))),
        };
        // Another run may have taken an input away from under the worker.
        let is_whole =
            |key| !self.store.is_shed(key) && Record::load(&self.store.folder(key)).is_ok();
        if end == End::Failed && !task.inputs.values().all(|key| is_whole(key)) {
            (end, how) = (End::Bereft, "lost an input that another run took away".into());
        }
        self.board.entries[index].record = record;
        self.board.ended(index, end, &how, peak_gib);
        if end == End::Busy {
            let owner = self.store.owner(key).map(|owner| format!(", {owner}")).unwrap_or_default();
            say(&format!("{}  is made by another run{owner}; waiting", self.board.title(index)));
        }
        self.display.end(index, self.board);
        if let State::Failed(message, _) = &self.board.entries[index].state {
            let title = self.board.title(index);
            let error = Error::new(message.clone()).context(title);
            tracing::error!("{error} (log: {})", log.display());
            self.stopping |= !self.options.keep_going;
        }
    }
}

/// Whether a worker's last words are those of Rust's allocator, which aborts.
fn ran_out_of_memory(log: &Path) -> bool {
    let text = std::fs::read(log).unwrap_or_default();
    let end = &text[text.len().saturating_sub(2000)..];
    String::from_utf8_lossy(end).contains("memory allocation of ")
}
