//! Curves: by training step with a band over seeds, or by a swept number with whiskers. Several
//! quantities, or several prompts, stand side by side in panels.

use super::frame::{self, Heading, LABEL, MARGIN, Sign};
use super::{Mark, Picture, Series};
use crate::report::metric::{Metric, capital, spoken};
use crate::report::number::{Scale, alike};
use crate::report::runs::{Row, Runs};
use crate::report::scene::{Anchor, GRID_LINE, INK, SOFT, Scene, faded, fitted, text_width};
use crate::report::select::{Band, Column, Estimate, Selection, estimate, filter_note};
use crate::{Error, Result};

const WIDTH: f64 = 960.0;
const PLOT: f64 = 250.0;
const COLUMNS: usize = 3;

/// A point of a curve: where, as written, as measured.
type Point = (f64, String, Estimate);

/// One panel.
struct Panel {
    title: String,
    metric: Metric,
    curves: Vec<(usize, Vec<Point>)>,
    /// The base's values, and the curve that each belongs to, where the group tells them apart.
    base: Vec<(Option<usize>, f64)>,
}

/// Draws one series a panel; `None` where nothing was measured yet.
///
/// # Errors
///
/// If a series names what there is not, or an x that is not a number.
pub fn picture(all: &[&Series], runs: &Runs) -> Result<Option<Picture>> {
    let (mut panels, mut groups, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let mut x = Column::Step;
    for series in all {
        x = Column::named(runs, &series.x)?;
        add_panels(series, x, runs, &mut panels, &mut groups, &mut notes)?;
    }
    if panels.iter().all(|panel: &Panel| panel.curves.is_empty() && panel.base.is_empty()) {
        return Ok(None);
    }
    let title = all.first().and_then(|series| series.title.clone()).unwrap_or_else(|| {
        let what: Vec<String> = all.iter().map(|s| Metric::named(&s.y).heading(&s.y)).collect();
        format!("{} by {}", what.join(", "), x_title(runs, x).to_lowercase())
    });
    notes.dedup();
    let heading = Heading::fitted(title.clone(), &notes, WIDTH);
    let unit = if x == Column::Task { " (%)" } else { "" };
    let x_title = x_title(runs, x) + unit;
    let scene = draw(&panels, &groups, &heading, &x_title, x == Column::Step);
    Ok(Some(Picture { title, scene, marks: marks(&panels, &groups) }))
}

/// Of all tasks, only those of `shift` are numbers.
fn x_title(runs: &Runs, x: Column) -> String {
    match x {
        Column::Task => "Share of the true rationale given".into(),
        other => frame::axis_title(runs, other),
    }
}

fn add_panels(
    series: &Series,
    x: Column,
    runs: &Runs,
    panels: &mut Vec<Panel>,
    groups: &mut Vec<String>,
    notes: &mut Vec<String>,
) -> Result<()> {
    let by_task = x == Column::Task || series.group.as_deref() == Some("task");
    let mut selection = Selection::of(runs, &series.y, &series.rows, by_task)?;
    let stepwise = x == Column::Step;
    let last = if stepwise { None } else { selection.keep_last_steps() };
    let band = Band::named(runs, series.band.as_deref())?;
    let group = series.group.as_deref().map(|name| Column::named(runs, name)).transpose()?;
    let mut used = vec![x];
    used.extend(group);
    if let Band::Over(column) = band {
        used.push(column);
    }
    let mut labels: Vec<Column> = group.into_iter().collect();
    labels.extend(selection.leftover(runs, &used));
    let prompts = selection.values(runs, Column::Prompt);
    let apart = prompts.len() > 1 && group != Some(Column::Prompt);
    let prompts = if apart { prompts } else { vec![String::new()] };
    let before = panels.len();
    for prompt in prompts {
        let here = |row: &&&Row| !apart || row.prompt == prompt;
        let rows: Vec<&Row> = selection.rows.iter().filter(here).copied().collect();
        let (base, rows): (Vec<&Row>, Vec<&Row>) =
            rows.into_iter().partition(|row| x.of(runs, row).is_empty());
        let mut curves = Vec::new();
        for (name, rows) in frame::group_by(&rows, |row| frame::label(runs, row, &labels)) {
            let k = groups.iter().position(|known| *known == name).unwrap_or_else(|| {
                groups.push(name);
                groups.len() - 1
            });
            curves.push((k, curve(&rows, x, band, runs)?));
        }
        let mut title = capital(&selection.metric.title);
        if apart {
            title = format!("{title}, {}", spoken(&prompt));
        }
        panels.push(Panel {
            title,
            metric: selection.metric.clone(),
            curves,
            base: references(&base, runs, group, &labels, groups),
        });
    }
    if notes.is_empty() {
        let points = panels[before..].iter().flat_map(|panel| &panel.curves).flat_map(|(_, p)| p);
        let most = points.map(|(_, _, point)| point.single.len()).max().unwrap_or_default();
        let rows = || selection.rows.iter().copied();
        notes.extend(frame::questions(rows()));
        notes.extend(frame::seeds(runs, rows()));
        notes.extend(match stepwise {
            // One seed has no band.
            true => (most > 1).then(|| "band: lowest to highest".into()),
            false => band.note(runs, &selection.rows, most).map(|over| format!("whiskers: {over}")),
        });
        notes.extend(last);
        notes.extend(filter_note(&series.rows));
    }
    Ok(())
}

/// The base, where it has no place on x, once for each prompt that is a curve of its own; trained
/// jobs without a place are not drawn.
fn references(
    rows: &[&Row],
    runs: &Runs,
    group: Option<Column>,
    labels: &[Column],
    groups: &[String],
) -> Vec<(Option<usize>, f64)> {
    let base: Vec<&Row> = rows.iter().filter(|row| runs.jobs[row.job].is_base).copied().collect();
    let by_prompt = group == Some(Column::Prompt);
    let label = |row: &Row| if by_prompt { frame::label(runs, row, labels) } else { String::new() };
    let value = |(name, rows): (String, Vec<&Row>)| {
        let curve = groups.iter().position(|known| *known == name).filter(|_| by_prompt);
        (curve, estimate(runs, &rows, Band::Questions).value)
    };
    frame::group_by(&base, label).into_iter().map(value).collect()
}

fn curve(rows: &[&Row], x: Column, band: Band, runs: &Runs) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for (text, rows) in frame::group_by(rows, |row| x.of(runs, row)) {
        let Ok(at) = text.parse::<f64>() else {
            return Err(Error::spec(format!(
                "`{text}`, a value of `{}`, is not a number to place on a line",
                x.name(runs)
            ))
            .hint("draw it with `bars`"));
        };
        let mut value = estimate(runs, &rows, band);
        if x == Column::Step {
            // A t interval of three seeds at every step would hide the curve behind its band.
            let ends = value.single.iter().map(|(_, v)| *v);
            value.low = Some(ends.clone().fold(f64::INFINITY, f64::min));
            value.high = Some(ends.fold(f64::NEG_INFINITY, f64::max));
        }
        points.push((at, text, value));
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(points)
}

fn marks(panels: &[Panel], groups: &[String]) -> Vec<Mark> {
    let mut marks = Vec::new();
    for panel in panels {
        let mark = |x: &str, group: &str, estimate: &Estimate| Mark {
            panel: panel.title.clone(),
            x: x.to_owned(),
            group: group.to_owned(),
            mark: "mean".into(),
            value: estimate.value,
            low: estimate.low,
            high: estimate.high,
            n: estimate.n,
        };
        for (k, points) in &panel.curves {
            marks.extend(points.iter().map(|(_, x, estimate)| mark(x, &groups[*k], estimate)));
        }
        for (curve, value) in &panel.base {
            let alone = Estimate { value: *value, low: None, high: None, n: None, single: vec![] };
            let name = curve.map_or("base".into(), |curve| format!("base, {}", groups[curve]));
            marks.push(mark("", &name, &alone));
        }
    }
    marks
}

fn draw(
    panels: &[Panel],
    groups: &[String],
    heading: &Heading,
    x_title: &str,
    stepwise: bool,
) -> Scene {
    let mut entries: Vec<(Sign, String)> = Vec::new();
    for (k, name) in groups.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        let (color, dash) = frame::series_style(k);
        entries.push((Sign::Line(color, dash), name.clone()));
    }
    if panels.iter().any(|panel| !panel.base.is_empty()) {
        entries.push((Sign::Line(SOFT, &[5.0, 4.0]), "base model".into()));
    }
    let legend_top = heading.height();
    let top = legend_top + frame::legend(None, &entries, legend_top, WIDTH) + 10.0;
    let columns = panels.len().min(COLUMNS);
    let rows = panels.len().div_ceil(COLUMNS);
    let panel_height = PLOT + 84.0;
    let mut scene = Scene::new(WIDTH, top + rows as f64 * panel_height + 10.0);
    heading.draw(&mut scene);
    frame::legend(Some(&mut scene), &entries, legend_top, WIDTH);
    let panel_width = (WIDTH - 2.0 * MARGIN + 16.0) / columns as f64;
    for (i, panel) in panels.iter().enumerate() {
        let x = MARGIN + (i % columns) as f64 * panel_width;
        let y = top + (i / columns) as f64 * panel_height;
        draw_panel(&mut scene, panel, (x, y, panel_width - 16.0), x_title, stepwise);
    }
    scene
}

fn draw_panel(
    scene: &mut Scene,
    panel: &Panel,
    (x, y, width): (f64, f64, f64),
    x_title: &str,
    stepwise: bool,
) {
    let points = || panel.curves.iter().flat_map(|(_, points)| points);
    let ends = |e: &Estimate| [Some(e.value), e.low, e.high].into_iter().flatten();
    let bounds = panel.metric.bounds;
    let of_base = panel.base.iter().map(|(_, value)| *value);
    let y_values = points().flat_map(|(_, _, e)| ends(e)).chain(of_base);
    let mut y_values: Vec<f64> = y_values.map(|y| y.clamp(bounds.0, bounds.1)).collect();
    if let &[first, ref rest @ ..] = y_values.as_slice()
        && bounds.1.is_finite()
        && rest.iter().all(|y| *y == first)
    {
        // A flat line has the room of a few points, not of all that a share can be.
        y_values.extend([first - 0.05, first + 0.05].map(|y| y.clamp(bounds.0, bounds.1)));
    }
    let y_scale = Scale::linear(y_values, false);
    let ticks: Vec<String> = y_scale.ticks.iter().map(|&t| panel.metric.tick(t)).collect();
    let label_width = ticks.iter().map(|t| text_width(t, LABEL, false)).fold(20.0, f64::max);
    let unit = panel.metric.axis();
    let unit = unit.rsplit_once(" (").map_or(String::new(), |(_, unit)| format!(" ({unit}"));
    let title = fitted(&format!("{}{unit}", panel.title), LABEL, width - 8.0);
    scene.text((x, y + 8.0), &title, LABEL, Anchor::Start, INK);
    let plot = Plot {
        left: x + label_width + 8.0,
        right: x + width - 8.0,
        top: y + 24.0,
        bottom: y + 24.0 + PLOT,
        x: x_scale(points().map(|(x, ..)| *x).collect(), stepwise),
        y: y_scale,
        bounds,
    };
    plot.axes(scene, &ticks, x_title);
    for (curve, base) in &panel.base {
        let (_, at) = plot.place(0.0, *base);
        let color = curve.map_or(SOFT, |curve| frame::series_style(curve).0);
        scene.dashed(&[(plot.left, at), (plot.right, at)], 1.4, color, &[5.0, 4.0]);
    }
    if stepwise {
        panel.curves.iter().for_each(|(k, points)| plot.band(scene, *k, points));
    }
    // Whiskers of several curves at one x stand side by side.
    let middle = (panel.curves.len() as f64 - 1.0) / 2.0;
    for (i, (k, points)) in panel.curves.iter().enumerate() {
        let aside = if stepwise { 0.0 } else { (i as f64 - middle) * 5.0 };
        plot.curve(scene, *k, points, aside, stepwise);
    }
}

/// Where a panel's numbers stand.
struct Plot {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: Scale,
    y: Scale,
    /// Lowest and highest y that is drawn.
    bounds: (f64, f64),
}

impl Plot {
    fn place(&self, x: f64, y: f64) -> (f64, f64) {
        let y = y.clamp(self.bounds.0, self.bounds.1);
        (
            self.left + self.x.at(x) * (self.right - self.left),
            self.bottom - self.y.at(y) * (self.bottom - self.top),
        )
    }

    fn axes(&self, scene: &mut Scene, ticks: &[String], x_title: &str) {
        let &Self { left, right, bottom, .. } = self;
        for (&tick, text) in self.y.ticks.iter().zip(ticks) {
            let (_, at) = self.place(0.0, tick);
            scene.line(&[(left, at), (right, at)], 1.0, GRID_LINE);
            scene.text((left - 7.0, at + 4.0), text, LABEL, Anchor::End, SOFT);
        }
        let mut free = f64::NEG_INFINITY;
        for (&tick, text) in self.x.ticks.iter().zip(alike(&self.x.ticks)) {
            let at = left + self.x.at(tick) * (right - left);
            let half = text_width(&text, LABEL, false) / 2.0;
            scene.line(&[(at, bottom), (at, bottom + 4.0)], 1.0, SOFT);
            // A label that would touch its neighbour is left out; its tick stays.
            if at - half > free {
                scene.text((at, bottom + 17.0), &text, LABEL, Anchor::Middle, SOFT);
                free = at + half + 6.0;
            }
        }
        scene.line(&[(left, bottom), (right, bottom)], 1.0, SOFT);
        scene.text(((left + right) / 2.0, bottom + 36.0), x_title, LABEL, Anchor::Middle, INK);
    }

    /// What lies between the lowest and the highest seed.
    fn band(&self, scene: &mut Scene, k: usize, points: &[Point]) {
        let band = |end: fn(&Estimate) -> Option<f64>| {
            let ends = points.iter().filter_map(move |(x, _, e)| end(e).map(|y| (*x, y)));
            ends.map(|(x, y)| self.place(x, y)).collect::<Vec<_>>()
        };
        let mut around = band(|e| e.low);
        around.extend(band(|e| e.high).iter().rev());
        if points.iter().any(|(_, _, e)| e.single.len() > 1) {
            scene.area(&around, faded(frame::series_style(k).0, 0.13));
        }
    }

    fn curve(&self, scene: &mut Scene, k: usize, points: &[Point], aside: f64, stepwise: bool) {
        let (color, dash) = frame::series_style(k);
        let place = |px: f64, py: f64| {
            let (x, y) = self.place(px, py);
            (x + aside, y)
        };
        let path: Vec<_> = points.iter().map(|(x, _, e)| place(*x, e.value)).collect();
        scene.dashed(&path, 1.8, color, dash);
        // Few points are measurements to be seen one by one.
        if !stepwise || points.len() <= 12 {
            for ((x, _, e), &(px, py)) in points.iter().zip(&path) {
                if let (Some(low), Some(high), false) = (e.low, e.high, stepwise) {
                    scene.line(&[place(*x, low), place(*x, high)], 1.3, faded(color, 0.8));
                }
                scene.dot(px, py, 2.8, color);
            }
        }
    }
}

/// Logarithmic for swept numbers above zero that span a factor of eight or more.
fn x_scale(values: Vec<f64>, stepwise: bool) -> Scale {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if stepwise {
        Scale::tight(values)
    } else if low > 0.0 && high / low >= 8.0 {
        Scale::log(values)
    } else {
        Scale::few(&values).unwrap_or_else(|| Scale::linear(values, false))
    }
}
