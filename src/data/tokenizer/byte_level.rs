//! vocab.json and merges.txt as a tokenizer.json: BPE over bytes, as Qwen2 and GPT-2
//! have it.

use super::added::Settings;
use crate::error::{Context, Error, Result};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;

/// Where Qwen2 cuts a text: contractions, words with one mark before them, single digits, marks,
/// line breaks, spaces.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Where GPT-2 does.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Reads both files with the settings that stand beside them.
///
/// # Errors
///
/// A damaged file, a byte without a token, a merge of unknown tokens, a tokenizer class that is
/// not known.
pub fn convert(vocabulary: &Path, merges: &Path, settings: &mut Settings) -> Result<Value> {
    let class = settings.class().unwrap_or("Qwen2Tokenizer");
    let (pattern, composes) = match class {
        "Qwen2Tokenizer" => (QWEN2, true),
        "GPT2Tokenizer" => (GPT2, false),
        _ => {
            let path = vocabulary.display();
            return Err(Error::new(format!("{path}: the tokenizer class `{class}` is not known"))
                .hint("Qwen2Tokenizer and GPT2Tokenizer are; or give a tokenizer.json"));
        }
    };
    let doing = || format!("reading {}", vocabulary.display());
    let bytes = std::fs::read(vocabulary).with_context(doing)?;
    let mut tokens: HashMap<String, u32> = serde_json::from_slice(&bytes).with_context(doing)?;
    if let Some(missing) = byte_tokens().find(|token| !tokens.contains_key(token.as_str())) {
        return Err(Error::new(format!(
            "{}: the token `{missing}` is missing, and with it one of the 256 bytes",
            vocabulary.display()
        )));
    }
    let mut names: HashMap<u32, String> = HashMap::with_capacity(tokens.len());
    for (name, id) in &tokens {
        if let Some(other) = names.insert(*id, name.clone()) {
            let (one, other) = (name.min(&other), name.max(&other));
            let path = vocabulary.display();
            return Err(Error::new(format!("{path}: `{one}` and `{other}` both have the id {id}")));
        }
    }
    // The settings may name a token anew.
    for (id, added) in &settings.added {
        if let Some(name) = names.get(id) {
            tokens.remove(name);
            tokens.insert(added.content.clone(), *id);
        }
    }
    settings.add_named(|token| tokens.get(token).copied());
    settings.added.values_mut().for_each(|token| token.normalized = false);
    let merges = read_merges(merges, &tokens)?;
    let before_bytes = settings.switch("add_prefix_space").unwrap_or(false);
    let bytes = json!({
        "type": "ByteLevel", "add_prefix_space": before_bytes, "trim_offsets": false, "use_regex": false,
    });
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": settings.added.values().collect::<Vec<_>>(),
        "normalizer": composes.then(|| json!({"type": "NFC"})),
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
            bytes,
        ]},
        "post_processor": bytes,
        "decoder": bytes,
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": false,
            "vocab": tokens,
            "merges": merges,
        },
    }))
}

/// A merge a line, best first; a first line `#version` is a comment.
fn read_merges(path: &Path, tokens: &HashMap<String, u32>) -> Result<Vec<[String; 2]>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut merges = Vec::new();
    for (line, merge) in (1..).zip(text.lines()) {
        let merge = merge.trim();
        if merge.is_empty() || (line == 1 && merge.starts_with("#version")) {
            continue;
        }
        let fault = |what: &str| Error::new(format!("{}:{line}: {what}", path.display()));
        let (left, right) = merge.split_once(' ').ok_or_else(|| fault("a merge has two parts"))?;
        let whole = format!("{left}{right}");
        for token in [left, right, &whole] {
            if !tokens.contains_key(token) {
                return Err(fault(&format!("the token `{token}` is not in vocab.json")));
            }
        }
        merges.push([left.to_owned(), right.to_owned()]);
    }
    Ok(merges)
}

/// How bytes are written as characters: printable ones as themselves, the others from U+0100 on.
fn byte_tokens() -> impl Iterator<Item = String> {
    let is_plain = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 0x100;
    (0..=255u32).map(move |byte| {
        let code = if is_plain(byte) {
            byte
        } else {
            next += 1;
            next - 1
        };
        char::from_u32(code).expect("a letter of Latin").to_string()
    })
}
