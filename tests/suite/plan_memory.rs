//! What `plan` says of released sizes before their files are there.

use std::process::{Command, Output};

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/internvl2-8b-mpo.toml");

fn prefab(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_prefab"));
    command.current_dir(&folder).args(arguments).output().unwrap()
}

fn said(arguments: &[&str]) -> String {
    let output = prefab(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_path_to_fill_in_is_no_mistake_until_it_is_run() {
    let checked = said(&["check", SPEC]);
    assert!(checked.contains(
        "sound, 1 job beside the base's; before it runs, fill in model.checkpoint, pairs.import"
    ));
    let output = prefab(&["run", SPEC]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("model.checkpoint, pairs.import still to be filled in"), "{error}");
    let mistyped = prefab(&["check", SPEC, "--set", "model.checkpoint=\"PATHS/8B\""]);
    assert_eq!(mistyped.status.code(), Some(2), "another path that is not there is a mistake");
}

#[test]
fn full_training_of_8b_is_counted_from_its_8_075_365_376_parameters() {
    // Two fp32 moments: 8 bytes each, 60.165 GiB.
    let planned = said(&["plan", SPEC, "--device", "cpu"]);
    assert!(planned.contains("moments 60.2 "), "{planned}");
    // Twelve tiles and a thumbnail of 256 tokens; a question of 128, two answers of 512.
    assert!(
        planned.contains("(1 x 3328 image and 1152 other tokens a pass, an assumed length). "),
        "{planned}"
    );
    assert!(planned.contains("Fits one H200."), "{planned}");
    // The tower trains: the base alone has features, and the policy's pictures are encoded anew.
    assert!(planned.contains("Image features are not kept for mpo-s0 (the vision"), "{planned}");
    assert!(planned.contains("of which a first run will tell"), "no time is invented");
    assert!(!planned.contains("On one H200"), "no way out is wanted");

    let plain = "train.gradient_checkpointing=false";
    let more =
        said(&["plan", SPEC, "--device", "cpu", "--set", plain, "--set", "train.micro_batch=4"]);
    assert!(more.contains("Fits no single card."), "{more}");
    assert!(more.contains("\n  train.gradient_checkpointing = true: "), "{more}");
    assert!(more.contains("\n  or [model.lora] with all of these: "), "{more}");
}

/// The number in front of ` GiB` behind some words.
#[track_caller]
fn gib(text: &str, words: &str) -> f64 {
    let (_, behind) = text.split_once(words).unwrap_or_else(|| panic!("`{words}` in {text}"));
    behind.split_once(" GiB").unwrap().0.trim().parse().unwrap()
}

#[test]
fn the_stage_that_needs_most_decides_what_fits() {
    let lora = ["--set", "model.lora.rank=16", "--set", "train.gradients=\"fp32\""];
    let lora = [&["plan", SPEC, "--device", "cpu"], &lora[..]].concat();
    let planned = said(&lora);
    // bf16 weights of 8,075,365,376 numbers are 15.0 GiB, and nothing but activations beside them.
    let (reference, answers) = (gib(&planned, "Reference"), gib(&planned, ", answers"));
    assert!((15.3..25.0).contains(&reference), "{planned}");
    assert!((16.0..60.0).contains(&answers), "{planned}");
    let wide = said(&[&lora[..], &["--set", "model.precision=\"fp32\""]].concat());
    assert!(gib(&wide, "Reference") > reference + 14.0, "{wide}");
    let crowded = said(&[&lora[..], &["--set", "eval.batch=512"]].concat());
    assert!(crowded.contains("Fits no single card."), "{crowded}");
    assert!(crowded.contains("batches of 4 in [eval] and [candidates]: "), "{crowded}");
}

#[test]
fn a_prompt_that_does_not_fit_is_said_with_what_to_set() {
    let set = |settings: &[&str]| {
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        said(&["plan", SPEC, "--device", "cpu"].into_iter().chain(settings).collect::<Vec<_>>())
    };
    let wide = set(&["model.max_tiles=40", "train.max_tokens=6144"]);
    // 41 tiles of 256 tokens; 22 and a thumbnail leave 256 of 6,144.
    assert!(wide.contains("40 tiles takes 10496 tokens, and train.max_tokens = 6144"), "{wide}");
    assert!(wide.contains("Set train.max_tokens = 11648, or model.max_tiles = 22."), "{wide}");
    let (_, of_the_training) = wide.split_once("Memory of mpo-s0").unwrap();
    assert!(!of_the_training.contains("Fits one"), "{wide}");
    let short = set(&["train.max_tokens=3000"]);
    assert!(short.contains("12 tiles takes 3328 tokens"), "{short}");
    assert!(short.contains("or model.max_tiles = 9."), "{short}");
}

#[test]
fn ways_that_do_not_fit_are_not_listed() {
    let hopeless = ["--set", "model.size=\"76B\"", "--set", "model.precision=\"fp32\""];
    let planned = said(&[&["plan", SPEC, "--device", "cpu"], &hopeless[..]].concat());
    assert!(planned.ends_with("will tell.\n"), "{planned}");
    assert!(planned.contains("On one H200 (139 GiB):\n  no way found\n"), "{planned}");
}

#[test]
fn a_reference_that_moves_is_a_second_model() {
    let planned = |more: &[&str]| said(&[&["plan", SPEC, "--device", "cpu"], more].concat());
    let moving = ["--set", "loss.algorithm=\"tr_dpo\""];
    let lora = ["--set", "model.lora.rank=16", "--set", "train.gradients=\"fp32\""];
    let words = "weights ";
    let weights = |text: &str| -> f64 {
        let (_, behind) = text.split_once(words).unwrap();
        behind.split_once(' ').unwrap().0.parse().unwrap()
    };
    // 8,075,365,376 numbers in f32 are 30.1 GiB; adapters of rank 16 a few hundredths.
    let more = weights(&planned(&moving)) - weights(&planned(&[]));
    assert!((30.0..30.2).contains(&more), "{more}");
    let more = weights(&planned(&[&lora[..], &moving].concat())) - weights(&planned(&lora));
    assert!((0.0..0.4).contains(&more), "{more}");
}

#[test]
fn the_best_weights_so_far_are_held_beside_those_that_train() {
    let planned = |keep: &str| {
        let keep = format!("train.keep=\"{keep}\"");
        let looks = ["--set", "eval.every=50", "--set", "eval.slice=100", "--set", &keep];
        said(&[&["plan", SPEC, "--device", "cpu"], &looks[..]].concat())
    };
    let weights = |text: &str| -> f64 {
        let (_, behind) = text.split_once("weights ").unwrap();
        behind.split_once(' ').unwrap().0.parse().unwrap()
    };
    // Both are rounded to a tenth.
    let more = weights(&planned("best")) - weights(&planned("last"));
    assert!((29.9..30.3).contains(&more), "{more}");
}

#[test]
fn a_tiny_training_needs_no_word() {
    let quickstart = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/figure-3-tuned.toml");
    assert!(!said(&["plan", quickstart, "--device", "cpu"]).contains("Memory"));
}
