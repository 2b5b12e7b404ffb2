//! `[chart.NAME]`: what is drawn from runs.csv into `charts/NAME.svg`. The key
//! below the name is the kind: `[chart.figure_3] bars = { … }`.
//!
//! An axis, a group or a band is a column of runs.csv or a swept key; a
//! measured quantity is `BENCHMARK.METRIC` or a column of steps.csv.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One chart, by kind.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Chart {
    /// Grouped bars with intervals.
    Bars(Series),
    /// Lines with bands.
    Lines(Series),
    /// A heat map of two axes.
    Heat(Heat),
    /// Paired differences from one variant.
    Differences(Differences),
}

/// Bars or lines.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Heading; default: what is measured, by what.
    pub title: Option<String>,
    /// Column along the x axis: `variant`, `step`, `loss.beta`.
    pub x: String,
    /// What is measured: `reasoning.accuracy`, `logps/chosen`.
    pub y: String,
    /// Column that splits each place on x, by color.
    pub group: Option<String>,
    /// What an interval is taken over: questions and `seed` (the default) or another column that is
    /// averaged over, or `question`: questions alone.
    pub band: Option<String>,
    /// A table of results/paper/ drawn beside, by file stem.
    pub overlay: Option<String>,
    /// Only rows with these values: `{ prompt = "cot" }`.
    #[serde(default, rename = "where")]
    pub rows: BTreeMap<String, String>,
}

/// A heat map.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Heat {
    /// Heading; default: what is measured, by what.
    pub title: Option<String>,
    /// Column along the x axis.
    pub x: String,
    /// Column along the y axis.
    pub y: String,
    /// What the color shows: `reasoning.accuracy`.
    pub value: String,
    /// Only rows with these values: `{ prompt = "cot" }`.
    #[serde(default, rename = "where")]
    pub rows: BTreeMap<String, String>,
}

/// Paired differences.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Differences {
    /// Heading; default: what is measured, less whose.
    pub title: Option<String>,
    /// What is measured: `reasoning.accuracy`; a score that every question has.
    pub y: String,
    /// The variant that the others are held against, or `base`.
    pub against: String,
    /// Only rows with these values: `{ prompt = "cot" }`.
    #[serde(default, rename = "where")]
    pub rows: BTreeMap<String, String>,
}

impl Chart {
    /// Kinds in documentation order, each with what it shows.
    pub const KINDS: &[(&str, &str)] = &[
        ("bars", "grouped bars, 95 % over seeds and questions: x, y, group, band, overlay"),
        ("lines", "curves by step with bands, else as bars: x, y, group, band, overlay"),
        ("heat", "a color map of two axes: x, y, value"),
        ("differences", "paired differences with intervals: y, against"),
    ];

    /// Most bytes of a chart's name: most file systems take 255, its ending and more included.
    pub const LONGEST_NAME: usize = 100;

    /// Whether a word can name a chart, which its files are named for; else what would.
    pub fn check_name(word: &str) -> Result<(), String> {
        let plain = |c: char| c.is_alphanumeric() || "_-".contains(c);
        if word.is_empty() || !word.chars().all(plain) {
            return Err("use letters, digits, `_` and `-`, such as `[chart.figure_3]`".to_owned());
        }
        match word.len() {
            0..=Self::LONGEST_NAME => Ok(()),
            bytes => Err(format!("it has {bytes} bytes; {} are the most", Self::LONGEST_NAME)),
        }
    }

    /// Columns that the chart reads, each with the key that names it.
    pub fn columns(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Bars(series) | Self::Lines(series) => {
                let mut columns = vec![("x", series.x.as_str())];
                columns.extend(series.group.as_deref().map(|group| ("group", group)));
                columns.extend(series.band.as_deref().map(|band| ("band", band)));
                columns
            }
            Self::Heat(heat) => vec![("x", heat.x.as_str()), ("y", heat.y.as_str())],
            Self::Differences(_) => vec![],
        }
    }

    /// What is measured, with the key that names it.
    pub fn measured(&self) -> (&'static str, &str) {
        match self {
            Self::Bars(series) | Self::Lines(series) => ("y", &series.y),
            Self::Heat(heat) => ("value", &heat.value),
            Self::Differences(differences) => ("y", &differences.y),
        }
    }

    /// The table of the paper that is drawn beside.
    pub fn overlay(&self) -> Option<&str> {
        match self {
            Self::Bars(series) | Self::Lines(series) => series.overlay.as_deref(),
            Self::Heat(_) | Self::Differences(_) => None,
        }
    }

    /// The rows it is limited to.
    pub fn rows(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Bars(series) | Self::Lines(series) => &series.rows,
            Self::Heat(heat) => &heat.rows,
            Self::Differences(differences) => &differences.rows,
        }
    }

    /// The kind's key.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bars(_) => "bars",
            Self::Lines(_) => "lines",
            Self::Heat(_) => "heat",
            Self::Differences(_) => "differences",
        }
    }
}
