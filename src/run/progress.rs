//! What is seen of a run: on a terminal a line a running task and one for the
//! whole, else a plain line every tenth of a task and one for each that is done.
//! All of it on standard error.

use super::state::{Board, State};
use crate::report::number::duration;
use crate::stage::Line;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The lines on the terminal, so that log lines can be written above them.
static LINES: OnceLock<MultiProgress> = OnceLock::new();
static QUIET: AtomicBool = AtomicBool::new(false);

/// A log writer that does not tear the progress lines.
#[derive(Debug, Default)]
pub struct Talk;

impl Write for Talk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match LINES.get() {
            Some(lines) => lines.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Sets up logs on standard error: warnings and what `PREFAB_LOG` names, or errors alone.
pub fn start_logs(quiet: bool, default: &str) {
    QUIET.store(quiet, Ordering::Relaxed);
    let wanted = std::env::var("PREFAB_LOG").unwrap_or_else(|_| default.into());
    let filter = if quiet { "error".to_owned() } else { wanted };
    let started = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(|| Talk)
        .with_target(false)
        .without_time()
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .try_init();
    if started.is_err() {
        tracing::debug!("logs were set up already");
    }
}

/// The lines of one run.
#[derive(Debug)]
pub(super) struct Display {
    terminal: Option<(&'static MultiProgress, ProgressBar)>,
    tasks: HashMap<usize, Shown>,
    workers: usize,
}

#[derive(Debug)]
struct Shown {
    title: String,
    bar: ProgressBar,
    since: Instant,
    pace: Pace,
}

/// How fast one phase of a task goes: a stage may count pictures, then steps, and a resumed
/// one starts in the middle.
#[derive(Clone, Copy, Debug)]
struct Pace {
    start: Instant,
    /// What was done when the phase was first heard of.
    first: u64,
    done: u64,
    total: u64,
    tenths: u64,
}

impl Pace {
    /// Nothing heard yet.
    fn new(start: Instant) -> Self {
        Self { start, first: 0, done: 0, total: 0, tenths: 0 }
    }

    /// Hears how far the task is.
    fn hear(&mut self, done: u64, total: u64, now: Instant) {
        if total != self.total || done < self.done {
            // The first step of a task that starts at its beginning counts from the start.
            let is_start = self.total == 0 && done <= 1;
            let (start, first) = if is_start { (self.start, 0) } else { (now, done) };
            *self = Self { start, first, done, total, tenths: 10 * first / total.max(1) };
        }
        self.done = done;
    }

    /// Seconds that the rest of the phase will take; none before something was done.
    fn eta_s(&self, now: Instant) -> Option<f64> {
        let worked = self.done.saturating_sub(self.first);
        let passed = now.duration_since(self.start).as_secs_f64();
        let left = self.total.saturating_sub(self.done) as f64;
        (worked > 0).then(|| passed * left / worked as f64)
    }

    /// Whether another tenth of the phase is done since this was last asked.
    fn is_another_tenth(&mut self) -> bool {
        let tenths = 10 * self.done / self.total.max(1);
        let is_more = tenths > self.tenths;
        self.tenths = self.tenths.max(tenths);
        is_more
    }
}

impl Display {
    pub(super) fn new(board: &Board, workers: usize) -> Self {
        let on = io::stderr().is_terminal() && !QUIET.load(Ordering::Relaxed);
        let terminal = on.then(|| {
            let lines = LINES.get_or_init(|| {
                MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(5))
            });
            let total = board.all(|state| *state != State::Outside).len() as u64;
            let bar = lines.add(ProgressBar::new(total));
            bar.set_style(style("{bar:24} {pos}/{len} stages  {elapsed}  {msg}"));
            bar.enable_steady_tick(Duration::from_secs(1));
            (lines, bar)
        });
        Self { terminal, tasks: HashMap::new(), workers }
    }

    pub(super) fn start(&mut self, index: usize, title: String) {
        let bar = match &self.terminal {
            Some((lines, whole)) => lines.insert_before(whole, ProgressBar::new(1)),
            None => ProgressBar::hidden(),
        };
        bar.set_style(style("{prefix:32!}  {pos}/{len}  {msg}"));
        bar.set_prefix(title.clone());
        let since = Instant::now();
        self.tasks.insert(index, Shown { title, bar, since, pace: Pace::new(since) });
    }

    pub(super) fn hear(&mut self, index: usize, line: &Line) {
        let (Some(task), Line::Progress { done, total, note }) = (self.tasks.get_mut(&index), line)
        else {
            return;
        };
        let now = Instant::now();
        task.pace.hear(*done, *total, now);
        let eta =
            task.pace.eta_s(now).map(|s| format!("  eta {}", duration(s))).unwrap_or_default();
        if self.terminal.is_some() {
            task.bar.set_length(*total);
            task.bar.set_position(*done);
            task.bar.set_message(format!("{note}{eta}"));
        } else if task.pace.is_another_tenth() {
            say(&format!("{}  {done}/{total}  {note}{eta}", task.title));
        }
    }

    pub(super) fn end(&mut self, index: usize, board: &Board) {
        let Some(task) = self.tasks.remove(&index) else { return };
        task.bar.finish_and_clear();
        if let Some((lines, _)) = &self.terminal {
            lines.remove(&task.bar);
        } else if matches!(board.entries[index].state, State::Done { .. }) {
            let took = duration(task.since.elapsed().as_secs_f64());
            say(&format!("{}  done in {took}  ({})", board.title(index), self.far(board)));
        }
    }

    /// How far the whole is: `12 of 61 stages, eta 20 min 05 s`.
    fn far(&self, board: &Board) -> String {
        let done = board.all(|state| matches!(state, State::Done { .. })).len();
        let total = board.all(|state| *state != State::Outside).len();
        let eta = board.rest_s(self.workers).filter(|_| done < total);
        let eta = eta.map(|s| format!(", eta {}", duration(s))).unwrap_or_default();
        format!("{done} of {total} stages{eta}")
    }

    pub(super) fn whole(&self, board: &Board) {
        if let Some((_, bar)) = &self.terminal {
            let done = board.all(|state| matches!(state, State::Done { .. })).len() as u64;
            bar.set_position(done);
            let mut message = board
                .rest_s(self.workers)
                .map(|s| format!("eta {}", duration(s)))
                .unwrap_or_default();
            let failed = board.all(|state| matches!(state, State::Failed(..))).len();
            if failed > 0 {
                message += &format!("  {failed} failed");
            }
            bar.set_message(message);
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some((lines, bar)) = &self.terminal {
            bar.finish_and_clear();
            lines.remove(bar);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is right")
}

/// A line of talk, unless `--quiet`.
pub fn say(line: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        let _ = writeln!(Talk, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_phase_counts_only_what_it_did_itself() {
        let start = Instant::now();
        let after = |s| start + Duration::from_secs(s);
        let mut pace = Pace::new(start);
        // Resumed at 40 of 100 after 5 s; 10 steps in the next 10 s: 50 s for the rest.
        pace.hear(40, 100, after(5));
        assert_eq!(pace.eta_s(after(5)), None);
        assert!(!pace.is_another_tenth());
        pace.hear(50, 100, after(15));
        assert_eq!(pace.eta_s(after(15)), Some(50.0));
        assert!(pace.is_another_tenth() && !pace.is_another_tenth());
        // Another phase starts anew.
        pace.hear(1, 10, after(20));
        pace.hear(2, 10, after(22));
        assert_eq!(pace.eta_s(after(22)), Some(16.0));
        assert!(pace.is_another_tenth());
    }
}
