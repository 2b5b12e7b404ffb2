//! Paired differences from one label, as a forest plot: a line a label, a mark a prompt, whiskers
//! of 95 %, zero in the middle. Filled marks differ beyond chance after Holm's correction.
//!
//! Two bars of a bar chart may overlap and still differ: both answered the same questions, and
//! what questions have in common cancels here ([`compare::difference`]).

use super::frame::{self, Heading, LABEL, MARGIN, SMALL, Sign};
use super::{Differences, Mark, Picture};
use crate::report::compare::{self, Contender, Difference, Scope};
use crate::report::metric::{Metric, Unit, spoken};
use crate::report::number::{Scale, counted, grouped};
use crate::report::runs::{JobRecord, Runs};
use crate::report::scene::{Anchor, INK, PALETTE, SOFT, Scene};
use crate::report::select::{Selection, filter_note, is_overall, nearest};
use crate::statistics::holm;
use crate::{Error, Result};
use std::collections::BTreeSet;

const WIDTH: f64 = 960.0;
const ROW: f64 = 15.0;
const GAP: f64 = 9.0;

/// One mark: which label, which prompt, how far from the other.
struct Point {
    label: usize,
    prompt: usize,
    difference: Difference,
    /// Seeds behind it.
    seeds: usize,
    /// Whether chance does not explain it, all points taken together.
    is_beyond: bool,
}

/// Everything that the picture shows.
struct Content {
    metric: Metric,
    against: String,
    labels: Vec<String>,
    prompts: Vec<String>,
    points: Vec<Point>,
}

/// Draws it; `None` where nothing was measured yet.
///
/// # Errors
///
/// If the chart names what there is not.
pub fn picture(chart: &Differences, runs: &Runs) -> Result<Option<Picture>> {
    let selection = Selection::of(runs, &chart.y, &chart.rows, false)?;
    if selection.rows.is_empty() {
        return Ok(None);
    }
    let scope = scope(chart, runs, &selection)?;
    let contenders = compare::contenders(runs, &scope)?;
    let label_of = |row: &crate::report::runs::Row| compare::label(runs, &runs.jobs[row.job]);
    let shown = frame::group_by(&selection.rows, label_of);
    let prompts = frame::group_by(&selection.rows, |row| row.prompt.clone());
    let others: Vec<&Contender> = contenders
        .iter()
        .filter(|one| one.is_named(&chart.against) || one.is_base && chart.against == "base")
        .collect();
    if others.is_empty() {
        if runs.jobs.iter().any(|job| is_named(runs, job, &chart.against)) {
            tracing::warn!(
                "`{}` has no scores to hold others against: the chart waits for `prefab run`",
                chart.against
            );
            return Ok(None);
        }
        let known: Vec<&str> = contenders.iter().map(|one| one.label.as_str()).collect();
        return Err(Error::spec(format!("no variant is called `{}`", chart.against))
            .hint(nearest(&chart.against, &known)));
    }
    let mut content = Content {
        metric: selection.metric.clone(),
        against: chart.against.clone(),
        labels: vec![],
        prompts: prompts.iter().map(|(prompt, _)| prompt.clone()).collect(),
        points: vec![],
    };
    for one in contenders.iter().filter(|one| shown.iter().any(|(label, _)| *label == one.label)) {
        let Some(other) = compare::nearest_of(&others, one).filter(|other| *other != one) else {
            continue;
        };
        let label = content.labels.len();
        for (prompt, name) in content.prompts.iter().enumerate() {
            let found = compare::difference(one, other, name);
            content.points.extend(found.map(|difference| Point {
                label,
                prompt,
                difference,
                seeds: one.seeds(),
                is_beyond: false,
            }));
        }
        content.labels.push(match compare::is_one_of_several(&others, one) {
            true => format!("{}, less {}", one.label, other.label),
            false => one.label.clone(),
        });
    }
    if content.points.is_empty() {
        return Ok(None);
    }
    let chances: Vec<f64> = content.points.iter().map(|point| point.difference.p).collect();
    for (point, p) in content.points.iter_mut().zip(holm(&chances)) {
        point.is_beyond = p < 0.05;
    }
    let title = chart.title.clone().unwrap_or_else(|| {
        format!("{} less that of {}", content.metric.heading(&chart.y), content.against)
    });
    let heading = Heading::fitted(title.clone(), &notes(chart, runs, &selection, &content), WIDTH);
    let scene = draw(&content, &heading);
    Ok(Some(Picture { title, scene, marks: marks(&content) }))
}

/// Whether a job, finished or not, is what `against` names.
fn is_named(runs: &Runs, job: &JobRecord, against: &str) -> bool {
    job.variant == against
        || job.is_base && against == "base"
        || compare::label(runs, job) == against
}

/// The verdicts of the rows that the chart is limited to.
fn scope<'a>(chart: &'a Differences, runs: &Runs, selection: &Selection) -> Result<Scope<'a>> {
    let mut scope = Scope::of(&chart.y).ok_or_else(|| {
        Error::spec(format!("`{}` is no score that every question has: nothing to pair", chart.y))
            .hint("draw it with `bars`, or take a benchmark's `accuracy`")
    })?;
    let asked = chart.rows.get("task").map(String::as_str).filter(|task| !is_overall(task));
    scope.task = scope.task.or(asked);
    let jobs = selection.rows.iter().map(|row| &runs.jobs[row.job]);
    let seeds: BTreeSet<u64> = jobs.filter(|job| !job.is_base).map(|job| job.seed).collect();
    // A chart of the base alone is held against whatever there is.
    scope.seeds = (!seeds.is_empty()).then_some(seeds);
    Ok(scope)
}

fn notes(
    chart: &Differences,
    runs: &Runs,
    selection: &Selection,
    content: &Content,
) -> Vec<String> {
    let n = content.points.iter().map(|point| point.difference.n).max().unwrap_or_default();
    let mut notes = vec![format!("paired over {} questions", grouped(n as u64))];
    notes.extend(frame::seeds(runs, selection.rows.iter().copied()));
    let several = content.points.iter().any(|point| point.seeds > 1);
    notes.push(format!("whiskers: 95 % over pictures{}", if several { " and seeds" } else { "" }));
    let family: Vec<(&str, &Difference)> = content
        .points
        .iter()
        .map(|point| (content.prompts[point.prompt].as_str(), &point.difference))
        .collect();
    let found = compare::findable(&content.metric, &family);
    if !found.is_empty() {
        notes.push(format!(
            "a true difference of {}{} would be found four times out of five",
            found.join(" or "),
            if content.metric.unit == Unit::Share { " points" } else { "" },
        ));
    }
    notes.extend(filter_note(&chart.rows));
    notes
}

fn marks(content: &Content) -> Vec<Mark> {
    let mark = |point: &Point| Mark {
        panel: String::new(),
        x: content.labels[point.label].clone(),
        group: content.prompts[point.prompt].clone(),
        mark: if point.is_beyond { "differs" } else { "within chance" }.into(),
        value: point.difference.mean,
        low: Some(point.difference.interval.0),
        high: Some(point.difference.interval.1),
        n: Some(point.difference.n as u64),
    };
    content.points.iter().map(mark).collect()
}

fn draw(content: &Content, heading: &Heading) -> Scene {
    let mut entries: Vec<(Sign, String)> = Vec::new();
    for (k, prompt) in content.prompts.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        entries.push((Sign::Block(PALETTE[k % PALETTE.len()]), spoken(prompt)));
    }
    let family = counted(content.points.len(), "comparison");
    entries.push((Sign::Dot, format!("filled: beyond chance (p < 0.05, Holm, {family})")));
    let legend_top = heading.height();
    let top = legend_top + frame::legend(None, &entries, legend_top, WIDTH) + 14.0;
    let line_height = content.prompts.len() as f64 * ROW + GAP;
    let height = top + content.labels.len() as f64 * line_height + GAP + 52.0;
    let mut scene = Scene::new(WIDTH, height);
    heading.draw(&mut scene);
    frame::legend(Some(&mut scene), &entries, legend_top, WIDTH);

    let label_width = frame::label_column(content.labels.iter());
    let left = MARGIN + label_width + 12.0;
    // The column of numbers at the right.
    let right = WIDTH - MARGIN - 84.0;
    let ends = content.points.iter().flat_map(|point| {
        let (low, high) = point.difference.interval;
        [low, high, point.difference.mean]
    });
    // Two shares differ by a whole at most; an interval by Student's t may leave that.
    let (lowest, highest) = match content.metric.unit {
        Unit::Share => (-1.0, 1.0),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    };
    let scale = Scale::linear(ends.map(|end| end.clamp(lowest, highest)), true);
    let at = |value: f64| left + scale.at(value.clamp(lowest, highest)) * (right - left);
    let bottom = height - 46.0;
    let unit = if content.metric.unit == Unit::Share { " (points)" } else { "" };
    let axis = format!("Difference from {}{unit}", content.against);
    frame::axis_below(&mut scene, &scale, &content.metric, &axis, (left, right), (top, bottom));
    scene.line(&[(at(0.0), top), (at(0.0), bottom)], 1.4, SOFT);

    let labels: Vec<&str> = content.labels.iter().map(String::as_str).collect();
    for (i, label) in frame::told_apart(&labels, label_width).iter().enumerate() {
        let middle = top + GAP + (i as f64 + 0.5) * line_height - GAP / 2.0;
        scene.text((left - 10.0, middle + 4.0), label, LABEL, Anchor::End, INK);
    }
    for point in &content.points {
        let color = PALETTE[point.prompt % PALETTE.len()];
        let line = top + GAP + point.label as f64 * line_height;
        let y = line + (point.prompt as f64 + 0.5) * ROW;
        let (low, high) = point.difference.interval;
        scene.line(&[(at(low), y), (at(high), y)], 1.6, color);
        for end in [low, high] {
            scene.line(&[(at(end), y - 3.0), (at(end), y + 3.0)], 1.6, color);
        }
        match point.is_beyond {
            true => scene.dot(at(point.difference.mean), y, 4.2, color),
            false => scene.diamond(at(point.difference.mean), y, 4.2, color),
        }
        let sign = if point.difference.mean > 0.0 { "+" } else { "" };
        let text = format!("{sign}{}", content.metric.write(point.difference.mean));
        scene.text((WIDTH - MARGIN - 38.0, y + 3.5), &text, SMALL, Anchor::End, INK);
        let half = format!("±{}", content.metric.write((high - low) / 2.0));
        scene.text((WIDTH - MARGIN, y + 3.5), &half, SMALL - 1.0, Anchor::End, SOFT);
    }
    scene
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_differ_by_a_hundred_points_at_most() {
        let (mean, interval) = (-0.3, (-1.27, 0.67));
        let difference = Difference { mean, error: 0.1, freedom: 1.0, interval, p: 0.2, n: 4 };
        let content = Content {
            metric: Metric::named("accuracy"),
            against: "SFT".to_owned(),
            labels: vec!["MPO".to_owned()],
            prompts: vec!["cot".to_owned()],
            points: vec![Point { label: 0, prompt: 0, difference, seeds: 1, is_beyond: false }],
        };
        let heading = Heading { title: String::new(), notes: vec![] };
        let svg = draw(&content, &heading).svg().unwrap();
        assert!(svg.contains(">\n−100\n<") && !svg.contains(">\n−150\n<"), "{svg}");
    }
}
