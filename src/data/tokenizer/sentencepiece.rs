//! SentencePiece's tokenizer.model as a tokenizer.json: BPE with byte fallback, as
//! InternLM2, Llama, Yi and Phi-3 have it.
//!
//! SentencePiece merges the neighbouring pair whose whole has the best score, the
//! leftmost of equals; a list of merges in order of score does the same.

use super::added::Settings;
use super::charsmap::{check, to_base64};
use super::protobuf::{Field, fields};
use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// A space, as it is written inside pieces.
const SPACE: &str = "▁";

/// What a tokenizer.json cannot say: what goes before the first word of a text, not of
/// every chunk between special tokens.
#[derive(Clone, Debug, Default)]
pub struct Lead {
    /// Tokens before a framed text.
    pub before: Vec<String>,
    /// Tokens behind it.
    pub after: Vec<String>,
    /// Tokens that take the place of the mark before a text's first word: those that the
    /// settings name special, which need not be all added ones that are.
    pub named: BTreeSet<String>,
}

/// A converted model.
pub struct Converted {
    /// A whole tokenizer.json.
    pub file: Value,
    /// The prefix that Llama's own tokenizer (`legacy = false`) puts before a text.
    pub lead: Option<Lead>,
}

/// The parts of a model file that matter here.
#[derive(Debug)]
struct Model {
    pieces: Vec<Piece>,
    kind: u64,
    has_bytes: bool,
    unknown: String,
    charsmap: Vec<u8>,
    adds_prefix: bool,
    trims: bool,
    escapes: bool,
    is_suffix: bool,
}

#[derive(Debug)]
struct Piece {
    text: String,
    score: f32,
    kind: u64,
}

/// Kinds of pieces, of SentencePiece's model format.
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;
const BYTE: u64 = 6;
/// The kind of model whose pieces are merges.
const BPE: u64 = 2;

/// Reads a tokenizer.model with the settings that stand beside it.
///
/// # Errors
///
/// A damaged file, a model that is no BPE, a tokenizer class that is not known.
pub fn convert(path: &Path, settings: &mut Settings) -> Result<Converted> {
    let fault = |error: String| Error::new(format!("{}: {error}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
    let model = Model::parse(&bytes).map_err(fault)?;
    model.check().map_err(|error| {
        fault(error).hint("convert it to a tokenizer.json with the transformers library")
    })?;
    let class = settings.class().unwrap_or("LlamaTokenizer").to_owned();
    if !["LlamaTokenizer", "InternLM2Tokenizer"].contains(&class.as_str()) {
        return Err(fault(format!("the tokenizer class `{class}` is not known"))
            .hint("LlamaTokenizer and InternLM2Tokenizer are; or give a tokenizer.json"));
    }
    model.file(&class, settings).map_err(fault)
}

impl Model {
    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let mut model = Self {
            pieces: Vec::new(),
            kind: 1,
            has_bytes: false,
            unknown: "<unk>".to_owned(),
            charsmap: Vec::new(),
            adds_prefix: true,
            trims: true,
            escapes: true,
            is_suffix: false,
        };
        fields(bytes, |number, field| match (number, field) {
            (1, Field::Bytes(piece)) => {
                let index = model.pieces.len();
                let piece = Piece::parse(piece).map_err(|error| format!("piece {index}: {error}"));
                model.pieces.push(piece?);
                Ok(())
            }
            (2, Field::Bytes(trainer)) => fields(trainer, |number, field| {
                match (number, field) {
                    (3, Field::Number(kind)) => model.kind = kind,
                    (24, Field::Number(yes)) => model.is_suffix = yes != 0,
                    (35, Field::Number(yes)) => model.has_bytes = yes != 0,
                    (45, Field::Bytes(piece)) => model.unknown = text(piece)?,
                    _ => {}
                }
                Ok(())
            }),
            (3, Field::Bytes(normalizer)) => fields(normalizer, |number, field| {
                match (number, field) {
                    (2, Field::Bytes(map)) => model.charsmap = map.to_vec(),
                    (3, Field::Number(yes)) => model.adds_prefix = yes != 0,
                    (4, Field::Number(yes)) => model.trims = yes != 0,
                    (5, Field::Number(yes)) => model.escapes = yes != 0,
                    _ => {}
                }
                Ok(())
            }),
            _ => Ok(()),
        })?;
        Ok(model)
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.pieces.is_empty() {
            return Err("it has no pieces: is it a SentencePiece model?".to_owned());
        }
        if self.kind != BPE {
            return Err("it is no BPE model".to_owned());
        }
        if self.is_suffix || !self.escapes {
            return Err("its spaces are not marked in front of words".to_owned());
        }
        if self.charsmap.is_empty() { Ok(()) } else { check(&self.charsmap) }
    }

    fn file(&self, class: &str, settings: &mut Settings) -> std::result::Result<Converted, String> {
        // The settings may name a piece anew, as InternLM2's do with its unused ones.
        let name = |(id, piece): (usize, &Piece)| match settings.added.get(&(id as u32)) {
            Some(added) => added.content.clone(),
            None => piece.text.clone(),
        };
        let names: Vec<String> = self.pieces.iter().enumerate().map(name).collect();
        let mut vocabulary = HashMap::with_capacity(names.len());
        for (id, name) in (0u32..).zip(&names) {
            if let Some(first) = vocabulary.insert(name.as_str(), id) {
                return Err(format!("`{name}` is piece {first} and piece {id}"));
            }
        }
        if !vocabulary.contains_key(self.unknown.as_str()) {
            return Err(format!("the piece `{}`, for what is unknown, is missing", self.unknown));
        }
        if self.has_bytes
            && let Some(byte) =
                (0..=255).find(|byte| !vocabulary.contains_key(format!("<0x{byte:02X}>").as_str()))
        {
            return Err(format!("the piece of byte {byte} is missing"));
        }
        for (id, piece) in (0u32..).zip(&self.pieces) {
            if matches!(piece.kind, CONTROL | USER_DEFINED) {
                settings.added.entry(id).or_insert_with(|| super::added::Added {
                    id,
                    content: piece.text.clone(),
                    single_word: false,
                    lstrip: false,
                    rstrip: false,
                    normalized: false,
                    special: piece.kind == CONTROL,
                });
            }
        }
        settings.add_named(|token| vocabulary.get(token).copied());
        // The slow tokenizers look for added tokens in the text as it is.
        settings.added.values_mut().for_each(|token| token.normalized = false);

        let is_llama = class == "LlamaTokenizer";
        let prefix = match (is_llama, settings.switch("legacy").unwrap_or(true)) {
            (true, false) => settings.switch("add_prefix_space").unwrap_or(true),
            _ => false,
        };
        let (before, after) = frame(settings)?;
        let adds_prefix =
            self.adds_prefix && (!is_llama || settings.switch("legacy") != Some(false));
        let id_of = |token: &str| {
            let added = || settings.added.values().find(|one| one.content == token);
            vocabulary.get(token).copied().or_else(|| added().map(|one| one.id))
        };
        let post_processor = post_processor(&before, &after, id_of)?;
        // Llama's own decoder takes the first word's mark, and SentencePiece the one behind it.
        let leading = usize::from(adds_prefix) + usize::from(is_llama && adds_prefix);
        let leading = if prefix { 1 } else { leading };
        let file = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": settings.added.values().collect::<Vec<_>>(),
            "normalizer": {"type": "Sequence", "normalizers": self.normalizers(adds_prefix, prefix)},
            "pre_tokenizer": null,
            "post_processor": post_processor,
            "decoder": {"type": "Sequence", "decoders": decoders(leading)},
            "model": {
                "type": "BPE",
                "dropout": null,
                "unk_token": self.unknown,
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": true,
                "byte_fallback": self.has_bytes,
                "ignore_merges": false,
                "vocab": vocabulary,
                "merges": self.merges(&vocabulary),
            },
        });
        let named = settings.special().collect();
        Ok(Converted { file, lead: prefix.then_some(Lead { before, after, named }) })
    }

    /// What SentencePiece does to a text before it is cut.
    fn normalizers(&self, adds_prefix: bool, has_lead: bool) -> Vec<Value> {
        let replace = |pattern: &str, content: &str| json!({"type": "Replace", "pattern": {"Regex": pattern}, "content": content});
        let mut steps = Vec::new();
        if !self.charsmap.is_empty() {
            let map = to_base64(&self.charsmap);
            steps.push(json!({"type": "Precompiled", "precompiled_charsmap": map}));
        }
        if self.trims {
            // A lead keeps the spaces that a text starts with.
            steps.push(replace(if has_lead { " +$" } else { "^ +| +$" }, ""));
            steps.push(replace(" {2,}", " "));
        }
        if adds_prefix {
            steps.push(json!({"type": "Prepend", "prepend": SPACE}));
        }
        steps.push(json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE}));
        steps
    }

    /// Every way to make a piece of two others, best score first; ways to the same piece in
    /// the order of their parts' ids.
    fn merges<'a>(&'a self, vocabulary: &HashMap<&'a str, u32>) -> Vec<[&'a str; 2]> {
        let mut merges: Vec<(f32, [u32; 2], [&str; 2])> = Vec::new();
        for (id, piece) in (0u32..).zip(&self.pieces) {
            let text = piece.text.as_str();
            let is_merged = !matches!(piece.kind, CONTROL | USER_DEFINED | BYTE);
            if !is_merged || vocabulary.get(text) != Some(&id) {
                continue;
            }
            for (at, _) in text.char_indices().skip(1) {
                let (left, right) = text.split_at(at);
                if let (Some(&first), Some(&second)) = (vocabulary.get(left), vocabulary.get(right))
                {
                    merges.push((piece.score, [first, second], [left, right]));
                }
            }
        }
        merges.sort_by(|one, other| {
            let by_length = |parts: &[&str; 2]| parts.map(|part| part.chars().count());
            let (score, parts) = (other.0.total_cmp(&one.0), by_length(&one.2));
            score.then(parts.cmp(&by_length(&other.2))).then(one.1.cmp(&other.1))
        });
        merges.into_iter().map(|(_, _, parts)| parts).collect()
    }
}

impl Piece {
    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let mut piece = Self { text: String::new(), score: 0.0, kind: 1 };
        fields(bytes, |number, field| {
            match (number, field) {
                (1, Field::Bytes(bytes)) => piece.text = text(bytes)?,
                (2, Field::Four(bytes)) => piece.score = f32::from_le_bytes(bytes),
                (3, Field::Number(kind)) => piece.kind = kind,
                _ => {}
            }
            Ok(())
        })?;
        if piece.text.is_empty() {
            return Err("it is empty".to_owned());
        }
        Ok(piece)
    }
}

/// Tokens before and behind a framed text.
fn frame(settings: &Settings) -> std::result::Result<(Vec<String>, Vec<String>), String> {
    let token = |role: &str, default: &str| settings.role(role).unwrap_or_else(|| default.into());
    let before =
        settings.switch("add_bos_token").unwrap_or(true).then(|| token("bos_token", "<s>"));
    let after =
        settings.switch("add_eos_token").unwrap_or(false).then(|| token("eos_token", "</s>"));
    Ok((before.into_iter().collect(), after.into_iter().collect()))
}

/// Puts the tokens before and behind a text.
fn post_processor(
    before: &[String],
    after: &[String],
    id_of: impl Fn(&str) -> Option<u32>,
) -> std::result::Result<Value, String> {
    let special = |token: &String| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let mut single: Vec<Value> = before.iter().map(special).collect();
    single.push(json!({"Sequence": {"id": "A", "type_id": 0}}));
    single.extend(after.iter().map(special));
    let mut frames = serde_json::Map::new();
    for token in before.iter().chain(after) {
        let id =
            id_of(token).ok_or_else(|| format!("the token `{token}` is not in the vocabulary"))?;
        frames.insert(token.clone(), json!({"id": token, "ids": [id], "tokens": [token]}));
    }
    Ok(json!({
        "type": "TemplateProcessing",
        "single": single,
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": frames,
    }))
}

/// Pieces to text, less so many spaces at its start.
fn decoders(leading: usize) -> Vec<Value> {
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if leading > 0 {
        decoders.push(json!({"type": "Strip", "content": " ", "start": leading, "stop": 0}));
    }
    decoders
}

fn text(bytes: &[u8]) -> std::result::Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|error| format!("a text is not UTF-8: {error}"))
}
