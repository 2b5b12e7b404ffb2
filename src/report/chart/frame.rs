//! What all charts share: heading, legend, the words for n and seeds.

use crate::report::metric::{Metric, spoken};
use crate::report::number::{Scale, counted, grouped};
use crate::report::runs::{JobRecord, Row, Runs};
use crate::report::scene::{
    Anchor, Color, GRID_LINE, INK, PALETTE, SOFT, Scene, fitted, text_width,
};
use crate::report::select::{Column, Estimate};
use crate::spec::lists::COLUMNS;

/// Logical pixels left and right of everything.
pub const MARGIN: f64 = 24.0;
/// Size of labels.
pub const LABEL: f64 = 11.0;
/// Size of small print.
pub const SMALL: f64 = 9.5;

/// Title and the lines below it.
#[derive(Clone, Debug)]
pub struct Heading {
    /// What the chart asks.
    pub title: String,
    /// n, seeds, what whiskers mean.
    pub notes: Vec<String>,
}

impl Heading {
    /// Breaks the notes where they would leave the sheet.
    pub fn fitted(title: String, notes: &[String], width: f64) -> Self {
        let mut lines: Vec<String> = Vec::new();
        for note in notes {
            match lines.last_mut() {
                Some(line)
                    if text_width(&format!("{line} · {note}"), LABEL, false)
                        <= width - 2.0 * MARGIN =>
                {
                    line.push_str(" · ");
                    line.push_str(note);
                }
                _ => lines.push(note.clone()),
            }
        }
        Self { title, notes: lines }
    }

    /// Height that the heading takes.
    pub fn height(&self) -> f64 {
        46.0 + 16.0 * self.notes.len() as f64
    }

    /// Writes it at the top.
    pub fn draw(&self, scene: &mut Scene) {
        scene.bold((MARGIN, 32.0), &self.title, 15.0, Anchor::Start, INK);
        for (i, note) in self.notes.iter().enumerate() {
            scene.text((MARGIN, 52.0 + 16.0 * i as f64), note, LABEL, Anchor::Start, SOFT);
        }
    }
}

/// A legend entry's sign.
#[derive(Clone, Copy, Debug)]
pub enum Sign {
    /// A block of colour.
    Block(Color),
    /// A hollow diamond.
    Diamond,
    /// A small dot.
    Dot,
    /// A line in a dash pattern; none is a full line.
    Line(Color, &'static [f64]),
}

/// Entries in rows, each row as wide as the sheet and none longer than half of it; returns the
/// height that they take.
pub fn legend(scene: Option<&mut Scene>, entries: &[(Sign, String)], top: f64, width: f64) -> f64 {
    let (mut x, mut y) = (MARGIN, top + 12.0);
    let mut places = Vec::new();
    let texts: Vec<&str> = entries.iter().map(|(_, text)| text.as_str()).collect();
    let texts = told_apart(&texts, width / 2.0 - MARGIN - 22.0);
    for ((sign, _), text) in entries.iter().zip(&texts) {
        let wide = 22.0 + text_width(text, LABEL, false) + 20.0;
        if x > MARGIN && x + wide - 20.0 > width - MARGIN {
            (x, y) = (MARGIN, y + 18.0);
        }
        places.push((x, y, sign, text));
        x += wide;
    }
    if let Some(scene) = scene {
        for (x, y, sign, text) in places {
            let middle = y - 4.0;
            match *sign {
                Sign::Block(color) => scene.rect(x, y - 10.0, 14.0, 11.0, color),
                Sign::Diamond => scene.diamond(x + 7.0, middle, 4.5, INK),
                Sign::Dot => scene.dot(x + 7.0, middle, 2.0, INK),
                Sign::Line(color, dash) => {
                    scene.dashed(&[(x - 2.0, middle), (x + 16.0, middle)], 2.0, color, dash);
                }
            }
            scene.text((x + 20.0, y), text, LABEL, Anchor::Start, INK);
        }
    }
    if entries.is_empty() { 0.0 } else { y - top + 12.0 }
}

/// An axis below: a grid line and a number a tick, and a title. `x` and `y` are the plot's ends.
pub fn axis_below(
    scene: &mut Scene,
    scale: &Scale,
    metric: &Metric,
    title: &str,
    x: (f64, f64),
    y: (f64, f64),
) {
    for &tick in &scale.ticks {
        let at = x.0 + scale.at(tick) * (x.1 - x.0);
        scene.line(&[(at, y.0), (at, y.1)], 1.0, GRID_LINE);
        scene.text((at, y.1 + 15.0), &metric.tick(tick), LABEL, Anchor::Middle, SOFT);
    }
    scene.text(((x.0 + x.1) / 2.0, y.1 + 34.0), title, LABEL, Anchor::Middle, INK);
}

/// Width of a column of labels left of a plot.
pub fn label_column<'a>(labels: impl Iterator<Item = &'a String>) -> f64 {
    labels.map(|label| text_width(label, LABEL, false)).fold(40.0, f64::max).min(260.0)
}

/// Labels cut to a column's width. Those that would read alike lose what they begin with in common
/// instead, up to a comma.
pub fn told_apart(labels: &[&str], width: f64) -> Vec<String> {
    let cut: Vec<String> = labels.iter().map(|label| fitted(label, LABEL, width)).collect();
    let is_alone = |at: usize| {
        cut[at] == labels[at] || cut.iter().filter(|other| **other == cut[at]).count() == 1
    };
    let shorter = |at: usize| {
        // The most that fits of its end.
        let starts = labels[at].match_indices(", ").map(|(comma, _)| comma + 2);
        let ends = starts.map(|start| format!("… {}", &labels[at][start..]));
        ends.into_iter().find(|end| text_width(end, LABEL, false) <= width)
    };
    (0..labels.len())
        .map(|at| match is_alone(at) {
            true => cut[at].clone(),
            false => shorter(at).unwrap_or_else(|| cut[at].clone()),
        })
        .collect()
}

/// Colour and dash pattern of the k-th series: seven colours, then dashed, then dotted.
pub fn series_style(k: usize) -> (Color, &'static [f64]) {
    const DASHES: [&[f64]; 3] = [&[], &[7.0, 3.0], &[2.0, 2.5]];
    (PALETTE[k % PALETTE.len()], DASHES[k / PALETTE.len() % DASHES.len()])
}

/// `4,000 test questions`, from rows that may differ.
pub fn questions<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Option<String> {
    let (mut low, mut high, mut split) = (u64::MAX, 0, "");
    for row in rows {
        if let Some(n) = row.n {
            (low, high, split) = (low.min(n), high.max(n), &row.split);
        }
    }
    match (low, high) {
        (_, 0) => None,
        (low, high) if low == high => Some(format!("{} {split} questions", grouped(high))),
        (low, high) => Some(format!("{} to {} {split} questions", grouped(low), grouped(high))),
    }
}

/// `mean of 3 seeds of the policy (0, 1, 2)`: which seeds varied among these rows.
pub fn seeds<'a>(runs: &Runs, rows: impl IntoIterator<Item = &'a Row>) -> Option<String> {
    let mut seeds = Vec::new();
    for row in rows {
        let job = &runs.jobs[row.job];
        if !job.is_base && !seeds.contains(&job.seed) {
            seeds.push(job.seed);
        }
    }
    let list: Vec<String> = seeds.iter().map(u64::to_string).collect();
    match list.len() {
        0 => None,
        1 => Some(format!("one seed ({})", list[0])),
        n => Some(format!("mean of {} of the policy ({})", counted(n, "seed"), list.join(", "))),
    }
}

/// A column as an axis title.
pub fn axis_title(runs: &Runs, column: Column) -> String {
    match column {
        Column::Step => "Optimizer step".into(),
        Column::Swept(at) => runs.swept[at].clone(),
        other => crate::report::metric::capital(other.name(runs)),
    }
}

/// Half an estimate's interval, as it is written behind its value.
pub fn half_width(estimate: &Estimate) -> Option<f64> {
    Some((estimate.high? - estimate.low?) / 2.0)
}

/// The values of some columns as one label: `MPO, beta 0.1`.
pub fn label(runs: &Runs, row: &Row, columns: &[Column]) -> String {
    join(runs, columns, |column| column.of(runs, row))
}

/// The same for a job, which has no prompt, task, split or step.
pub fn label_of(runs: &Runs, job: &JobRecord, columns: &[Column]) -> String {
    join(runs, columns, |column| match column {
        Column::Variant => job.variant.clone(),
        Column::Swept(at) => job.swept[at].clone(),
        _ => String::new(),
    })
}

/// A swept table's values alone: `{ mode = "ema", decay = 0.9 }` is `ema 0.9`.
pub fn brief(value: &str) -> String {
    let table = toml::from_str::<toml::Table>(&format!("value = {value}")).ok();
    match table.as_ref().and_then(|table| table["value"].as_table()) {
        None => value.to_owned(),
        Some(parts) => {
            let parts = parts.values().map(|part| part.to_string().replace('"', ""));
            parts.collect::<Vec<_>>().join(" ")
        }
    }
}

/// A swept key's last part; the whole key where that part is another column's too: `base.seed` is
/// not the seed of a policy.
fn short_key(swept: &[String], at: usize) -> &str {
    let last = |at: usize| swept[at].rsplit('.').next().unwrap_or(&swept[at]);
    let others = (0..swept.len()).filter(|&other| other != at);
    let is_anothers = COLUMNS.contains(&last(at)) || others.map(last).any(|own| own == last(at));
    if is_anothers { &swept[at] } else { last(at) }
}

fn join(runs: &Runs, columns: &[Column], value: impl Fn(Column) -> String) -> String {
    let parts = columns.iter().filter_map(|&column| {
        let value = brief(&value(column));
        match column {
            _ if value.is_empty() => None,
            // A number alone says nothing.
            Column::Swept(at) if columns.len() > 1 || value.parse::<f64>().is_ok() => {
                Some(format!("{} {value}", short_key(&runs.swept, at)))
            }
            Column::Round => Some(format!("round {value}")),
            Column::Task if columns.len() > 1 => Some(format!("task {value}")),
            _ => Some(spoken(&value)),
        }
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// Rows of one label each, in order of first appearance.
pub fn group_by<'a>(rows: &[&'a Row], key: impl Fn(&Row) -> String) -> Vec<(String, Vec<&'a Row>)> {
    let mut groups: Vec<(String, Vec<&Row>)> = Vec::new();
    for &row in rows {
        let key = key(row);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legend_stays_on_its_sheet() {
        let long = |end: &str| format!("{}, {end}", "a variant whose name says it all ".repeat(9));
        let entries = ["beta 0.1", "beta 0.5"].map(|end| (Sign::Dot, long(end)));
        let mut scene = Scene::new(960.0, 200.0);
        legend(Some(&mut scene), &entries, 0.0, 960.0);
        let svg = scene.svg().unwrap();
        // Cut, and still told apart.
        assert!(svg.contains("… beta 0.1") && svg.contains("… beta 0.5"), "{svg}");
        assert!(!svg.contains(&long("")[..100]), "{svg}");
    }

    #[test]
    fn a_swept_key_goes_by_its_last_part_where_that_is_its_own() {
        let swept = ["base.seed", "loss.beta", "train.learning_rate", "base.learning_rate"];
        let swept = swept.map(str::to_owned);
        let short = |at| short_key(&swept, at);
        assert_eq!([short(0), short(1)], ["base.seed", "beta"]);
        assert_eq!([short(2), short(3)], ["train.learning_rate", "base.learning_rate"]);
    }
}
