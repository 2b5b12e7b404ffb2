//! Layers: embedded defaults → spec → `--set` → variant → sweep point → round.
//! figment merges them and remembers which one set each value.

use super::source::{Place, Source};
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};
use std::ops::Range;

/// The embedded defaults: every key, its meaning and its value.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// One layer of settings and where in its text it was written.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What `prefab show spec` calls it; unique in its stack.
    pub name: String,
    /// Index of the text it comes from.
    pub source: usize,
    /// Where in that text.
    pub at: At,
    /// Its settings.
    pub table: toml::Table,
}

/// Where a layer's keys stand in its text.
#[derive(Clone, Debug)]
pub enum At {
    /// At the top.
    Root,
    /// Below a path: `variant.0`.
    Below(Vec<String>),
    /// Each dotted key at a path of its own: `sweep."loss.beta".2`.
    Each(Vec<(Vec<String>, Vec<String>)>),
}

impl Layer {
    /// The path in the layer's text of a path in the settings.
    pub fn path(&self, path: &[String]) -> Vec<String> {
        match &self.at {
            At::Root => path.to_vec(),
            At::Below(prefix) => prefix.iter().chain(path).cloned().collect(),
            At::Each(places) => places
                .iter()
                .find(|(key, _)| {
                    let shared = key.len().min(path.len());
                    key[..shared] == path[..shared]
                })
                .map(|(key, place)| {
                    place.iter().chain(path.iter().skip(key.len())).cloned().collect()
                })
                .unwrap_or_default(),
        }
    }

    /// The bytes of the layer's text at which a setting stands.
    pub fn span(&self, sources: &[Source], path: &[String], place: Place) -> Range<usize> {
        sources[self.source].span(&self.path(path), place)
    }

    /// `file:line` of a setting, or the layer's name where it stands in no file of the user's.
    pub fn describe(&self, sources: &[Source], path: &[String]) -> String {
        let source = &sources[self.source];
        match source.name.as_str() {
            "defaults.toml" => source.name.clone(),
            "--set" => format!("--set {}", source.text),
            name => format!("{name}:{}", source.line(&self.path(path))),
        }
    }

    /// Removes one value, so that what remains can be checked on. For an element of a list
    /// the whole list goes.
    pub fn remove(&mut self, path: &[String]) -> bool {
        remove(&mut self.table, path)
    }
}

fn remove(table: &mut toml::Table, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    match table.get_mut(first) {
        Some(toml::Value::Table(next)) if !rest.is_empty() => remove(next, rest),
        Some(toml::Value::Array(_)) => table.remove(first).is_some(),
        Some(_) if rest.is_empty() => table.remove(first).is_some(),
        _ => false,
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let dict = match Value::serialize(&self.table)? {
            Value::Dict(_, dict) => dict,
            _ => unreachable!("a table serialises as a dictionary"),
        };
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

/// Sets a dotted key, making the tables on its way.
pub fn insert(table: &mut toml::Table, path: &[String], value: toml::Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        table.insert(first.clone(), value);
        return;
    }
    let entry =
        table.entry(first.clone()).or_insert_with(|| toml::Value::Table(Default::default()));
    if !entry.is_table() {
        *entry = toml::Value::Table(Default::default());
    }
    if let toml::Value::Table(next) = entry {
        insert(next, rest, value);
    }
}

/// The value at a path.
pub fn lookup<'a>(table: &'a toml::Table, path: &[String]) -> Option<&'a toml::Value> {
    let (first, rest) = path.split_first()?;
    let value = table.get(first)?;
    if rest.is_empty() { Some(value) } else { lookup(value.as_table()?, rest) }
}

/// `loss.beta` as segments.
pub fn segments(key: &str) -> Vec<String> {
    key.split('.').map(|segment| segment.trim().to_owned()).collect()
}
