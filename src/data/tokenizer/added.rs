//! Tokens that stand beside a vocabulary: what tokenizer_config.json, added_tokens.json
//! and special_tokens_map.json say of a checkpoint's tokenizer.

use crate::error::{Context, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A token that is cut out of a text before anything else happens.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Added {
    /// Its id.
    pub id: u32,
    /// Its text.
    pub content: String,
    /// Whether it is found as a whole word only.
    #[serde(default)]
    pub single_word: bool,
    /// Whether it takes the spaces before it.
    #[serde(default)]
    pub lstrip: bool,
    /// Whether it takes the spaces behind it, as Phi-3's role marks do.
    #[serde(default)]
    pub rstrip: bool,
    /// Whether it is looked for in the normalised text.
    #[serde(default)]
    pub normalized: bool,
    /// Whether it is left out of a decoded text.
    #[serde(default)]
    pub special: bool,
}

/// What stands beside a checkpoint's vocabulary.
#[derive(Debug, Default)]
pub struct Settings {
    /// tokenizer_config.json; empty where there is none.
    config: Map<String, Value>,
    /// special_tokens_map.json; empty where there is none.
    map: Map<String, Value>,
    /// Added tokens by id.
    pub added: BTreeMap<u32, Added>,
}

/// The names under which a special token may be given.
const ROLES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

impl Settings {
    /// Reads what is there of a model directory's three files.
    ///
    /// # Errors
    ///
    /// A file that is not what it should be, named.
    pub fn read(dir: &Path) -> Result<Self> {
        let mut settings = Self {
            config: object(&dir.join("tokenizer_config.json"))?,
            map: object(&dir.join("special_tokens_map.json"))?,
            added: BTreeMap::new(),
        };
        settings
            .decoder()
            .with_context(|| dir.join("tokenizer_config.json").display().to_string())?;
        let listed = object(&dir.join("added_tokens.json"))?;
        settings
            .listed(listed)
            .with_context(|| dir.join("added_tokens.json").display().to_string())?;
        Ok(settings)
    }

    /// `added_tokens_decoder`: whole tokens by id.
    fn decoder(&mut self) -> Result<()> {
        let Some(decoder) = self.config.get("added_tokens_decoder") else { return Ok(()) };
        let decoder: BTreeMap<String, Map<String, Value>> =
            serde_json::from_value(decoder.clone()).context("`added_tokens_decoder`")?;
        for (id, mut token) in decoder {
            let id: u32 = id.parse().with_context(|| format!("added token `{id}`"))?;
            token.insert("id".into(), id.into());
            let token: Added = serde_json::from_value(token.into())
                .with_context(|| format!("added token {id}"))?;
            self.added.insert(id, token);
        }
        Ok(())
    }

    /// added_tokens.json: ids by text, with what the other files say of each.
    fn listed(&mut self, listed: Map<String, Value>) -> Result<()> {
        let special: BTreeMap<String, Value> = self.named().collect();
        for (content, id) in listed {
            let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
            let id = id.ok_or_else(|| Error::new(format!("`{content}` has no id")))?;
            if let Some(other) = self.added.get(&id) {
                if other.content != content {
                    let other = &other.content;
                    return Err(Error::new(format!(
                        "{id} is `{content}` here and `{other}` there"
                    ))
                    .hint("added_tokens.json and tokenizer_config.json must agree"));
                }
                continue;
            }
            let mut token = match special.get(&content) {
                Some(Value::Object(token)) => token.clone(),
                _ => Map::new(),
            };
            token.insert("special".into(), special.contains_key(&content).into());
            token.insert("id".into(), id.into());
            token.insert("content".into(), content.clone().into());
            let token: Added = serde_json::from_value(token.into())
                .with_context(|| format!("added token `{content}`"))?;
            self.added.insert(id, token);
        }
        Ok(())
    }

    /// Texts that are named special, each with its entry: a text, or a whole token.
    fn named(&self) -> impl Iterator<Item = (String, Value)> {
        let more = "additional_special_tokens";
        [&self.config, &self.map]
            .into_iter()
            .flat_map(move |file| {
                let one = ROLES.iter().filter_map(|role| file.get(*role));
                let several = file.get(more).and_then(Value::as_array).into_iter().flatten();
                one.chain(several)
            })
            .filter_map(|entry| Some((text(entry)?, entry.clone())))
    }

    /// The tokens that the settings name special.
    pub fn special(&self) -> impl Iterator<Item = String> {
        self.named().map(|(content, _)| content)
    }

    /// Tokens of a vocabulary that are named special and not added ones: `<s>` where only
    /// special_tokens_map.json knows of it. Those without an id are left out with a warning.
    pub fn add_named(&mut self, id_of: impl Fn(&str) -> Option<u32>) {
        let known: BTreeSet<String> = self.added.values().map(|one| one.content.clone()).collect();
        let named: BTreeMap<String, Value> =
            self.named().filter(|(content, _)| !known.contains(content)).collect();
        for (content, entry) in named {
            let Some(id) = id_of(&content) else {
                tracing::warn!("the special token `{content}` has no id and is left out");
                continue;
            };
            let is = |name: &str| entry.get(name).and_then(Value::as_bool).unwrap_or(false);
            let (single_word, lstrip, rstrip) = (is("single_word"), is("lstrip"), is("rstrip"));
            let (normalized, special) = (false, true);
            let token = Added { id, content, single_word, lstrip, rstrip, normalized, special };
            self.added.entry(id).or_insert(token);
        }
    }

    /// The text of a special token by its role, such as `pad_token`.
    pub fn role(&self, role: &str) -> Option<String> {
        let entry = self.config.get(role).filter(|entry| !entry.is_null());
        text(entry.or_else(|| self.map.get(role))?)
    }

    /// The tokenizer's class, without the mark of its fast form.
    pub fn class(&self) -> Option<&str> {
        let class = self.config.get("tokenizer_class")?.as_str()?;
        Some(class.strip_suffix("Fast").unwrap_or(class))
    }

    /// A switch of tokenizer_config.json.
    pub fn switch(&self, name: &str) -> Option<bool> {
        self.config.get(name)?.as_bool()
    }
}

/// The text of an entry: itself, or its `content`.
fn text(entry: &Value) -> Option<String> {
    entry.as_str().or_else(|| entry.get("content")?.as_str()).map(str::to_owned)
}

/// A JSON object; empty where there is no file.
fn object(path: &Path) -> Result<Map<String, Value>> {
    let doing = || format!("reading {}", path.display());
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(doing),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Map::new()),
        Err(error) => Err(error).with_context(doing),
    }
}
