//! Damaged tokenizers: one clear error each, naming the file (and the line where there is one);
//! never a panic.

use crate::support::files;
use prefab::data::tokenizer::Tokenizer;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

const QWEN2: &str = "text/tokenizers/qwen2";
const INTERNLM2: &str = "text/tokenizers/internlm2";
const PHI3: &str = "text_llama/tokenizers/phi3";

/// A copy of a tokenizer's slow files, or of all.
fn copy(name: &str, slow: bool) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/internvl").join(name);
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if !(slow && file.file_name() == "tokenizer.json") {
            fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
        }
    }
    dir
}

/// What loading the folder says, with its hint; it must hold every part.
#[track_caller]
fn assert_says(dir: &Path, parts: &[&str]) {
    files::assert_says(Tokenizer::load(dir), parts);
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_truncated_model_is_cut_off() {
    let dir = copy(INTERNLM2, true);
    let path = dir.path().join("tokenizer.model");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_says(dir.path(), &["tokenizer.model: ", "cut off"]);
    fs::write(&path, &bytes[..0]).unwrap();
    assert_says(dir.path(), &["tokenizer.model: ", "no pieces"]);
    // What a Git LFS pointer leaves in a model's place.
    fs::write(&path, "version https://git-lfs.github.com/spec/v1\noid sha256:ab\n").unwrap();
    assert_says(dir.path(), &["tokenizer.model: "]);
}

#[test]
fn a_bad_merge_names_its_line() {
    for (from, to, what) in [
        ("\n", "\nonepart\n", "merges.txt:2: a merge has two parts"),
        ("\n", "\na zzz\n", "merges.txt:2: the token `zzz` is not in vocab.json"),
        ("\n", "\nt t\n", "merges.txt:2: the token `tt` is not in vocab.json"),
    ] {
        let dir = copy(QWEN2, true);
        edit(&dir.path().join("merges.txt"), from, to);
        assert_says(dir.path(), &[what]);
    }
    let dir = copy(QWEN2, true);
    fs::write(dir.path().join("merges.txt"), b"a \xff\xfe\n").unwrap();
    assert_says(dir.path(), &["merges.txt", "UTF-8"]);
}

#[test]
fn a_missing_half_is_named() {
    for (missing, there) in [("vocab.json", "merges.txt"), ("merges.txt", "vocab.json")] {
        let dir = copy(QWEN2, true);
        fs::remove_file(dir.path().join(missing)).unwrap();
        assert_says(dir.path(), &[&format!("{missing} is missing beside {there}"), "copy both"]);
    }
    let none = tempfile::tempdir().unwrap();
    assert_says(none.path(), &["has no tokenizer", "vocab.json and merges.txt"]);
}

#[test]
fn a_vocabulary_names_what_it_lacks() {
    let dir = copy(QWEN2, true);
    edit(&dir.path().join("vocab.json"), "\"!\"", "\"!!\"");
    assert_says(dir.path(), &["vocab.json", "`!` is missing", "256 bytes"]);
    let dir = copy(QWEN2, true);
    let text = fs::read_to_string(dir.path().join("vocab.json")).unwrap();
    fs::write(dir.path().join("vocab.json"), text.replacen('{', "{\"twice\": 7,", 1)).unwrap();
    assert_says(dir.path(), &["vocab.json", "`twice`", "both have the id 7"]);
    let dir = copy(QWEN2, true);
    edit(&dir.path().join("vocab.json"), ": 7", ": -7");
    assert_says(dir.path(), &["vocab.json", "line "]);
}

#[test]
fn json_that_is_none_names_file_and_line() {
    for name in [QWEN2, INTERNLM2, PHI3] {
        for file in ["tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"] {
            let dir = copy(name, true);
            fs::write(dir.path().join(file), "{\n\"a\": 1,\n}").unwrap();
            assert_says(dir.path(), &[file, "line 3"]);
            fs::write(dir.path().join(file), "[]").unwrap();
            assert_says(dir.path(), &[file]);
        }
    }
    let dir = copy(QWEN2, false);
    fs::write(dir.path().join("tokenizer.json"), "{\"model\":\n").unwrap();
    assert_says(dir.path(), &["tokenizer.json", "line 2"]);
    fs::write(dir.path().join("tokenizer.json"), "{}").unwrap();
    assert_says(dir.path(), &["tokenizer.json"]);
}

/// Found by the properties below: the `tokenizers` crate panics at what these hold.
#[test]
fn a_frame_of_an_unknown_token_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let from = Path::new("tests/fixtures/internvl/text/tokenizers/internlm2/tokenizer.json");
    let text = fs::read_to_string(from).unwrap();
    let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
    file["post_processor"] = serde_json::json!({
        "type": "Sequence",
        "processors": [{
            "type": "TemplateProcessing",
            "single": [
                { "SpecialToken": { "id": "{s>", "type_id": 0 } },
                { "Sequence": { "id": "A", "type_id": 0 } },
            ],
            "pair": [],
            "special_tokens": { "<s>": { "id": "<s>", "ids": [1], "tokens": ["<s>"] } },
        }],
    });
    fs::write(dir.path().join("tokenizer.json"), file.to_string()).unwrap();
    let error = Tokenizer::load(dir.path()).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json") && error.contains("`{s>`"), "{error}");
}

#[test]
fn a_decoder_or_a_character_map_that_is_none_is_refused() {
    let dir = copy(INTERNLM2, false);
    let path = dir.path().join("tokenizer.json");
    let text = fs::read_to_string(&path).unwrap();
    let decoder = text.find("\"decoder\"").unwrap();
    let broken = text[decoder..].replacen("\"Fuse\"", "\"\\ud800\"", 1);
    fs::write(&path, text[..decoder].to_owned() + &broken).unwrap();
    assert_says(dir.path(), &["tokenizer.json", "line "]);
    let map =
        r#""normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}, "normal": "#;
    fs::write(&path, text.replacen("\"normalizer\": ", map, 1)).unwrap();
    assert_says(dir.path(), &["tokenizer.json", "the character map is cut off"]);
}

#[test]
fn added_tokens_must_agree_and_follow_the_vocabulary() {
    let dir = copy(PHI3, true);
    edit(&dir.path().join("added_tokens.json"), "\"<img>\": 425", "\"<img>\": 426");
    assert_says(dir.path(), &["added_tokens.json", "426", "`<img>`", "must agree"]);
    let dir = copy(QWEN2, true);
    for file in ["tokenizer_config.json", "special_tokens_map.json"] {
        fs::remove_file(dir.path().join(file)).unwrap();
    }
    fs::write(dir.path().join("added_tokens.json"), "{\"<|im_end|>\": 1000}").unwrap();
    assert_says(dir.path(), &["`<|im_end|>`", "1000", "without gaps"]);
    fs::write(dir.path().join("added_tokens.json"), "{\"<|im_end|>\": \"x\"}").unwrap();
    assert_says(dir.path(), &["added_tokens.json", "`<|im_end|>` has no id"]);
}

#[test]
fn a_class_that_is_not_known_names_those_that_are() {
    for (name, class) in [(QWEN2, "Qwen2Tokenizer"), (PHI3, "LlamaTokenizer")] {
        let dir = copy(name, true);
        edit(&dir.path().join("tokenizer_config.json"), class, "T5Tokenizer");
        assert_says(dir.path(), &["`T5Tokenizer`", class, "tokenizer.json"]);
    }
}

/// One change to the bytes of a file.
#[derive(Clone, Debug)]
enum Damage {
    Cut(prop::sample::Index),
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    use prop::sample::Index;
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (any::<Index>(), prop::sample::select(vec!['"', '{', '}', '[', ',', ':', '0', '-']))
            .prop_map(|(at, mark)| Damage::Set(at, mark as u8)),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..8))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<Index>(), 1..40usize).prop_map(|(at, count)| Damage::Remove(at, count)),
    ]
}

fn damaged(mut bytes: Vec<u8>, all: &[Damage]) -> Vec<u8> {
    for one in all {
        if bytes.is_empty() {
            break;
        }
        match one {
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Damage::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Damage::Insert(at, new) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, new.iter().copied());
            }
            Damage::Remove(at, count) => {
                let at = at.index(bytes.len());
                let end = (at + count).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
    bytes
}

/// Every form with the files that it is read from.
const FILES: [(&str, bool, &[&str]); 5] = [
    (
        INTERNLM2,
        true,
        &[
            "tokenizer.model",
            "tokenizer_config.json",
            "added_tokens.json",
            "special_tokens_map.json",
        ],
    ),
    (INTERNLM2, false, &["tokenizer.json"]),
    (
        QWEN2,
        true,
        &[
            "vocab.json",
            "merges.txt",
            "tokenizer_config.json",
            "added_tokens.json",
            "special_tokens_map.json",
        ],
    ),
    (QWEN2, false, &["tokenizer.json"]),
    (PHI3, true, &["tokenizer.model", "tokenizer_config.json"]),
];

/// Cuts and joins texts with whatever was loaded.
fn use_it(tokenizer: &Tokenizer) {
    for text in ["", " a", "<|im_start|>user\n<img><IMG_CONTEXT></img> 12 é😀\u{0}", "\u{fffd}▁▁ x"]
    {
        let ids = tokenizer.encode_framed(text);
        tokenizer.decode(&ids);
        tokenizer.encode_behind("<|im_start|>assistant\n", text);
    }
    tokenizer.decode(&[0, 1, 5, 400, 100_000]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_damage_to_a_tokenizer_is_an_error_or_other_tokens(
        form in prop::sample::select(FILES.to_vec()),
        file in any::<prop::sample::Index>(),
        all in prop::collection::vec(damage(), 1..5),
    ) {
        let (name, slow, files) = form;
        let dir = copy(name, slow);
        let path = dir.path().join(files[file.index(files.len())]);
        fs::write(&path, damaged(fs::read(&path).unwrap(), &all)).unwrap();
        match Tokenizer::load(dir.path()) {
            Ok(tokenizer) => use_it(&tokenizer),
            Err(error) => {
                let text = error.to_string();
                prop_assert!(text.contains(&*dir.path().to_string_lossy()), "no file: {text}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_place_of_a_file_are_read_or_refused(
        form in prop::sample::select(FILES.to_vec()),
        file in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let (name, slow, files) = form;
        let dir = copy(name, slow);
        fs::write(dir.path().join(files[file.index(files.len())]), bytes).unwrap();
        if let Ok(tokenizer) = Tokenizer::load(dir.path()) {
            use_it(&tokenizer);
        }
    }
}
