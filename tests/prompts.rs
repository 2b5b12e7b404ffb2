//! Tokenizers, chat templates and label masks against what InternVL's code recorded with its
//! checkpoints' tokenizers, by the verb that users have for it; and templates that do not fit.

use prefab::cli::verify::{Verify, run};
use prefab::data::template::Prompter;
use prefab::data::tokenizer::Tokenizer;
use std::fs;
use std::path::{Path, PathBuf};

/// Qwen2's bytes and InternLM2's pieces, in both forms.
const INTERNVL: &str = "text";
/// Phi-3's, Yi's and Llama's pieces, as transformers' class for all three cuts them.
const LLAMA: &str = "text_llama";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/internvl").join(name)
}

fn tokenizer(folder: &str, name: &str) -> PathBuf {
    fixture(folder).join("tokenizers").join(name)
}

fn verify(dir: &Path) -> prefab::Result<()> {
    run(&Verify::Prompts { dir: dir.to_owned() })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let below = to.join(file.file_name());
        match file.file_type().unwrap().is_dir() {
            true => copy(&file.path(), &below),
            false => fs::copy(file.path(), below).map(drop).unwrap(),
        }
    }
}

/// A copy of a recorded folder, to be tampered with.
fn copied(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(name), dir.path());
    dir
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn message<T>(result: prefab::Result<T>) -> String {
    let error = result.err().expect("an error");
    format!("{error}\n{}", error.hint_text().unwrap_or_default())
}

#[test]
fn what_internvl_recorded_is_recomputed() {
    verify(&fixture(INTERNVL)).unwrap();
}

#[test]
fn what_phi3_yi_and_llama_recorded_is_recomputed() {
    verify(&fixture(LLAMA)).unwrap();
}

#[test]
fn a_recorded_value_that_differs_fails() {
    for (file, from, to, quantities) in [
        ("prompts.json", "Hello, who are you?<", "Hello, who are yuo?<", "1 of "),
        ("prompts.json", "\"eos_token_id\": 422", "\"eos_token_id\": 421", "1 of "),
        ("training_masks.json", "\"labels\": [-100,", "\"labels\": [1,", "1 of "),
        ("training_masks.json", "\"n_supervised\": ", "\"n_supervised\": 1", "1 of "),
    ] {
        let dir = copied(LLAMA);
        edit(&dir.path().join(file), from, to);
        let error = message(verify(dir.path()));
        assert!(error.contains(quantities) && error.contains("exceed"), "{from}: {error}");
    }
}

#[test]
fn what_nothing_recomputes_or_is_not_there_fails() {
    let dir = copied(LLAMA);
    edit(&dir.path().join("prompts.json"), "\"eos_token_id\"", "\"end_token_id\"");
    assert!(message(verify(dir.path())).contains("end_token_id"));
    let dir = copied(LLAMA);
    edit(&dir.path().join("prompts.json"), "\"tokenizer\": \"yi\"", "\"tokenizer\": \"yo\"");
    let error = message(verify(dir.path()));
    assert!(error.contains("prompts.json: prompts 15: ") && error.contains("yo"), "{error}");
    assert!(message(verify(tempfile::tempdir().unwrap().path())).contains("nothing in"));
}

#[test]
fn another_tokenizer_under_another_name_is_verified_as_well() {
    let dir = copied(LLAMA);
    let tokenizers = dir.path().join("tokenizers");
    fs::rename(tokenizers.join("yi"), tokenizers.join("mine")).unwrap();
    for file in ["prompts.json", "training_masks.json"] {
        let path = dir.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace("\"yi\"", "\"mine\"")).unwrap();
    }
    verify(dir.path()).unwrap();
    // A tokenizer.json beside the slow files is held to the same ids.
    Tokenizer::load(&tokenizers.join("mine")).unwrap().save(&tokenizers.join("mine")).unwrap();
    verify(dir.path()).unwrap();
}

#[test]
fn a_converted_tokenizer_is_the_same_one_when_it_has_been_saved() {
    for (folder, name) in [(INTERNVL, "qwen2"), (INTERNVL, "internlm2"), (LLAMA, "yi")] {
        let slow = Tokenizer::load_slow(&tokenizer(folder, name)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        slow.save(dir.path()).unwrap();
        let saved = Tokenizer::load(dir.path()).unwrap();
        for text in ["  two  spaces\n", "a<img>b</img> c", "你好 😀 1,234.5", ""] {
            assert_eq!(saved.encode_framed(text), slow.encode_framed(text), "{name}: {text:?}");
        }
    }
    // What a tokenizer.json cannot say is not written as if it could.
    let dir = tempfile::tempdir().unwrap();
    let phi3 = Tokenizer::load(&tokenizer(LLAMA, "phi3")).unwrap();
    assert!(message(phi3.save(dir.path())).contains("copy its own files"));
}

#[test]
fn a_template_that_does_not_fit_names_the_mark_and_those_that_fit() {
    let qwen2 = Tokenizer::load(&tokenizer(INTERNVL, "qwen2")).unwrap();
    let phi3 = Tokenizer::load(&tokenizer(LLAMA, "phi3")).unwrap();
    let error = message(Prompter::new(&qwen2, "phi3-chat", 4));
    for part in ["`phi3-chat`", "`<|assistant|>`", "internlm2-chat, Hermes-2, internvl2_5"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = message(Prompter::new(&phi3, "internvl2_5", 4));
    for part in ["`internvl2_5`", "`<|im_end|>`", "fits phi3-chat"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    Prompter::new(&phi3, "phi3-chat", 4).unwrap();
    let built = Tokenizer::build(["a"]);
    let error = message(Prompter::new(&built, "Hermes-2", 4));
    assert!(error.contains("no template fits this tokenizer"), "{error}");
}
