//! A TOML text that remembers where everything in it stands.

use super::mistake::Mistake;
use std::ops::Range;
use toml_edit::{Item, Table, Value};

/// One TOML text: the embedded defaults, the spec, or one `--set`.
#[derive(Debug)]
pub struct Source {
    /// What a message calls it: a path, `defaults.toml` or `--set`.
    pub name: String,
    /// The text itself.
    pub text: String,
    document: toml_edit::Document<String>,
}

/// Which half of `key = value` to point at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// A step of a walk down a document.
enum Node<'a> {
    Table(&'a Table),
    Item(&'a Item),
    Value(&'a Value),
}

impl Source {
    /// Reads a text; a syntax error becomes a mistake at its place.
    ///
    /// # Errors
    ///
    /// The first syntax error: what follows one cannot be trusted.
    pub fn parse(name: &str, text: &str, index: usize) -> Result<(Self, toml::Table), Mistake> {
        let syntax = |message: &str, span: Option<Range<usize>>| {
            let end = text.len();
            let span = span.unwrap_or(end..end);
            Mistake {
                message: format!("not TOML: {}", message.trim().replace('\n', "; ")),
                hint: syntax_hint(message, text, &span),
                source: index,
                span,
            }
        };
        let document = toml_edit::Document::parse(text.to_owned())
            .map_err(|error| syntax(error.message(), error.span()))?;
        let table = toml::from_str(text).map_err(|error: toml::de::Error| {
            let span = error.span();
            syntax(error.message(), span)
        })?;
        Ok((Self { name: name.to_owned(), text: text.to_owned(), document }, table))
    }

    /// Where a path stands; where it is absent, its closest ancestor that is present.
    pub fn span(&self, path: &[String], place: Place) -> Range<usize> {
        let mut node = Node::Table(self.document.as_table());
        let mut best = 0..0;
        for (depth, segment) in path.iter().enumerate() {
            let Some((key, value, next)) = step(&node, segment) else { break };
            let last = depth + 1 == path.len();
            best = match (place, last) {
                (Place::Key, _) | (_, false) => key.or(value),
                (Place::Value, true) => value.or(key),
            }
            .unwrap_or(best);
            node = next;
        }
        best
    }

    /// The line, from 1, on which a path stands.
    pub fn line(&self, path: &[String]) -> usize {
        let start = self.span(path, Place::Key).start;
        self.text[..start].matches('\n').count() + 1
    }
}

type Step<'a> = (Option<Range<usize>>, Option<Range<usize>>, Node<'a>);

fn step<'a>(node: &Node<'a>, segment: &str) -> Option<Step<'a>> {
    let keyed =
        |(key, item): (&'a toml_edit::Key, &'a Item)| (key.span(), item.span(), Node::Item(item));
    let listed = |value: &'a Value| (None, value.span(), Node::Value(value));
    match node {
        Node::Table(table) => table.get_key_value(segment).map(keyed),
        Node::Value(Value::InlineTable(table))
        | Node::Item(Item::Value(Value::InlineTable(table))) => {
            table.get_key_value(segment).map(keyed)
        }
        Node::Value(Value::Array(array)) | Node::Item(Item::Value(Value::Array(array))) => {
            array.get(segment.parse().ok()?).map(listed)
        }
        Node::Item(Item::Table(table)) => table.get_key_value(segment).map(keyed),
        Node::Item(Item::ArrayOfTables(tables)) => {
            let table = tables.get(segment.parse().ok()?)?;
            Some((None, table.span(), Node::Table(table)))
        }
        _ => None,
    }
}

/// What people get wrong most, by what stands on the line.
fn syntax_hint(message: &str, text: &str, span: &Range<usize>) -> String {
    if message.contains("overflow") {
        return format!("whole numbers go up to {}, others to 1.8e308", i64::MAX);
    }
    let at = span.start.min(text.len());
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let (key, value) = line.split_once('=').unwrap_or((line, ""));
    let value = value.trim();
    if value.starts_with(|c: char| c.is_ascii_alphabetic()) && !["true", "false"].contains(&value) {
        let word = value.split(['#', ' ']).next().unwrap_or_default();
        format!("words stand in quotes: `{} = \"{word}\"`", key.trim())
    } else if line.trim_start().starts_with('[') && !line.contains('=') {
        "a table is `[name]`, one of several is `[[name]]`, and each table is opened once"
            .to_owned()
    } else {
        "write `key = value`, one a line; words stand in quotes, lists in `[ ]`, and each key \
         is set once"
            .to_owned()
    }
}
