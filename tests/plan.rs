//! Laws of plans: what is shared, what a change touches, what comes first.

use prefab::plan::{Machine, Plan, Stage, plan};
use prefab::spec::{self, Experiment};
use std::collections::BTreeSet;

fn machine() -> Machine {
    Machine { device: "cpu".into(), libtorch: "2.11.0".into(), kernels: "fused".into() }
}

#[track_caller]
fn read(text: &str) -> Experiment {
    spec::parse("test", "test.toml", text, &[]).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn planned(text: &str) -> Plan {
    plan(&read(text), &machine(), None)
}

fn committed(name: &str) -> Experiment {
    let file = format!("{}/experiments/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&file).unwrap();
    spec::parse(name, &file, &text, &[]).unwrap_or_else(|error| panic!("{error}"))
}

fn count(plan: &Plan, stage: Stage) -> usize {
    plan.tasks.iter().filter(|task| task.stage == stage).count()
}

fn keys(plan: &Plan, stage: Stage) -> BTreeSet<&str> {
    plan.tasks.iter().filter(|t| t.stage == stage).map(|t| t.key.as_str()).collect()
}

const MPO: &str = "schema = 1\nloss.algorithm = \"mpo\"\n";

#[test]
fn figure_3_shares_everything_up_to_the_policy() {
    let plan = plan(&committed("figure-3-algorithms"), &machine(), None);
    use Stage::*;
    for stage in [Corpus, Base, Features, Candidates, Pairs, Reference] {
        assert_eq!(count(&plan, stage), 1, "{stage}");
    }
    for stage in [Policy, Answers, Scores] {
        let base = usize::from(stage != Policy);
        assert_eq!(count(&plan, stage), 17 * 3 + base, "{stage}");
    }
    assert_eq!(plan.jobs.len(), 17 * 3 + 1);
    assert_eq!(plan.jobs[0].id, "base");
}
