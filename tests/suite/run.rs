//! Working off a plan: order, failure, retries, sharing, identity.

use crate::support::{Project, assert_code, stderr, undisturbed};
use prefab::plan::Stage;
use serde_json::json;
use std::fs;

#[test]
fn one_and_two_workers_give_the_same_bytes_and_a_second_run_does_nothing() {
    let project = Project::new();
    let plan = project.freeze(|_, _| None);
    assert_code(&project.run(&["-j1"]), 0);
    project.assert_tidy();
    let first = project.outcome();
    assert_eq!(first, undisturbed(|_, _| None));
    let again = project.run(&["-j1"]);
    assert_code(&again, 0);
    assert!(
        stderr(&again).contains(&format!("nothing to do, all {} stages", plan.tasks.len())),
        "{}",
        stderr(&again)
    );
    assert_eq!(project.outcome(), first);
}

#[test]
fn a_failed_stage_ends_in_exit_3_and_with_k_the_others_go_on() {
    // The first policy has a bug: 3 of its job's stages are not reached.
    let project = Project::new();
    let plan = project.freeze(|_, _| None);
    let first = plan.tasks.iter().position(|task| task.stage == Stage::Policy).unwrap();
    project.freeze(|index, _| (index == first).then(|| json!({ "ends": ["bug"] })));
    let output = project.run(&["-j2", "-k"]);
    assert_code(&output, 3);
    assert!(stderr(&output).contains("a bug in policy-"), "{}", stderr(&output));
    let stages = project.table("stages.csv");
    let count = |state: &str| stages.lines().filter(|line| line.contains(state)).count();
    assert_eq!((count(",failed,"), count(",blocked,")), (1, 2));
    assert_eq!(count(",done,"), plan.tasks.len() - 3);
    let jobs = project.table("jobs.csv");
    assert_eq!(jobs.lines().filter(|line| line.contains(",failed,")).count(), 1);
    assert_eq!(jobs.lines().filter(|line| line.contains(",done,")).count(), plan.jobs.len() - 1);
}

#[test]
fn without_k_nothing_new_starts_after_a_failure() {
    let project = Project::new();
    let corpus = project.freeze(|_, stage| {
        (stage == Stage::Base).then(|| json!({ "ends": ["error", "error", "error", "error"] }))
    });
    let output = project.run(&["-j2"]);
    assert_code(&output, 3);
    assert!(stderr(&output).contains("the loss is NaN at step 3"), "{}", stderr(&output));
    assert!(stderr(&output).contains("lower the learning rate"), "{}", stderr(&output));
    let done = project.table("stages.csv").lines().filter(|line| line.contains(",done,")).count();
    assert_eq!(done, 1, "the corpus alone of {}", corpus.tasks.len());
}

#[test]
fn a_nan_is_not_tried_again() {
    let project = Project::new();
    // Would end well at the second attempt.
    project.freeze(|_, stage| (stage == Stage::Corpus).then(|| json!({ "ends": ["error"] })));
    assert_code(&project.run(&[]), 3);
}

#[test]
fn lost_workers_and_full_memory_are_tried_again_twice_and_no_more() {
    let project = Project::new();
    project.freeze(|_, stage| match stage {
        Stage::Corpus => Some(json!({ "ends": ["lost", "memory"] })),
        Stage::Base => Some(json!({ "ends": ["memory"] })),
        _ => None,
    });
    let output = project.run(&["-j2"]);
    assert_code(&output, 0);
    assert!(stderr(&output).contains("was killed; will try again"), "{}", stderr(&output));
    assert!(stderr(&output).contains("ran out of memory; will try again"), "{}", stderr(&output));
    project.assert_tidy();

    let hopeless = Project::new();
    hopeless.freeze(|_, stage| {
        (stage == Stage::Corpus).then(|| json!({ "ends": ["lost", "lost", "lost"] }))
    });
    let output = hopeless.run(&["-j2"]);
    assert_code(&output, 3);
    assert!(stderr(&output).contains("was killed"), "{}", stderr(&output));
}

#[test]
fn a_damaged_artifact_is_named_set_aside_and_rebuilt() {
    let project = Project::new();
    let plan = project.freeze(|_, _| None);
    assert_code(&project.run(&["-j2"]), 0);
    let before = project.outcome();
    for stage in [Stage::Corpus, Stage::Scores] {
        let key = &plan.tasks.iter().find(|task| task.stage == stage).unwrap().key;
        let file = project.path(&format!(".prefab/store/{key}/payload/part-0/0.txt"));
        let mut bytes = fs::read(&file).unwrap();
        bytes[7] ^= 1;
        fs::write(&file, bytes).unwrap();
        let output = project.run(&["-j2"]);
        assert_code(&output, 0);
        let said = stderr(&output);
        assert!(said.contains(&format!("{key} is damaged: payload/part-0/0.txt")), "{said}");
        assert!(said.contains("1 stage done"), "only the damaged one is rebuilt: {said}");
        let aside = project.path(&format!(".prefab/store/damaged-{key}-0"));
        fs::remove_dir_all(aside).unwrap();
        assert_eq!(project.outcome(), before);
    }
}

#[test]
fn an_input_rebuilt_to_other_bytes_makes_its_readers_stale() {
    let project = Project::new();
    let plan = project.freeze(|_, stage| (stage == Stage::Pairs).then(|| json!({ "moody": true })));
    assert_code(&project.run(&["-j2"]), 0);
    let pairs = plan.tasks.iter().find(|task| task.stage == Stage::Pairs).unwrap();
    fs::remove_dir_all(project.path(&format!(".prefab/store/{}", pairs.key))).unwrap();
    let output = project.run(&["-j2"]);
    assert_code(&output, 0);
    let said = stderr(&output);
    assert!(said.contains("is stale: its input `pairs` was rebuilt to other bytes"), "{said}");
    // All that stands on the pairs: reference, and a policy, answers and scores for each of 4 jobs.
    assert!(said.contains(&format!("{} stages done", 2 + 3 * 4)), "{said}");
}

#[test]
fn two_runs_share_a_store() {
    let project = Project::new();
    let plan = project.freeze(|_, _| Some(json!({ "sleep_ms": 20 })));
    let mut other = project.start(&["-j2", "--name", "other"]);
    let output = project.run(&["-j2"]);
    assert_code(&output, 0);
    assert_eq!(other.wait().unwrap().code(), Some(0));
    project.assert_tidy();
    let done = |text: String| text.lines().filter(|line| line.contains(",done,")).count();
    assert_eq!(done(project.table("stages.csv")), plan.tasks.len());
    let cached = |name: &str| {
        let text = fs::read_to_string(project.path(name)).unwrap();
        text.lines().filter(|line| line.contains(",done,true,")).count()
    };
    let (one, two) = (cached("results/sweep/stages.csv"), cached("results/other/stages.csv"));
    assert_eq!(one + two, plan.tasks.len(), "every stage is made once and found once");
}

#[test]
fn until_stops_after_a_stage() {
    let project = Project::new();
    project.freeze(|_, _| None);
    assert_code(&project.run(&["--until", "pairs"]), 0);
    let stages = project.table("stages.csv");
    assert!(stages.lines().any(|line| line.starts_with("pairs,") && line.contains(",done,")));
    assert!(stages.lines().any(|line| line.starts_with("policy,") && line.contains(",left out,")));
    assert!(!project.path("results/sweep/runs.csv").exists());
}

#[test]
fn clean_says_what_would_go_and_removes_it_only_when_told() {
    let project = Project::new();
    let plan = project.freeze(|_, _| None);
    assert_code(&project.run(&["-j2"]), 0);
    let orphan = project.path(".prefab/store/corpus-00000000000000000000000000000000");
    fs::create_dir(&orphan).unwrap();
    let clean = |more: &[&str]| {
        let output = project.command(&[&["clean"], more].concat()).output().unwrap();
        assert_code(&output, 0);
        String::from_utf8(output.stdout).unwrap()
    };
    let said = clean(&[]);
    assert!(said.contains("corpus-0000") && said.contains("no spec refers to it"), "{said}");
    assert!(orphan.exists());
    clean(&["--yes"]);
    assert!(!orphan.exists());
    for task in &plan.tasks {
        assert!(project.path(&format!(".prefab/store/{}", task.key)).exists());
    }
}

#[test]
fn clean_keeps_what_a_spec_ran_with_whose_data_are_gone() {
    let project = Project::new();
    let plan = project.freeze(|_, _| None);
    assert_code(&project.run(&["-j2"]), 0);
    fs::create_dir(project.path("specs")).unwrap();
    let spec = "schema = 1\n[corpus.files]\nroot = \"gone\"\n";
    fs::write(project.path("specs/sweep.toml"), spec).unwrap();
    let clean = || project.command(&["clean", "--yes", "--keep", "specs"]).output().unwrap();
    assert_code(&clean(), 0);
    for task in &plan.tasks {
        assert!(project.path(&format!(".prefab/store/{}", task.key)).exists());
    }
    fs::remove_file(project.path("results/sweep/plan.json")).unwrap();
    assert_code(&clean(), 2);
}

#[test]
fn a_plan_for_another_device_is_not_worked_off_on_this_one() {
    let project = Project::new();
    let plan = project.freeze(|_, _| None);
    let mut other = plan.clone();
    for task in &mut other.tasks {
        if let Some(machine) = task.settings.get_mut("machine") {
            machine["device"] = "cuda-9.0".into();
        }
    }
    let text = serde_json::to_string(&other).unwrap();
    fs::write(project.path("experiments/plan.json"), text).unwrap();
    let output = project.run(&["-j1"]);
    assert_code(&output, 3);
    assert!(
        stderr(&output).contains("was planned for `cuda-9.0`, and this is `cpu`"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn an_input_that_is_taken_away_is_made_again() {
    let project = Project::new();
    let plan =
        project.freeze(|_, stage| (stage == Stage::Base).then(|| json!({ "robs": "corpus" })));
    let output = project.run(&["-j1"]);
    assert_code(&output, 0);
    let said = stderr(&output);
    assert!(said.contains("lost an input that another run took away; will look again"), "{said}");
    let stages = project.table("stages.csv");
    let done = stages.lines().filter(|line| line.contains(",done,")).count();
    assert_eq!(done, plan.tasks.len(), "{stages}");
}
