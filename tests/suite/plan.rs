//! Laws of plans: what is shared, what a change touches, what comes first.

use prefab::plan::estimate::estimate;
use prefab::plan::{Machine, Plan, Reuse, Stage, plan, plan_reusing};
use prefab::spec::{self, Experiment};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

use Stage::{
    Answers, Base, Benchmarks, Candidates, Corpus, Features, Pairs, Policy, Reference, Scores,
};

fn machine() -> Machine {
    Machine { device: "cpu".into(), libtorch: "2.11.0".into(), kernels: "fused".into() }
}

#[track_caller]
fn read(text: &str, overrides: &[&str]) -> Experiment {
    let overrides: Vec<String> = overrides.iter().map(|&set| set.to_owned()).collect();
    spec::parse("test", "test.toml", text, &overrides).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn planned(text: &str) -> Plan {
    plan(&read(text, &[]), &machine(), None)
}

fn committed(name: &str) -> Plan {
    let file = format!("{}/experiments/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&file).unwrap();
    let experiment = spec::parse(name, &file, &text, &[]);
    plan(&experiment.unwrap_or_else(|error| panic!("{error}")), &machine(), None)
}

fn count(plan: &Plan, stage: Stage) -> usize {
    plan.tasks.iter().filter(|task| task.stage == stage).count()
}

fn keys(plan: &Plan, stage: Stage) -> BTreeSet<&str> {
    plan.tasks.iter().filter(|t| t.stage == stage).map(|t| t.key.as_str()).collect()
}

/// Stages of which some key differs.
fn changed(before: &Plan, after: &Plan) -> Vec<Stage> {
    Stage::ALL.into_iter().filter(|&s| keys(before, s) != keys(after, s)).collect()
}

/// Stages that a changed setting touches, from a one-job spec.
#[track_caller]
fn touched(set: &str) -> Vec<Stage> {
    let before = plan(&read(MPO, &[]), &machine(), None);
    let after = plan(&read(MPO, &[set]), &machine(), None);
    changed(&before, &after)
}

const MPO: &str = "schema = 1\nloss.algorithm = \"mpo\"\n";

#[test]
fn figure_3_shares_everything_up_to_the_policy() {
    let plan = committed("figure-3-algorithms");
    for stage in [Corpus, Base, Features, Candidates, Pairs, Reference] {
        assert_eq!(count(&plan, stage), 1, "{stage}");
    }
    assert_eq!(count(&plan, Policy), 17 * 3);
    for stage in [Answers, Scores] {
        assert_eq!(count(&plan, stage), 17 * 3 + 1, "the base is evaluated once: {stage}");
    }
    assert_eq!(plan.jobs.len(), 17 * 3 + 1);
    assert_eq!(plan.jobs[0].id, "base");
    assert_eq!(plan.jobs[1].id, "sft-s0");
}

#[test]
fn a_setting_changes_the_stages_that_read_it_and_what_stands_on_them() {
    let after_policy = vec![Policy, Answers, Scores];
    assert_eq!(touched("loss.beta=0.2"), after_policy);
    assert_eq!(touched("train.learning_rate=1e-4"), after_policy);
    assert_eq!(touched("seeds=[7]"), after_policy);
    assert_eq!(touched("model.train=['language']"), after_policy);
    assert_eq!(touched("eval.every=10"), after_policy);
    assert_eq!(touched("train.precision=bf16"), [Reference, Policy, Answers, Scores]);
    assert_eq!(touched("pairs.max=100"), [Pairs, Reference, Policy, Answers, Scores]);
    assert_eq!(touched("candidates.seed=1")[0], Candidates);
    assert_eq!(touched("eval.split=validation"), [Answers, Scores]);
    // Without files there is no stage that reads them.
    let all: Vec<Stage> = Stage::ALL.into_iter().filter(|&stage| stage != Benchmarks).collect();
    assert_eq!(touched("base.seed=1"), all[1..]);
    assert_eq!(touched("model.dims.width=64"), all[1..]);
    assert_eq!(touched("corpus.seed=1"), all);
    assert_eq!(touched("eval.slice=10"), [], "nobody looks while every is 0");
    assert_eq!(touched("store.feature_gib=19"), []);
}

#[test]
fn a_later_setting_enters_a_key_only_away_from_its_default() {
    let from_pairs = [Pairs, Reference, Policy, Answers, Scores];
    for default in [
        "pairs.sources=['correctness']",
        "pairs.correctness.max_right=1.0",
        "pairs.correctness.consistency=none",
        "candidates.stop=[]",
        "candidates.multimodal=0.0",
        "candidates.server.attempts=5",
        "eval.files={}",
        "eval.judge.batch=64",
    ] {
        assert_eq!(touched(default), [], "{default}");
    }
    assert_eq!(touched("pairs.correctness.max_right=0.9"), from_pairs);
    assert_eq!(touched("pairs.correctness.exclude_domains=[]"), from_pairs);
    assert_eq!(touched("candidates.stop=['x']")[0], Candidates);
    // What a slice leaves out, the worker gets as the default.
    let plan = planned(MPO);
    let task = plan.task_of(plan.jobs.last().unwrap(), Pairs).unwrap();
    assert!(!task.settings["pairs"].as_object().unwrap().contains_key("sources"));
    let table = task.table::<spec::pairs::Pairs>("pairs").unwrap();
    assert_eq!(table, spec::embedded().pairs);
}

#[test]
fn keys_of_older_settings_have_not_moved() {
    // Worked out before any later setting was there; the corpus of files has no machine.
    let plan = planned("schema = 1\nloss.algorithm = \"mpo\"\n");
    let task = |stage| plan.task_of(plan.jobs.last().unwrap(), stage).unwrap();
    let names = |stage: Stage, table: &str| -> Vec<String> {
        task(stage).settings[table].as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names(Pairs, "pairs"), ["seed", "import", "max", "correctness"]);
    let correctness = &task(Pairs).settings["pairs"]["correctness"];
    let keys: Vec<&String> = correctness.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["max_per_question", "format_negatives", "exclude"]);
    // Nulls do not enter a key.
    let set = |name: &String| !task(Candidates).settings["candidates"][name.as_str()].is_null();
    let of_candidates = names(Candidates, "candidates").into_iter().filter(set).collect::<Vec<_>>();
    let expected =
        ["seed", "per_question", "temperature", "top_k", "top_p", "max_tokens", "prompt", "batch"];
    assert_eq!(of_candidates, expected);
}

#[test]
fn a_benchmarks_file_changes_answers_and_scores_alone() {
    let asked = format!("{MPO}eval.benchmarks = [\"reasoning\", \"m3cot\"]\n");
    let (without, with) =
        (planned(&asked), planned(&format!("{asked}eval.files.m3cot = \"m3cot.jsonl\"\n")));
    // Its pictures are encoded once too.
    assert_eq!(changed(&without, &with), [Features, Benchmarks, Answers, Scores]);
    assert_eq!((count(&with, Features), count(&with, Benchmarks)), (2, 1));
    assert!(keys(&with, Features).is_superset(&keys(&without, Features)));
    let job = with.jobs.last().unwrap();
    let task = |stage| with.task_of(job, stage).unwrap();
    let roles: Vec<&String> = task(Answers).inputs.keys().collect();
    assert_eq!(roles, ["benchmark_features", "benchmarks", "corpus", "features", "model"]);
    let roles: Vec<&String> = task(Scores).inputs.keys().collect();
    assert_eq!(roles, ["answers", "benchmarks", "corpus"]);
    assert!(!task(Benchmarks).settings.contains_key("machine"));
    // A judge is asked about answers, not for them.
    let server = "eval.judge.server = { url = \"http://localhost:1/v1\", model = \"m\" }\n";
    let judged = planned(&format!("{asked}{server}"));
    assert_eq!(changed(&without, &judged), [Scores]);
    let until =
        plan(&read(&format!("{asked}eval.files.m3cot = \"x\"\n"), &[]), &machine(), Some(Pairs));
    assert_eq!((count(&until, Features), count(&until, Benchmarks)), (1, 0));
}

#[test]
fn the_model_enters_the_pairs_stage_only_where_a_source_asks_it() {
    let with = |more: &str| planned(&format!("{MPO}{more}"));
    let pairs = |plan: &Plan| plan.task_of(plan.jobs.last().unwrap(), Pairs).unwrap().clone();
    let blind = pairs(&with("pairs.sources = [\"dropout_ntp\"]\n"));
    let roles: Vec<&String> = blind.inputs.keys().collect();
    assert_eq!(roles, ["base", "candidates", "corpus", "features"]);
    assert!(blind.settings.contains_key("machine"));
    let server = "url = \"http://localhost:1/v1\", model = \"m\"";
    let remote = with(&format!(
        "pairs.sources = [\"dropout_ntp\"]\npairs.dropout_ntp.server = {{ {server} }}\n"
    ));
    assert!(!pairs(&remote).settings.contains_key("machine"));
    assert!(!pairs(&remote).inputs.contains_key("features"));
    let sampled = with(&format!("candidates.server = {{ {server} }}\n"));
    let task = sampled.task_of(sampled.jobs.last().unwrap(), Candidates).unwrap();
    assert!(!task.settings.contains_key("machine") && !task.inputs.contains_key("features"));
    // Settings of a source that is not built change nothing.
    let sources = "pairs.sources = [\"correctness\"]\n";
    let other = with(&format!("{sources}pairs.dropout_ntp.ratio = 0.25\n"));
    assert_eq!(changed(&with(sources), &other), []);
    let both = "pairs.sources = [\"correctness\", \"dropout_ntp\"]\n";
    let other = with(&format!("{both}pairs.dropout_ntp.ratio = 0.25\n"));
    assert_eq!(changed(&with(both), &other)[0], Pairs);
}

#[test]
fn charts_descriptions_comments_and_names_enter_no_key() {
    let plain = planned(MPO);
    let chart = "[chart.a]\nbars = { x = \"variant\", y = \"reasoning.accuracy\" }\n";
    let dressed = planned(&format!("# why\n{MPO}description = \"why\"\n{chart}"));
    let dressed = changed(&plain, &dressed);
    assert!(dressed.is_empty(), "{dressed:?}");
    let named = planned("schema = 1\n[[variant]]\nname = \"x\"\nloss.algorithm = \"mpo\"\n");
    assert_eq!(changed(&plain, &named), []);
}

#[test]
fn the_machine_enters_only_keys_of_tensors() {
    let experiment = read(MPO, &[]);
    let here = plan(&experiment, &machine(), None);
    let cuda = Machine { device: "cuda 9.0".into(), ..machine() };
    let there = plan(&experiment, &cuda, None);
    let all: Vec<Stage> = Stage::ALL.into_iter().filter(|&stage| stage != Benchmarks).collect();
    assert_eq!(changed(&here, &there), all[1..], "all but the corpus stand on tensors");
    let of = |plan: &Plan, stage| plan.tasks.iter().find(|t| t.stage == stage).unwrap().clone();
    for stage in [Corpus, Pairs, Scores] {
        assert_eq!(of(&here, stage).settings, of(&there, stage).settings, "{stage}");
    }
    for (stage, threads) in [(Base, 2), (Policy, 1)] {
        assert_eq!(of(&here, stage).settings["machine"]["threads"], threads);
        assert_eq!(of(&here, stage).threads, threads);
    }
}

#[test]
fn only_the_policy_reads_the_seed() {
    let two = planned("schema = 1\nseeds = [0, 1]\nloss.algorithm = \"mpo\"\n");
    for stage in Stage::ALL {
        let expected = match stage {
            Policy => 2,
            Answers | Scores => 3,
            Benchmarks => 0,
            _ => 1,
        };
        assert_eq!(count(&two, stage), expected, "{stage}");
    }
}

#[test]
fn a_worker_can_read_every_table_of_its_slice() {
    let plan = planned(MPO);
    for task in &plan.tasks {
        for name in task.settings.keys() {
            match name.as_str() {
                "model" => drop(task.table::<spec::model::Model>(name).unwrap()),
                "corpus" => drop(task.table::<spec::corpus::Corpus>(name).unwrap()),
                "base" => drop(task.table::<spec::base::Base>(name).unwrap()),
                "candidates" => drop(task.table::<spec::candidates::Candidates>(name).unwrap()),
                "pairs" => drop(task.table::<spec::pairs::Pairs>(name).unwrap()),
                "loss" => drop(task.table::<spec::loss::Loss>(name).unwrap()),
                "train" => drop(task.table::<spec::train::Train>(name).unwrap()),
                "eval" => drop(task.table::<spec::eval::Eval>(name).unwrap()),
                "machine" => drop(task.table::<BTreeMap<String, serde_json::Value>>(name).unwrap()),
                other => panic!("{}: what is `{other}`?", task.key),
            }
        }
    }
    let policy = plan.task_of(&plan.jobs[1], Policy).unwrap();
    let tables: Vec<&String> = policy.settings.keys().collect();
    assert_eq!(tables, ["loss", "train", "model", "eval", "machine"]);
}

#[test]
fn inputs_have_the_roles_that_stages_ask_for() {
    let plan = planned(MPO);
    let roles = |stage: Stage| -> Vec<&str> {
        let task = plan.task_of(plan.jobs.last().unwrap(), stage).unwrap();
        task.inputs.keys().map(String::as_str).collect()
    };
    assert_eq!(roles(Corpus), [""; 0]);
    assert_eq!(roles(Base), ["corpus"]);
    assert_eq!(roles(Features), ["base", "corpus"]);
    assert_eq!(roles(Candidates), ["base", "corpus", "features"]);
    assert_eq!(roles(Pairs), ["base", "candidates", "corpus"]);
    assert_eq!(roles(Reference), ["corpus", "features", "model", "pairs"]);
    assert_eq!(roles(Policy), ["corpus", "features", "model", "pairs", "reference"]);
    assert_eq!(roles(Answers), ["corpus", "features", "model"]);
    assert_eq!(roles(Scores), ["answers", "corpus"]);
    let shift = planned(&format!("{MPO}eval.benchmarks = [\"shift\"]\n"));
    let scores = shift.task_of(&shift.jobs[0], Scores).unwrap();
    assert!(scores.inputs.contains_key("model") && scores.settings.contains_key("machine"));
}

#[test]
fn a_training_vision_tower_keeps_no_features() {
    let text = format!("{MPO}[model]\ntrain = [\"vision\", \"language\"]\n");
    let plan = planned(&text);
    let job = plan.jobs.last().unwrap();
    assert!(plan.task_of(job, Features).is_none());
    assert!(!plan.task_of(job, Policy).unwrap().inputs.contains_key("features"));
    let small = planned(&format!("{MPO}store.feature_gib = 0.001\n"));
    assert_eq!(count(&small, Features), 0, "they do not fit");
}

#[test]
fn rounds_chain_their_stages() {
    let plan = planned(&format!("{MPO}[[round]]\n[[round]]\nreference = \"previous\"\n"));
    for stage in [Candidates, Pairs, Reference, Policy] {
        assert_eq!(count(&plan, stage), 2, "{stage}");
    }
    let job = plan.jobs.last().unwrap();
    let of = |stage: Stage| -> Vec<_> {
        job.tasks.iter().map(|&index| &plan.tasks[index]).filter(|t| t.stage == stage).collect()
    };
    let first = &of(Policy)[0].key;
    assert_eq!(&of(Candidates)[1].inputs["model"], first, "the policy samples");
    assert_eq!(&of(Reference)[1].inputs["model"], first, "and is the reference");
    assert_eq!(&of(Policy)[1].inputs["model"], first, "and is trained on");
    assert_eq!(plan.task_of(job, Answers).unwrap().inputs["model"], of(Policy)[1].key);
    let held = planned(&format!("{MPO}[[round]]\n[[round]]\n"));
    let reference = held.tasks.iter().rfind(|task| task.stage == Reference).unwrap();
    assert!(reference.inputs["model"].starts_with("base-"), "{:?}", reference.inputs);
}

#[test]
fn a_spec_without_a_loss_ends_at_the_base() {
    let plan = planned("schema = 1\n[sweep]\n\"base.seed\" = [0, 1]\n");
    let ids: Vec<&str> = plan.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids, ["base-seed0", "base-seed1"]);
    assert_eq!(count(&plan, Policy), 0);
    assert_eq!(count(&plan, Scores), 2);
}

#[test]
fn imported_pairs_need_no_candidates() {
    let plan = planned(&format!("{MPO}pairs.import = \"meta.json\"\n"));
    assert_eq!(count(&plan, Candidates), 0);
    assert_eq!(count(&plan, Pairs), 1);
    let policy = plan.task_of(plan.jobs.last().unwrap(), Policy).unwrap();
    assert!(!policy.inputs.contains_key("features"), "their pictures are their own");
}

#[test]
fn imported_files_enter_by_their_content() {
    let folder = tempfile::tempdir().unwrap();
    let meta = folder.path().join("meta.json");
    let text = format!("{MPO}pairs.import = {:?}\n", meta.to_str().unwrap());
    std::fs::write(&meta, "{}").unwrap();
    let before = planned(&text);
    assert_eq!(changed(&before, &planned(&text)), []);
    std::fs::write(&meta, "{ }").unwrap();
    assert_eq!(changed(&before, &planned(&text))[0], Pairs);
    // The files that a meta.json names count as well.
    let named = r#"{ "a": { "root": ".", "annotation": "a.jsonl", "length": 1 } }"#;
    std::fs::write(&meta, named).unwrap();
    std::fs::write(folder.path().join("a.jsonl"), "1\n").unwrap();
    let before = planned(&text);
    std::fs::write(folder.path().join("a.jsonl"), "2\n").unwrap();
    assert_eq!(changed(&before, &planned(&text))[0], Pairs);
}

#[test]
fn artifacts_of_another_device_stand_in_where_this_one_has_none() {
    let experiment = read(MPO, &[]);
    let cuda = Machine { device: "cuda-9.0".into(), ..machine() };
    let [here, there] = [&machine(), &cuda].map(|machine| plan(&experiment, machine, None));
    let made = |key: &str| there.tasks.iter().any(|task| task.key == key && task.stage <= Base);
    let reuse = Reuse { machines: vec![cuda], exists: &made };
    let mixed = plan_reusing(&experiment, &machine(), None, &reuse);
    laws(&mixed);
    let all: Vec<Stage> = Stage::ALL.into_iter().filter(|&stage| stage != Benchmarks).collect();
    assert_eq!(changed(&here, &mixed), all[1..]);
    assert_eq!(keys(&mixed, Base), keys(&there, Base), "made there");
    let features = mixed.tasks.iter().find(|task| task.stage == Features).unwrap();
    assert_eq!(features.settings["machine"]["device"], "cpu", "to be made here");
    assert!(
        keys(&there, Base).contains(features.inputs["base"].as_str()),
        "from what was made there"
    );
    assert_eq!(mixed.jobs.len(), here.jobs.len());
}

#[test]
fn until_plans_no_later_stage() {
    let text = "schema = 1\nseeds = [0, 1]\nloss.algorithm = \"mpo\"\n";
    let whole = planned(text);
    let part = plan(&read(text, &[]), &machine(), Some(Pairs));
    assert!(part.tasks.iter().all(|task| task.stage <= Pairs));
    assert_eq!(part.jobs.len(), 1, "seeds do not matter yet");
    for stage in [Corpus, Base, Features, Candidates, Pairs] {
        assert_eq!(keys(&part, stage), keys(&whole, stage));
    }
}

#[test]
fn points_that_resolve_alike_run_once() {
    let text = "schema = 1\n[[variant]]\nname = \"a\"\nloss.algorithm = \"dpo\"\n\
                [[variant]]\nname = \"b\"\nloss.algorithm = \"dpo\"\n";
    let plan = planned(text);
    assert_eq!(plan.jobs.len(), 2, "the base and one of the two");
    assert_eq!(plan.jobs[1].also, ["b-s0"]);
}

#[test]
fn a_base_job_stands_for_every_base() {
    let plan = committed("figure-3-base-seeds");
    let bases: Vec<&str> =
        plan.jobs.iter().map(|j| j.id.as_str()).filter(|id| id.starts_with("base")).collect();
    assert_eq!(bases, ["base-seed0", "base-seed1", "base-seed2"]);
}

#[test]
fn every_committed_experiment_plans_and_survives_json() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let plan = committed(path.file_stem().unwrap().to_str().unwrap());
        laws(&plan);
        let text = serde_json::to_string(&plan).unwrap();
        let back: Plan = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), text);
    }
}

/// What holds of every plan.
#[track_caller]
fn laws(plan: &Plan) {
    let ids: BTreeSet<&str> = plan.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids.len(), plan.jobs.len(), "job ids are unique");
    let all: BTreeSet<&str> = plan.tasks.iter().map(|task| task.key.as_str()).collect();
    assert_eq!(all.len(), plan.tasks.len(), "each task once");
    for (index, task) in plan.tasks.iter().enumerate() {
        let (stage, hex) = task.key.split_once('-').unwrap();
        assert_eq!((stage, hex.len()), (task.stage.name(), 32));
        for key in task.inputs.values() {
            let input = plan.tasks[..index].iter().find(|other| other.key == *key);
            assert!(input.expect("inputs come first").level < task.level);
        }
    }
    let used: BTreeSet<usize> = plan.jobs.iter().flat_map(|job| job.tasks.clone()).collect();
    assert_eq!(used.len(), plan.tasks.len(), "every task serves a job");
}

#[test]
fn an_estimate_counts_what_is_left_and_prefers_measured_times() {
    let plan = committed("figure-3-algorithms");
    let nothing = estimate(&plan, &|_| true, &|_| None);
    assert_eq!(nothing.seconds(), 0.0);
    let measured = estimate(&plan, &|key| !key.starts_with("policy"), &|stage| {
        (stage == Policy).then_some(10.0)
    });
    assert_eq!(measured.seconds(), 510.0);
    assert!(estimate(&plan, &|_| false, &|_| None).seconds() > 510.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Jobs are the product of variants, sweep and seeds, and the laws hold.
    #[test]
    fn jobs_are_the_product(
        variants in prop::sample::subsequence(vec!["dpo", "ipo", "sft", "mpo"], 1..=4),
        betas in prop::sample::subsequence(vec![0.1, 0.2, 0.5], 1..=3),
        seeds in prop::sample::subsequence(vec![0_u64, 3, 9], 1..=3),
        base_seeds in prop::sample::subsequence(vec![0_u64, 1], 1..=2),
    ) {
        let mut text = format!("schema = 1\nseeds = {seeds:?}\n[sweep]\n\"loss.beta\" = {betas:?}\n\"base.seed\" = {base_seeds:?}\n");
        for name in &variants {
            text.push_str(&format!("[[variant]]\nname = {name:?}\nloss.algorithm = {name:?}\n"));
        }
        let plan = planned(&text);
        laws(&plan);
        let product = variants.len() * betas.len() * seeds.len() * base_seeds.len();
        prop_assert_eq!(plan.jobs.len(), product + base_seeds.len());
        prop_assert_eq!(count(&plan, Policy), product);
        prop_assert_eq!(count(&plan, Reference), base_seeds.len());
    }
}
