//! What is in the checkpoint's files: tensor names and shapes, special tokens.

use super::{Check, EXACT, malformed};
use crate::Result;
use crate::error::Context;
use crate::model::config::Layout;
use crate::model::{checkpoint, native};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

impl Check<'_> {
    pub(super) fn files(&mut self) -> Result<()> {
        for key in ["param_shapes", "module_param_shapes"] {
            if let Some(recorded) = self.record.json.get(key) {
                let recorded = recorded.as_object().ok_or_else(|| malformed(key))?;
                self.shapes(key, recorded)?;
            }
        }
        if let Some(recorded) = self.record.json.get("file_keys") {
            let recorded: Vec<String> =
                serde_json::from_value(recorded.clone()).map_err(|_| malformed("file_keys"))?;
            let recorded: BTreeSet<String> = recorded.into_iter().collect();
            let ours: BTreeSet<String> =
                checkpoint::names(&self.record.dir.join("model"))?.into_iter().collect();
            for name in recorded.union(&ours) {
                let is_in = |set: &BTreeSet<String>| f64::from(u8::from(set.contains(name)));
                self.ledger.compare("file_keys", name, is_in(&ours), is_in(&recorded), EXACT);
            }
        }
        self.special_tokens()
    }

    /// Every parameter of the model with its shape, no more and no fewer.
    fn shapes(&mut self, key: &str, recorded: &Map<String, Value>) -> Result<()> {
        let mut ours: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        let layout = self.model.config.layout;
        for (name, tensor) in self.model.parameters() {
            let parts = native::parts(name, layout);
            let mut shape = tensor.size();
            shape[0] /= parts.len() as i64;
            for part in parts {
                let module = match layout {
                    Layout::Original => part,
                    Layout::Native => native::module(&part),
                };
                ours.insert(module, shape.clone());
            }
        }
        let floats = |shape: &[i64]| shape.iter().map(|&dim| dim as f64).collect::<Vec<f64>>();
        for (name, shape) in recorded {
            let shape: Vec<i64> =
                serde_json::from_value(shape.clone()).map_err(|_| malformed(key))?;
            let got = ours.remove(name).unwrap_or_default();
            self.ledger.compare_all(key, name, &floats(&got), &floats(&shape), EXACT);
        }
        for name in ours.keys() {
            self.ledger.compare(key, &format!("{name} is not recorded"), 1.0, 0.0, EXACT);
        }
        Ok(())
    }

    /// Ids of special tokens, by the tokenizer's files.
    fn special_tokens(&mut self) -> Result<()> {
        let dir = self.record.dir.join("model");
        let id = |token: &str| checkpoint::token_id(&dir, token).map_or(f64::NAN, |id| id as f64);
        if let Some(recorded) = self.record.json.get("ids") {
            for (token, recorded) in recorded.as_object().ok_or_else(|| malformed("ids"))? {
                if !recorded.is_null() {
                    let recorded = recorded.as_f64().unwrap_or(f64::NAN);
                    self.ledger.compare("special tokens", token, id(token), recorded, EXACT);
                }
            }
        }
        for role in ["eos_token", "pad_token"] {
            let key = format!("{role}_id");
            let Some(recorded) = self.record.json.get(&key).filter(|id| !id.is_null()) else {
                continue;
            };
            let path = dir.join("tokenizer_config.json");
            let doing = || format!("reading `{}`", path.display());
            let text = std::fs::read(&path).with_context(doing)?;
            let config: Value = serde_json::from_slice(&text).with_context(doing)?;
            // A word, or a table that describes it.
            let token = &config[role];
            let token = token.as_str().or_else(|| token["content"].as_str()).unwrap_or_default();
            let recorded = recorded.as_f64().unwrap_or(f64::NAN);
            self.ledger.compare("special tokens", &key, id(token), recorded, EXACT);
        }
        Ok(())
    }
}
