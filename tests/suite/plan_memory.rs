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
    assert!(
        checked.contains("sound, 1 job; before it runs, fill in model.checkpoint, pairs.import")
    );
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
    // Six tiles and a thumbnail of 256 tokens; a question of 128, two answers of 512.
    assert!(planned.contains("(1 x 1792 image and 1152 other tokens a pass). Fits one H200."));
    assert!(planned.contains("of which a first run will tell"), "no time is invented");
    assert!(!planned.contains("On one H200"), "no way out is wanted");

    let plain = "train.gradient_checkpointing=false";
    let more =
        said(&["plan", SPEC, "--device", "cpu", "--set", plain, "--set", "train.micro_batch=4"]);
    assert!(more.contains("Fits no single card."), "{more}");
    assert!(more.contains("\n  train.gradient_checkpointing = true: "), "{more}");
    assert!(more.contains("\n  or [model.lora] with all of these: "), "{more}");
}

#[test]
fn a_tiny_training_needs_no_word() {
    let quickstart = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/figure-3-tuned.toml");
    assert!(!said(&["plan", quickstart, "--device", "cpu"]).contains("Memory"));
}
