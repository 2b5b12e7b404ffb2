//! Tokenizers, chat templates and label masks against what InternVL's code recorded with its
//! checkpoints' tokenizers, by the verb that users have for it; and templates that do not fit.

use prefab::cli::verify::{Verify, run};
use prefab::data::template::{Prompter, TEMPLATES};
use prefab::data::tokenizer::Tokenizer;
use prefab::stage::{Progress, StageContext};
use std::collections::BTreeMap;
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

/// Recorded tokenizers, and word-level ones for every chat template.
fn all_tokenizers() -> Vec<(String, Tokenizer)> {
    let mut all = Vec::new();
    for (folder, name) in [
        (INTERNVL, "qwen2"),
        (INTERNVL, "internlm2"),
        (LLAMA, "phi3"),
        (LLAMA, "yi"),
        (LLAMA, "llama"),
    ] {
        let dir = tokenizer(folder, name);
        all.push((name.to_owned(), Tokenizer::load(&dir).unwrap()));
        all.push((format!("{name}, slow"), Tokenizer::load_slow(&dir).unwrap()));
    }
    for template in TEMPLATES.iter().filter(|template| !template.is_plain()) {
        let built = Tokenizer::build_for(template, ["How many dots?", "a 12"], 0);
        all.push((format!("built for {}", template.name), built));
    }
    all
}

#[test]
fn image_tokens_are_those_of_the_spelt_out_text_wherever_pictures_stand() {
    let questions: [(&str, &[usize]); 12] = [
        ("<image>\nHow many dots?", &[1]),
        ("<image>\nHow many dots?", &[13]),
        ("a<image>a", &[2]),
        ("How many<image>", &[2]),
        ("  <image>  12", &[3]),
        ("<image><image>", &[2, 1]),
        ("Image-1: <image>\nImage-2: <image>\nHow many?", &[1, 7]),
        ("<img><image></img>", &[2]),
        ("你好<image>😀\n", &[2]),
        // Spelt out by the question: such tokens stay as many as they are.
        ("<IMG_CONTEXT> <image>", &[2]),
        ("<image><img><IMG_CONTEXT></img> <image>", &[2, 3]),
        ("<IMG_CONTEXT>", &[]),
    ];
    let mut fitting = 0;
    for (name, tokenizer) in all_tokenizers() {
        for template in TEMPLATES.iter().filter(|template| !template.is_plain()) {
            let Ok(prompter) = Prompter::new(&tokenizer, template.name, 3) else { continue };
            fitting += 1;
            for (question, tiles) in questions {
                let spelt = tokenizer.encode_framed(&prompter.render(question, tiles));
                let ids = prompter.encode_prompt_with(question, tiles).unwrap();
                assert_eq!(ids, spelt, "{name}, {}: {question:?}", template.name);
                let context = tokenizer.image_context();
                let own = question.matches("<IMG_CONTEXT>").count();
                let wanted = own + 3 * tiles.iter().sum::<usize>();
                assert_eq!(ids.iter().filter(|id| **id == context).count(), wanted, "{question}");
            }
        }
    }
    assert!(fitting >= 10, "{fitting}");
}

/// Imports a recorded model with a recorded tokenizer, as the first stage of a run does.
fn import(model: &str, tokens: &Path, template: Option<&str>) -> prefab::Result<tempfile::TempDir> {
    let dir = copied(&format!("{model}/model"));
    copy(tokens, dir.path());
    fs::remove_file(dir.path().join("tokenizer.json")).ok();
    if let Some(template) = template {
        let path = dir.path().join("config.json");
        let mut config: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config["template"] = template.into();
        fs::write(path, config.to_string()).unwrap();
    }
    let root = tempfile::tempdir().unwrap();
    let (out, work) = (root.path().join("out"), root.path().join("work"));
    fs::create_dir(&out).unwrap();
    let (device, progress) = (tch::Device::Cpu, Progress::Silent);
    let (inputs, replies) = (BTreeMap::new(), root.path().join("replies"));
    let ctx = StageContext { inputs, out, work, replies, device, progress };
    let mut settings = prefab::spec::defaults();
    settings.model.checkpoint = Some(dir.path().to_str().unwrap().to_owned());
    prefab::train::base::run(&settings.base, &settings.model, &ctx)?;
    Ok(root)
}

#[test]
fn a_checkpoint_with_a_slow_tokenizer_is_imported_with_it() {
    let files = tokenizer(INTERNVL, "internlm2");
    let root = import("orig_internlm2_ln", &files, None).unwrap();
    let imported = Tokenizer::load(&root.path().join("out")).unwrap();
    let text = "<|im_start|>user\n<img><IMG_CONTEXT></img>\nHow many?<|im_end|>";
    let original = Tokenizer::load_slow(&files).unwrap();
    assert_eq!(imported.encode_framed(text), original.encode_framed(text));
}

#[test]
fn a_checkpoint_whose_template_or_tokenizer_is_not_its_own_is_refused_at_once() {
    let internlm2 = tokenizer(INTERNVL, "internlm2");
    let error = message(import("orig_internlm2_ln", &internlm2, Some("phi3-chat")));
    for part in ["importing `", "`phi3-chat` does not fit", "`<|assistant|>`", "internlm2-chat"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = message(import("orig_qwen2_rms_qknorm_sharded", &internlm2, None));
    assert!(error.contains("329 tokens, and its model only 300 embeddings"), "{error}");
}
