//! `prefab verify prompts DIR`: prompts, token ids and label masks that InternVL's code
//! recorded with its checkpoints' tokenizers, recomputed by [`crate::data`].
//!
//! | file | what it records |
//! |---|---|
//! | prompts.json | rendered chats with their ids, plain texts, one padded batch |
//! | training_masks.json | ids and labels of whole conversations |
//! | real_tokenizer_ids.json | ids of the real vocabularies, looked for in real_tokenizers/ |
//!
//! Tokenizers lie in tokenizers/NAME, in slow files, as tokenizer.json, or both.

use super::absent;
use super::ledger::Ledger;
use super::record::{array, image_tokens, json, object, text};
use crate::cli::say;
use crate::data::labels::label;
use crate::data::template::{Filled, Prompter, Role, Template};
use crate::data::tokenizer::Tokenizer;
use crate::error::Context;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder's files that are read here.
const FILES: [&str; 3] = ["prompts.json", "training_masks.json", "real_tokenizer_ids.json"];

/// Recomputes everything in the folder.
///
/// # Errors
///
/// A file that cannot be read, or what [`Ledger::close`] says.
pub fn run(dir: &Path) -> Result<()> {
    let mut ledger = Ledger::default();
    let mut prompts = Prompts { dir, forms: BTreeMap::new(), ledger: &mut ledger };
    let named = |name: &'static str| move |error: Error| error.context(name);
    let mut rendered = BTreeMap::new();
    match json(&dir.join(FILES[0]))? {
        Some(file) => prompts.file(&file, &mut rendered).map_err(named(FILES[0]))?,
        None => absent(FILES[0]),
    }
    match json(&dir.join(FILES[1]))? {
        Some(file) => prompts.masks(&file).map_err(named(FILES[1]))?,
        None => absent(FILES[1]),
    }
    if let Some(file) = json(&dir.join(FILES[2]))? {
        prompts.real(&file, &rendered).map_err(named(FILES[2]))?;
    }
    ledger.close(&dir.display().to_string())
}

/// The forms of one tokenizer.
#[derive(Default)]
struct Forms {
    slow: Option<Tokenizer>,
    json: Option<Tokenizer>,
}

impl Forms {
    fn load(dir: &Path) -> Result<Self> {
        let has = |name: &str| dir.join(name).exists();
        let forms = Self {
            slow: (has("tokenizer.model") || has("vocab.json"))
                .then(|| Tokenizer::load_slow(dir))
                .transpose()?,
            json: has("tokenizer.json").then(|| Tokenizer::load_json(dir)).transpose()?,
        };
        match forms.slow.is_none() && forms.json.is_none() {
            true => Err(Error::new(format!("{} has no tokenizer", dir.display()))),
            false => Ok(forms),
        }
    }

    fn each(&self) -> impl Iterator<Item = (&'static str, &Tokenizer)> {
        let slow = self.slow.iter().map(|tokenizer| ("slow", tokenizer));
        slow.chain(self.json.iter().map(|tokenizer| ("tokenizer.json", tokenizer)))
    }
}

/// Rendered texts by template and index.
type Rendered = BTreeMap<(String, u64), String>;

struct Prompts<'a> {
    dir: &'a Path,
    forms: BTreeMap<PathBuf, Forms>,
    ledger: &'a mut Ledger,
}

impl Prompts<'_> {
    /// The forms of a tokenizer, and the tally: loaded once.
    fn forms(&mut self, below: &str, name: &str) -> Result<(&Forms, &mut Ledger)> {
        let dir = self.dir.join(below).join(name);
        if !self.forms.contains_key(&dir) {
            let forms = Forms::load(&dir)?;
            self.forms.insert(dir.clone(), forms);
        }
        Ok((&self.forms[&dir], self.ledger))
    }

    /// Notes the fields that nothing here recomputes.
    fn unknown(&mut self, value: &Value, what: &str, known: &[&str]) -> Result<()> {
        for name in object(value, what)?.keys().filter(|name| !known.contains(&name.as_str())) {
            self.ledger.unknown(format!("{what}: {name}"));
        }
        Ok(())
    }

    fn file(&mut self, file: &Value, rendered: &mut Rendered) -> Result<()> {
        let known =
            ["num_image_token", "versions", "note", "prompts", "plain", "batch_chat_left_padded"];
        self.unknown(file, FILES[0], &known)?;
        let image_tokens = image_tokens(file)?;
        for (at, row) in rows(file, "prompts")? {
            self.prompt(&at, row, image_tokens, rendered).context(&at)?;
        }
        for (at, row) in rows(file, "plain")? {
            self.plain(&at, row).context(&at)?;
        }
        if let Some(batch) = file.get("batch_chat_left_padded") {
            self.batch(batch, image_tokens).context("batch")?;
        }
        Ok(())
    }

    fn prompt(
        &mut self,
        at: &str,
        row: &Value,
        image_tokens: usize,
        rendered: &mut Rendered,
    ) -> Result<()> {
        let known = [
            "index",
            "template",
            "tokenizer",
            "question",
            "history",
            "num_patches_list",
            "system_message",
            "note",
            "text",
            "input_ids",
            "eos_token_id",
        ];
        self.unknown(row, at, &known)?;
        let (template, name) = (text(row, "template")?, text(row, "tokenizer")?);
        let history: Option<Vec<(String, String)>> = parsed(row, "history")?;
        let tiles: Option<Vec<usize>> = parsed(row, "num_patches_list")?;
        let at = format!("{at} ({template}, {name})");
        let (forms, ledger) = self.forms("tokenizers", name)?;
        for (form, tokenizer) in forms.each() {
            let prompter = Prompter::new(tokenizer, template, image_tokens)?;
            let ours = prompter.chat(
                row["system_message"].as_str(),
                history.as_deref(),
                text(row, "question")?,
                tiles.as_deref(),
            );
            ledger.same("rendered text", &at, ours.as_str(), text(row, "text")?);
            let ids: Vec<i64> = required(row, "input_ids")?;
            ledger.same(&format!("input_ids, {form}"), &at, &tokenizer.encode_framed(&ours), &ids);
            let end: Option<i64> = parsed(row, "eos_token_id")?;
            if let Some(end) = end {
                ledger.same("eos_token_id", &at, &tokenizer.eos(), &end);
            }
            let index = row["index"].as_u64().unwrap_or(u64::MAX);
            rendered.insert((template.to_owned(), index), ours);
        }
        Ok(())
    }

    fn plain(&mut self, at: &str, row: &Value) -> Result<()> {
        let known = [
            "tokenizer",
            "text",
            "input_ids",
            "decoded",
            "tokenizer_json_ids",
            "tokenizer_json_decoded",
        ];
        self.unknown(row, at, &known)?;
        let (name, plain) = (text(row, "tokenizer")?, text(row, "text")?);
        let at = format!("{at} ({name})");
        let (forms, ledger) = self.forms("tokenizers", name)?;
        let columns = [
            ("slow", &forms.slow, "input_ids", "decoded"),
            ("tokenizer.json", &forms.json, "tokenizer_json_ids", "tokenizer_json_decoded"),
        ];
        for (form, tokenizer, ids, decoded) in columns {
            if row.get(ids).is_none() && row.get(decoded).is_none() {
                continue;
            }
            let tokenizer = tokenizer.as_ref().ok_or_else(|| {
                Error::new(format!("`{ids}` needs the {form} form of the tokenizer `{name}`"))
            })?;
            let recorded: Vec<i64> = required(row, ids)?;
            if let Some(id) = recorded.iter().find(|id| u32::try_from(**id).is_err()) {
                return Err(Error::new(format!("`{ids}` holds {id}, which is no token's id")));
            }
            let ours = tokenizer.encode_framed(plain);
            ledger.same(&format!("plain ids, {form}"), &at, &ours, &recorded);
            if row.get(decoded).is_some() {
                let ours = tokenizer.decode(&recorded);
                ledger.same(&format!("decoded, {form}"), &at, ours.as_str(), text(row, decoded)?);
            }
        }
        Ok(())
    }

    fn batch(&mut self, batch: &Value, image_tokens: usize) -> Result<()> {
        let known = [
            "template",
            "tokenizer",
            "questions",
            "num_patches_list",
            "pad_token_id",
            "input_ids",
            "attention_mask",
        ];
        self.unknown(batch, "batch_chat_left_padded", &known)?;
        let (template, name) = (text(batch, "template")?, text(batch, "tokenizer")?);
        let questions: Vec<String> = required(batch, "questions")?;
        let tiles: Vec<usize> = required(batch, "num_patches_list")?;
        if questions.len() != tiles.len() {
            return Err(Error::new("`questions` and `num_patches_list` differ in length"));
        }
        let recorded_ids: Vec<Vec<i64>> = required(batch, "input_ids")?;
        let mask: Vec<Vec<u8>> = required(batch, "attention_mask")?;
        let recorded_mask: Vec<Vec<bool>> =
            mask.iter().map(|row| row.iter().map(|one| *one == 1).collect()).collect();
        let (forms, ledger) = self.forms("tokenizers", name)?;
        for (form, tokenizer) in forms.each() {
            let prompter = Prompter::new(tokenizer, template, image_tokens)?;
            let texts: Vec<String> = questions
                .iter()
                .zip(&tiles)
                .map(|(question, tiles)| prompter.chat(None, None, question, Some(&[*tiles])))
                .collect();
            let Filled { ids, is_own } = prompter.batch(&texts)?;
            ledger.same(&format!("batch ids, {form}"), template, &ids, &recorded_ids);
            ledger.same(&format!("batch mask, {form}"), template, &is_own, &recorded_mask);
            let pad: Option<i64> = parsed(batch, "pad_token_id")?;
            ledger.same("pad_token_id", template, &tokenizer.pad(), &pad);
        }
        Ok(())
    }

    fn masks(&mut self, file: &Value) -> Result<()> {
        let known = ["num_image_token", "ignore_index", "versions", "note", "cases"];
        self.unknown(file, FILES[1], &known)?;
        let image_tokens = image_tokens(file)?;
        let ignored = file["ignore_index"].as_i64();
        self.ledger.same("ignore_index", "", &Some(crate::data::labels::IGNORE), &ignored);
        for (at, case) in rows(file, "cases")? {
            self.mask(&at, case, image_tokens).context(&at)?;
        }
        Ok(())
    }

    fn mask(&mut self, at: &str, case: &Value, image_tokens: usize) -> Result<()> {
        let known = [
            "function",
            "template",
            "tokenizer",
            "index",
            "conversation",
            "num_tiles",
            "note",
            "warning",
            "input_ids",
            "labels",
            "n_supervised",
        ];
        self.unknown(case, at, &known)?;
        let (template, name) = (text(case, "template")?, text(case, "tokenizer")?);
        let at = format!("{at} ({template}, {name})");
        let turns: Vec<(String, String)> = required(case, "conversation")?;
        let turns: Vec<(Role, String)> = turns
            .into_iter()
            .map(|(role, text)| match role.as_str() {
                "human" => Ok((Role::User, text)),
                "gpt" => Ok((Role::Assistant, text)),
                _ => Err(Error::new(format!("the role `{role}` is not known"))),
            })
            .collect::<Result<_>>()?;
        let tiles: Vec<usize> = parsed(case, "num_tiles")?.unwrap_or_default();
        let (recorded_ids, recorded_labels): (Vec<i64>, Vec<i64>) =
            (required(case, "input_ids")?, required(case, "labels")?);
        let warns = case["warning"].is_string();
        let (forms, ledger) = self.forms("tokenizers", name)?;
        for (form, tokenizer) in forms.each() {
            // The checks that a real start makes.
            Prompter::new(tokenizer, template, image_tokens)?;
            let template = Template::named(template)?;
            let ours = label(tokenizer, template, image_tokens, &turns, &tiles)?;
            ledger.same(&format!("mask's input_ids, {form}"), &at, &ours.ids, &recorded_ids);
            ledger.same(&format!("labels, {form}"), &at, &ours.labels, &recorded_labels);
            ledger.same("masked with a warning", &at, &ours.mismatch.is_some(), &warns);
            if let Some(count) = case.get("n_supervised") {
                let learned = ours.labels.iter().filter(|label| **label >= 0).count();
                ledger.same("learned tokens", &at, &Value::from(learned), count);
            }
        }
        Ok(())
    }

    /// Ids of the real vocabularies, which no fixture carries.
    fn real(&mut self, file: &Value, rendered: &Rendered) -> Result<()> {
        self.unknown(file, FILES[2], &["note", "versions", "tokenizers"])?;
        let mut skipped = Vec::new();
        for (name, recorded) in object(&file["tokenizers"], "`tokenizers`")? {
            let known = ["npm", "template", "special_ids", "vocab_with_added", "prompts"];
            self.unknown(recorded, name, &known)?;
            let template = text(recorded, "template")?;
            for (at, row) in rows(recorded, "prompts")? {
                self.unknown(row, &at, &["index", "text", "input_ids"])?;
                let index = row["index"].as_u64().unwrap_or(u64::MAX);
                if let Some(ours) = rendered.get(&(template.to_owned(), index)) {
                    let at = format!("{name} {at}");
                    self.ledger.same("rendered text, real", &at, ours.as_str(), text(row, "text")?);
                }
            }
            if !self.dir.join("real_tokenizers").join(name).exists() {
                skipped.push((name, array(recorded, "prompts")?.len()));
                continue;
            }
            let special: BTreeMap<String, i64> = required(recorded, "special_ids")?;
            let (forms, ledger) = self.forms("real_tokenizers", name)?;
            for (form, tokenizer) in forms.each() {
                for (token, id) in &special {
                    ledger.same("special ids, real", token, &tokenizer.id(token), &Some(*id));
                }
                let size = Value::from(tokenizer.vocabulary());
                ledger.same("vocabulary, real", name, &size, &recorded["vocab_with_added"]);
                for (at, row) in rows(recorded, "prompts")? {
                    let ids: Vec<i64> = required(row, "input_ids")?;
                    let ours = tokenizer.encode_framed(text(row, "text")?);
                    let quantity = format!("input_ids, real {form}");
                    ledger.same(&quantity, &format!("{name} {at}"), &ours, &ids);
                }
            }
        }
        if !skipped.is_empty() {
            let count: usize = skipped.iter().map(|(_, count)| count).sum();
            let names: Vec<&str> = skipped.iter().map(|(name, _)| name.as_str()).collect();
            say(&format!(
                "{}: the ids of {count} prompts are not checked: real_tokenizers/ has no {}\n",
                FILES[2],
                names.join(", ")
            ));
        }
        Ok(())
    }
}

/// The rows of a list, each with a name of its own.
fn rows<'a>(file: &'a Value, name: &'a str) -> Result<impl Iterator<Item = (String, &'a Value)>> {
    let list = array(file, name)?.iter().enumerate();
    Ok(list.map(move |(index, row)| (format!("{name} {index}"), row)))
}

/// A field; none where it is absent or null.
fn parsed<T: DeserializeOwned>(row: &Value, name: &str) -> Result<Option<T>> {
    let value = row.get(name).cloned().unwrap_or(Value::Null);
    serde_json::from_value(value).with_context(|| format!("`{name}`"))
}

/// A field that must be there.
fn required<T: DeserializeOwned>(row: &Value, name: &str) -> Result<T> {
    parsed(row, name)?.ok_or_else(|| Error::new(format!("`{name}` is missing")))
}
