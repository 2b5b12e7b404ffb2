//! Takes a stack of layers apart, table by table, and finds every mistake:
//! serde stops at the first one, so what is wrong is noted, removed, and the
//! table is read again.

use super::layer::{Layer, insert, lookup};
use super::lists::{TABLES, nearest};
use super::mistake::{Mistake, Mistakes};
use super::source::{Place, Source};
use super::{Settings, schema};
use figment::Figment;
use figment::error::{Actual, Kind};
use serde::de::DeserializeOwned;

/// More rounds than any file has mistakes in one table.
const MOST_REPAIRS: usize = 1000;

/// A stack of layers, lowest first, that is taken apart.
pub struct Stack<'a> {
    layers: Vec<Layer>,
    figment: Figment,
    sources: &'a [Source],
    /// What is being read, for messages about what is missing: "variant `DPO`".
    point: String,
    /// What was taken out because it was wrong.
    removed: Vec<Vec<String>>,
}

impl<'a> Stack<'a> {
    /// Stacks layers, lowest first.
    pub fn new(layers: Vec<Layer>, sources: &'a [Source], point: &str) -> Self {
        let figment = merged(&layers);
        Self { layers, figment, sources, point: point.to_owned(), removed: Vec::new() }
    }

    /// All settings, with lower layers' values where there were mistakes, and what was wrong.
    pub fn settings(
        mut self,
        with_loss: bool,
        mistakes: &mut Mistakes,
    ) -> Option<(Settings, Vec<Vec<String>>)> {
        let model = self.table("model", mistakes);
        let corpus = self.table("corpus", mistakes);
        let base = self.table("base", mistakes);
        let candidates = self.table("candidates", mistakes);
        let pairs = self.table("pairs", mistakes);
        let loss = if with_loss { self.table("loss", mistakes).map(Some) } else { Some(None) };
        let train = self.table("train", mistakes);
        let eval = self.table("eval", mistakes);
        let settings = Settings {
            model: model?,
            corpus: corpus?,
            base: base?,
            candidates: candidates?,
            pairs: pairs?,
            loss: loss?,
            train: train?,
            eval: eval?,
        };
        Some((settings, self.removed))
    }

    /// One table (or root key), with lower layers' values where it has mistakes.
    pub fn table<T: DeserializeOwned>(&mut self, name: &str, mistakes: &mut Mistakes) -> Option<T> {
        for _ in 0..MOST_REPAIRS {
            let error = match self.figment.extract_inner::<T>(name) {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            let path = path_of(&error, name);
            if self.follows_from_a_repair(&path, &error) {
                return None;
            }
            let layer = self.layer_of(&path, &error);
            mistakes.push(self.explain(&path, &error, layer));
            if !self.repair(&path, &error, layer) {
                return None;
            }
        }
        None
    }

    /// What was taken out is missing now where no lower layer has it: not a mistake of its own.
    fn follows_from_a_repair(&self, path: &[String], error: &figment::Error) -> bool {
        let mut path = path.to_vec();
        if let Kind::MissingField(field) = &error.kind {
            path.push(field.to_string());
        }
        self.removed.iter().any(|gone| gone.starts_with(&path))
    }

    fn layer_of(&self, path: &[String], error: &figment::Error) -> usize {
        let by_name = error
            .metadata
            .as_ref()
            .and_then(|metadata| self.layers.iter().position(|l| l.name == metadata.name));
        // The topmost layer that has the path, or the longest part of it.
        let by_path = (1..=path.len()).rev().find_map(|length| {
            self.layers.iter().rposition(|layer| lookup(&layer.table, &path[..length]).is_some())
        });
        let missing = matches!(error.kind, Kind::MissingField(_));
        if missing { by_path.or(by_name) } else { by_name.or(by_path) }.unwrap_or(0)
    }

    fn repair(&mut self, path: &[String], error: &figment::Error, layer: usize) -> bool {
        let missing = matches!(error.kind, Kind::MissingField(_));
        if missing && path.len() < 2 {
            return false;
        }
        let removed = self.layers[layer].remove(path);
        if path.join(".") == "loss.algorithm" {
            // It has no default; any will do to find what else is wrong.
            insert(&mut self.layers[0].table, path, "mpo".into());
        }
        self.figment = merged(&self.layers);
        self.removed.push(path.to_vec());
        removed
    }

    fn explain(&self, path: &[String], error: &figment::Error, layer: usize) -> Mistake {
        let layer = &self.layers[layer];
        let dotted = path.join(".");
        let default = self.default_hint(path);
        let (message, hint, place) = match &error.kind {
            Kind::UnknownField(field, expected) => {
                let parent = path[..path.len() - 1].join(".");
                let message = format!("`{parent}` has no key `{field}`");
                (message, unknown_key_hint(field, &parent, expected), Place::Key)
            }
            Kind::UnknownVariant(word, expected) => {
                let message = format!("`{dotted}` cannot be `{word}`");
                let plain = word.trim_end_matches('+');
                let hint = match nearest(word, expected.iter().copied()) {
                    _ if plain != word && expected.contains(&plain) => {
                        format!("\"+\" is a weight: `algorithm = \"{plain}\"` and `w_g = 1.0`")
                    }
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("it is one of {}", quoted(expected)),
                };
                (message, hint, Place::Value)
            }
            Kind::MissingField(field) if dotted == "loss" && field == "algorithm" => (
                format!("{} sets no `loss.algorithm`", self.point),
                "add `algorithm = \"mpo\"`; `prefab show losses` lists them all".to_owned(),
                Place::Key,
            ),
            Kind::MissingField(field) => (
                format!("`{dotted}` lacks `{field}`"),
                format!("add `{field} = …` to it; `prefab show schema` says what it takes"),
                Place::Key,
            ),
            Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
                let wanted = wanted(expected);
                (format!("`{dotted}` must be {wanted}, got {}", got(actual)), default, Place::Value)
            }
            Kind::Message(text) => (format!("`{dotted}` {text}"), default, Place::Value),
            other => (format!("`{dotted}`: {other}"), default, Place::Value),
        };
        Mistake { message, hint, source: layer.source, span: layer.span(self.sources, path, place) }
    }

    /// What stands there by default is an example of what is right.
    fn default_hint(&self, path: &[String]) -> String {
        let defaults = &self.layers[0].table;
        let embedded = self.layers[0].name == "defaults.toml";
        match lookup(defaults, path).or_else(|| lookup(defaults, &path[..path.len() - 1])) {
            _ if !embedded => "`prefab show charts` lists the kinds with their keys".to_owned(),
            Some(value) if !value.is_table() => {
                let key =
                    if lookup(defaults, path).is_some() { path } else { &path[..path.len() - 1] };
                format!("such as the default, `{} = {value}`", key.join("."))
            }
            _ => format!(
                "`prefab show defaults` shows what `{}` takes",
                path.first().map_or("a table", String::as_str)
            ),
        }
    }
}

fn merged(layers: &[Layer]) -> Figment {
    layers.iter().cloned().fold(Figment::new(), Figment::merge)
}

fn path_of(error: &figment::Error, table: &str) -> Vec<String> {
    // figment appends the extracted key; it belongs in front.
    let mut path = error.path.clone();
    if path.last().is_some_and(|last| last == table) {
        path.pop();
    }
    path.insert(0, table.to_owned());
    path
}

/// The way out of an unknown key: the nearest here, the same name elsewhere, or all there are.
pub fn unknown_key_hint(field: &str, parent: &str, expected: &[&str]) -> String {
    if let Some(name) = nearest(field, expected.iter().copied()) {
        return format!("did you mean `{name}`?");
    }
    let keys = schema::keys();
    let elsewhere = keys.iter().find(|key| key.rsplit('.').next() == Some(field));
    match elsewhere {
        Some(key) => format!("did you mean `{key}`? It stands in another table"),
        None if TABLES.contains(&field) => format!("`[{field}]` stands at the top of the spec"),
        None => format!("keys of `{parent}`: {}", expected.join(", ")),
    }
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// serde's words for what it expects, in the user's.
fn wanted(expected: &str) -> String {
    match expected {
        "f64" | "f32" => "a number".to_owned(),
        "usize" | "u64" | "u32" => "a whole number, 0 or above".to_owned(),
        "a nonzero usize" => "a whole number above 0".to_owned(),
        "a sequence" => "a list in `[ ]`".to_owned(),
        "a string" => "a text in quotes".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a map" => "a table".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other if other.contains("enum") => "a word in quotes".to_owned(),
        other => other.to_owned(),
    }
}

fn got(actual: &Actual) -> String {
    match actual {
        Actual::Bool(value) => format!("`{value}`"),
        Actual::Unsigned(value) => format!("`{value}`"),
        Actual::Signed(value) => format!("`{value}`"),
        Actual::Float(value) => format!("`{value}`"),
        Actual::Str(value) => format!("the text `{value}`"),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}
