//! The file of the embedded sizes' tokenizer: words, single digits and single marks,
//! each with the space before it.

use super::{END, IMAGE_CONTEXT, IMAGE_END, IMAGE_START, PAD, UNKNOWN};
use std::collections::BTreeSet;

/// Special tokens of a built tokenizer, from id 0.
const SPECIAL: [&str; 6] = [PAD, END, IMAGE_START, IMAGE_END, IMAGE_CONTEXT, UNKNOWN];
/// A space, as it is written inside tokens.
pub(super) const SPACE: &str = "▁";
/// A word (with digits behind its letters, as in `a1`), a digit, a mark, a space or a line break.
const PIECES: &str = r"▁?\p{L}[\p{L}\p{M}\p{N}]*|▁?\p{N}|▁?[^\s\p{L}\p{N}▁]|▁|\s";

/// The file of a word-level tokenizer with these pieces.
pub(super) fn word_level(pieces: &BTreeSet<String>) -> tokenizers::Tokenizer {
    let special: Vec<serde_json::Value> = (0..)
        .zip(SPECIAL)
        .map(|(id, content): (u32, _)| {
            serde_json::json!({
                "id": id, "content": content, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            })
        })
        .collect();
    let tokens = SPECIAL.into_iter().chain(pieces.iter().map(String::as_str));
    let vocabulary: serde_json::Map<String, serde_json::Value> =
        (0u32..).zip(tokens).map(|(id, token)| (token.to_owned(), id.into())).collect();
    let file = serde_json::json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": special,
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
