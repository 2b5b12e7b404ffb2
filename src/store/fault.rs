//! Faults on purpose, for tests: the n-th write, sync or rename of a process
//! fails, or kills it.
//!
//! `PREFAB_FAULT=ROLE:N:fail|kill` names the process (`run`, or a worker's
//! stage: `policy`) and the operation, counted from 0. Debug builds only: a
//! release build never looks at the variable.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the chosen operation does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    /// Returns an error, as a full disk does.
    Fail,
    /// Ends the process at once, as a lost machine does.
    Kill,
}

/// The armed fault of this process, and how many operations it has seen.
static ARMED: OnceLock<Option<(u64, Mode)>> = OnceLock::new();
static SEEN: AtomicU64 = AtomicU64::new(0);

/// Says which role this process plays; arms the fault that is meant for it.
pub fn enter(role: &str) {
    if cfg!(debug_assertions) {
        ARMED.get_or_init(|| {
            let wanted = std::env::var("PREFAB_FAULT").ok()?;
            let mut parts = wanted.split(':');
            let mode = match (parts.next()? == role, parts.next()?.parse().ok()?, parts.next()?) {
                (true, at, "fail") => (at, Mode::Fail),
                (true, at, "kill") => (at, Mode::Kill),
                _ => return None,
            };
            Some(mode)
        });
    }
}

/// Whether the operation that is about to happen must go wrong half-way.
fn due() -> Option<Mode> {
    let (at, mode) = (*ARMED.get()?)?;
    (SEEN.fetch_add(1, Ordering::Relaxed) == at).then_some(mode)
}

/// Passes, fails or kills; `halfway` is what a torn operation leaves behind.
pub(super) fn point(what: &str, halfway: impl FnOnce()) -> io::Result<()> {
    match due() {
        None => Ok(()),
        Some(mode) => {
            halfway();
            if mode == Mode::Kill {
                // SAFETY: a plain system call on this very process.
                unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            }
            Err(io::Error::other(format!("fault injected at a {what}")))
        }
    }
}
