//! `[sweep]`: lists of values by dotted key. All combinations are run;
//! `[[sweep.zip]]` groups go side by side. `[variant.sweep]` is a variant's own:
//! its lists are combined with those of `[sweep]` for that variant alone.

use super::layer::{At, Layer, insert, segments};
use super::lists::{TABLES, nearest};
use super::mistake::{Mistake, Mistakes};
use super::schema;
use super::source::{Place, Source};

/// One dimension of the sweep: a key, or a group of keys that go side by side.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Its steps; each sets every key of the axis.
    pub steps: Vec<Vec<Setting>>,
}

/// One key at one value.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Dotted.
    pub key: String,
    /// What the key is set to.
    pub value: toml::Value,
    /// Index of the text and path in it.
    place: (usize, Vec<String>),
}

/// A list of the sweep as written.
struct List<'a> {
    key: &'a str,
    value: &'a toml::Value,
    source: usize,
    path: Vec<String>,
    zipped: bool,
}

/// A table that may hold a sweep: the spec, a `--set`, a variant.
#[derive(Clone, Debug)]
pub struct Holder<'a> {
    /// Index of the text.
    pub source: usize,
    /// Path of the table in it.
    pub prefix: Vec<String>,
    /// The table.
    pub table: &'a toml::Table,
}

impl Holder<'_> {
    fn path(&self, below: &[&str]) -> Vec<String> {
        let below = below.iter().map(|&segment| segment.to_owned());
        self.prefix.iter().cloned().chain(below).collect()
    }
}

/// Takes sweeps apart; a later holder (`--set`) replaces a key's list. `seen` are keys that
/// another sweep has, and gets those of this one.
pub fn axes(
    holders: &[Holder],
    seen: &mut Vec<String>,
    sources: &[Source],
    mistakes: &mut Mistakes,
) -> Vec<Axis> {
    let mut lists: Vec<List> = Vec::new();
    let mut groups: Vec<Vec<List>> = Vec::new();
    for holder in holders {
        let source = holder.source;
        let Some(sweep) = holder.table.get("sweep") else { continue };
        let Some(sweep) = sweep.as_table().filter(|sweep| !sweep.is_empty()) else {
            mistakes.push(Mistake {
                message: "`sweep` is empty: it needs lists of values by dotted key".to_owned(),
                hint: "such as `\"loss.beta\" = [0.1, 0.3]`, or leave `[sweep]` out".to_owned(),
                source,
                span: sources[source].span(&holder.path(&["sweep"]), Place::Key),
            });
            continue;
        };
        for (key, value) in sweep.iter().filter(|(key, _)| *key != "zip") {
            let path = holder.path(&["sweep", key]);
            let list = List { key, value, source, path, zipped: false };
            match lists.iter_mut().find(|known| known.key == key) {
                Some(known) => *known = list,
                None => lists.push(list),
            }
        }
        groups.extend(zips(sweep, holder, sources, mistakes));
    }

    let mut axes = Vec::new();
    for group in lists.into_iter().map(|list| vec![list]).chain(groups) {
        let columns: Option<Vec<Vec<Setting>>> =
            group.iter().map(|list| column(list, seen, sources, mistakes)).collect();
        let Some(columns) = columns else { continue };
        let length = columns[0].len();
        if let Some((list, column)) =
            group.iter().zip(&columns).find(|(_, column)| column.len() != length)
        {
            mistakes.push(Mistake {
                message: format!(
                    "lists of one `[[sweep.zip]]` differ in length: `{}` has {length}, `{}` has {}",
                    group[0].key,
                    list.key,
                    column.len()
                ),
                hint: "give each the same number of values, or move one to `[sweep]` for all \
                       combinations"
                    .to_owned(),
                source: list.source,
                span: sources[list.source].span(&list.path, Place::Key),
            });
            continue;
        }
        let steps = (0..length)
            .map(|step| columns.iter().map(|column| column[step].clone()).collect())
            .collect();
        axes.push(Axis { steps });
    }
    axes
}

fn zips<'a>(
    sweep: &'a toml::Table,
    holder: &Holder,
    sources: &[Source],
    mistakes: &mut Mistakes,
) -> Vec<Vec<List<'a>>> {
    let Some(zip) = sweep.get("zip") else { return Vec::new() };
    let groups: Option<Vec<&toml::Table>> = zip.as_array().and_then(|list| {
        list.iter().map(|group| group.as_table().filter(|group| !group.is_empty())).collect()
    });
    let Some(groups) = groups else {
        mistakes.push(Mistake {
            message: "`sweep.zip` must be groups of lists".to_owned(),
            hint: "each group opens with `[[sweep.zip]]` and holds lists of one length".to_owned(),
            source: holder.source,
            span: sources[holder.source].span(&holder.path(&["sweep", "zip"]), Place::Key),
        });
        return Vec::new();
    };
    let group_of = |(index, group): (usize, &'a toml::Table)| {
        let list_of = |(key, value): (&'a String, &'a toml::Value)| {
            let path = holder.path(&["sweep", "zip", &index.to_string(), key]);
            List { key, value, source: holder.source, path, zipped: true }
        };
        group.iter().map(list_of).collect()
    };
    groups.into_iter().enumerate().map(group_of).collect()
}

/// What is wrong with a list, and where in its text.
struct Wrong {
    message: String,
    hint: String,
    path: Vec<String>,
    place: Place,
}

impl List<'_> {
    fn wrong(&self, place: Place, message: String, hint: String) -> Wrong {
        Wrong { message, hint, path: self.path.clone(), place }
    }

    fn path_of(&self, index: usize) -> Vec<String> {
        self.path.iter().cloned().chain([index.to_string()]).collect()
    }
}

/// One key's values, or the mistake in it.
fn column(
    list: &List,
    seen: &mut Vec<String>,
    sources: &[Source],
    mistakes: &mut Mistakes,
) -> Option<Vec<Setting>> {
    let found = check_key(list, seen).and_then(|()| values(list));
    let note = |Wrong { message, hint, path, place }| {
        let span = sources[list.source].span(&path, place);
        mistakes.push(Mistake { message, hint, source: list.source, span });
    };
    found.map_err(note).ok()
}

/// Whether the key can be swept, here and once.
fn check_key(list: &List, seen: &mut Vec<String>) -> Result<(), Wrong> {
    let key = list.key;
    let wrong = |message: String, hint: String| Err(list.wrong(Place::Key, message, hint));
    if let Some(nested) = list.value.as_table() {
        let inner = nested.keys().next().map_or("…", String::as_str);
        return wrong(
            format!("`sweep.{key}` is a table: a swept key stands in quotes"),
            format!("write `\"{key}.{inner}\" = […]` under `[sweep]`"),
        );
    }
    if key == "seeds" || key == "train.seed" {
        return wrong(
            format!("`{key}` cannot be swept: seeds are a dimension of their own"),
            "write `seeds = [0, 1, 2]` at the top".to_owned(),
        );
    }
    if !schema::keys().iter().any(|known| known == key) {
        return wrong(format!("no table sets `{key}`: it cannot be swept"), meant(key));
    }
    if seen.iter().any(|known| known == key) {
        return wrong(
            format!("`{key}` is swept twice"),
            "leave it in `[sweep]` or in one `[[sweep.zip]]`".to_owned(),
        );
    }
    seen.push(key.to_owned());
    Ok(())
}

/// What to write in place of a key that there is not.
fn meant(key: &str) -> String {
    let keys = || schema::keys().iter().map(String::as_str);
    let below: Vec<&str> = keys().filter(|known| known.starts_with(&format!("{key}."))).collect();
    if !below.is_empty() {
        return format!("sweep its keys one by one: {}", below.join(", "));
    }
    let last = key.rsplit('.').next();
    match nearest(key, keys()).or_else(|| keys().find(|known| known.rsplit('.').next() == last)) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!(
            "a swept key is `table.key`, with a table of {}; `prefab show defaults` lists keys",
            TABLES.join(", ")
        ),
    }
}

/// A list's values, of which there are some, each once.
fn values(list: &List) -> Result<Vec<Setting>, Wrong> {
    let key = list.key;
    let wrong = |message, hint: String| list.wrong(Place::Value, message, hint);
    let Some(values) = list.value.as_array() else {
        return Err(wrong(
            format!("`{key}` must be swept over a list, got `{}`", list.value),
            format!("write `\"{key}\" = [{}]`", list.value),
        ));
    };
    if values.is_empty() {
        return Err(wrong(
            format!("`{key}` is swept over nothing"),
            "give it at least one value, or take the key out of the sweep".to_owned(),
        ));
    }
    let twice = (1..values.len()).find(|&index| values[..index].contains(&values[index]));
    if let Some(index) = twice.filter(|_| !list.zipped) {
        let message = format!("`{key}` is swept over `{}` twice", values[index]);
        let hint = "take one of them out: jobs that are alike run once".to_owned();
        return Err(Wrong { path: list.path_of(index), ..wrong(message, hint) });
    }
    let setting = |(index, value): (usize, &toml::Value)| Setting {
        key: key.to_owned(),
        value: value.clone(),
        place: (list.source, list.path_of(index)),
    };
    Ok(values.iter().enumerate().map(setting).collect())
}

/// All combinations, the first axis slowest. One empty combination where nothing is swept.
pub fn points(axes: &[Axis]) -> Vec<Vec<Setting>> {
    let mut points = vec![Vec::new()];
    for axis in axes {
        let extend = |point: &Vec<Setting>| {
            axis.steps
                .iter()
                .map(|step| point.iter().chain(step).cloned().collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        points = points.iter().flat_map(extend).collect();
    }
    points
}

/// A swept value as runs.csv has it: without TOML's quotes.
pub fn text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Float(number) => number.to_string(),
        other => other.to_string(),
    }
}

/// A combination as layers, one for each text that its keys stand in.
pub fn layers(point: &[Setting]) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    for setting in point {
        let key = segments(&setting.key);
        let (source, path) = setting.place.clone();
        let index = layers.iter().position(|layer| layer.source == source).unwrap_or_else(|| {
            layers.push(Layer {
                name: format!("sweep {source}"),
                source,
                at: At::Each(Vec::new()),
                table: toml::Table::new(),
            });
            layers.len() - 1
        });
        let layer = &mut layers[index];
        insert(&mut layer.table, &key, setting.value.clone());
        if let At::Each(places) = &mut layer.at {
            places.push((key, path));
        }
    }
    layers
}
