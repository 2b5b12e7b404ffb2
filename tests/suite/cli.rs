//! The binary as people meet it: what it refuses, what it says of itself.

use assert_cmd::Command;
use std::path::Path;

/// What the binary says to its arguments in a folder: exit code 2, nothing on standard output,
/// nothing made.
#[track_caller]
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let before = std::fs::read_dir(folder).unwrap().count();
    let mut command = Command::cargo_bin("prefab").unwrap();
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), before, "{arguments:?} made something");
    message
}

#[test]
fn the_binary_refuses_a_bad_spec_with_exit_code_2_and_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("word.toml", b"schema = 1\n[loss]\nalgorithm = \"mpoo\"\n");
    write("empty.toml", b"");
    write("latin.toml", b"schema = 1\n# caf\xe9\n");
    write("sound.toml", b"schema = 1\n");
    std::fs::create_dir(folder.path().join("folder.toml")).unwrap();
    std::fs::create_dir(folder.path().join("other")).unwrap();
    write("other/sound.toml", b"schema = 1\n");
    for (arguments, says) in [
        (&["word.toml"][..], &["word.toml:3:13", "did you mean `mpo`"][..]),
        (&["empty.toml"], &["empty.toml:1:1", "write `schema = 1`"]),
        (&["latin.toml"], &["latin.toml:2:6", "save the spec as UTF-8"]),
        (&["folder.toml"], &["it is a folder", "name a spec file"]),
        (&["absent.toml"], &["there is no such file", "name a spec file"]),
        (&["sound.toml", "word.toml"], &["word.toml:3:13"]),
        (&["sound.toml", "--set", "loss.beta=x"], &["--set:1:"]),
    ] {
        // `check` says which of several are sound.
        let verbs = if arguments[0] == "sound.toml" {
            &["plan", "run"][..]
        } else {
            &["check", "plan", "run"]
        };
        for verb in verbs {
            let message = refused(folder.path(), &[&[*verb], arguments].concat());
            for part in says {
                assert!(message.contains(part), "{verb} {arguments:?} lacks {part}: {message}");
            }
        }
    }
    for (arguments, says) in [
        (&["sound.toml", "--name", "../out"][..], "cannot name a results folder"),
        (&["sound.toml", "other/sound.toml"], "would both write results of `sound`"),
        (&["sound.toml", "other/sound.toml", "--name", "x"], "several are given"),
        (&["sound.toml", "--until", "police"], "did you mean `policy`?"),
        (&["sound.toml", "-j0"], "0 is not in"),
        (&["sound.toml", "--device", "tpu"], "must be `cpu`, `cuda` or `cuda:N`"),
        (&["sound.toml", "--devise", "cpu"], "--device"),
        (&[], "<SPEC>"),
    ] {
        let message = refused(folder.path(), &[&["run"], arguments].concat());
        assert!(message.contains(says), "{arguments:?} lacks {says}: {message}");
    }
}

#[test]
fn a_checkpoint_must_be_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("model")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.toml", "schema = 1\nmodel.checkpoint = \"model\"\n");
    let check = || refused(folder.path(), &["check", "a.toml"]);
    assert!(check().contains("it has no config.json") && check().contains("a.toml:2:20"));
    write("model/config.json", "{}");
    assert!(check().contains("it has no *.safetensors"), "{}", check());
    write("a.toml", "schema = 1\nmodel.checkpoint = \"../model\"\n");
    assert!(check().contains("there is no folder `../model`"), "{}", check());
}

#[test]
fn clean_removes_nothing_where_there_are_no_specs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join(".prefab/store/corpus-0")).unwrap();
    let message = refused(folder.path(), &["clean", "--yes"]);
    assert!(message.contains("no folder `experiments`"), "{message}");
    assert!(folder.path().join(".prefab/store/corpus-0").exists());
}

#[test]
fn ask_names_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/base");
    std::fs::write(folder.path().join("a.png"), b"no picture").unwrap();
    image::RgbImage::new(64, 64).save(folder.path().join("black.png")).unwrap();
    for (arguments, says) in [
        (["nothing", "black.png", "Is it red?"], "there is no checkpoint `nothing`"),
        ([".", "black.png", "Is it red?"], "it has no config.json"),
        ([base, "b.png", "Is it red?"], "b.png cannot be opened"),
        ([base, "a.png", "Is it red?"], "a.png cannot be decoded"),
        ([base, "black.png", "zebra"], "the word `zebra` is not in the vocabulary"),
    ] {
        let message = refused(folder.path(), &[&["ask"], &arguments[..]].concat());
        assert!(message.contains(says), "{arguments:?} lacks {says}: {message}");
    }
    let mut command = Command::cargo_bin("prefab").unwrap();
    command.current_dir(folder.path()).args(["ask", base, "black.png"]);
    let output = command.args(["Is there a red circle?", "--prompt", "direct"]).output().unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    assert!(["yes", "no"].contains(&answer.trim().to_lowercase().as_str()), "{answer}");
}

fn printed(arguments: &[&str]) -> String {
    let output = Command::cargo_bin("prefab").unwrap().args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_help_fits_a_screen() {
    let help = printed(&["--help"]);
    assert!(help.lines().count() <= 24, "{help}");
    let listed = help.lines().skip_while(|line| !line.starts_with("  "));
    let verbs: Vec<&str> = listed
        .take_while(|line| line.starts_with("  "))
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert!(verbs.len() > 10 && verbs.contains(&"run"), "{verbs:?}");
    for verb in verbs {
        let own = printed(&[verb, "--help"]);
        assert_eq!(own, printed(&["help", verb]));
        assert!(own.lines().count() <= 40, "{own}");
        for line in help.lines().chain(own.lines()) {
            assert!(line.chars().count() <= 80, "{verb}: {line}");
        }
    }
}

#[test]
fn doctor_says_what_there_is_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::cargo_bin("prefab").unwrap();
    let output = command.current_dir(folder.path()).arg("doctor").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for name in ["prefab", "libtorch", "threads", "devices", "kernels", "store", "disk"] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}: {text}");
    }
    assert!(text.contains("libtorch  2."), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    use std::process::{Command, Stdio};
    for arguments in [&["doctor"][..], &["show", "defaults"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_prefab"));
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn show_sources_says_how_each_data_set_is_matched() {
    let output = Command::cargo_bin("prefab").unwrap().args(["show", "sources"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let row = |name: &str| -> Vec<&str> {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().collect()
    };
    assert_eq!(row("InfoVQA"), ["InfoVQA", "OCR", "12", "anls", "yesno", "visual"]);
    let mathematics =
        ["CLEVR-Math", "mathematics", "6", "relaxed", "vqa", "letter", "math", "yesno", "cot"];
    assert_eq!(row("CLEVR-Math"), mathematics);
}
