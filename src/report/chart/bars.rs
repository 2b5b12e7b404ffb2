//! Grouped bars, lying on their side so that names of any length stay readable: one line a place
//! on x, one bar a group, whiskers, a dot a seed, the base as dashed reference lines, and the
//! paper's own numbers as diamonds.

use super::frame::{self, Heading, LABEL, MARGIN, SMALL, Sign};
use super::{Mark, Picture, Series};
use crate::Result;
use crate::report::metric::{Metric, spoken};
use crate::report::number::{Scale, grouped};
use crate::report::overlay::{self, Published};
use crate::report::runs::{Row, Runs};
use crate::report::scene::{Anchor, Color, INK, PALETTE, SOFT, Scene, faded};
use crate::report::select::{Band, Column, Estimate, Selection, estimate, filter_note};
use std::path::Path;

const WIDTH: f64 = 960.0;
const BAR: f64 = 11.0;
const GAP: f64 = 9.0;

/// One line of bars.
struct Line {
    label: String,
    /// Its prompt, where lines have one each.
    prompt: String,
    bars: Vec<Option<Estimate>>,
    paper: Vec<Option<Published>>,
}

/// Everything that the picture shows.
struct Content {
    metric: Metric,
    /// What the lines' labels say.
    by: Vec<String>,
    groups: Vec<String>,
    lines: Vec<Line>,
    base: Vec<Reference>,
}

/// What the base scored, as a dashed line through the bars that it belongs to.
struct Reference {
    group: Option<usize>,
    /// The lines' prompt; empty where it belongs to all of them.
    prompt: String,
    value: f64,
}

/// Draws it; `None` where nothing was measured yet.
///
/// # Errors
///
/// If the chart names what there is not.
pub fn picture(series: &Series, runs: &Runs, results_dir: &Path) -> Result<Option<Picture>> {
    let x = Column::named(runs, &series.x)?;
    let band = Band::named(runs, series.band.as_deref())?;
    let by_task = x == Column::Task || series.group.as_deref() == Some("task");
    let mut selection = Selection::of(runs, &series.y, &series.rows, by_task)?;
    // Two prompts are never averaged: they are groups unless the spec says otherwise.
    let group = match &series.group {
        Some(name) => Some(Column::named(runs, name)?),
        None if x != Column::Prompt => Some(Column::Prompt),
        None => None,
    };
    let paper = match &series.overlay {
        Some(name) => overlay::load(results_dir, name)?,
        None => vec![],
    };
    if selection.rows.is_empty() {
        return Ok(None);
    }
    let shows_steps = [Some(x), group].contains(&Some(Column::Step));
    let last = if shows_steps { None } else { selection.keep_last_steps() };
    let content = content(&selection, runs, x, group, band, &paper);
    let rows = || selection.rows.iter().copied();
    let mut notes: Vec<String> = frame::questions(rows()).into_iter().collect();
    notes.extend(frame::seeds(runs, rows()));
    let bars = || content.lines.iter().flat_map(|line| &line.bars).flatten();
    let most = bars().map(|bar| bar.single.len()).max().unwrap_or_default();
    notes.extend(band.note(runs, &selection.rows, most).map(|over| format!("whiskers: {over}")));
    let is_single = |bar: &Estimate| bar.single.len() == 1 && bar.low.is_some();
    if most > 1 && band != Band::Questions && bars().any(is_single) {
        notes.push("over questions where there is a single run".into());
    }
    notes.extend(last);
    notes.extend(filter_note(&series.rows));
    let title = series.title.clone().unwrap_or_else(|| {
        format!("{} by {}", content.metric.heading(&series.y), content.by.join(", "))
    });
    let heading = Heading::fitted(title.clone(), &notes, WIDTH);
    let scene = draw(&content, &heading, &paper);
    Ok(Some(Picture { title, scene, marks: marks(&content) }))
}

fn content(
    selection: &Selection,
    runs: &Runs,
    x: Column,
    group: Option<Column>,
    band: Band,
    paper: &[Published],
) -> Content {
    let mut used: Vec<Column> = vec![x];
    used.extend(group);
    if let Band::Over(column) = band {
        used.push(column);
    }
    let mut labels = vec![x];
    labels.extend(selection.leftover(runs, &used));
    let split_prompt = x != Column::Prompt && group != Some(Column::Prompt);
    if split_prompt && selection.values(runs, Column::Prompt).len() > 1 {
        labels.push(Column::Prompt);
    }
    let group_of = |row: &Row| match group {
        // A number alone says nothing.
        Some(column @ (Column::Swept(_) | Column::Round)) => frame::label(runs, row, &[column]),
        Some(column) => column.of(runs, row),
        None => String::new(),
    };
    let mut groups: Vec<String> = Vec::new();
    for row in &selection.rows {
        let name = group_of(row);
        // Rows without a value in the group's column are of the base: not a series of their own.
        let of_base_alone = name.is_empty() && runs.jobs[row.job].is_base;
        if !of_base_alone && !groups.contains(&name) {
            groups.push(name);
        }
    }
    let by_prompt = labels.contains(&Column::Prompt);
    let prompt_of = |row: &Row| if by_prompt { row.prompt.clone() } else { String::new() };
    let bar = |rows: &[&Row], name: &String| {
        let rows: Vec<&Row> = rows.iter().filter(|row| group_of(row) == *name).copied().collect();
        (!rows.is_empty()).then(|| estimate(runs, &rows, band))
    };
    let lines = frame::group_by(&selection.rows, |row| frame::label(runs, row, &labels))
        .into_iter()
        .filter(|(label, _)| !label.is_empty())
        .map(|(label, rows)| {
            let published = |name: &String| {
                let variant = Column::Variant.of(runs, rows[0]);
                let fits = |row: &&Published| {
                    overlay::same(&variant, &row.algorithm) && row.prompt == *name
                };
                paper.iter().find(fits).cloned()
            };
            Line {
                prompt: prompt_of(rows[0]),
                bars: groups.iter().map(|name| bar(&rows, name)).collect(),
                paper: groups.iter().map(published).collect(),
                label,
            }
        })
        .filter(|line: &Line| line.bars.iter().any(Option::is_some))
        .collect();
    let of_base: Vec<&Row> =
        selection.rows.iter().filter(|row| runs.jobs[row.job].is_base).copied().collect();
    let references = |(name, rows): (String, Vec<&Row>)| {
        let group = groups.iter().position(|known| *known == name);
        let of = |(prompt, rows): (String, Vec<&Row>)| Reference {
            group,
            prompt,
            value: estimate(runs, &rows, band).value,
        };
        frame::group_by(&rows, prompt_of).into_iter().map(of).collect::<Vec<_>>()
    };
    // Where each task has a base of its own, one reference line would mislead.
    let by_task = labels.contains(&Column::Task) || group == Some(Column::Task);
    let base = if by_task { vec![] } else { frame::group_by(&of_base, group_of) };
    let base = base.into_iter().flat_map(references).collect();
    let is_base = |row: &&&Row| runs.jobs[row.job].is_base;
    let base_alone = selection.rows.iter().all(|row| is_base(&row));
    let named = |column: &&Column| {
        let mut shown = selection.rows.iter().filter(|row| base_alone || !is_base(row));
        shown.any(|row| !column.of(runs, row).is_empty())
    };
    let by = labels.iter().filter(named).map(|column| column.name(runs).to_owned()).collect();
    Content { metric: selection.metric.clone(), by, groups, lines, base }
}

fn marks(content: &Content) -> Vec<Mark> {
    let mut marks = Vec::new();
    for line in &content.lines {
        for (k, group) in content.groups.iter().enumerate() {
            let mark = |mark: &str, value, low, high, n| Mark {
                panel: String::new(),
                x: line.label.clone(),
                group: group.clone(),
                mark: mark.to_owned(),
                value,
                low,
                high,
                n,
            };
            if let Some(bar) = &line.bars[k] {
                marks.push(mark("mean", bar.value, bar.low, bar.high, bar.n));
                if bar.single.len() > 1 {
                    for (seed, value) in &bar.single {
                        marks.push(mark(&format!("seed {seed}"), *value, None, None, None));
                    }
                }
            }
            if let Some(paper) = &line.paper[k] {
                let (low, high) = paper.interval;
                marks.push(mark("paper", paper.value, Some(low), Some(high), Some(paper.n)));
            }
        }
    }
    for Reference { group, prompt, value } in &content.base {
        marks.push(Mark {
            panel: String::new(),
            x: prompt.clone(),
            group: group.map_or(String::new(), |k| content.groups[k].clone()),
            mark: "base".into(),
            value: *value,
            low: None,
            high: None,
            n: None,
        });
    }
    marks
}

fn draw(content: &Content, heading: &Heading, paper: &[Published]) -> Scene {
    let groups = content.groups.len() as f64;
    let line_height = groups * (BAR + 1.0) + GAP;
    let mut entries: Vec<(Sign, String)> = Vec::new();
    for (k, group) in content.groups.iter().enumerate().filter(|(_, group)| !group.is_empty()) {
        entries.push((Sign::Block(color(k)), spoken(group)));
    }
    if content.lines.iter().flat_map(|l| &l.bars).flatten().any(|bar| bar.single.len() > 1) {
        entries.push((Sign::Dot, "one seed".into()));
    }
    if !content.base.is_empty() {
        entries.push((Sign::Line(SOFT, &[5.0, 4.0]), "base model".into()));
    }
    if content.lines.iter().any(|line| line.paper.iter().any(Option::is_some)) {
        let n = paper.first().map_or(0, |row| row.n);
        let text = format!("the paper’s, 95 % of its {} questions (binomial)", grouped(n));
        entries.push((Sign::Diamond, text));
    }
    let legend_top = heading.height();
    let top = legend_top + frame::legend(None, &entries, legend_top, WIDTH) + 14.0;
    let height = top + content.lines.len() as f64 * line_height + GAP + 52.0;
    let mut scene = Scene::new(WIDTH, height);
    heading.draw(&mut scene);
    frame::legend(Some(&mut scene), &entries, legend_top, WIDTH);

    let label_width = frame::label_column(content.lines.iter().map(|line| &line.label));
    let left = MARGIN + label_width + 12.0;
    // The column of numbers at the right.
    let right = WIDTH - MARGIN - 74.0;
    let scale = scale(content);
    let (lowest, highest) = content.metric.bounds;
    let at = |value: f64| left + scale.at(value.clamp(lowest, highest)) * (right - left);
    let bottom = height - 46.0;
    let axis = content.metric.axis();
    frame::axis_below(&mut scene, &scale, &content.metric, &axis, (left, right), (top, bottom));

    let labels: Vec<&str> = content.lines.iter().map(|line| line.label.as_str()).collect();
    let labels = frame::told_apart(&labels, label_width);
    let write = content.metric.writer(&numbers(content));
    for (i, (line, label)) in content.lines.iter().zip(&labels).enumerate() {
        let y = top + GAP + i as f64 * line_height;
        let middle = y + groups * (BAR + 1.0) / 2.0;
        scene.text((left - 10.0, middle + 4.0), label, LABEL, Anchor::End, INK);
        for k in 0..content.groups.len() {
            let y = y + k as f64 * (BAR + 1.0);
            if let Some(bar) = &line.bars[k] {
                draw_bar(&mut scene, bar, (y, color(k)), &at);
                let text = write(bar.value);
                let place = (WIDTH - MARGIN - 34.0, y + BAR - 2.0);
                scene.text(place, &text, SMALL, Anchor::End, INK);
                if let Some(half) = frame::half_width(bar) {
                    let half = format!("±{}", write(half));
                    let place = (WIDTH - MARGIN + 2.0, y + BAR - 2.0);
                    scene.text(place, &half, SMALL - 1.0, Anchor::End, SOFT);
                }
            }
            if let Some(paper) = &line.paper[k] {
                let y = y + BAR / 2.0;
                let (low, high) = paper.interval;
                scene.line(&[(at(low), y), (at(high), y)], 1.2, INK);
                scene.diamond(at(paper.value), y, 4.0, INK);
            }
        }
    }
    for Reference { group, prompt, value } in &content.base {
        let color = group.map_or(SOFT, |k| faded(color(k), 0.9));
        let mut through = |from: f64, to: f64| {
            scene.dashed(&[(at(*value), from), (at(*value), to)], 1.4, color, &[5.0, 4.0]);
        };
        if prompt.is_empty() {
            through(top, bottom);
            continue;
        }
        for (i, _) in content.lines.iter().enumerate().filter(|(_, line)| line.prompt == *prompt) {
            let y = top + GAP / 2.0 + i as f64 * line_height;
            through(y, y + line_height);
        }
    }
    scene.line(&[(at(0.0), top), (at(0.0), bottom)], 1.2, SOFT);
    scene
}

fn draw_bar(scene: &mut Scene, bar: &Estimate, (y, color): (f64, Color), at: &impl Fn(f64) -> f64) {
    let (from, to) = (at(0.0).min(at(bar.value)), at(0.0).max(at(bar.value)));
    scene.rect(from, y, to - from, BAR, faded(color, 0.82 * color.3));
    let middle = y + BAR / 2.0;
    if let (Some(low), Some(high)) = (bar.low, bar.high) {
        let (low, high) = (at(low), at(high));
        scene.line(&[(low, middle), (high, middle)], 1.3, INK);
        for end in [low, high] {
            scene.line(&[(end, middle - 3.0), (end, middle + 3.0)], 1.3, INK);
        }
    }
    if bar.single.len() > 1 {
        for (_, value) in &bar.single {
            scene.dot(at(*value), y + BAR - 2.0, 1.7, INK);
        }
    }
}

/// All numbers that stand beside the bars.
fn numbers(content: &Content) -> Vec<f64> {
    let bars = content.lines.iter().flat_map(|line| line.bars.iter().flatten());
    bars.flat_map(|bar| [Some(bar.value), frame::half_width(bar)]).flatten().collect()
}

/// Seven colours, then the same ones paler.
fn color(group: usize) -> Color {
    let color = PALETTE[group % PALETTE.len()];
    if group < PALETTE.len() { color } else { faded(color, 0.5) }
}

/// From zero, and no further than the longest whisker needs.
fn scale(content: &Content) -> Scale {
    let mut values = Vec::new();
    for line in &content.lines {
        for bar in line.bars.iter().flatten() {
            values.extend([Some(bar.value), bar.low, bar.high].into_iter().flatten());
            values.extend(bar.single.iter().map(|(_, value)| *value));
        }
        values.extend(line.paper.iter().flatten().map(|paper| paper.interval.1));
    }
    values.extend(content.base.iter().map(|base| base.value));
    let (lowest, highest) = content.metric.bounds;
    values.iter_mut().for_each(|value| *value = value.clamp(lowest, highest));
    Scale::linear(values, true)
}
