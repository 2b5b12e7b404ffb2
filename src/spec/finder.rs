//! Finds settings in the layers that set them, to point at what is wrong.

use super::layer::{Layer, lookup, segments};
use super::lists::suggest;
use super::mistake::{Mistake, Mistakes};
use super::source::{Place, Source};

/// A stack of layers to point into.
#[derive(Debug)]
pub struct Finder<'a> {
    /// Lowest first.
    pub layers: &'a [Layer],
    /// The texts.
    pub sources: &'a [Source],
    /// What was wrong by itself already: no rule is checked against it.
    pub removed: Vec<Vec<String>>,
    /// Where mistakes go.
    pub mistakes: &'a mut Mistakes,
}

impl Finder<'_> {
    /// Whether a setting was right by itself.
    pub fn is_sound(&self, key: &str) -> bool {
        let path = segments(key);
        !self.removed.iter().any(|gone| {
            let shared = gone.len().min(path.len());
            gone[..shared] == path[..shared]
        })
    }

    /// Whether the user wrote a setting, or one below it, anywhere.
    pub fn is_written(&self, key: &str) -> bool {
        let path = segments(key);
        self.layers[1..].iter().any(|layer| lookup(&layer.table, &path).is_some())
    }

    /// Notes a mistake in a setting, at the layer that set it last.
    pub fn wrong(&mut self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        if !self.is_sound(key) {
            return;
        }
        let path = segments(key);
        // A default is no place to point at; the closest thing the user wrote is.
        let found = (1..=path.len()).rev().find_map(|length| {
            let written = |layer: &&Layer| lookup(&layer.table, &path[..length]).is_some();
            self.layers[1..].iter().rev().find(written).map(|layer| (layer, length))
        });
        let (source, span) = match found {
            Some((layer, length)) => {
                let place = if length == path.len() { Place::Value } else { Place::Key };
                (layer.source, layer.span(self.sources, &path, place))
            }
            None => (1, 0..0),
        };
        self.mistakes.push(Mistake { message: message.into(), hint: hint.into(), source, span });
    }

    /// Notes a `top_p` that would keep no token.
    pub fn top_p(&mut self, key: &str, value: f64) {
        if value <= 0.0 {
            self.wrong(key, format!("`{key}` must be above 0, got 0"), "1.0 keeps all tokens");
        }
    }

    /// Notes a number that is too small.
    pub fn at_least(&mut self, key: &str, value: usize, least: usize) {
        if value < least {
            let message = format!("`{key}` must be {least} or above, got {value}");
            self.wrong(key, message, format!("write `{key} = {least}` or more"));
        }
    }

    /// Notes names that are not known, and names that are listed twice.
    pub fn names(&mut self, key: &str, names: &[String], known: &[&str], command: &str) {
        for (index, name) in names.iter().enumerate() {
            let key = format!("{key}.{index}");
            if !known.contains(&name.as_str()) {
                let hint = suggest(name, &format!("`prefab show {command}` lists them"), known);
                self.wrong(
                    &key,
                    format!("no {} is called `{name}`", command.trim_end_matches('s')),
                    hint,
                );
            } else if names[..index].contains(name) {
                self.wrong(&key, format!("`{name}` is listed twice"), "take one of them out");
            }
        }
    }
}
