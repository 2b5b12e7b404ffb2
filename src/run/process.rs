//! Starting, hearing and ending worker processes.

use super::pool::Event;
use super::{device, machine};
use crate::error::{Context, Result};
use crate::kernel::exact::CUBLAS;
use crate::store::disk;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;

/// What every worker of a run is started with.
#[derive(Clone, Debug)]
pub struct Workers {
    /// The frozen plan's file.
    pub plan: PathBuf,
    /// The store's folder.
    pub store: PathBuf,
    /// How the device is named in keys.
    pub label: String,
    /// The commit to record.
    pub commit: String,
    /// Whether the stages only pretend.
    pub fake: bool,
}

/// A worker that was started. Its end comes as an [`Event::Exited`].
#[derive(Debug)]
pub struct Worker {
    pid: libc::pid_t,
}

impl Workers {
    /// Starts a worker on one task. It dies with this thread: the caller must
    /// outlive its workers.
    ///
    /// # Errors
    ///
    /// If no process can be made.
    pub fn start(
        &self,
        index: usize,
        threads: usize,
        on: tch::Device,
        log: &Path,
        events: &Sender<Event>,
    ) -> Result<Worker> {
        let doing = || format!("starting a worker (log `{}`)", log.display());
        let opened = File::options().append(true).create(true).open(log);
        let log = disk::explain(opened, "starting a worker with the log", log)?;
        let threads = threads.max(1).to_string();
        // The file that is running now, even if another was built meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("prefab").arg("job").arg(&self.plan).arg(index.to_string());
        command.arg("--store").arg(&self.store).args(["--device", &device::name(on)]);
        command.args(["--label", &self.label, "--commit", &self.commit]);
        if self.fake {
            command.arg("--fake");
        }
        command.env("OMP_NUM_THREADS", &threads).env("RAYON_NUM_THREADS", &threads);
        // Threads that spin while they wait fall to a tenth of their speed once cores are shared.
        command.env("OMP_WAIT_POLICY", "passive");
        let (cublas, fixed) = CUBLAS;
        command.env(cublas, fixed);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let parent = std::process::id();
        // SAFETY: between fork and exec only system calls that are safe there.
        unsafe {
            command.pre_exec(move || {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                // A parent that died before the line above sends no signal.
                if libc::getppid() as u32 != parent {
                    return Err(io::Error::other("the parent is gone"));
                }
                // Ctrl-C is for the parent alone; it ends its workers itself.
                libc::setpgid(0, 0);
                Ok(())
            });
        }
        let mut child = command.spawn().with_context(doing)?;
        let pid = libc::pid_t::try_from(child.id()).context("reading a process id")?;
        let output = child.stdout.take().expect("standard output is piped");
        let (heard, ended) = (events.clone(), events.clone());
        let ears = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Ok(line) = serde_json::from_str(&line) {
                    let _ = heard.send(Event::Heard(index, line));
                }
            }
        });
        std::thread::spawn(move || {
            let (status, peak_gib) = wait(pid);
            // The last line, which says why, comes before the end.
            let _ = ears.join();
            let _ = ended.send(Event::Exited { index, status, peak_gib });
        });
        Ok(Worker { pid })
    }
}

impl Worker {
    /// Ends it at once; its checkpoints stay.
    pub fn kill(&self) {
        // SAFETY: the process is our child; until it is waited for, its id is not reused. After
        // that the pool has dropped this handle, or a stray id within one event's time is its own.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
    }
}

/// Waits for a child: its status, and its largest memory.
fn wait(pid: libc::pid_t) -> (ExitStatus, f64) {
    let mut status = 0;
    // SAFETY: zeroed plain structs, filled by the call.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers live through the call.
        let done = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
        if done == pid || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return (ExitStatus::from_raw(status), machine::gib_of_kib(usage.ru_maxrss as f64));
        }
    }
}
