//! What stands beside the tables of settings: `seeds`, `[[variant]]`,
//! `[[round]]`, `[[variant.round]]`, `[chart.NAME]`, `[store]`.

use super::chart::Chart;
use super::extract::{Stack, unknown_key_hint};
use super::layer::{At, Layer, insert, segments};
use super::lists::{ROOT, TABLES, nearest, suggest};
use super::mistake::{Mistake, Mistakes};
use super::number::NonNegative;
use super::schema;
use super::source::{Place, Source};
use super::sweep::{self, Axis, Holder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[store]` table. Nothing in it enters a key.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Image features above this many GiB are computed anew instead of kept.
    pub feature_gib: NonNegative,
}

/// What a round's policy is held to.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceOf {
    /// The base model, in every round.
    #[default]
    Base,
    /// The policy of the round before.
    Previous,
}

/// A named variation, still as a layer.
#[derive(Debug)]
pub struct VariantTable {
    /// As written.
    pub name: String,
    /// Its settings.
    pub layer: Layer,
    /// Its own sweep, beside that of the whole spec.
    pub axes: Vec<Axis>,
    /// Its own rounds, in place of those of the whole spec.
    pub rounds: Vec<RoundTable>,
}

/// A round, still as a layer.
#[derive(Debug)]
pub struct RoundTable {
    /// What its policy is held to.
    pub reference: ReferenceOf,
    /// Its settings.
    pub layer: Layer,
}

/// Tables that a round may override.
pub const ROUND_TABLES: &[&str] = &["candidates", "pairs", "loss", "train"];

/// Points at a path of the spec (text 1).
pub fn at(sources: &[Source], path: &[&str], place: Place) -> (usize, std::ops::Range<usize>) {
    let path: Vec<String> = path.iter().map(|&segment| segment.to_owned()).collect();
    (1, sources[1].span(&path, place))
}

/// Reports keys at the top that no spec has, and the schema's version.
pub fn check_root(spec: &toml::Table, sources: &[Source], mistakes: &mut Mistakes) {
    for key in spec.keys().filter(|key| !ROOT.contains(&key.as_str())) {
        let elsewhere = schema::keys().iter().find(|k| k.rsplit('.').next() == Some(key));
        let hint = match (nearest(key, ROOT.iter().copied()), elsewhere) {
            (Some(name), _) => format!("did you mean `{name}`?"),
            (None, Some(full)) => format!("did you mean `{full}`? It stands in a table"),
            (None, None) => format!("at the top of a spec stand {}", ROOT.join(", ")),
        };
        let (source, span) = at(sources, &[key], Place::Key);
        mistakes.push(Mistake {
            message: format!("a spec has no key `{key}`"),
            hint,
            source,
            span,
        });
    }
    let hint = "write `schema = 1` at the top".to_owned();
    match spec.get("schema") {
        None => mistakes.push(Mistake {
            message: "`schema` is missing: which version of the spec's language this is".to_owned(),
            hint,
            source: 1,
            span: 0..0,
        }),
        Some(toml::Value::Integer(1)) => {}
        Some(other) => {
            let (source, span) = at(sources, &["schema"], Place::Value);
            mistakes.push(Mistake {
                message: format!("`schema` must be 1 for this version of Prefab, got `{other}`"),
                hint,
                source,
                span,
            });
        }
    }
    if let Some(other) = spec.get("description").filter(|value| !value.is_str()) {
        let (source, span) = at(sources, &["description"], Place::Value);
        mistakes.push(Mistake {
            message: format!("`description` must be a text in quotes, got `{other}`"),
            hint: "such as `description = \"which algorithm reasons best?\"`".to_owned(),
            source,
            span,
        });
    }
}

/// Takes out what stands where a table belongs. `[loss]` leaves any algorithm behind, so that its
/// absence is no further mistake.
pub fn take_untabled(spec: &mut toml::Table, sources: &[Source], mistakes: &mut Mistakes) {
    for key in TABLES.iter().copied().chain(["store"]) {
        let Some(value) = spec.get(key).filter(|value| !value.is_table()) else { continue };
        let is_list = value.as_array().is_some_and(|list| list.iter().any(toml::Value::is_table));
        let (got, place) = match is_list {
            true => ("a list of tables".to_owned(), Place::Key),
            false => (format!("`{value}`"), Place::Value),
        };
        let (source, span) = at(sources, &[key], place);
        mistakes.push(Mistake {
            message: format!("`{key}` must be a table, got {got}"),
            hint: format!(
                "it opens with `[{key}]`, in single brackets; `prefab show defaults` shows it"
            ),
            source,
            span,
        });
        spec.remove(key);
        if key == "loss" {
            insert(spec, &segments("loss.algorithm"), "mpo".into());
        }
    }
}

/// The tables of a list such as `[[variant]]` below a path, or the mistake that it is none.
fn tables<'a>(
    holder: &'a toml::Table,
    prefix: &[&str],
    key: &str,
    sources: &[Source],
    mistakes: &mut Mistakes,
) -> Vec<&'a toml::Table> {
    let Some(value) = holder.get(key) else { return Vec::new() };
    let list: Option<Vec<_>> =
        value.as_array().and_then(|list| list.iter().map(toml::Value::as_table).collect());
    list.unwrap_or_else(|| {
        let (source, span) = at(sources, &[prefix, &[key]].concat(), Place::Key);
        let table = if prefix.is_empty() { key.to_owned() } else { format!("{}.{key}", prefix[0]) };
        mistakes.push(Mistake {
            message: format!("`{table}` must be a list of tables"),
            hint: format!("each one opens with `[[{table}]]`, in double brackets"),
            source,
            span,
        });
        Vec::new()
    })
}

/// Takes `[[variant]]` apart. `swept` are the keys of `[sweep]`.
pub fn variants(
    spec: &toml::Table,
    swept: &[String],
    sources: &[Source],
    mistakes: &mut Mistakes,
) -> Vec<VariantTable> {
    let mut variants: Vec<VariantTable> = Vec::new();
    for (index, whole) in tables(spec, &[], "variant", sources, mistakes).into_iter().enumerate() {
        let position = index.to_string();
        let mut table = whole.clone();
        let mut wrong = |message: String, hint: String, key: Option<&str>, place| {
            let path: Vec<&str> = ["variant", &position].into_iter().chain(key).collect();
            let (source, span) = at(sources, &path, place);
            mistakes.push(Mistake { message, hint, source, span });
        };
        let name = match table.remove("name") {
            Some(toml::Value::String(name)) if !name.trim().is_empty() => name,
            Some(other) => {
                wrong(
                    format!("a variant's `name` must be a word in quotes, got `{other}`"),
                    "such as `name = \"DPO+\"`".to_owned(),
                    Some("name"),
                    Place::Value,
                );
                format!("{}", index + 1)
            }
            None => {
                wrong(
                    "this variant has no `name`".to_owned(),
                    "add `name = \"…\"`: job ids, tables and charts use it".to_owned(),
                    None,
                    Place::Key,
                );
                format!("{}", index + 1)
            }
        };
        if name.contains(char::is_control) {
            wrong(
                format!("the name {name:?} has a character that no picture can show"),
                "take it out".to_owned(),
                Some("name"),
                Place::Value,
            );
        }
        if name.trim() == "base" {
            wrong(
                "a variant cannot be named `base`: tables and charts call the untrained base so"
                    .to_owned(),
                "give it another name, such as `name = \"plain\"`".to_owned(),
                Some("name"),
                Place::Value,
            );
        }
        if variants.iter().any(|other| other.name == name) {
            wrong(
                format!("two variants are named `{name}`"),
                "give each variant a name of its own".to_owned(),
                Some("name"),
                Place::Value,
            );
        }
        let unknown: Vec<String> =
            table.keys().filter(|key| !TABLES.contains(&key.as_str())).cloned().collect();
        for key in unknown {
            table.remove(&key);
            if ["sweep", "round"].contains(&key.as_str()) {
                continue;
            }
            let hint = if key == "seeds" {
                "`seeds` stands at the top: every variant runs with each".to_owned()
            } else {
                unknown_key_hint(&key, "variant", TABLES)
            };
            wrong(format!("a variant has no key `{key}`"), hint, Some(&key), Place::Key);
        }
        let rounds = rounds(whole, &["variant", &position], sources, mistakes);
        let prefix = vec!["variant".to_owned(), position.clone()];
        let holder = Holder { source: 1, prefix: prefix.clone(), table: whole };
        let axes = sweep::axes(&[holder], &mut swept.to_vec(), sources, mistakes);
        let layer = Layer {
            name: format!("variant {name} ({position})"),
            source: 1,
            at: At::Below(prefix),
            table,
        };
        variants.push(VariantTable { name, layer, axes, rounds });
    }
    variants
}

/// Takes `[[round]]` apart, or `[[variant.round]]` below the path of its variant.
pub fn rounds(
    holder: &toml::Table,
    prefix: &[&str],
    sources: &[Source],
    mistakes: &mut Mistakes,
) -> Vec<RoundTable> {
    let mut rounds = Vec::new();
    let found = tables(holder, prefix, "round", sources, mistakes);
    for (index, table) in found.into_iter().enumerate() {
        let position = index.to_string();
        let path = [prefix, &["round", &position]].concat();
        let mut table = table.clone();
        let mut wrong = |message: String, hint: String, key: &str, place| {
            let (source, span) = at(sources, &[path.as_slice(), &[key]].concat(), place);
            mistakes.push(Mistake { message, hint, source, span });
        };
        let reference = match table.remove("reference") {
            None => ReferenceOf::Base,
            Some(toml::Value::String(word)) if word == "base" => ReferenceOf::Base,
            Some(toml::Value::String(word)) if word == "previous" => ReferenceOf::Previous,
            Some(other) => {
                wrong(
                    format!("a round's `reference` cannot be `{other}`"),
                    "it is \"base\" or \"previous\"".to_owned(),
                    "reference",
                    Place::Value,
                );
                ReferenceOf::Base
            }
        };
        let unknown: Vec<String> =
            table.keys().filter(|key| !ROUND_TABLES.contains(&key.as_str())).cloned().collect();
        for key in unknown {
            table.remove(&key);
            let hint = if TABLES.contains(&key.as_str()) {
                format!("`[{key}]` is the same in all rounds: it stands at the top")
            } else {
                let mut names = ROUND_TABLES.to_vec();
                names.push("reference");
                suggest(&key, "keys of a round", &names)
            };
            wrong(format!("a round has no key `{key}`"), hint, &key, Place::Key);
        }
        let layer = Layer {
            name: format!("round {}", index + 1),
            source: 1,
            at: At::Below(path.iter().map(|&segment| segment.to_owned()).collect()),
            table,
        };
        rounds.push(RoundTable { reference, layer });
    }
    rounds
}

/// Takes `[chart.NAME]` apart, in the spec's order.
pub fn charts(
    spec: &toml::Table,
    sources: &[Source],
    mistakes: &mut Mistakes,
) -> Vec<(String, Chart)> {
    let mut charts = Vec::new();
    let kinds: Vec<&str> = Chart::KINDS.iter().map(|(kind, _)| *kind).collect();
    let mut wrong = |message: String, hint: String, path: &[&str]| {
        let (source, span) = at(sources, path, Place::Key);
        mistakes.push(Mistake { message, hint, source, span });
    };
    let mut sound = Vec::new();
    match spec.get("chart") {
        None => {}
        Some(toml::Value::Table(table)) => {
            for (name, chart) in table {
                let keys: Vec<&str> =
                    chart.as_table().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
                if let Err(hint) = Chart::check_name(name) {
                    let message =
                        format!("`{name}` cannot name a chart: its files are named for it");
                    wrong(message, hint, &["chart", name]);
                }
                match keys.as_slice() {
                    [kind] if kinds.contains(kind) => sound.push((name, chart)),
                    [kind] => wrong(
                        format!("`{kind}` is no kind of chart"),
                        suggest(kind, "kinds of charts", &kinds),
                        &["chart", name, kind],
                    ),
                    _ => wrong(
                        format!("`chart.{name}` must have one key: its kind"),
                        format!(
                            "such as `bars = {{ x = \"variant\", y = \"reasoning.accuracy\" }}`; kinds: {}",
                            kinds.join(", ")
                        ),
                        &["chart", name],
                    ),
                }
            }
        }
        Some(_) => wrong(
            "`chart` must be a table of charts".to_owned(),
            "each one opens with `[chart.NAME]`".to_owned(),
            &["chart"],
        ),
    }
    for (name, chart) in sound {
        let layer = Layer {
            name: format!("chart {name}"),
            source: 1,
            at: At::Each(vec![(vec!["chart".to_owned()], vec!["chart".to_owned(), name.clone()])]),
            table: toml::Table::from_iter([("chart".to_owned(), chart.clone())]),
        };
        let mut stack = Stack::new(vec![layer], sources, &format!("chart `{name}`"));
        if let Some(chart) = stack.table::<Chart>("chart", mistakes) {
            charts.push((name.clone(), chart));
        }
    }
    charts
}
