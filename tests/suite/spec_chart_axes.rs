//! Charts that could not be drawn after a run are refused before it.

use prefab::{report, spec};
use std::fs;

/// A message without spaces: a long line may be broken anywhere.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<String>().replace('│', "")
}

/// What is wrong with a spec of these layers and one chart, if anything.
fn complaint(layers: &str, chart: &str) -> Option<String> {
    let text = format!("schema = 1\n{layers}[chart.a]\n{chart}\n");
    let error = spec::parse("charts", "charts.toml", &text, &[]).err()?;
    Some(flat(&error.to_string()))
}

#[track_caller]
fn is_drawn(layers: &str, chart: &str) {
    assert_eq!(complaint(layers, chart), None, "{layers}{chart}");
}

#[track_caller]
fn is_refused(layers: &str, chart: &str, says: &[&str]) {
    let said = complaint(layers, chart).unwrap_or_else(|| panic!("{layers}{chart}"));
    assert!(says.iter().all(|part| said.contains(&flat(part))), "{layers}{chart}: {said}");
}

const TWO: &str = "[eval]\nevery = 50\nprompts = [\"direct\"]\n\
                   [[variant]]\nname = \"A\"\nloss = { algorithm = \"dpo\" }\n\
                   [[variant]]\nname = \"B\"\nloss = { algorithm = \"sft\" }\n";

fn curve(y: &str) -> String {
    format!("lines = {{ x = \"step\", y = \"{y}\" }}")
}

#[test]
fn terms_of_a_loss_are_drawn_where_a_job_has_them() {
    for y in ["loss/preference", "loss/generation", "validation/direct", "accuracy/digit", "loss"] {
        is_drawn(TWO, &curve(y));
    }
    for (y, why) in [
        ("loss/quality", "no loss has the quality term"),
        ("delta", "no loss has the quality term"),
        ("validation/cot", "no look asks with this prompt"),
    ] {
        is_refused(TWO, &curve(y), &[&format!("`{y}` is not measured: {why}"), "loss/preference"]);
    }
    // A variant's own weights count, those of a round too, and only those that the chart shows.
    let third = "[[variant]]\nname = \"C\"\nloss = { algorithm = \"dpo\", w_q = 0.2 }\n";
    is_drawn(&format!("{TWO}{third}"), &curve("loss/quality"));
    is_drawn(&format!("{TWO}[[round]]\n[[round]]\nloss = {{ w_q = 0.1 }}\n"), &curve("delta"));
    let shown = "lines = { x = \"step\", y = \"loss/quality\", where = { variant = \"A\" } }";
    is_refused(&format!("{TWO}{third}"), shown, &["no loss has the quality term"]);
    let slip = shown.replace("\"A\"", "\"AA\"");
    let said = complaint(TWO, &slip).unwrap();
    assert!(!said.contains("isnotmeasured"), "the slip alone is told: {said}");
    // Without `[loss]` there is the base alone, and a checkpoint is not taught.
    is_drawn("", &curve("accuracy/digit"));
    is_refused("", &curve("logps/chosen"), &["no policy is trained"]);
    let checkpoint = "[model]\ncheckpoint = \"experiments/base\"\n";
    is_refused(checkpoint, &curve("accuracy/digit"), &["no base is taught", "nothing is trained"]);
}

#[test]
fn what_only_a_file_measures_needs_the_file() {
    let eval = "loss.algorithm = \"mpo\"\n[eval]\nbenchmarks = [\"pope\", \"pope_internvl\"]\n";
    let filed = format!("{eval}[eval.files]\npope = \"pope.tsv\"\n");
    let bars = |x: &str, y: &str| format!("bars = {{ x = \"{x}\", y = \"{y}\" }}");
    for y in ["pope.mean_f1", "pope_internvl.mean_f1"] {
        is_refused(eval, &bars("variant", y), &["is measured on a file", "[eval.files] pope ="]);
        is_drawn(&filed, &bars("variant", y));
    }
    is_drawn(eval, &bars("task", "pope.f1"));
    is_refused(&filed, &bars("variant", "pope.random.mean_f1"), &["is of all tasks together"]);
    is_refused(&filed, &bars("task", "pope.mean_f1"), &["has no `task`"]);
}

#[test]
fn places_on_a_line_are_numbers() {
    let swept = format!(
        "{TWO}[sweep]\n\"train.schedule\" = [\"cosine\", \"linear\"]\n\"train.learning_rate\" = [1e-4, 1e-3]\n"
    );
    let line = |x: &str, y: &str| format!("lines = {{ x = \"{x}\", y = \"{y}\" }}");
    for x in ["variant", "prompt", "split", "job", "task"] {
        is_refused(
            TWO,
            &line(x, "reasoning.accuracy"),
            &["place on a line", "draw it with `bars`"],
        );
    }
    is_refused(&swept, &line("train.schedule", "reasoning.accuracy"), &["`cosine`, a value of"]);
    is_drawn(&swept, &line("train.learning_rate", "reasoning.accuracy"));
    is_drawn(TWO, &line("seed", "reasoning.accuracy"));
    let shift = TWO.replace("[\"direct\"]", "[\"direct\", \"cot\"]\nbenchmarks = [\"shift\"]");
    is_drawn(&shift, &line("task", "shift.accuracy"));
}

#[test]
fn scores_have_no_step_and_no_round() {
    let rounds = format!("{TWO}[[round]]\n[[round]]\n");
    for kind in ["lines", "bars"] {
        let by = |x: &str, y: &str| format!("{kind} = {{ x = \"{x}\", y = \"{y}\" }}");
        is_refused(TWO, &by("step", "reasoning.accuracy"), &["measured once", "validation/cot"]);
        is_refused(&rounds, &by("round", "reasoning.accuracy"), &["of the last round alone"]);
        is_refused(TWO, &by("round", "validation/direct"), &["there is one round"]);
        is_drawn(&rounds, &by("round", "validation/direct"));
    }
    let group = "bars = { x = \"variant\", y = \"reasoning.accuracy\", group = \"round\" }";
    is_refused(&rounds, group, &["of the last round alone"]);
    let heat = "heat = { x = \"round\", y = \"variant\", value = \"reasoning.accuracy\" }";
    is_refused(&rounds, heat, &["of the last round alone"]);
    is_drawn(&rounds, "bars = { x = \"variant\", y = \"pairs.with_both\", group = \"round\" }");
    is_refused(TWO, "bars = { x = \"task\", y = \"loss\" }", &["`loss` has no `task`"]);
}

#[test]
fn rows_that_nobody_has_are_refused() {
    let bars = |y: &str, step: &str| {
        format!("bars = {{ x = \"variant\", y = \"{y}\", where = {{ step = \"{step}\" }} }}")
    };
    is_drawn(TWO, &bars("loss", "10"));
    is_refused(TWO, &bars("loss", "last"), &["has the step `last`", "whole numbers"]);
    is_refused(TWO, &bars("reasoning.accuracy", "10"), &["has no `step`"]);
    let alone = |name: &str| {
        format!(
            "differences = {{ y = \"reasoning.accuracy\", against = \"A\", where = {{ variant = \"{name}\" }} }}"
        )
    };
    is_drawn(TWO, &alone("B"));
    is_refused(TWO, &alone("A"), &["held against itself alone"]);
}

#[test]
fn a_charts_name_fits_a_file() {
    let named = |bytes: usize| {
        let chart = "bars = { x = \"variant\", y = \"reasoning.accuracy\" }";
        format!("schema = 1\n[chart.{}]\n{chart}\n", "a".repeat(bytes))
    };
    spec::parse("charts", "charts.toml", &named(100), &[]).unwrap();
    assert!(report::charts(&named(100)).is_ok());
    let error = spec::parse("charts", "charts.toml", &named(101), &[]).unwrap_err().to_string();
    assert!(flat(&error).contains(&flat("cannot name a chart")), "{error}");
    let error = report::charts(&named(101)).unwrap_err();
    assert_eq!(error.hint_text(), Some("it has 101 bytes; 100 are the most"));
}

#[test]
fn a_table_of_the_paper_must_have_what_an_overlay_reads() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = |overlay: &str| {
        let file = folder.path().join("charts.toml");
        let chart = "bars = { x = \"variant\", y = \"reasoning.accuracy\", overlay = ";
        fs::write(&file, format!("schema = 1\n[chart.a]\n{chart}\"{overlay}\" }}\n")).unwrap();
        spec::load(&file, &[]).map_err(|error| flat(&error.to_string()))
    };
    loaded("table_3_m3cot").unwrap();
    let said = loaded("weights").unwrap_err();
    let lacks = "results/paper/weights.csv has no column `algorithm`";
    assert!(said.contains(&flat(lacks)), "{said}");
    assert!(said.contains("figure_3") && !said.contains("learning_rate,"), "{said}");
}
