//! Every resolved value of a spec with the layer that set it, for
//! `prefab show spec FILE`.

use super::draft::Draft;
use super::experiment::read;
use super::layer::{Layer, lookup, segments};
use super::lists::TABLES;
use super::sweep::Axis;
use super::{parse, schema};
use crate::Result;
use std::path::Path;

/// The spec as TOML, each line with its origin: `defaults.toml`, `FILE:LINE` or `--set …`.
/// Variants, sweep and rounds follow with what each sets.
///
/// # Errors
///
/// Everything that is wrong with the spec.
pub fn resolved(path: &Path, overrides: &[String]) -> Result<String> {
    let text = read(path)?;
    let file = path.display().to_string();
    parse("spec", &file, &text, overrides)?;
    let draft = Draft::read(&file, &text, overrides)?;
    let mut rows: Vec<(String, String)> = Vec::new();
    let origin = |layers: &[Layer], key: &str| {
        let path = segments(key);
        let layer = layers.iter().rev().find(|layer| lookup(&layer.table, &path).is_some());
        let layer = layer?;
        let value = lookup(&layer.table, &path)?;
        Some((format!("{value}"), layer.describe(&draft.sources, &path)))
    };

    let head = ["seeds".to_owned(), "store.feature_gib".to_owned()];
    for key in head.iter().chain(schema::keys()) {
        if let Some((value, origin)) = origin(&draft.base, key) {
            rows.push((format!("{key} = {value}"), origin));
        }
    }
    for variant in &draft.variants {
        rows.push((String::new(), String::new()));
        rows.push((format!("# variant `{}`", variant.name), String::new()));
        rows.extend(set_by(&variant.layer, &draft));
        rows.extend(swept(&variant.axes));
        for round in &variant.rounds {
            let title = format!("# variant `{}`, {}", variant.name, round.layer.name);
            rows.extend([(String::new(), String::new()), (title, String::new())]);
            rows.extend(set_by(&round.layer, &draft));
        }
    }
    for round in &draft.rounds {
        rows.push((String::new(), String::new()));
        rows.push((format!("# {}", round.layer.name), String::new()));
        rows.extend(set_by(&round.layer, &draft));
    }
    if !draft.axes.is_empty() {
        rows.push((String::new(), String::new()));
        rows.push(("# swept".to_owned(), String::new()));
        rows.extend(swept(&draft.axes));
    }
    Ok(aligned(&rows))
}

fn swept(axes: &[Axis]) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for axis in axes {
        for (column, set) in axis.steps[0].iter().enumerate() {
            let values: Vec<String> =
                axis.steps.iter().map(|step| step[column].value.to_string()).collect();
            let how = if axis.steps[0].len() > 1 { "swept side by side" } else { "swept" };
            rows.push((format!("{} = [{}]", set.key, values.join(", ")), how.to_owned()));
        }
    }
    rows
}

fn set_by(layer: &Layer, draft: &Draft) -> Vec<(String, String)> {
    let tables = schema::keys().iter().filter(|key| TABLES.contains(&first(key)));
    tables
        .filter_map(|key| {
            let path = segments(key);
            let value = lookup(&layer.table, &path)?;
            Some((format!("{key} = {value}"), layer.describe(&draft.sources, &path)))
        })
        .collect()
}

fn first(key: &str) -> &str {
    key.split('.').next().unwrap_or(key)
}

fn aligned(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(left, _)| left.chars().count()).filter(|&w| w <= 60).max();
    let width = width.unwrap_or(0);
    let line = |(left, right): &(String, String)| match right.as_str() {
        "" => format!("{left}\n"),
        right => format!("{left:width$}  # {right}\n"),
    };
    rows.iter().map(line).collect()
}
