//! What is seen of a run: on a terminal a line a running task and one for the
//! whole, else a plain line every tenth of a task. All of it on standard error.

use super::process::Line;
use super::state::{Board, State};
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
    begun: Instant,
    /// The part of the stage that is under way: how long it is, when and where it began.
    total: u64,
    since: Instant,
    first: u64,
    tenths: u64,
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
        bar.set_style(style("{prefix:32!}  {pos}/{len}  {msg}  eta {eta}"));
        bar.set_prefix(title.clone());
        let now = Instant::now();
        let shown = Shown { title, bar, begun: now, total: 0, since: now, first: 0, tenths: 0 };
        self.tasks.insert(index, shown);
    }

    pub(super) fn hear(&mut self, index: usize, line: &Line) {
        let (Some(task), Line::Progress { done, total, note }) = (self.tasks.get_mut(&index), line)
        else {
            return;
        };
        if *total != task.total || *done < task.bar.position() {
            // A stage of several parts counts each anew; a resumed one does not begin at 0.
            (task.total, task.first, task.since) = (*total, *done, Instant::now());
            task.tenths = done * 10 / (*total).max(1);
            task.bar.reset_eta();
        }
        task.bar.set_length(*total);
        task.bar.set_position(*done);
        task.bar.set_message(note.clone());
        let tenths = done * 10 / (*total).max(1);
        if self.terminal.is_none() && tenths > task.tenths {
            task.tenths = tenths;
            let passed = task.since.elapsed().as_secs_f64();
            let worked = done.saturating_sub(task.first).max(1) as f64;
            let eta_s = passed * total.saturating_sub(*done) as f64 / worked;
            say(&format!("{}  {done}/{total}  {note}  eta {}", task.title, duration(eta_s)));
        }
    }

    pub(super) fn end(&mut self, index: usize, title: &str, state: &State) {
        let Some(task) = self.tasks.remove(&index) else { return };
        task.bar.finish_and_clear();
        if let Some((lines, _)) = &self.terminal {
            lines.remove(&task.bar);
        } else if matches!(state, State::Done { .. }) {
            say(&format!("{title}  done in {}", duration(task.begun.elapsed().as_secs_f64())));
        }
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

/// Seconds as people say them: `4.2 s`, `3 min 20 s`, `2 h 05 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}
