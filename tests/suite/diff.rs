//! `prefab diff` on made-up results: settings, paired scores, flipped questions, and what it
//! says when it cannot compare.

use prefab::cli::diff::{Arguments, compare};
use prefab::data::lines;
use prefab::data::questions::write_questions;
use prefab::data::record::{Answer, Question, Verdict};
use prefab::eval::Row;
use prefab::eval::scores::QuestionScore;
use prefab::plan::{Job, Plan, Stage, Task};
use prefab::spec::candidates::Prompt;
use std::path::{Path, PathBuf};

/// Number of questions, each with a picture of its own.
const QUESTIONS: usize = 40;

/// Two jobs on one corpus. The second gets half of the first's wrong ones
/// right as well, and nothing wrong that the first has right.
fn results() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let right: [fn(usize) -> bool; 2] =
        [|index| index < 20, |index| index < 20 || index.is_multiple_of(2)];
    let mut tasks = vec![task(Stage::Corpus, "corpus-1")];
    let mut jobs = Vec::new();
    let questions: Vec<Question> = (0..QUESTIONS).map(question).collect();
    let corpus = payload(folder.path(), "corpus-1");
    write_questions(&corpus.join("test.jsonl"), &questions).unwrap();
    for (number, (name, right)) in ["dpo-s0", "mpo-s0"].into_iter().zip(right).enumerate() {
        let (answers, scores) = (format!("answers-{number}"), format!("scores-{number}"));
        write_job(folder.path(), &answers, &scores, right);
        tasks.extend([task(Stage::Answers, &answers), task(Stage::Scores, &scores)]);
        let mut settings = prefab::spec::defaults();
        settings.eval.max_tokens = 32 + number;
        jobs.push(Job {
            id: name.into(),
            variant: None,
            swept: Vec::new(),
            seed: 0,
            settings,
            rounds: Vec::new(),
            also: Vec::new(),
            tasks: vec![0, 1 + 2 * number, 2 + 2 * number],
        });
    }
    let plan = Plan { name: "figure".into(), jobs, tasks };
    let results = folder.path().join("results/figure");
    std::fs::create_dir_all(&results).unwrap();
    std::fs::write(results.join("plan.json"), serde_json::to_vec(&plan).unwrap()).unwrap();
    folder
}

fn question(index: usize) -> Question {
    Question {
        id: format!("q{index}"),
        images: vec![format!("images/{index}.png")],
        question: format!("What is {index}?"),
        answer: Some("1".into()),
        // Of two groups, as in POPE's splits, or of one.
        task: if index.is_multiple_of(2) { "count;even" } else { "chart" }.into(),
        source: "generated".into(),
        ..Question::default()
    }
}

fn task(stage: Stage, key: &str) -> Task {
    Task {
        stage,
        key: key.into(),
        settings: serde_json::Map::new(),
        manner: serde_json::Map::new(),
        inputs: std::collections::BTreeMap::new(),
        threads: 1,
        level: 0,
    }
}

fn payload(root: &Path, key: &str) -> PathBuf {
    let folder = root.join(".prefab/store").join(key).join("payload");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn write_job(root: &Path, answers: &str, scores: &str, right: fn(usize) -> bool) {
    let mut csv = csv::Writer::from_path(payload(root, scores).join("verdicts.csv")).unwrap();
    let mut rows = Vec::new();
    for index in 0..QUESTIONS {
        let question = question(index);
        csv.serialize(QuestionScore {
            benchmark: "reasoning".into(),
            question: question.id.clone(),
            task: question.task,
            image: question.images[0].clone(),
            prompt: Prompt::Cot,
            score: if right(index) { 1.0 } else { 0.0 },
        })
        .unwrap();
        let answer = Answer {
            question: question.id,
            prompt: Prompt::Cot,
            sample: 0,
            text: format!("first\nFinal answer: {}", if right(index) { 1 } else { 2 }),
            tokens: 5,
            ended: true,
            final_answer: None,
            verdict: Some(if right(index) { Verdict::Right } else { Verdict::Wrong }),
        };
        rows.push(Row { answer, given_percent: 0 });
    }
    csv.flush().unwrap();
    lines::write(&payload(root, answers).join("answers.jsonl"), &rows).unwrap();
}

fn diff(root: &Path, first: &str, second: &str) -> prefab::Result<String> {
    compare(&Arguments {
        first: first.into(),
        second: second.into(),
        results: root.join("results"),
        store: root.join(".prefab"),
    })
}

#[test]
fn two_jobs_are_compared_question_by_question() {
    let folder = results();
    let text = diff(folder.path(), "figure/dpo-s0", "figure/mpo-s0").unwrap();
    assert!(text.contains("figure/dpo-s0  against  figure/mpo-s0"), "{text}");
    let settings = text.lines().find(|line| line.contains("eval.max_tokens")).unwrap();
    assert_eq!(settings.split_whitespace().collect::<Vec<_>>(), ["eval.max_tokens", "32", "33"]);
    assert!(!text.contains("eval.batch"), "equal settings are listed: {text}");
    // Ten of forty flip, all to the second's favour: 2 / 2¹⁰ = 0.00195, times four slices or fewer.
    let all = text.lines().find(|line| line.contains("reasoning cot all")).unwrap();
    assert!(all.contains("+25.0") && all.contains("0 / 10"), "{all}");
    assert!(all.contains("beyond chance"), "{all}");
    let chart = text.lines().find(|line| line.contains("reasoning cot chart")).unwrap();
    // Twenty questions, none of which flips: 1 − 0.025^(1/20) = 0.1684, by hand.
    assert!(chart.contains("+0.0  -16.8 to +16.8"), "{chart}");
    assert!(!chart.contains("beyond chance"), "{chart}");
    assert!(text.contains("flipped questions: 10 of 10"), "{text}");
    for group in ["count", "even"] {
        let group = format!("reasoning cot {group} ");
        let of_group = text.lines().find(|line| line.contains(&group)).unwrap();
        assert!(of_group.contains("+50.0"), "{of_group}");
    }
    assert!(text.contains("+ reasoning cot count;even  q20"), "{text}");
    assert!(text.contains("first:  first ⏎ Final answer: 2"), "{text}");
    assert!(text.contains("images/20.png"), "{text}");
}

#[test]
fn a_job_is_the_same_as_itself() {
    let folder = results();
    let text = diff(folder.path(), "figure/dpo-s0", "figure/dpo-s0").unwrap();
    assert!(text.contains("settings: the same"), "{text}");
    assert!(text.contains("flipped questions: none"), "{text}");
    assert!(!text.contains("beyond chance"), "{text}");
}

#[test]
fn folders_are_compared_job_by_job() {
    let folder = results();
    let path = folder.path().join("results/figure");
    let text = diff(folder.path(), path.to_str().unwrap(), "figure").unwrap();
    assert_eq!(text.matches("  against  ").count(), 2, "{text}");
}

#[test]
fn what_is_missing_is_named_with_a_way_out() {
    let folder = results();
    let error = diff(folder.path(), "figure/sft-s0", "figure").unwrap_err();
    assert!(error.to_string().contains("has no job `sft-s0`"), "{error}");
    assert!(error.hint_text().unwrap().contains("dpo-s0, mpo-s0"), "{error:?}");
    assert_eq!(error.exit_code(), 2);
    let error = diff(folder.path(), "figures", "figure").unwrap_err();
    assert!(error.to_string().contains("neither a result folder nor a job"), "{error}");
    std::fs::remove_dir_all(folder.path().join(".prefab/store/scores-1")).unwrap();
    let error = diff(folder.path(), "figure/dpo-s0", "figure/mpo-s0").unwrap_err();
    assert!(error.to_string().contains("no longer has `scores-1`"), "{error}");
}

#[test]
fn without_the_store_the_tables_are_compared() {
    let folder = results();
    std::fs::remove_dir_all(folder.path().join(".prefab/store/scores-1")).unwrap();
    let head = "job,stage,benchmark,task,prompt,metric,value,low,high";
    let line = |job: &str, task: &str, value: f64| {
        format!(
            "{job},scores,reasoning,{task},cot,accuracy,{value},{},{}",
            value - 0.01,
            value + 0.01
        )
    };
    let lines = [
        head.to_owned(),
        line("dpo-s0", "all", 0.5),
        line("dpo-s0", "chart", 0.1),
        line("mpo-s0", "all", 0.75),
    ];
    std::fs::write(folder.path().join("results/figure/runs.csv"), lines.join("\n")).unwrap();
    let text = diff(folder.path(), "figure/dpo-s0", "figure/mpo-s0").unwrap();
    assert!(text.contains("settings that differ"), "{text}");
    let row =
        "reasoning cot accuracy  0.5000 (0.4900 to 0.5100)  0.7500 (0.7400 to 0.7600)     +0.2500";
    assert!(text.contains(row), "{text}");
    assert!(text.contains("the store no longer has `scores-1`"), "{text}");
    assert!(!text.contains("chart"), "tasks are left out: {text}");
}
