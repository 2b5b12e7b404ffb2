//! The file of a tokenizer that is made here: words, single digits and single marks,
//! each with the space before it.

use super::{END, IMAGE_CONTEXT, IMAGE_END, IMAGE_START, PAD, UNKNOWN};
use std::collections::BTreeSet;

/// What a tokenizer has beside the pieces of its texts.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Ends an answer.
    pub end: &'static str,
    /// Marks of a chat template.
    pub marks: Vec<&'static str>,
    /// How many tokens there are at least: what is short is filled up with names for nothing,
    /// as InternLM2's vocabulary is.
    pub least: usize,
}

impl Default for Frame {
    fn default() -> Self {
        Self { end: END, marks: Vec::new(), least: 0 }
    }
}

/// A space, as it is written inside tokens.
pub(super) const SPACE: &str = "▁";
/// A word (with digits behind its letters, as in `a1`), a digit, a mark, a space or a line break.
const PIECES: &str = r"▁?\p{L}[\p{L}\p{M}\p{N}]*|▁?\p{N}|▁?[^\s\p{L}\p{N}▁]|▁|\s";

/// The file of a word-level tokenizer with these pieces. Special tokens come first, from id 0.
pub(super) fn word_level(pieces: &BTreeSet<String>, frame: &Frame) -> tokenizers::Tokenizer {
    let added = |id: usize, content: &str, special: bool| {
        serde_json::json!({
            "id": id, "content": content, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": special,
        })
    };
    let mut special = vec![PAD, frame.end, IMAGE_START, IMAGE_END, IMAGE_CONTEXT, UNKNOWN];
    let marks = frame.marks.iter().filter(|mark| **mark != frame.end);
    special.extend(marks);
    let named = special.len() + pieces.len();
    let unused: Vec<String> =
        (named..frame.least).map(|id| format!("[UNUSED_TOKEN_{id}]")).collect();
    let mut added_tokens: Vec<serde_json::Value> =
        special.iter().enumerate().map(|(id, token)| added(id, token, true)).collect();
    added_tokens.extend((named..).zip(&unused).map(|(id, token)| added(id, token, false)));
    let tokens = special.iter().copied().chain(pieces.iter().map(String::as_str));
    let tokens = tokens.chain(unused.iter().map(String::as_str));
    let vocabulary: serde_json::Map<String, serde_json::Value> =
        (0u32..).zip(tokens).map(|(id, token)| (token.to_owned(), id.into())).collect();
    let file = serde_json::json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens,
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "Prepend", "prepend": SPACE },
            { "type": "Replace", "pattern": { "String": " " }, "content": SPACE },
            { "type": "Replace", "pattern": { "String": "\n" }, "content": format!("\n{SPACE}") },
        ]},
        "pre_tokenizer": {
            "type": "Split", "pattern": { "Regex": PIECES }, "behavior": "Isolated", "invert": false,
        },
        "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": SPACE }, "content": " " },
            { "type": "Fuse" },
            { "type": "Strip", "content": " ", "start": 1, "stop": 0 },
            { "type": "Replace", "pattern": { "String": "\n " }, "content": "\n" },
        ]},
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": UNKNOWN },
    });
    tokenizers::Tokenizer::from_bytes(file.to_string()).expect("the built file is valid")
}
