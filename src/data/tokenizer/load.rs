//! The tokenizer of a model directory, whichever form it has.

use super::added::{Added, Settings};
use super::sentencepiece::Converted;
use super::{Tokenizer, byte_level, charsmap, sentencepiece};
use crate::error::{Context, Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::Path;

/// A text that every part of a tokenizer has something to do with.
const PROBE: &str = " a1,\n\u{1F600}é  x<img>";

impl Tokenizer {
    /// The tokenizer of a model directory: its tokenizer.json, or else a slow form.
    ///
    /// # Errors
    ///
    /// No such file, a damaged one, or a tokenizer without an end token.
    pub fn load(dir: &Path) -> Result<Self> {
        match dir.join("tokenizer.json").exists() {
            true => Self::load_json(dir),
            false => Self::load_slow(dir),
        }
    }

    /// The tokenizer.json of a model directory, with what stands beside it.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn load_json(dir: &Path) -> Result<Self> {
        let path = dir.join("tokenizer.json");
        let bytes = std::fs::read(&path).map_err(|error| {
            Error::new(format!("{} cannot be read: {error}", path.display()))
                .hint("a model directory holds config.json, model.safetensors and tokenizer.json")
        })?;
        let settings = Settings::read(dir)?;
        let named = |error: Error| error.context(path.display());
        let bytes = completed(bytes, &settings).map_err(named)?;
        let cleans_up = settings.switch("clean_up_tokenization_spaces").unwrap_or(false);
        Self::of_file(&bytes, &settings, cleans_up).map_err(named)
    }

    /// The slow form of a model directory: tokenizer.model, or vocab.json with merges.txt.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn load_slow(dir: &Path) -> Result<Self> {
        let mut settings = Settings::read(dir)?;
        let [model, vocabulary, merges] =
            ["tokenizer.model", "vocab.json", "merges.txt"].map(|name| dir.join(name));
        let (path, converted) = if model.exists() {
            let converted = sentencepiece::convert(&model, &mut settings)?;
            (model, converted)
        } else if vocabulary.exists() || merges.exists() {
            for (missing, there) in [(&vocabulary, "merges.txt"), (&merges, "vocab.json")] {
                if !missing.exists() {
                    return Err(Error::new(format!(
                        "{} is missing beside {there}",
                        missing.display()
                    ))
                    .hint("the two files are one tokenizer: copy both, or a tokenizer.json"));
                }
            }
            let file = byte_level::convert(&vocabulary, &merges, &mut settings)?;
            (vocabulary, Converted { file, lead: None })
        } else {
            return Err(Error::new(format!("{} has no tokenizer", dir.display())).hint(
                "a model directory holds tokenizer.json, tokenizer.model, or vocab.json and merges.txt",
            ));
        };
        // InternLM2's own decoder cleans up whatever its settings say.
        let cleans_up = settings.class() == Some("InternLM2Tokenizer")
            || settings.switch("clean_up_tokenization_spaces").unwrap_or(false);
        let bytes = converted.file.to_string().into_bytes();
        let mut tokenizer =
            Self::of_file(&bytes, &settings, cleans_up).with_context(|| path.display())?;
        tokenizer.lead = converted.lead;
        Ok(tokenizer)
    }

    fn of_file(bytes: &[u8], settings: &Settings, cleans_up: bool) -> Result<Self> {
        let fault = |error: tokenizers::Error| Error::new(error.to_string());
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(fault)?;
        // A limit that a file carries would cut prompts without a word.
        inner.with_truncation(None).map_err(fault)?;
        inner.with_padding(None);
        for Added { id, content, .. } in settings.added.values() {
            let got = inner.token_to_id(content);
            if got != Some(*id) {
                let got = got.map_or("none".to_owned(), |got| got.to_string());
                return Err(Error::new(format!(
                    "the added token `{content}` has the id {got}, not {id}"
                ))
                .hint("added tokens follow the vocabulary without gaps"));
            }
        }
        let ids = inner.encode(PROBE, true).map_err(fault)?;
        inner.decode(ids.get_ids(), true).map_err(fault)?;
        let mut tokenizer = Self::of(inner)?;
        tokenizer.pad = settings.role("pad_token").and_then(|token| tokenizer.id(&token));
        tokenizer.cleans_up = cleans_up;
        Ok(tokenizer)
    }
}

/// A tokenizer.json with the added tokens that only the files beside it know. One whose id the
/// vocabulary has under another name takes that place. The whole file is checked to be JSON, and
/// its character maps and frames: the `tokenizers` crate panics where they are not.
fn completed(bytes: Vec<u8>, settings: &Settings) -> Result<Vec<u8>> {
    let mut file: Value = serde_json::from_slice(&bytes).context("reading it")?;
    charsmap::check_all(&file).map_err(Error::new)?;
    check_frames(&file["post_processor"])?;
    let known = match file.get("added_tokens") {
        Some(list) => Vec::<Added>::deserialize(list).context("reading its added tokens")?,
        None => Vec::new(),
    };
    let known: HashSet<(u32, String)> =
        known.into_iter().map(|token| (token.id, token.content)).collect();
    let missing: Vec<&Added> = settings
        .added
        .values()
        .filter(|token| !known.contains(&(token.id, token.content.clone())))
        .collect();
    if missing.is_empty() {
        return Ok(bytes);
    }
    if let Some(Value::Object(vocabulary)) = file.pointer_mut("/model/vocab") {
        let places: std::collections::HashMap<u64, String> =
            vocabulary.iter().filter_map(|(name, id)| Some((id.as_u64()?, name.clone()))).collect();
        for token in &missing {
            if let Some(name) = places.get(&u64::from(token.id)) {
                vocabulary.remove(name);
            }
            if places.contains_key(&u64::from(token.id)) {
                vocabulary.insert(token.content.clone(), token.id.into());
            }
        }
        let names: HashSet<String> = vocabulary.keys().cloned().collect();
        if let Some(Value::Array(merges)) = file.pointer_mut("/model/merges") {
            merges.retain(|merge| {
                parts(merge).is_none_or(|(left, right)| {
                    [left, right].iter().all(|part| names.contains(*part))
                        && names.contains(&format!("{left}{right}"))
                })
            });
        }
    }
    let list = file.get_mut("added_tokens").and_then(Value::as_array_mut);
    let mut tokens = list.map(std::mem::take).unwrap_or_default();
    tokens.extend(missing.iter().map(|token| json!(token)));
    tokens.sort_by_key(|token| token["id"].as_u64());
    file["added_tokens"] = tokens.into();
    Ok(file.to_string().into_bytes())
}

/// Whether what goes around texts names tokens that it defines, and one text where there is one.
fn check_frames(processor: &Value) -> Result<()> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for inner in list(&processor["processors"]) {
        check_frames(&inner)?;
    }
    if processor["type"] != "TemplateProcessing" {
        return Ok(());
    }
    for (key, texts) in [("single", &["A"][..]), ("pair", &["A", "B"])] {
        for piece in list(&processor[key]) {
            let id = |kind: &str| piece[kind]["id"].as_str().map(str::to_owned);
            let unknown = match (id("SpecialToken"), id("Sequence")) {
                (Some(token), _) if processor["special_tokens"].get(&token).is_none() => token,
                (None, Some(text)) if !texts.contains(&text.as_str()) => text,
                _ => continue,
            };
            return Err(Error::new(format!(
                "its post_processor puts `{unknown}` around texts and does not say what that is"
            ))
            .hint("the file is damaged: fetch it again"));
        }
    }
    Ok(())
}

/// The two sides of a merge, in either of the forms that files have.
fn parts(merge: &Value) -> Option<(&str, &str)> {
    match merge {
        Value::String(text) => text.split_once(' '),
        Value::Array(pair) => Some((pair.first()?.as_str()?, pair.get(1)?.as_str()?)),
        _ => None,
    }
}

/// The transformers library's `clean_up_tokenization`: no space before marks and English
/// contractions.
pub(super) fn clean_up(text: &str) -> String {
    let pairs = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}
