//! Kill the parent, kill a worker, fail every write, sync and rename: after
//! running again, everything is as if nothing had happened.

mod support;

use prefab::plan::Stage;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::thread::sleep;
use std::time::{Duration, Instant};
use support::{Project, assert_code, stderr, undisturbed, workers};

/// Slow enough to be hit.
fn slow(_: usize, _: Stage) -> Option<Value> {
    Some(json!({ "steps": 6, "sleep_ms": 4 }))
}

/// Kills whatever `victim` chooses at random times, then runs to the end.
fn killed_at_random(seed: u64, times: usize, victim: fn(&Project, i32) -> Option<i32>) {
    let expected = undisturbed(slow);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..times {
        let project = Project::new();
        project.freeze(slow);
        for _ in 0..random.random_range(1..4) {
            let mut run = project.start(&["-j2"]);
            sleep(Duration::from_millis(random.random_range(0..900)));
            if let Some(pid) = victim(&project, run.id() as i32) {
                // SAFETY: a signal to a process that this test started.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
            run.wait().unwrap();
        }
        assert_code(&project.run(&["-j2"]), 0);
        assert_eq!(project.outcome(), expected);
        // What was killed while it wrote has been taken up or cleared away.
        project.assert_tidy();
    }
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
    let limit = Instant::now() + Duration::from_secs(30);
    while workers(project.dir.path()).is_empty() {
        assert!(Instant::now() < limit, "no worker was started");
        sleep(Duration::from_millis(10));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    while !workers(project.dir.path()).is_empty() {
        assert!(Instant::now() < limit, "a worker outlives its parent");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_signal_ends_the_run_with_130_and_running_again_goes_on() {
    let expected = undisturbed(slow);
    let project = Project::new();
    project.freeze(slow);
    let mut run = project.start(&["-j2"]);
    sleep(Duration::from_millis(400));
    // SAFETY: a signal to a process that this test started.
    unsafe { libc::kill(run.id() as i32, libc::SIGINT) };
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert_code(&project.run(&["-j2"]), 0);
    assert_eq!(project.outcome(), expected);
}

/// One fault at the `at`-th operation of a role; false when there are fewer.
fn fault(
    role: &str,
    at: usize,
    mode: &str,
    expected: &std::collections::BTreeMap<String, String>,
) -> bool {
    let project = Project::new();
    project.freeze(quick);
    let wanted = format!("{role}:{at}:{mode}");
    let output = project.run_with(&["-j1", "--until", "base"], &[("PREFAB_FAULT", &wanted)]);
    let hit = output.status.code() != Some(0) || stderr(&output).contains("will try again");
    let again = project.run(&["-j1", "--until", "base"]);
    assert_code(&again, 0);
    assert!(!stderr(&again).contains("is damaged"), "{wanted}: {}", stderr(&again));
    for (key, sum) in &outcome(&project) {
        assert_eq!(Some(sum), expected.get(key), "{wanted}: {key}");
    }
    assert_eq!(outcome(&project).len(), expected.len(), "{wanted}");
    project.assert_tidy();
    hit
}

fn quick(_: usize, _: Stage) -> Option<Value> {
    Some(json!({ "steps": 2, "sleep_ms": 0 }))
}

/// Payloads alone: `--until` writes no runs.csv.
fn outcome(project: &Project) -> std::collections::BTreeMap<String, String> {
    std::fs::write(project.path("results/sweep/runs.csv"), "").unwrap();
    project.outcome()
}

fn every_fault(role: &str, mode: &str) {
    let undisturbed = Project::new();
    undisturbed.freeze(quick);
    assert_code(&undisturbed.run(&["-j1", "--until", "base"]), 0);
    let expected = outcome(&undisturbed);
    let hits = (0..).take_while(|at| fault(role, *at, mode, &expected)).count();
    assert!(hits > 8, "{role} passed {hits} operations only");
}

#[test]
fn every_write_sync_and_rename_of_a_stage_may_fail() {
    every_fault("base", "fail");
}

#[test]
fn every_write_sync_and_rename_of_a_stage_may_be_the_last() {
    every_fault("base", "kill");
}

#[test]
fn every_write_sync_and_rename_of_a_run_may_be_the_last() {
    every_fault("run", "kill");
}
