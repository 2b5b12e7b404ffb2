//! `[chart.NAME]` as a spec says it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One chart, by kind.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Chart {
    /// Grouped bars with intervals.
    Bars(Series),
    /// Lines with bands.
    Lines(Series),
    /// A heat map of two axes.
    Heat(Heat),
}

/// Bars or lines.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Heading; default: what is measured, by what.
    pub title: Option<String>,
    /// Column along the x axis: `variant`, `step`, `loss.beta`.
    pub x: String,
    /// What is measured: `reasoning.accuracy`, `logps/chosen`.
    pub y: String,
    /// Column that splits each place on x, by colour.
    pub group: Option<String>,
    /// What an interval is taken over: `question`, `seed` or another column.
    pub band: Option<String>,
    /// A table of results/paper/ drawn beside, by file stem.
    pub overlay: Option<String>,
    /// Only rows with these values: `{ prompt = "cot" }`.
    #[serde(default, rename = "where")]
    pub rows: BTreeMap<String, String>,
}

/// A heat map.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Heat {
    /// Heading; default: what is measured, by what.
    pub title: Option<String>,
    /// Column along the x axis.
    pub x: String,
    /// Column along the y axis.
    pub y: String,
    /// What the colour shows: `reasoning.accuracy`.
    pub value: String,
    /// Only rows with these values: `{ prompt = "cot" }`.
    #[serde(default, rename = "where")]
    pub rows: BTreeMap<String, String>,
}
