//! Real stages under faults: whatever fails or is killed, running again ends at the same bytes,
//! and nothing is damaged.
//!
//! `short_…` are run by `just test-slow-short`, in CI; all by `just test-slow`.

use crate::support::fault::Fault;
use crate::support::real::{BASE, SMALL, rooted};
use crate::support::{Project, assert_code, stderr, workers};
use prefab::plan::{Plan, Stage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use std::thread::sleep;
use std::time::Duration;

/// A project that has been run to its end, and everything that must come out again.
fn finished(spec: &str) -> (Project, BTreeMap<String, String>) {
    let project = Project::real(&rooted(spec));
    assert_code(&project.run(&["-j2"]), 0);
    project.assert_tidy();
    let outcome = project.outcome();
    (project, outcome)
}

// ---- one stage, its worker started directly ---------------------------------------------------

/// A task of a finished project, to be done again and again.
struct Task<'a> {
    project: &'a Project,
    index: usize,
    key: String,
}

impl<'a> Task<'a> {
    fn new(project: &'a Project, stage: Stage) -> Self {
        let plan: Plan = serde_json::from_str(&project.table("plan.json")).unwrap();
        let index = plan.tasks.iter().position(|task| task.stage == stage).unwrap();
        Self { project, index, key: plan.tasks[index].key.clone() }
    }

    /// Does the task from nothing, under a fault.
    fn under(&self, fault: &Fault) -> Output {
        for part in ["store", "work", "locks"] {
            let path = self.project.path(&format!(".prefab/{part}/{}", self.key));
            let _ = fs::remove_file(&path);
            let _ = fs::remove_dir_all(&path);
        }
        self.run(&fault.env())
    }

    fn run(&self, env: &[(&str, &str)]) -> Output {
        let index = self.index.to_string();
        let arguments = ["job", "results/sweep/plan.json", &index, "--label", "cpu"];
        let mut command = self.project.command(&arguments);
        command.envs([("OMP_NUM_THREADS", "1"), ("RAYON_NUM_THREADS", "1")]);
        command.envs(env.iter().copied()).output().unwrap()
    }

    /// The checksums of its payload.
    fn payload(&self) -> String {
        let file = self.project.path(&format!(".prefab/store/{}/payload.b3", self.key));
        fs::read_to_string(file).unwrap()
    }
}

/// A fault at each operation of a stage's worker, or at `most` of them, evenly spread.
fn stage_under_faults(spec: &str, stage: Stage, most: u64) {
    let (project, expected) = finished(spec);
    let folder = project.dir.path();
    let task = Task::new(&project, stage);
    let payload = task.payload();
    let count = Fault::new(folder, "job", "count", 0);
    assert_code(&task.under(&count), 0);
    let total = count.seen();
    assert!(total > 20, "{stage}: {total} operations");
    assert_eq!(task.payload(), payload);
    for at in (0..total).step_by(total.div_ceil(most) as usize) {
        for mode in ["fail", "kill"] {
            let fault = Fault::new(folder, "job", mode, at);
            let output = task.under(&fault);
            let what = format!("{mode} at {at} of {total} of {stage}: {}", stderr(&output));
            assert!(fault.is_hit(), "{what}");
            let said = String::from_utf8_lossy(&output.stdout);
            match output.status.code() {
                // Tidying up may fail without harm.
                Some(0) => {}
                Some(3) => {
                    assert!(!said.contains("No space") || said.contains("make room"), "{said}")
                }
                Some(code) => panic!("exit code {code}: {what}"),
                None => assert_eq!(output.status.signal(), Some(libc::SIGKILL), "{what}"),
            }
            let again = task.run(&[]);
            assert_eq!(again.status.code(), Some(0), "{what}\nagain: {}", stderr(&again));
            assert!(!stderr(&again).contains("damaged"), "{what}\nagain: {}", stderr(&again));
            assert_eq!(task.payload(), payload, "{what}");
        }
    }
    assert_code(&project.run(&["-j2"]), 0);
    assert_eq!(project.outcome(), expected);
    project.assert_tidy();
}

#[test]
#[ignore = "slow: just test-slow"]
fn slow_every_operation_of_a_policy_may_fail_or_be_the_last() {
    stage_under_faults(SMALL, Stage::Policy, u64::MAX);
}

#[test]
#[ignore = "slow: just test-slow"]
fn slow_operations_of_a_base_may_fail_or_be_the_last() {
    stage_under_faults(BASE, Stage::Base, 40);
}

#[test]
#[ignore = "slow: just test-slow"]
fn slow_operations_of_the_other_stages_may_fail_or_be_the_last() {
    use Stage::{Answers, Candidates, Corpus, Features, Pairs, Reference, Scores};
    for stage in [Corpus, Features, Candidates, Pairs, Reference, Answers, Scores] {
        stage_under_faults(SMALL, stage, 12);
    }
}

#[test]
#[ignore = "slow: just test-slow-short"]
fn short_operations_of_a_policy_may_fail_or_be_the_last() {
    stage_under_faults(SMALL, Stage::Policy, 12);
}

/// Rounded at random, by numbers that a process draws for itself alone.
#[test]
#[ignore = "slow: just test-slow-short"]
fn short_moments_in_bf16_go_on_to_the_same_bytes() {
    let narrow = SMALL.replace("[train]\n", "[train]\nmoments = \"bf16\"\nkeep = \"best\"\n");
    assert_ne!(narrow, SMALL);
    stage_under_faults(&narrow, Stage::Policy, 6);
}

// ---- a whole run ------------------------------------------------------------------------------

/// One fault somewhere in a run, parent and workers together.
fn run_under_fault(mode: &str, at: u64, expected: &BTreeMap<String, String>) {
    let project = Project::real(&rooted(SMALL));
    let fault = Fault::new(project.dir.path(), "", mode, at);
    let first = project.run_with(&["-j2"], &fault.env());
    let what = format!("{mode} at {at}: {}", stderr(&first));
    if mode == "full" {
        assert_eq!(first.status.code(), Some(3), "{what}");
        assert!(what.contains("make room"), "{what}");
    }
    assert!(!matches!(first.status.code(), Some(1 | 2)), "{what}");
    let again = project.run(&["-j2"]);
    assert_eq!(again.status.code(), Some(0), "{what}\nagain: {}", stderr(&again));
    assert!(!stderr(&again).contains("damaged"), "{what}\nagain: {}", stderr(&again));
    assert_eq!(project.outcome(), *expected, "{what}");
    project.assert_tidy();
}

fn run_under_faults(seed: u64, times: usize) {
    let (_, expected) = finished(SMALL);
    let counted = Project::real(&rooted(SMALL));
    let count = Fault::new(counted.dir.path(), "", "count", 0);
    assert_code(&counted.run_with(&["-j2"], &count.env()), 0);
    let total = count.seen();
    assert!(total > 400, "{total} operations");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for mode in ["kill", "fail", "full"] {
        for _ in 0..times {
            run_under_fault(mode, random.random_range(0..total * 9 / 10), &expected);
        }
    }
}

#[test]
#[ignore = "slow: just test-slow"]
fn slow_any_operation_of_a_run_may_fail_or_be_the_last() {
    run_under_faults(1, 8);
}

#[test]
#[ignore = "slow: just test-slow-short"]
fn short_any_operation_of_a_run_may_fail_or_be_the_last() {
    run_under_faults(2, 1);
}

// ---- kills at random moments ------------------------------------------------------------------

/// Kills parent or worker one to four times, at random moments, then runs to the end.
fn killed_at_random(seed: u64, times: usize) {
    let (_, expected) = finished(SMALL);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut hits = 0;
    for round in 0..times {
        let project = Project::real(&rooted(SMALL));
        for _ in 0..random.random_range(1..=4) {
            let mut run = project.start(&["-j2"]);
            sleep(Duration::from_millis(random.random_range(0..6000)));
            let mut victims = workers(project.dir.path());
            victims.push(run.id() as i32);
            let victim = victims[random.random_range(0..victims.len())];
            if run.try_wait().unwrap().is_none() {
                // SAFETY: a signal to a process that this test started.
                hits += usize::from(unsafe { libc::kill(victim, libc::SIGKILL) } == 0);
            }
            run.wait().unwrap();
        }
        let last = project.run(&["-j2"]);
        assert_eq!(last.status.code(), Some(0), "round {round}: {}", stderr(&last));
        assert!(!stderr(&last).contains("damaged"), "round {round}: {}", stderr(&last));
        assert_eq!(project.outcome(), expected, "round {round}");
        project.assert_tidy();
    }
    assert!(hits > 0, "every run was over before its kill");
}

#[test]
#[ignore = "slow: just test-slow"]
fn slow_kills_at_any_moment_change_nothing() {
    killed_at_random(3, 20);
}

#[test]
#[ignore = "slow: just test-slow-short"]
fn short_kills_at_any_moment_change_nothing() {
    killed_at_random(4, 3);
}
