//! Whole runs of real stages at sizes that take seconds: the same bytes with one worker and with
//! two, rounds, weights that are not kept, failures that are told.

use crate::support::real::{SMALL, rooted};
use crate::support::{Project, assert_code, stderr};
use prefab::plan::{Plan, Stage, Task};
use std::fs;
use std::path::PathBuf;

fn plan(project: &Project) -> Plan {
    serde_json::from_str(&project.table("plan.json")).unwrap()
}

fn of_stage(plan: &Plan, stage: Stage) -> Vec<&Task> {
    plan.tasks.iter().filter(|task| task.stage == stage).collect()
}

fn payload(project: &Project, task: &Task) -> PathBuf {
    project.path(&format!(".prefab/store/{}/payload", task.key))
}

#[test]
#[ignore = "slow: just test-slow-short"]
fn short_one_and_two_workers_give_the_same_bytes_and_a_second_run_does_nothing() {
    let (one, two) = (Project::real(&rooted(SMALL)), Project::real(&rooted(SMALL)));
    assert_code(&one.run(&["-j1"]), 0);
    assert_code(&two.run(&["-j2"]), 0);
    let outcome = one.outcome();
    // Payloads (verdicts.csv among them), runs.csv, charts.
    assert_eq!(outcome, two.outcome());
    for file in ["runs.csv", "charts/accuracy.csv", "charts/chosen.svg"] {
        assert!(outcome.contains_key(file), "{file}");
    }
    let again = one.run(&["-j2"]);
    assert_code(&again, 0);
    assert!(stderr(&again).contains("nothing to do, all 14 stages"), "{}", stderr(&again));
    assert!(stderr(&again).contains("mpo-s0  0.8·dpo(β 0.1) + 0.2·bco"), "{}", stderr(&again));
    assert_eq!(one.outcome(), outcome);
}

/// The second round's answers come from the first round's policy, which it is held to as well.
const ROUNDS: &str = r#"
schema = 1
loss.algorithm = "mpo"
train = { pairs_per_step = 4, micro_batch = 4 }
model.checkpoint = "ROOT/experiments/base"
corpus = { base = 0, train = 24, validation = 0, test = 8, tasks = ["count", "compare"] }
candidates = { per_question = 4, batch = 16 }
eval.benchmarks = ["reasoning"]

[[round]]

[[round]]
reference = "previous"
candidates.seed = 1
train.learning_rate = 1e-4
"#;

#[test]
#[ignore = "slow: just test-slow-short"]
fn short_two_rounds_run_from_end_to_end() {
    let project = Project::real(&rooted(ROUNDS));
    assert_code(&project.run(&["-j2"]), 0);
    let plan = plan(&project);
    let [first, second] = of_stage(&plan, Stage::Policy)[..] else { panic!("two policies") };
    let read = |task: &Task, file: &str| fs::read(payload(&project, task).join(file)).unwrap();
    // Both trained, the second from the first: other weights each.
    let weights = |task: &Task| read(task, "model.safetensors");
    assert_ne!(weights(first), weights(second));
    let candidates = of_stage(&plan, Stage::Candidates);
    assert_eq!(candidates[1].inputs["model"], first.key);
    let rounds = candidates.iter().map(|task| read(task, "candidates.jsonl"));
    assert!(rounds.collect::<Vec<_>>().windows(2).all(|two| two[0] != two[1]));
    // Held to the previous policy, the second starts at its reference: ln 2 and kin.
    let log = project.path(&format!(".prefab/logs/{}.log", second.key));
    let log = fs::read_to_string(log).unwrap();
    assert!(!log.contains("no step-0 check"), "{log}");
    let steps = String::from_utf8(read(second, "steps.csv")).unwrap();
    let preference: f64 = steps.lines().nth(1).unwrap().split(',').nth(3).unwrap().parse().unwrap();
    assert!((preference - std::f64::consts::LN_2).abs() < 1e-3, "{preference}");
    // The scores are those of the last round's policy.
    let answers = plan.task_of(plan.jobs.last().unwrap(), Stage::Answers).unwrap();
    assert_eq!(answers.inputs["model"], second.key);
    assert!(project.table("runs.csv").lines().any(|line| line.starts_with("mpo-s0,")));
}

#[test]
#[ignore = "slow: just test-slow-short"]
fn short_weights_that_are_not_kept_go_when_all_answers_are_there() {
    let project = Project::real(&rooted(SMALL));
    // Without looks at the validation split, so that `[eval]` enters no policy's key.
    let set = ["-j2", "--set", "train.keep=none", "--set", "eval.every=0", "--name", "sweep"];
    let run = |more: &[&str]| project.run(&[&set[..], more].concat());
    let has_weights = |key: &str| {
        project.path(&format!(".prefab/store/{key}/payload/model.safetensors")).exists()
    };
    // Without answers there is nothing that the weights have served.
    assert_code(&run(&["--until", "policy"]), 0);
    let plan = plan(&project);
    let policies = of_stage(&plan, Stage::Policy);
    assert!(policies.iter().all(|task| has_weights(&task.key)));
    let sums = |task: &Task| {
        let file = project.path(&format!(".prefab/store/{}/payload.b3", task.key));
        fs::read_to_string(file).unwrap()
    };
    let before: Vec<String> = policies.iter().map(|task| sums(task)).collect();

    assert_code(&run(&[]), 0);
    for task in &policies {
        assert!(!has_weights(&task.key), "{}", task.key);
        assert!(payload(&project, task).join("steps.csv").exists());
    }
    assert!(has_weights(&of_stage(&plan, Stage::Base)[0].key), "the base stays");
    let again = run(&[]);
    assert!(stderr(&again).contains("nothing to do, all 14 stages"), "{}", stderr(&again));
    let planned = project
        .command(&["plan", "experiments/sweep.toml", "--set", "train.keep=none"])
        .args(["--set", "eval.every=0", "--set", "eval.max_tokens=60", "--device", "cpu"])
        .output()
        .unwrap();
    let planned = String::from_utf8(planned.stdout).unwrap();
    assert!(planned.contains("policy answers scores"), "{planned}");

    // A new question needs them again: they are trained again, to the same bytes.
    let asked = run(&["--set", "eval.max_tokens=60"]);
    assert_code(&asked, 0);
    assert!(
        stderr(&asked).contains("is needed again, and its weights are gone"),
        "{}",
        stderr(&asked)
    );
    assert!(
        stderr(&asked).contains("8 stages done"),
        "policies, answers, scores: {}",
        stderr(&asked)
    );
    assert_eq!(policies.iter().map(|task| sums(task)).collect::<Vec<_>>(), before);
    assert!(policies.iter().all(|task| !has_weights(&task.key)));
    // The first answers stand on the same bytes still.
    let first = run(&[]);
    assert!(stderr(&first).contains("nothing to do, all 14 stages"), "{}", stderr(&first));
    project.assert_tidy();

    let ask = |key: &str| {
        let picture = fs::read_dir(project.path(".prefab/store")).unwrap();
        let corpus = picture
            .map(|entry| entry.unwrap().path())
            .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("corpus-"));
        let picture = corpus.unwrap().join("payload/images/test/000000.png");
        let arguments = ["ask", key, picture.to_str().unwrap(), "Is there a red circle?"];
        project.command(&arguments).output().unwrap()
    };
    let answer = ask(&of_stage(&plan, Stage::Base)[0].key);
    assert_code(&answer, 0);
    assert!(!String::from_utf8(answer.stdout).unwrap().trim().is_empty());
    let gone = ask(&policies[0].key);
    assert_code(&gone, 2);
    assert!(
        stderr(&gone).contains("are gone") && stderr(&gone).contains("keep"),
        "{}",
        stderr(&gone)
    );
}

#[test]
#[ignore = "slow: just test-slow-short"]
fn short_a_truncated_picture_and_a_bad_line_are_named_and_counted() {
    let project = Project::real("");
    let data = project.path("data");
    fs::create_dir_all(data.join("images")).unwrap();
    image::RgbImage::from_pixel(64, 64, image::Rgb([200, 30, 30]))
        .save(data.join("images/a.png"))
        .unwrap();
    let whole = fs::read(data.join("images/a.png")).unwrap();
    fs::write(data.join("images/b.png"), &whole[..whole.len() / 2]).unwrap();
    let line = |image: &str| {
        format!("{{\"image\":\"images/{image}\",\"question\":\"Is it red?\",\"answer\":\"yes\"}}\n")
    };
    let spec = rooted(
        "schema = 1\nmodel.checkpoint = \"ROOT/experiments/base\"\neval.benchmarks = [\"reasoning\"]\n\
         [corpus.files]\nroot = \"data\"\ntrain = \"data/a.jsonl\"\ntest = \"data/a.jsonl\"\n",
    );
    fs::write(project.path("experiments/sweep.toml"), spec).unwrap();
    for (text, says) in [
        (line("a.png") + &line("b.png"), "b.png"),
        (line("a.png") + "{\"image\": 3\n", "a.jsonl:2"),
        (line("a.png") + &line("../../etc/passwd"), "passwd"),
    ] {
        fs::write(data.join("a.jsonl"), text).unwrap();
        let output = project.run(&[]);
        assert_code(&output, 3);
        assert!(stderr(&output).contains(says), "{says}: {}", stderr(&output));
        assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    }
}

#[test]
#[ignore = "slow: just test-slow-short"]
fn short_a_chart_of_what_failed_does_not_hide_why_it_failed() {
    let project = Project::real(&rooted(SMALL));
    // No pair can be made of questions that are all left out.
    let output = project.run(&[
        "-j2",
        "--name",
        "sweep",
        "--set",
        "pairs.correctness.exclude=[\"count\", \"compare\", \"exists\", \"describe\"]",
    ]);
    assert_code(&output, 3);
    let said = stderr(&output);
    assert!(
        said.contains("error: pairs (2 jobs): ") && said.contains("the report is not whole"),
        "{said}"
    );
}
