//! A grid of two axes, each cell in its colour and with its number; the best cell is framed, or
//! the best ones where several are alike.
//! Prompts and further swept settings become panels, since nothing but seeds is averaged.

use super::frame::{self, Heading, LABEL, MARGIN, SMALL};
use super::{Heat, Mark, Picture};
use crate::Result;
use crate::report::metric::{Better, Metric, spoken};
use crate::report::runs::{Row, Runs};
use crate::report::scene::{Anchor, Color, GRID_LINE, INK, SOFT, Scene, fitted, rgb, text_width};
use crate::report::select::{Band, Column, Estimate, Selection, estimate, filter_note};

const CELL: (f64, f64) = (92.0, 46.0);
/// Light to dark blue: readable in grey and under every colour blindness.
const COLORS: [Color; 4] = [rgb(0xE8F1FA), rgb(0x9CC7E4), rgb(0x3A87BD), rgb(0x0B3C6F)];

/// One grid.
struct Panel {
    title: String,
    cells: Vec<Vec<Option<Estimate>>>,
}

/// Draws it; `None` where nothing was measured yet.
///
/// # Errors
///
/// If the chart names what there is not.
pub fn picture(heat: &Heat, runs: &Runs) -> Result<Option<Picture>> {
    let (x, y) = (Column::named(runs, &heat.x)?, Column::named(runs, &heat.y)?);
    let by_task = [x, y].contains(&Column::Task);
    let mut selection = Selection::of(runs, &heat.value, &heat.rows, by_task)?;
    let last = match [x, y].contains(&Column::Step) {
        true => None,
        false => selection.keep_last_steps(),
    };
    // The base has no place on swept axes; it stands in the notes.
    let (mut base, rows): (Vec<&Row>, Vec<&Row>) = selection
        .rows
        .iter()
        .partition(|row| x.of(runs, row).is_empty() || y.of(runs, row).is_empty());
    base.retain(|row| runs.jobs[row.job].is_base);
    selection.rows = rows;
    if selection.rows.is_empty() {
        return Ok(None);
    }
    let (xs, ys) = (ordered(selection.values(runs, x)), ordered(selection.values(runs, y)));
    let mut apart = selection.leftover(runs, &[x, y]);
    let prompts = selection.values(runs, Column::Prompt);
    if prompts.len() > 1 && ![x, y].contains(&Column::Prompt) {
        apart.push(Column::Prompt);
    }
    let panels: Vec<Panel> =
        frame::group_by(&selection.rows, |row| frame::label(runs, row, &apart))
            .into_iter()
            .map(|(title, rows)| {
                let cell = |x_value: &String, y_value: &String| {
                    let here =
                        |row: &&&Row| x.of(runs, row) == *x_value && y.of(runs, row) == *y_value;
                    let rows: Vec<&Row> = rows.iter().filter(here).copied().collect();
                    (!rows.is_empty()).then(|| estimate(runs, &rows, Band::default()))
                };
                let line = |y: &String| xs.iter().map(|x| cell(x, y)).collect();
                Panel { title, cells: ys.iter().map(line).collect() }
            })
            .collect();
    let metric = selection.metric.clone();
    let title = heat
        .title
        .clone()
        .unwrap_or_else(|| format!("{} by {} and {}", metric.heading(&heat.value), heat.x, heat.y));
    let mut notes: Vec<String> =
        frame::questions(selection.rows.iter().copied()).into_iter().collect();
    notes.extend(frame::seeds(runs, selection.rows.iter().copied()));
    let cells = panels.iter().flat_map(|panel| panel.cells.iter().flatten().flatten());
    let most = cells.clone().map(|cell| cell.single.len()).max().unwrap_or_default();
    let over = Band::default().note(runs, &selection.rows, most);
    notes.extend(over.map(|over| format!("±: {over}")));
    let numbers = cells.flat_map(|cell| [Some(cell.value), frame::half_width(cell)]).flatten();
    let base = base_values(&base, runs);
    let write = metric.writer(&numbers.chain(base.iter().map(|(_, v)| *v)).collect::<Vec<_>>());
    notes.extend(base.iter().map(|(prompt, value)| {
        format!("base {} {}", spoken(prompt), write(*value)).replace("  ", " ")
    }));
    notes.extend(last);
    notes.extend(filter_note(&heat.rows));
    if panels.iter().any(|panel| !best(panel, metric.better).is_empty()) {
        notes.push("framed: best".into());
    }
    let axes = [(frame::axis_title(runs, x), xs), (frame::axis_title(runs, y), ys)];
    let scene = draw(&panels, (&metric, &write), &axes, &title, &notes);
    Ok(Some(Picture { title, scene, marks: marks(&panels, &axes) }))
}

/// What the base scored, prompt by prompt.
fn base_values(base: &[&Row], runs: &Runs) -> Vec<(String, f64)> {
    let value = |rows: Vec<&Row>| estimate(runs, &rows, Band::Questions).value;
    let by_prompt = frame::group_by(base, |row| row.prompt.clone());
    by_prompt.into_iter().map(|(prompt, rows)| (prompt, value(rows))).collect()
}

/// Numbers by size, words as they come.
fn ordered(mut values: Vec<String>) -> Vec<String> {
    if values.iter().all(|value| value.parse::<f64>().is_ok()) {
        let number = |text: &String| text.parse::<f64>().unwrap_or_default();
        values.sort_by(|a, b| number(a).total_cmp(&number(b)));
    }
    values
}

fn marks(panels: &[Panel], [(_, xs), (_, ys)]: &[(String, Vec<String>); 2]) -> Vec<Mark> {
    let mut marks = Vec::new();
    for panel in panels {
        for (y, line) in ys.iter().zip(&panel.cells) {
            for (x, cell) in xs.iter().zip(line) {
                marks.extend(cell.iter().map(|cell| Mark {
                    panel: panel.title.clone(),
                    x: x.clone(),
                    group: y.clone(),
                    mark: "mean".into(),
                    value: cell.value,
                    low: cell.low,
                    high: cell.high,
                    n: cell.n,
                }));
            }
        }
    }
    marks
}

/// A metric, and how its numbers are written in this chart.
type Written<'a> = (&'a Metric, &'a dyn Fn(f64) -> String);

fn draw(
    panels: &[Panel],
    written: Written<'_>,
    axes: &[(String, Vec<String>); 2],
    title: &str,
    notes: &[String],
) -> Scene {
    let [(_, xs), (y_title, ys)] = axes;
    let labels = ys.iter().map(|y| text_width(&frame::brief(y), LABEL, false));
    let left = labels.fold(24.0, f64::max).min(160.0) + 12.0;
    let grid = (xs.len() as f64 * CELL.0, ys.len() as f64 * CELL.1);
    // Titles of panels have a line of their own, above that of the y axis.
    let lift = if panels.iter().any(|panel| !panel.title.is_empty()) { 18.0 } else { 0.0 };
    let panel = (left + grid.0 + 26.0, grid.1 + 78.0 + lift);
    // As many panels side by side as fit on a sheet of common width.
    let across = ((1100.0 - 2.0 * MARGIN) / panel.0).floor().clamp(1.0, panels.len() as f64);
    let wanted = 2.0 * MARGIN + across * panel.0 + 74.0;
    let width = wanted.max(2.0 * MARGIN + text_width(title, 15.0, true)).max(560.0);
    let heading = Heading::fitted(title.to_owned(), notes, width);
    let down = (panels.len() as f64 / across).ceil();
    let top = heading.height() + 8.0;
    let mut scene = Scene::new(width, top + down * panel.1 + 8.0);
    heading.draw(&mut scene);
    let values = panels.iter().flat_map(|p| p.cells.iter().flatten().flatten()).map(|e| e.value);
    let range = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    for (i, content) in panels.iter().enumerate() {
        let (column, line) = (i as f64 % across, (i as f64 / across).floor());
        let corner = (MARGIN + column * panel.0, top + line * panel.1);
        // Bold letters are a tenth wider.
        let title = fitted(&content.title, 1.1 * LABEL, panel.0 - 12.0);
        scene.bold((corner.0, corner.1 + 12.0), &title, LABEL, Anchor::Start, INK);
        let top = corner.1 + lift;
        scene.text((corner.0, top + 14.0), y_title, LABEL, Anchor::Start, INK);
        draw_panel(&mut scene, content, written, axes, (corner.0 + left, top + 24.0), range);
    }
    let place = (MARGIN + across * panel.0 + 4.0, top + lift + 24.0, grid.1);
    key(&mut scene, written, place, range);
    scene
}

fn draw_panel(
    scene: &mut Scene,
    panel: &Panel,
    (metric, write): Written<'_>,
    [(x_title, xs), (_, ys)]: &[(String, Vec<String>); 2],
    (left, top): (f64, f64),
    range: (f64, f64),
) {
    for (j, (y, line)) in ys.iter().zip(&panel.cells).enumerate() {
        // Small values below, as on any other axis.
        let cell_top = top + (ys.len() - 1 - j) as f64 * CELL.1;
        let label = fitted(&frame::brief(y), LABEL, 160.0);
        let place = (left - 8.0, cell_top + CELL.1 / 2.0 + 4.0);
        scene.text(place, &label, LABEL, Anchor::End, INK);
        for (i, cell) in line.iter().enumerate() {
            let corner = (left + i as f64 * CELL.0, cell_top);
            draw_cell(scene, cell.as_ref(), write, corner, range);
        }
    }
    // Over its neighbours, and so the last.
    for (j, i) in best(panel, metric.better) {
        let (x, y) = (left + i as f64 * CELL.0, top + (ys.len() - 1 - j) as f64 * CELL.1);
        let (w, h) = (CELL.0 - 2.0, CELL.1 - 2.0);
        scene.rect(x - 3.0, y - 3.0, w + 6.0, h + 6.0, INK);
        scene.rect(x - 1.0, y - 1.0, w + 2.0, h + 2.0, rgb(0xFFFFFF));
        draw_cell(scene, panel.cells[j][i].as_ref(), write, (x, y), range);
    }
    let bottom = top + ys.len() as f64 * CELL.1;
    for (i, x) in xs.iter().enumerate() {
        let middle = left + (i as f64 + 0.5) * CELL.0 - 1.0;
        let label = fitted(&frame::brief(x), LABEL, CELL.0 - 6.0);
        scene.text((middle, bottom + 15.0), &label, LABEL, Anchor::Middle, INK);
    }
    let middle = left + xs.len() as f64 * CELL.0 / 2.0;
    scene.text((middle, bottom + 36.0), x_title, LABEL, Anchor::Middle, INK);
}

/// A value on its colour, with half its interval.
fn draw_cell(
    scene: &mut Scene,
    cell: Option<&Estimate>,
    write: &dyn Fn(f64) -> String,
    (left, top): (f64, f64),
    range: (f64, f64),
) {
    let (w, h) = (CELL.0 - 2.0, CELL.1 - 2.0);
    let middle = left + w / 2.0;
    let Some(cell) = cell else {
        scene.rect(left, top, w, h, GRID_LINE);
        scene.text((middle, top + h / 2.0 + 4.0), "–", LABEL, Anchor::Middle, SOFT);
        return;
    };
    let fill = shade((cell.value - range.0) / (range.1 - range.0).max(1e-12));
    let ink = if luminance(fill) > 0.42 { rgb(0x000000) } else { rgb(0xFFFFFF) };
    scene.rect(left, top, w, h, fill);
    let value = write(cell.value);
    match frame::half_width(cell) {
        Some(half) => {
            scene.bold((middle, top + 20.0), &value, 12.5, Anchor::Middle, ink);
            let half = format!("±{}", write(half));
            scene.text((middle, top + 35.0), &half, SMALL, Anchor::Middle, ink);
        }
        None => scene.bold((middle, top + 27.0), &value, 12.5, Anchor::Middle, ink),
    }
}

/// The colour key: a bar with its ends written.
fn key(
    scene: &mut Scene,
    (metric, write): Written<'_>,
    (left, top, height): (f64, f64, f64),
    (low, high): (f64, f64),
) {
    let steps = 48;
    let step = height / f64::from(steps);
    for i in 0..steps {
        let fill = shade(1.0 - f64::from(i) / f64::from(steps - 1));
        scene.rect(left, top + f64::from(i) * step, 14.0, step + 0.25, fill);
    }
    let unit = metric.axis();
    let unit = unit.rsplit_once('(').map_or("", |(_, unit)| unit.trim_end_matches(')'));
    scene.text((left, top - 8.0), unit, LABEL, Anchor::Start, SOFT);
    for (value, y) in [(high, top + 9.0), (low, top + height)] {
        scene.text((left + 19.0, y), &write(value), LABEL, Anchor::Start, SOFT);
    }
}

/// Rows and columns of the best cells, where they are better than some other.
fn best(panel: &Panel, better: Better) -> Vec<(usize, usize)> {
    let sign = match better {
        Better::Higher => 1.0,
        Better::Lower => -1.0,
        Better::Neither => return vec![],
    };
    let mut cells: Vec<(f64, (usize, usize))> = Vec::new();
    for (j, line) in panel.cells.iter().enumerate() {
        for (i, cell) in line.iter().enumerate() {
            cells.extend(cell.iter().map(|cell| (sign * cell.value, (j, i))));
        }
    }
    let most = cells.iter().map(|(value, _)| *value).fold(f64::NEG_INFINITY, f64::max);
    let places = cells.iter().filter(|(value, _)| *value == most).map(|(_, place)| *place);
    let best: Vec<(usize, usize)> = places.collect();
    if best.len() < cells.len() { best } else { vec![] }
}

fn shade(share: f64) -> Color {
    let at = share.clamp(0.0, 1.0) * (COLORS.len() - 1) as f64;
    let k = (at.floor() as usize).min(COLORS.len() - 2);
    let (from, to, part) = (COLORS[k], COLORS[k + 1], at - k as f64);
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * part).round() as u8;
    (mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2), 1.0)
}

fn luminance((r, g, b, _): Color) -> f64 {
    (0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b)) / 255.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_cells_follow_the_metrics_direction_and_none_is_best_of_equals() {
        let at = |value| Some(Estimate { value, low: None, high: None, n: None, single: vec![] });
        let panel = |cells| Panel { title: String::new(), cells };
        let grid = panel(vec![vec![at(0.1), at(0.4)], vec![None, at(0.2)]]);
        assert_eq!(best(&grid, Better::Higher), [(0, 1)]);
        assert_eq!(best(&grid, Better::Lower), [(0, 0)]);
        let tied = panel(vec![vec![at(0.1), at(0.4)], vec![at(0.4), at(0.2)]]);
        assert_eq!(best(&tied, Better::Higher), [(0, 1), (1, 0)]);
        assert!(best(&panel(vec![vec![at(0.4), at(0.4)]]), Better::Higher).is_empty());
        assert!(best(&panel(vec![vec![at(0.4)]]), Better::Higher).is_empty());
    }

    #[test]
    fn swept_numbers_are_sorted_as_numbers() {
        let sorted = ordered(["0.5", "0.05", "10"].map(String::from).to_vec());
        assert_eq!(sorted, ["0.05", "0.5", "10"]);
    }
}
