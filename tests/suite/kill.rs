//! Kill the parent, kill a worker, let writes, syncs and renames fail: after
//! running again, everything is as if nothing had happened. Stages only pretend
//! here; `faults.rs` does the same to real ones.

use crate::support::fault::Fault;
use crate::support::{Project, assert_code, stderr, undisturbed, workers};
use prefab::plan::Stage;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Slow enough to be hit.
fn slow(_: usize, _: Stage) -> Option<Value> {
    Some(json!({ "steps": 6, "sleep_ms": 4 }))
}

/// Kills whatever `victim` chooses at random times, then runs to the end.
fn killed_at_random(seed: u64, times: usize, victim: fn(&Project, i32) -> Option<i32>) {
    let expected = undisturbed(slow);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut hits = 0;
    for _ in 0..times {
        let project = Project::new();
        project.freeze(slow);
        for _ in 0..random.random_range(1..4) {
            let mut run = project.start(&["-j2"]);
            sleep(Duration::from_millis(random.random_range(0..900)));
            // A worker may be yet to come, and the run may be over.
            while run.try_wait().unwrap().is_none() {
                if let Some(pid) = victim(&project, run.id() as i32) {
                    // SAFETY: a signal to a process that this test started.
                    hits += usize::from(unsafe { libc::kill(pid, libc::SIGKILL) } == 0);
                    break;
                }
                sleep(Duration::from_millis(1));
            }
            run.wait().unwrap();
        }
        assert_code(&project.run(&["-j2"]), 0);
        assert_eq!(project.outcome(), expected);
        // What was killed while it wrote has been taken up or cleared away.
        project.assert_tidy();
    }
    assert!(hits > 0, "every run was over before its kill");
}

fn parent(_: &Project, run: i32) -> Option<i32> {
    Some(run)
}

fn worker(project: &Project, _: i32) -> Option<i32> {
    workers(project.dir.path()).first().copied()
}

#[test]
fn killing_the_parent_changes_nothing() {
    killed_at_random(1, 3, parent);
}

#[test]
fn killing_workers_changes_nothing() {
    killed_at_random(2, 3, worker);
}

#[test]
#[ignore = "slow: just test-slow"]
fn test_slow_killing_the_parent_many_times_changes_nothing() {
    killed_at_random(3, 60, parent);
}

#[test]
#[ignore = "slow: just test-slow"]
fn test_slow_killing_workers_many_times_changes_nothing() {
    killed_at_random(4, 60, worker);
}

#[test]
fn workers_die_with_their_parent() {
    let project = Project::new();
    project.freeze(|_, _| Some(json!({ "steps": 1000, "sleep_ms": 20 })));
    let mut run = project.start(&["-j2"]);
    until("a worker is started", || !workers(project.dir.path()).is_empty());
    run.kill().unwrap();
    run.wait().unwrap();
    until("no worker outlives its parent", || workers(project.dir.path()).is_empty());
}

/// Waits, on a busy machine too.
#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < limit, "waited in vain: {what}");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_signal_ends_the_run_with_130_and_running_again_goes_on() {
    let expected = undisturbed(slow);
    let project = Project::new();
    project.freeze(slow);
    let mut run = project.start(&["-j2"]);
    until("a worker is started", || !workers(project.dir.path()).is_empty());
    // SAFETY: a signal to a process that this test started.
    unsafe { libc::kill(run.id() as i32, libc::SIGINT) };
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert_code(&project.run(&["-j2"]), 0);
    assert_eq!(project.outcome(), expected);
}

/// One fault at an operation of the processes of a verb; false when there are fewer.
fn fault(role: &str, at: u64, mode: &str, expected: &BTreeMap<String, String>) -> bool {
    let project = Project::new();
    project.freeze(quick);
    let fault = Fault::new(project.dir.path(), role, mode, at);
    project.run_with(&["-j1", "--until", "corpus"], &fault.env());
    let again = project.run(&["-j1", "--until", "corpus"]);
    let at = format!("{mode} at {at} of {role}");
    assert_code(&again, 0);
    assert!(!stderr(&again).contains("is damaged"), "{at}: {}", stderr(&again));
    assert_eq!(outcome(&project), *expected, "{at}");
    project.assert_tidy();
    fault.is_hit()
}

fn quick(_: usize, _: Stage) -> Option<Value> {
    Some(json!({ "steps": 1, "sleep_ms": 0 }))
}

/// All but runs.csv: `--until` writes none.
fn outcome(project: &Project) -> BTreeMap<String, String> {
    std::fs::write(project.path("results/sweep/runs.csv"), "").unwrap();
    project.outcome()
}

/// Every fifth operation; `faults.rs` has all of them, of real stages.
fn faults(role: &str, mode: &str) {
    let undisturbed = Project::new();
    undisturbed.freeze(quick);
    assert_code(&undisturbed.run(&["-j1", "--until", "corpus"]), 0);
    let expected = outcome(&undisturbed);
    let hits = (0..).step_by(5).take_while(|at| fault(role, *at, mode, &expected)).count();
    assert!(hits > 5, "{role} did {hits} × 5 operations only");
}

#[test]
fn what_a_worker_does_to_files_may_fail() {
    faults("job", "fail");
}

#[test]
fn what_a_worker_does_to_files_may_be_its_last() {
    faults("job", "kill");
}

#[test]
fn what_a_run_does_to_files_may_be_its_last() {
    faults("run", "kill");
}
