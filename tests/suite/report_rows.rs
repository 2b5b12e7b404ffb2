//! Which rows a report reads and draws: tasks, seeds, last steps, rounds, and only whole files.

use crate::support::synthetic::{Experiment, Invented, experiment, figure_3};
use prefab::plan::{Stage, Task};
use prefab::report;
use prefab::store::Manifest;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// SFT and MPO with two seeds.
fn two(name: &str) -> Experiment {
    let mut jobs = figure_3();
    jobs.retain(|job| matches!(job.variant, Some("SFT" | "MPO")) && job.seed < 2);
    experiment(name, &jobs, 60, 12)
}

fn reported(experiment: &Experiment, charts: &str) -> prefab::Result<Vec<PathBuf>> {
    let charts = report::charts(charts)?;
    report::run(&experiment.results(), &experiment.store(), &experiment.plan, &charts)
}

/// The marks of a chart after a report: x, group, value.
fn drawn(experiment: &Experiment, kind: &str) -> BTreeMap<(String, String), f64> {
    reported(experiment, &format!("[chart.mine]\n{kind}\n")).unwrap();
    let mut table = csv::Reader::from_path(experiment.results().join("charts/mine.csv")).unwrap();
    let rows = table.records().map(Result::unwrap);
    rows.filter(|row| !row[3].starts_with("seed"))
        .map(|row| ((row[1].to_owned(), row[2].to_owned()), row[4].parse().unwrap()))
        .collect()
}

fn task_of<'a>(experiment: &'a Experiment, job: &str, stage: Stage) -> &'a Task {
    let job = experiment.plan.jobs.iter().find(|known| known.id == job).unwrap();
    experiment.plan.task_of(job, stage).unwrap()
}

/// Mean score of a job's questions of some kind, by prompt and task.
fn mean(experiment: &Experiment, job: &str, is_meant: impl Fn(&str, &str) -> bool) -> f64 {
    let key = &task_of(experiment, job, Stage::Scores).key;
    let path = experiment.store().join(key).join("payload/verdicts.csv");
    let mut table = csv::Reader::from_path(path).unwrap();
    let rows = table.records().map(Result::unwrap);
    let scores: Vec<f64> =
        rows.filter(|row| is_meant(&row[4], &row[2])).map(|row| row[5].parse().unwrap()).collect();
    scores.iter().sum::<f64>() / scores.len() as f64
}

#[test]
fn differences_are_of_the_task_and_the_seed_that_are_asked_for() {
    let experiment = two("asked");
    let less = |seeds: &[u64], is_meant: &dyn Fn(&str, &str) -> bool| {
        let of = |name: &str| {
            let job = |seed: &u64| mean(&experiment, &format!("{name}-s{seed}"), is_meant);
            seeds.iter().map(job).sum::<f64>() / seeds.len() as f64
        };
        of("mpo") - of("sft")
    };
    let near = |y: &str, rows: &str, wanted: f64| {
        let chart = format!("differences = {{ y = '{y}', against = 'SFT', where = {{ {rows} }} }}");
        let found = drawn(&experiment, &chart)[&("MPO".to_owned(), "cot".to_owned())];
        assert!((found - wanted).abs() < 1e-12, "{y} {rows}: {found}, not {wanted}");
    };
    let all = less(&[0, 1], &|prompt, _| prompt == "cot");
    let count = less(&[0, 1], &|prompt, task| prompt == "cot" && task == "count");
    let second = less(&[1], &|prompt, _| prompt == "cot");
    assert!(all != count && all != second, "the cases tell nothing apart");
    near("reasoning.accuracy", "", all);
    near("reasoning.count.accuracy", "", count);
    near("reasoning.accuracy", "task = 'count'", count);
    near("reasoning.accuracy", "seed = '1'", second);
}

#[test]
fn a_question_of_several_tasks_is_paired_in_each() {
    let experiment = two("several");
    for job in ["sft-s0", "sft-s1", "mpo-s0", "mpo-s1"] {
        let key = &task_of(&experiment, job, Stage::Scores).key;
        let path = experiment.store().join(key).join("payload/verdicts.csv");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace(",count,", ",count;shape,")).unwrap();
    }
    let of = |y: &str| {
        let chart = format!("differences = {{ y = '{y}', against = 'SFT' }}");
        drawn(&experiment, &chart)[&("MPO".to_owned(), "cot".to_owned())]
    };
    let count = |seed: u64, name: &str| {
        mean(&experiment, &format!("{name}-s{seed}"), |prompt, task| {
            prompt == "cot" && task.starts_with("count")
        })
    };
    let wanted = (0..2).map(|seed| count(seed, "mpo") - count(seed, "sft")).sum::<f64>() / 2.0;
    assert!((of("reasoning.count.accuracy") - wanted).abs() < 1e-12);
}

#[test]
fn the_base_is_drawn_by_prompt_and_in_the_csv() {
    let experiment = two("based");
    let bars = "bars = { x = 'variant', y = 'reasoning.accuracy', group = 'seed' }";
    let drawn = drawn(&experiment, bars);
    for prompt in ["direct", "cot"] {
        let wanted = mean(&experiment, "base", |of, _| of == prompt);
        let found =
            drawn.iter().filter(|((x, _), value)| x == prompt && (**value - wanted).abs() < 1e-12);
        assert!(found.count() > 0, "{prompt} {wanted}: {drawn:?}");
    }
}

#[test]
fn a_variant_that_has_no_scores_yet_is_not_called_unknown() {
    let experiment = two("failed");
    for job in 0..experiment.plan.jobs.len() {
        if experiment.plan.jobs[job].variant.as_deref() == Some("SFT") {
            experiment.forget(job);
        }
    }
    let chart = |against: &str| {
        format!("[chart.mine]\ndifferences = {{ y = 'reasoning.accuracy', against = '{against}' }}")
    };
    let files = reported(&experiment, &chart("SFT")).unwrap();
    assert!(files.iter().all(|file| !file.ends_with("mine.svg")));
    let page = fs::read_to_string(experiment.results().join("report.html")).unwrap();
    assert!(page.contains("Charts without anything to show yet: mine"));
    let error = reported(&experiment, &chart("SFTT")).unwrap_err();
    assert!(error.to_string().contains("no variant is called `SFTT`"), "{error}");
}

#[test]
fn a_swept_baseline_is_named_where_any_would_do() {
    let job = |name, beta: f64, accuracy| Invented {
        variant: Some(name),
        swept: vec![("loss.beta".to_owned(), toml::Value::Float(beta))],
        seed: 0,
        accuracy: (0.7, accuracy),
        rewards: (1.0, 0.0),
    };
    let jobs =
        [job("DPO", 0.1, 0.6), job("DPO", 0.5, 0.7), job("MPO", 0.1, 0.8), job("MPO", 0.5, 0.8)];
    let experiment = experiment("baseline", &jobs, 60, 4);
    let found = drawn(&experiment, "differences = { y = 'reasoning.accuracy', against = 'DPO' }");
    let labels: std::collections::BTreeSet<&str> = found.keys().map(|(x, _)| x.as_str()).collect();
    let wanted = ["MPO, beta 0.1", "MPO, beta 0.5", "base, less DPO, beta 0.1"];
    assert_eq!(labels, wanted.into());
}

#[test]
fn whiskers_are_explained_where_there_are_some_and_a_framed_cell_too() {
    let experiment = two("captions");
    let svg = |kind: &str| {
        reported(&experiment, &format!("[chart.mine]\n{kind}\n")).unwrap();
        fs::read_to_string(experiment.results().join("charts/mine.svg")).unwrap()
    };
    assert!(svg("bars = { x = 'variant', y = 'reasoning.accuracy' }").contains("whiskers: 95 %"));
    let one = "y = 'logps/chosen', where = { seed = '0' } }";
    assert!(!svg(&format!("bars = {{ x = 'variant', {one}")).contains("whiskers"));
    assert!(!svg(&format!("lines = {{ x = 'seed', {one}")).contains("whiskers"));
    let heat = "heat = { x = 'seed', y = 'variant', value = 'reasoning.accuracy', where = { prompt = 'cot' } }";
    assert!(svg(heat).contains("framed: best"));
}

#[test]
fn what_no_question_scored_is_not_paired() {
    let experiment = two("unpaired");
    let error =
        reported(&experiment, "[chart.mine]\ndifferences = { y = 'pope.f1', against = 'SFT' }")
            .unwrap_err();
    assert!(error.to_string().contains("no score that every question has"), "{error}");
}

/// Puts `shift` into the verdicts of a job: right at one share alone.
fn shifted(experiment: &Experiment, job: &str, share: &str) {
    let key = &task_of(experiment, job, Stage::Scores).key;
    let payload = experiment.store().join(key).join("payload");
    let add = |file: &str, lines: Vec<String>| {
        let path = payload.join(file);
        let text = fs::read_to_string(&path).unwrap() + &lines.concat();
        fs::write(path, text).unwrap();
    };
    let shares = ["0", "25", "50", "75"];
    let right = |given: &str| u8::from(given == share);
    add(
        "scores.csv",
        shares.map(|s| format!("shift,{s},cot,test,accuracy,{},,,4\n", right(s))).into(),
    );
    let verdicts = shares.iter().flat_map(|s| {
        (0..4).map(move |q| format!("shift,q{q},{s},images/{q}.png,cot,{}\n", right(s)))
    });
    add("verdicts.csv", verdicts.collect());
}

#[test]
fn the_shares_of_shift_are_kept_apart() {
    let experiment = two("shares");
    for (job, share) in [("sft-s0", "75"), ("sft-s1", "75"), ("mpo-s0", "25"), ("mpo-s1", "25")] {
        shifted(&experiment, job, share);
    }
    for (y, wanted) in [
        ("shift.75.accuracy", -1.0),
        ("shift.25.accuracy", 1.0),
        ("shift.50.accuracy", 0.0),
        ("shift.accuracy", 0.0),
    ] {
        let chart = format!("differences = {{ y = '{y}', against = 'SFT' }}");
        assert_eq!(drawn(&experiment, &chart)[&("MPO".into(), "cot".into())], wanted, "{y}");
    }
}

#[test]
fn bars_of_a_training_metric_show_the_last_step() {
    let experiment = two("last");
    let last = |job: &str| -> f64 {
        let key = &task_of(&experiment, job, Stage::Policy).key;
        let path = experiment.store().join(key).join("payload/steps.csv");
        let text = fs::read_to_string(path).unwrap();
        let at = text.lines().next().unwrap().split(',').position(|name| name == "logps/chosen");
        let cells = text.lines().skip(1).filter_map(|line| line.split(',').nth(at.unwrap()));
        cells.filter(|cell| !cell.is_empty()).last().unwrap().parse().unwrap()
    };
    let found = drawn(&experiment, "bars = { x = 'variant', y = 'logps/chosen' }");
    for variant in ["SFT", "MPO"] {
        let job = variant.to_lowercase();
        let wanted = (last(&format!("{job}-s0")) + last(&format!("{job}-s1"))) / 2.0;
        let found = found[&(variant.to_owned(), String::new())];
        assert!((found - wanted).abs() < 1e-12, "{variant}: {found}, not {wanted}");
    }
}

/// Ends of the means of a chart, and its picture, after a report.
fn ends(experiment: &Experiment, chart: &str) -> (BTreeMap<String, (f64, f64)>, String) {
    reported(experiment, &format!("[chart.mine]\n{chart}\n")).unwrap();
    let charts = experiment.results().join("charts");
    let mut table = csv::Reader::from_path(charts.join("mine.csv")).unwrap();
    let rows = table.records().map(Result::unwrap).filter(|row| row[3] == *"mean");
    let end = |cell: &str| cell.parse().unwrap_or(f64::NAN);
    let ends = rows.map(|row| (row[1].to_owned(), (end(&row[5]), end(&row[6])))).collect();
    (ends, fs::read_to_string(charts.join("mine.svg")).unwrap())
}

#[test]
fn a_whisker_holds_seeds_and_questions_and_ends_where_a_share_does() {
    let experiment = two("whiskers");
    for (job, score) in [
        ("sft-s0", "0.8,0.7,0.86"),
        ("sft-s1", "0.8,0.7,0.86"),
        ("mpo-s0", "0.8,0.75,0.85"),
        ("mpo-s1", "0.9,0.85,0.95"),
    ] {
        let key = &task_of(&experiment, job, Stage::Scores).key;
        let path = experiment.store().join(key).join("payload/scores.csv");
        let line = format!("describe,all,cot,test,faithful,{score},400\n");
        fs::write(&path, fs::read_to_string(&path).unwrap() + &line).unwrap();
    }
    let near = |(low, high): (f64, f64), wanted: (f64, f64)| {
        let is_near = (low - wanted.0).abs() < 1e-5 && (high - wanted.1).abs() < 1e-5;
        assert!(is_near, "{low} to {high}, not {wanted:?}");
    };
    let bars = |band: &str| {
        ends(&experiment, &format!("bars = {{ x = 'variant', y = 'describe.faithful'{band} }}"))
    };
    // By hand: seeds alike leave the questions. Seeds at 0.8 and 0.9 are 12.7062 · 0.05 = 0.63531
    // wide, with 0.05 of questions √(0.63531² + 0.05²) = 0.637275, around 0.85; a share ends at 1.
    for band in ["", ", band = 'seed'"] {
        let (ends, svg) = bars(band);
        near(ends["SFT"], (0.7, 0.86));
        near(ends["MPO"], (0.212_725, 1.0));
        assert!(svg.contains("whiskers: 95 % over seeds and questions"), "{svg}");
    }
    let (ends, svg) = bars(", band = 'question'");
    near(ends["MPO"], (0.8, 0.9));
    assert!(svg.contains("whiskers: 95 % over questions, mean of 2 seeds"), "{svg}");
    let (ends, svg) = bars(", where = { seed = '0' }");
    near(ends["MPO"], (0.75, 0.85));
    assert!(svg.contains("whiskers: 95 % over questions · seed 0 only"), "{svg}");
}

#[test]
fn a_whisker_of_what_no_question_measures_is_of_the_seeds_or_none() {
    let experiment = two("unasked");
    for (job, last) in [("sft-s0", 0.1), ("sft-s1", 0.1), ("mpo-s0", 1.0), ("mpo-s1", 2.0)] {
        let key = &task_of(&experiment, job, Stage::Policy).key;
        let steps = format!("step,loss\n0,3\n1,{last}\n");
        fs::write(experiment.store().join(key).join("payload/steps.csv"), steps).unwrap();
    }
    let (ends, svg) = ends(&experiment, "bars = { x = 'variant', y = 'loss' }");
    // By hand: 1.5 ± 12.7062 · 0.5.
    assert!((ends["MPO"].0 + 4.853_102).abs() < 1e-5, "{ends:?}");
    assert!(ends["SFT"].0.is_nan() && ends["SFT"].1.is_nan(), "no whisker, not one of no width");
    assert!(svg.contains("whiskers: 95 % over seeds (Student’s t)"), "{svg}");
}

/// The same with MPO's first seed in two rounds, the second of which learns for one step.
fn in_rounds() -> Experiment {
    let mut experiment = two("rounds");
    let first = task_of(&experiment, "mpo-s0", Stage::Policy).clone();
    let second = Task { key: format!("{}-2", first.key), ..first.clone() };
    let from = experiment.store().join(&first.key);
    let to = experiment.store().join(&second.key);
    fs::create_dir_all(to.join("payload")).unwrap();
    fs::copy(from.join("stage.toml"), to.join("stage.toml")).unwrap();
    let steps = "step,logps/chosen\n0,-7\n1,-5\n";
    fs::write(to.join("payload/steps.csv"), steps).unwrap();
    let at = experiment.plan.tasks.len();
    experiment.plan.tasks.push(second);
    let job = experiment.plan.jobs.iter_mut().find(|job| job.id == "mpo-s0").unwrap();
    job.tasks.insert(1, at);
    experiment
}

#[test]
fn rounds_are_told_apart_where_there_are_some() {
    let experiment = in_rounds();
    reported(&experiment, "").unwrap();
    let path = experiment.results().join("runs.csv");
    let mut table = csv::Reader::from_path(&path).unwrap();
    let header: Vec<String> = table.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(header[2..6], ["seed", "stage", "round", "split"]);
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let rounds = |job: &str, stage: &str| -> Vec<String> {
        let of = rows.iter().filter(|row| row[0] == *job && row[3] == *stage);
        let mut rounds: Vec<String> = of.map(|row| row[4].to_owned()).collect();
        rounds.dedup();
        rounds
    };
    assert_eq!(rounds("mpo-s0", "policy"), ["1", "2"]);
    assert_eq!(rounds("sft-s0", "policy"), ["1"]);
    assert_eq!(rounds("mpo-s0", "scores"), [""], "scores are of the last");
    let number = rows.iter().filter(|row| row[0] == *"mpo-s0" && row[4] == *"2").count();
    assert_eq!(number, 2, "both steps of the second");
    let mut keys: Vec<Vec<&str>> = rows.iter().map(|row| row.iter().take(11).collect()).collect();
    keys.sort_unstable();
    assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "a row is found by its key");

    let chart = "bars = { x = 'variant', y = 'logps/chosen', where = { round = '2' } }";
    assert_eq!(drawn(&experiment, chart)[&("MPO".into(), String::new())], -5.0);
    let plain = two("plain");
    reported(&plain, "").unwrap();
    let text = fs::read_to_string(plain.results().join("runs.csv")).unwrap();
    assert!(!text.lines().next().unwrap().contains("round"), "other tables stay as they are");
}

/// Gives an artifact the list of checksums that its stage would have written.
fn sealed(folder: &Path) {
    let list = Manifest::of(&folder.join("payload")).unwrap().text();
    fs::write(folder.join("payload.b3"), list).unwrap();
}

#[test]
fn a_number_that_was_changed_in_the_store_is_not_reported() {
    for file in ["scores.csv", "verdicts.csv", "steps.csv"] {
        let experiment = two("changed");
        for task in &experiment.plan.tasks {
            sealed(&experiment.store().join(&task.key));
        }
        reported(&experiment, "").unwrap();
        let stage = if file == "steps.csv" { Stage::Policy } else { Stage::Scores };
        let key = &task_of(&experiment, "mpo-s0", stage).key;
        let path = experiment.store().join(key).join("payload").join(file);
        let text = fs::read_to_string(&path).unwrap().replacen('1', "2", 1);
        fs::write(&path, text).unwrap();
        let error = reported(&experiment, "").unwrap_err();
        let message = error.to_string();
        assert!(message.contains(key) && message.contains(file), "{message}");
        assert!(
            error.hint_text().is_some_and(|hint| hint.contains("delete the folder")),
            "{error:?}"
        );
    }
}
