//! Laws of plans: what is shared, what a change touches, what comes first.

use prefab::plan::estimate::estimate;
use prefab::plan::{Machine, Plan, Reuse, Stage, plan, plan_reusing};
use prefab::spec::{self, Experiment};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

use Stage::{
    Answers, Base, Benchmarks, Candidates, Corpus, Features, Pairs, Policy, Reference, Scores,
};

pub fn machine() -> Machine {
    Machine { device: "cpu".into(), libtorch: "2.11.0".into(), kernels: "fused".into() }
}

#[track_caller]
pub fn read(text: &str, overrides: &[&str]) -> Experiment {
    let overrides: Vec<String> = overrides.iter().map(|&set| set.to_owned()).collect();
    spec::parse("test", "test.toml", text, &overrides).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
pub fn planned(text: &str) -> Plan {
    plan(&read(text, &[]), &machine(), None)
}

fn committed(name: &str) -> Plan {
    let file = format!("{}/experiments/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&file).unwrap();
    let experiment = spec::parse(name, &file, &text, &[]);
    plan(&experiment.unwrap_or_else(|error| panic!("{error}")), &machine(), None)
}

pub fn count(plan: &Plan, stage: Stage) -> usize {
    plan.tasks.iter().filter(|task| task.stage == stage).count()
}

pub fn keys(plan: &Plan, stage: Stage) -> BTreeSet<&str> {
    plan.tasks.iter().filter(|t| t.stage == stage).map(|t| t.key.as_str()).collect()
}

/// Stages of which some key differs.
pub fn changed(before: &Plan, after: &Plan) -> Vec<Stage> {
    Stage::ALL.into_iter().filter(|&s| keys(before, s) != keys(after, s)).collect()
}

pub const MPO: &str = "schema = 1\nloss.algorithm = \"mpo\"\n";

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
    assert!(!scores.inputs.contains_key("model") && !scores.settings.contains_key("machine"));
}

#[test]
fn a_training_vision_tower_has_features_of_its_base_alone() {
    let plan = planned(&format!(
        "{MPO}[model]\ntrain = [\"vision\", \"language\"]\n[[round]]\n[[round]]\n"
    ));
    let job = plan.jobs.last().unwrap();
    let sees = |stage: Stage| -> Vec<bool> {
        let tasks = job.tasks.iter().map(|&index| &plan.tasks[index]);
        tasks
            .filter(|task| task.stage == stage)
            .map(|t| t.inputs.contains_key("features"))
            .collect()
    };
    assert_eq!(sees(Candidates), [true, false], "the base samples, then the policy");
    assert_eq!((sees(Reference), sees(Policy)), (vec![false; 2], vec![false; 2]));
    assert_eq!(sees(Answers), [false]);
    // So both share what they learn from.
    let frozen = planned(MPO);
    let first = |plan: &Plan, stage| {
        plan.tasks.iter().find(|task| task.stage == stage).unwrap().key.clone()
    };
    assert_eq!(first(&plan, Pairs), first(&frozen, Pairs));
    assert_ne!(first(&plan, Policy), first(&frozen, Policy));
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
fn a_variants_own_rounds_go_on_from_what_another_has_trained() {
    let plan = planned(
        "schema = 1\n[[variant]]\nname = \"a\"\nloss.algorithm = \"sft\"\n\
         [[variant]]\nname = \"b\"\nloss.algorithm = \"mpo\"\n\
         [[variant.round]]\nloss.algorithm = \"sft\"\n\
         [[variant.round]]\nreference = \"previous\"\npairs.sources = [\"dropout_ntp\"]\n",
    );
    assert_eq!([Candidates, Pairs, Reference, Policy].map(|stage| count(&plan, stage)), [2; 4]);
    let [a, b] = [1, 2].map(|job| plan.task_of(&plan.jobs[job], Policy).unwrap());
    assert_eq!(b.inputs["model"], a.key);
    assert_eq!(plan.jobs.iter().map(|job| job.rounds.len()).collect::<Vec<_>>(), [0, 0, 2]);
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
    let measured = estimate(&plan, &|key| !key.starts_with("policy"), &|task| {
        (task.stage == Policy).then_some(10.0)
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
