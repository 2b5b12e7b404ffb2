//! What this machine has: cores, memory in use, disk, the commit it stands at.

use std::path::Path;
use std::process::Command;

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Largest resident memory that this process has had.
pub fn peak_gib() -> f64 {
    // `ru_maxrss` of a forked process starts at its parent's; VmHWM is its own.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
    gib_of_kib(kib.unwrap_or(0.0))
}

/// KiB as GiB, to three places.
pub(super) fn gib_of_kib(kib: f64) -> f64 {
    (kib / 1024.0 / 1024.0 * 1e3).round() / 1e3
}

/// The commit that the working folder stands at, with `-dirty` where a tracked file outside of
/// `results/` differs from it: results are written by runs, never read. `unknown` outside of a
/// repository.
pub fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    let Some(commit) = git(&["describe", "--always"]).filter(|text| !text.is_empty()) else {
        return "unknown".into();
    };
    let changed =
        ["status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)results"];
    match git(&changed) {
        Some(changes) if changes.is_empty() => commit,
        _ => commit + "-dirty",
    }
}

/// Bytes that may still be written below `path`.
pub fn free_bytes(path: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: a C string in, a plain struct out, read only if the call succeeded.
    unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &mut stat) == 0).then(|| stat.f_bavail * stat.f_frsize)
    }
}

/// Keeps freed tensors in the process, and so their pages: glibc gives large
/// blocks back at once by default, and every tensor pays for fresh pages.
/// To be called first thing in `main`.
pub fn tune_allocator() {
    // SAFETY: sets two numbers of the allocator, before any thread exists.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}
