//! Charts: what `[chart.NAME]` draws into `charts/NAME.{svg,png,csv}`.
//!
//! A chart kind turns the rows of runs.csv into [`Mark`]s and places exactly these on a
//! [`Scene`]; the marks are the chart's CSV. **To add a kind:** a file beside this one with a
//! `picture` function, a variant of [`Chart`], and a line in [`draw`].

pub mod bars;
pub mod defaults;
pub mod differences;
pub mod frame;
pub mod heat;
pub mod lines;

pub use crate::spec::chart::{Chart, Differences, Heat, Series};

use super::runs::Runs;
use super::scene::Scene;
use super::table::{Table, cell};
use crate::Result;
use crate::error::Context;
use std::path::Path;

/// One point of a chart: a row of its CSV.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Which panel, where there are several.
    pub panel: String,
    /// Place on the x axis.
    pub x: String,
    /// Series, or place on the y axis of a heat map.
    pub group: String,
    /// `mean` over seeds, `seed K`, or `paper`; of a difference, whether chance explains it.
    pub mark: String,
    /// The number itself.
    pub value: f64,
    /// Lower end of its interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Questions behind it.
    pub n: Option<u64>,
}

/// A chart that has something to show.
#[derive(Debug)]
pub struct Picture {
    /// What it asks, in words.
    pub title: String,
    /// Where its marks lie.
    pub scene: Scene,
    /// What it shows.
    pub marks: Vec<Mark>,
}

impl Picture {
    /// The chart's CSV: exactly the points drawn.
    pub fn csv(&self) -> String {
        let mut table = Table::new(&["panel", "x", "group", "mark", "value", "low", "high", "n"]);
        for mark in &self.marks {
            table.row(&[
                mark.panel.clone(),
                mark.x.clone(),
                mark.group.clone(),
                mark.mark.clone(),
                mark.value.to_string(),
                cell(mark.low),
                cell(mark.high),
                cell(mark.n),
            ]);
        }
        table.finish()
    }
}

/// Draws one chart; `None` where nothing it shows has been measured yet.
///
/// # Errors
///
/// If it names a column, a quantity or a table of the paper that there is not.
pub fn draw(name: &str, chart: &Chart, runs: &Runs, results_dir: &Path) -> Result<Option<Picture>> {
    let picture = match chart {
        Chart::Bars(series) => bars::picture(series, runs, results_dir),
        Chart::Lines(series) => lines::picture(&[series], runs),
        Chart::Heat(heat) => heat::picture(heat, runs),
        Chart::Differences(differences) => differences::picture(differences, runs),
    };
    picture.with_context(|| format!("drawing chart `{name}`"))
}
