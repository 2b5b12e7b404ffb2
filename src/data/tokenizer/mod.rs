//! Text to token ids and back.
//!
//! Two kinds through one door: the tokenizer of a checkpoint, and the word-level one
//! of the embedded sizes, built from the texts of a corpus. A checkpoint has a
//! tokenizer.json, or the slow forms that are converted to one on load: a SentencePiece
//! tokenizer.model, or vocab.json with merges.txt; InternVL2's repositories have the latter.
//!
//! The word-level one cuts text into words, single digits and single marks,
//! each with the space before it, so that decoding gives back exactly what was
//! encoded: `decode(encode(text)) == text`. A text and a line start with a space
//! that decoding takes away, so that a word is one token wherever it stands.

pub mod added;

mod byte_level;
mod charsmap;
mod load;
mod protobuf;
mod sentencepiece;
mod word_level;

use super::template::Template;
use crate::error::{Error, Result};
use sentencepiece::Lead;
use std::collections::BTreeSet;
use std::path::Path;
use tokenizers::{NormalizedString, Normalizer, OffsetReferential, OffsetType};
use tokenizers::{PreTokenizedString, PreTokenizer};
use word_level::{Frame, SPACE, word_level};

/// Marks padding; never seen by a loss.
pub const PAD: &str = "<pad>";
/// Ends an answer of the embedded sizes.
pub const END: &str = "<|im_end|>";
/// Stands where an image feature goes.
pub const IMAGE_CONTEXT: &str = "<IMG_CONTEXT>";
/// Stands before the first image token.
pub const IMAGE_START: &str = "<img>";
/// Stands behind the last image token.
pub const IMAGE_END: &str = "</img>";
/// A word that was not in the corpus.
const UNKNOWN: &str = "<unk>";
/// What ends an answer, by checkpoint; the first that exists.
const ENDS: [&str; 5] = [END, "<|end|>", "<|eot_id|>", "</s>", "<|endoftext|>"];

/// A tokenizer that knows its end and image tokens.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    eos: i64,
    image_context: Option<i64>,
    unknown: Option<i64>,
    /// What fills up short rows of a batch, where the checkpoint says.
    pad: Option<i64>,
    /// What goes before the first word only, which a tokenizer.json cannot say.
    lead: Option<Lead>,
    /// Whether decoding closes the spaces before marks, as some checkpoints' tokenizers do.
    cleans_up: bool,
}

impl Tokenizer {
    /// The word-level tokenizer of these texts: one token for every piece that
    /// occurs, in the order of their bytes, behind the special tokens. Digits
    /// are always there, so that any number can be written.
    pub fn build<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::framed(texts, &Frame::default())
    }

    /// The same with the words and marks of a chat template, filled up to `least` tokens.
    pub fn build_for<'a>(
        template: &Template,
        texts: impl IntoIterator<Item = &'a str>,
        least: usize,
    ) -> Self {
        let frame = Frame { end: template.end.trim(), marks: template.tokens(), least };
        Self::framed(texts.into_iter().chain(template.texts()), &frame)
    }

    fn framed<'a>(texts: impl IntoIterator<Item = &'a str>, frame: &Frame) -> Self {
        let empty = word_level(&BTreeSet::new(), &Frame { least: 0, ..frame.clone() });
        let cutter = Self::of(empty).expect("the built file is valid");
        let digits = (0..10).flat_map(|digit| [format!("{digit}"), format!("{SPACE}{digit}")]);
        let mut pieces: BTreeSet<String> = digits.collect();
        for text in texts {
            pieces.extend(cutter.pieces(text));
        }
        Self::of(word_level(&pieces, frame)).expect("the built file is valid")
    }

    /// Writes `tokenizer.json` into a directory.
    ///
    /// # Errors
    ///
    /// If the file cannot be written, or cannot say what this tokenizer does.
    pub fn save(&self, dir: &Path) -> Result<()> {
        if self.lead.is_some() {
            return Err(Error::new("this tokenizer has no tokenizer.json that is equal to it")
                .hint(
                    "copy its own files: tokenizer.model, tokenizer_config.json and the others",
                ));
        }
        let path = dir.join("tokenizer.json");
        let text = self.inner.to_string(true).map_err(|error| Error::new(error.to_string()))?;
        std::fs::write(&path, text + "\n")
            .map_err(|error| Error::new(format!("writing {}: {error}", path.display())))
    }

    fn of(inner: tokenizers::Tokenizer) -> Result<Self> {
        let id = |token: &str| inner.token_to_id(token).map(i64::from);
        let eos = ENDS.iter().find_map(|end| id(end)).ok_or_else(|| {
            Error::new(format!("the tokenizer has no end token; looked for {}", ENDS.join(", ")))
        })?;
        let (image_context, unknown) = (id(IMAGE_CONTEXT), id(UNKNOWN));
        let (pad, lead, cleans_up) = (None, None, false);
        Ok(Self { inner, eos, image_context, unknown, pad, lead, cleans_up })
    }

    /// Token ids of a text, special strings in it included; words that are not
    /// in the vocabulary become the unknown token where there is one.
    pub fn encode(&self, text: &str) -> Vec<i64> {
        self.encode_with(text, false)
    }

    /// As [`Self::encode`], with what the tokenizer itself puts around a text
    /// (InternLM2's `<s>`).
    pub fn encode_framed(&self, text: &str) -> Vec<i64> {
        self.encode_with(text, true)
    }

    fn encode_with(&self, text: &str, framed: bool) -> Vec<i64> {
        let Some(lead) = self.lead.as_ref().filter(|_| !text.is_empty()) else {
            return self.encode_plainly(text, framed);
        };
        let mut ids = self.encode_plainly(&format!("{SPACE}{text}"), false);
        // A special token at the start takes the mark's place.
        if let [first, second, ..] = ids[..]
            && Some(first) == self.id(SPACE)
            && self.token(second).is_some_and(|token| lead.named.contains(&token))
        {
            ids.remove(0);
        }
        if framed {
            let known = |tokens: &[String]| -> Vec<i64> {
                tokens.iter().filter_map(|token| self.id(token)).collect()
            };
            ids.splice(0..0, known(&lead.before));
            ids.extend(known(&lead.after));
        }
        ids
    }

    /// Without what goes before a text's first word.
    fn encode_plainly(&self, text: &str, framed: bool) -> Vec<i64> {
        let encoding = self.inner.encode_fast(text, framed).expect("any text can be cut");
        encoding.get_ids().iter().copied().map(i64::from).collect()
    }

    fn token(&self, id: i64) -> Option<String> {
        u32::try_from(id).ok().and_then(|id| self.inner.id_to_token(id))
    }

    /// Token ids of a text that follows on `before`, which has ids of its own: an answer behind
    /// its role mark. Where the two would share a token, those of the text by itself.
    pub fn encode_behind(&self, before: &str, text: &str) -> Vec<i64> {
        let both = self.encode(&format!("{before}{text}"));
        match both.strip_prefix(self.encode(before).as_slice()) {
            Some(rest) => rest.to_vec(),
            None => self.encode_plainly(text, false),
        }
    }

    /// Token ids of a text that must be known throughout.
    ///
    /// # Errors
    ///
    /// If a word is not in the vocabulary, naming it.
    pub fn encode_known(&self, text: &str) -> Result<Vec<i64>> {
        let ids = self.encode(text);
        if self.unknown.is_some_and(|unknown| ids.contains(&unknown)) {
            let word = self.unknown_word(text).unwrap_or_default();
            return Err(Error::new(format!("the word `{word}` is not in the vocabulary")).hint(
                "the embedded tokenizer knows the words of the corpus that its base was taught \
                 with; teach the base on a corpus that holds this word",
            ));
        }
        Ok(ids)
    }

    /// The first word of a text that is not in the vocabulary.
    pub fn unknown_word(&self, text: &str) -> Option<String> {
        let piece = self.pieces(text).into_iter().find(|piece| {
            self.inner.token_to_id(piece).is_none_or(|id| Some(i64::from(id)) == self.unknown)
        })?;
        Some(piece.trim_start_matches(SPACE).to_owned())
    }

    /// The pieces that a text is cut into before they are looked up.
    fn pieces(&self, text: &str) -> Vec<String> {
        let mut normalized = NormalizedString::from(text);
        if let Some(normalizer) = self.inner.get_normalizer() {
            normalizer.normalize(&mut normalized).expect("any text can be normalised");
        }
        let mut cut = PreTokenizedString::from(normalized);
        if let Some(cutter) = self.inner.get_pre_tokenizer() {
            cutter.pre_tokenize(&mut cut).expect("any text can be cut");
        }
        cut.get_splits(OffsetReferential::Normalized, OffsetType::Byte)
            .into_iter()
            .map(|(piece, _, _)| piece.to_owned())
            .collect()
    }

    /// The text of token ids, without special tokens.
    ///
    /// # Panics
    ///
    /// If an id is negative: ids come from this tokenizer or from a model's logits.
    pub fn decode(&self, ids: &[i64]) -> String {
        let ids: Vec<u32> =
            ids.iter().map(|id| u32::try_from(*id).expect("a token id is not negative")).collect();
        let text = self.inner.decode(&ids, true).expect("known ids have a text");
        if self.cleans_up { load::clean_up(&text) } else { text }
    }

    /// The token that fills up short rows of a batch, where the checkpoint says.
    pub fn pad(&self) -> Option<i64> {
        self.pad
    }

    /// The token that is put before a framed text, if there is one.
    pub fn start(&self) -> Option<String> {
        let [bare, framed] = [false, true].map(|framed| self.encode_with("x", framed));
        let start = framed.first().filter(|start| bare.first() != Some(start))?;
        self.token(*start)
    }

    /// The token that ends an answer.
    pub fn eos(&self) -> i64 {
        self.eos
    }

    /// The token that stands where an image feature goes.
    ///
    /// # Panics
    ///
    /// If the tokenizer has none: a text-only checkpoint was given a picture.
    pub fn image_context(&self) -> i64 {
        self.image_context.expect("a vision-language tokenizer has an image token")
    }

    /// Id of a token by its exact spelling.
    pub fn id(&self, token: &str) -> Option<i64> {
        self.inner.token_to_id(token).map(i64::from)
    }

    /// Whether it is of the word-level kind that is built here.
    pub fn is_built(&self) -> bool {
        matches!(self.inner.get_model(), tokenizers::ModelWrapper::WordLevel(_))
    }

    /// Whether a text is a token that is found whole wherever it stands, as marks must be.
    pub fn is_whole(&self, token: &str) -> bool {
        self.id(token).is_some_and(|id| self.encode_plainly(token, false) == [id])
    }

    /// Number of tokens, special ones included.
    pub fn vocabulary(&self) -> usize {
        self.inner.get_vocab_size(true)
    }
}
