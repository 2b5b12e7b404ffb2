//! report.html: one page that needs nothing else. A sentence first, then charts, tables and
//! where everything comes from; readable in light and dark.

use super::chart::Picture;
use super::chart::defaults::main_measure;
use super::chart::frame::group_by;
use super::compare::{self, Contender, Difference};
use super::engine;
use super::metric::{Better, Metric, Unit, spoken};
use super::number::{counted, duration, grouped};
use super::runs::Runs;
use super::scene::{Color, GRID_LINE, INK, PAPER, SOFT};
use super::select::{Band, Estimate, Selection, estimate};
use super::shared_pairs::Shared;
use super::sheet;
use super::table::read_csv;
use crate::Result;
use crate::error::Context as _;
use crate::statistics;
use crate::store::Record;
use minijinja::{Environment, Value, context};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One label's score under one prompt.
#[derive(Serialize)]
struct Cell {
    value: String,
    interval: String,
    difference: String,
    marker: &'static str,
    class: &'static str,
    p: String,
}

/// A row of a table.
#[derive(Serialize)]
struct Line<T> {
    label: String,
    cells: Vec<T>,
}

/// The table of the main measure.
#[derive(Default, Serialize)]
struct Scores {
    title: String,
    prompts: Vec<String>,
    lines: Vec<Line<Cell>>,
    notes: Vec<String>,
    sentences: Vec<String>,
}

/// Pairs of sets that the page says something of; pairs_shared.csv has all.
const MOST_COMPARED: usize = 6;

/// Renders the page.
///
/// # Errors
///
/// If a file that it shows cannot be read.
pub fn render(
    results_dir: &Path,
    store: &Path,
    runs: &Runs,
    pictures: &[(String, Picture)],
    undrawn: &[String],
    shared: &[Shared],
) -> Result<String> {
    let spec = std::fs::read_to_string(results_dir.join("experiment.toml")).unwrap_or_default();
    let charts = pictures
        .iter()
        .map(|(name, picture)| {
            let svg = Value::from_safe_string(themed(&picture.scene.svg()?));
            Ok(context! { name, title => picture.title, svg })
        })
        .collect::<Result<Vec<_>>>()?;
    let names = Selection::scores(runs);
    let scores = match main_measure(&names) {
        Some(measure) => scores(runs, &measure)?,
        None => Scores::default(),
    };
    let missing: Vec<Value> = runs
        .unfinished()
        .iter()
        .map(|job| {
            let stages: Vec<&str> = job.missing.iter().map(|stage| stage.name()).collect();
            context! { id => job.id, stages => stages.join(", ") }
        })
        .collect();
    let done = runs.jobs.len() - missing.len();
    let mut environment = Environment::new();
    environment.add_template("page.html", include_str!("page.html")).expect("built in");
    environment
        .get_template("page.html")
        .expect("just added")
        .render(context! {
            name => runs.name,
            question => question(&spec),
            state => format!("{done} of {} finished", counted(runs.jobs.len(), "job")),
            partial => !missing.is_empty(),
            missing,
            undrawn,
            charts,
            scores,
            all => all_scores(runs, &names),
            data => engine::tables(runs),
            benchmarks => table(&results_dir.join("benchmarks.csv"))?,
            jobs => table(&results_dir.join("jobs.csv"))?.unwrap_or_else(|| own_jobs(runs)),
            provenance => provenance(store, runs),
            sheet => sheet::first(results_dir),
            shared => shared.iter().take(MOST_COMPARED).map(Shared::sentence).collect::<Vec<_>>(),
            spec,
        })
        .context("rendering report.html")
}

/// What the experiment asks: the spec's `description`, else its first comment.
fn question(spec: &str) -> String {
    let table = spec.parse::<toml::Table>().unwrap_or_default();
    if let Some(text) = table.get("description").and_then(toml::Value::as_str) {
        return text.trim().to_owned();
    }
    let comments = spec.lines().take_while(|line| line.starts_with('#'));
    let text = comments.filter(|line| !line.starts_with("#:"));
    let first = text.map(|line| line.trim_start_matches('#').trim()).take_while(|l| !l.is_empty());
    first.collect::<Vec<_>>().join(" ")
}

/// Swaps paper and ink for the page's own, which change in the dark.
fn themed(svg: &str) -> String {
    let hex = |(r, g, b, _): Color| format!("#{r:02X}{g:02X}{b:02X}");
    let swaps = [(PAPER, "--paper"), (INK, "--ink"), (SOFT, "--soft"), (GRID_LINE, "--rule")];
    let text = swaps.iter().fold(svg.to_owned(), |svg, (color, name)| {
        svg.replace(&hex(*color), &format!("var({name})"))
    });
    text.replacen("<svg ", "<svg role=\"img\" ", 1)
}

fn scores(runs: &Runs, measure: &str) -> Result<Scores> {
    let selection = Selection::of(runs, measure, &BTreeMap::new(), false)?;
    let benchmark = measure.split('.').next().unwrap_or_default();
    // What is no score of each question has no verdicts to pair.
    let scope = compare::Scope::of(measure);
    let contenders = scope.map_or(Ok(vec![]), |scope| compare::contenders(runs, &scope))?;
    let prompts = group_by(&selection.rows, |row| row.prompt.clone());
    let labels = group_by(&selection.rows, |row| compare::label(runs, &runs.jobs[row.job]));
    let metric = &selection.metric;
    // Every comparison with the base that the table makes is one of Holm's family.
    let mut family: Vec<((&str, &str), Difference)> = Vec::new();
    for (prompt, _) in &prompts {
        for contender in contenders.iter().filter(|contender| !contender.is_base) {
            let base = compare::base_of(&contenders, contender);
            let difference = base.and_then(|base| compare::difference(contender, base, prompt));
            family.extend(difference.map(|d| ((contender.label.as_str(), prompt.as_str()), d)));
        }
    }
    let adjusted = statistics::holm(&family.iter().map(|(_, d)| d.p).collect::<Vec<_>>());
    let against = |label: &str, prompt: &str| {
        let at = family.iter().position(|(key, _)| *key == (label, prompt))?;
        Some((&family[at].1, adjusted[at]))
    };
    let mut table = Scores {
        title: measure.to_owned(),
        prompts: prompts.iter().map(|(prompt, _)| spoken(prompt)).collect(),
        ..Scores::default()
    };
    let mut most = 0;
    for (label, rows) in &labels {
        let cells = prompts.iter().map(|(prompt, _)| {
            let rows: Vec<_> = rows.iter().filter(|row| row.prompt == *prompt).copied().collect();
            let value = (!rows.is_empty()).then(|| estimate(runs, &rows, Band::default()));
            most = most.max(rows.len());
            cell(metric, value, against(label, prompt))
        });
        table.lines.push(Line { label: label.clone(), cells: cells.collect() });
    }
    // Reasoned answers are what the experiments are about: their sentence comes first.
    let mut first: Vec<_> = prompts.iter().collect();
    first.sort_by_key(|(prompt, _)| prompt != "cot");
    for (prompt, rows) in first {
        let ranked = ranked(runs, metric, rows);
        table.sentences.extend(sentence(metric, benchmark, prompt, &ranked, &contenders));
    }
    let over = Band::default().note(runs, &selection.rows, most);
    table.notes.extend(over.map(|over| format!("Intervals: {over}.")));
    if !family.is_empty() {
        table.notes.push(format!(
            "▲ ▼ differ from the base beyond chance: p < 0.05 after Holm’s correction for {}. \
             Differences are paired by question; their intervals hold pictures and seeds.",
            counted(family.len(), "comparison"),
        ));
    }
    let all: Vec<(&str, &Difference)> = family.iter().map(|((_, p), d)| (*p, d)).collect();
    let findable = compare::findable(metric, &all);
    if !findable.is_empty() {
        table.notes.push(format!(
            "The smallest difference from the base that this experiment would find four times out \
             of five, as one of its {}, is {} points.",
            counted(family.len(), "comparison"),
            findable.join(" or "),
        ));
    }
    Ok(table)
}

fn cell(metric: &Metric, value: Option<Estimate>, against: Option<(&Difference, f64)>) -> Cell {
    let mut cell = Cell {
        value: "–".into(),
        interval: String::new(),
        difference: String::new(),
        marker: "",
        class: "",
        p: String::new(),
    };
    if let Some(value) = value {
        cell.value = metric.write(value.value);
        if let (Some(low), Some(high)) = (value.low, value.high) {
            cell.interval = format!("{}–{}", metric.write(low), metric.write(high));
        }
    }
    if let Some((difference, p)) = against {
        let sign = if difference.mean > 0.0 { "+" } else { "" };
        cell.difference = format!("{sign}{}", metric.write(difference.mean));
        cell.p = if p < 0.001 { "p < 0.001".into() } else { format!("p = {p:.3}") };
        (cell.marker, cell.class) = match (p < 0.05, difference.mean > 0.0) {
            (true, true) => ("▲", "up"),
            (true, false) => ("▼", "down"),
            (false, _) => ("·", "same"),
        };
    }
    cell
}

/// Labels under one prompt, best first.
fn ranked(runs: &Runs, metric: &Metric, rows: &[&super::runs::Row]) -> Vec<(String, Estimate)> {
    let labels = group_by(rows, |row| compare::label(runs, &runs.jobs[row.job]));
    let mut ranked: Vec<(String, Estimate)> = labels
        .into_iter()
        .map(|(label, rows)| (label, estimate(runs, &rows, Band::default())))
        .collect();
    ranked.sort_by(|a, b| b.1.value.total_cmp(&a.1.value));
    if metric.better == Better::Lower {
        ranked.reverse();
    }
    ranked
}

/// `The best CoT accuracy is 59.3 % (MPO, …), 2.1 points above the next …`.
fn sentence(
    metric: &Metric,
    benchmark: &str,
    prompt: &str,
    ranked: &[(String, Estimate)],
    contenders: &[Contender],
) -> Option<String> {
    let [(best, value), rest @ ..] = ranked else { return None };
    let prompt_word =
        if prompt.is_empty() { String::new() } else { format!("{} ", spoken(prompt)) };
    let interval = match (value.low, value.high) {
        (Some(low), Some(high)) => {
            format!(", 95 % {}–{}", metric.write(low), metric.write(high))
        }
        _ => String::new(),
    };
    let n = value.n.map_or(String::new(), |n| format!("; {} questions", grouped(n)));
    let seeds = counted(value.single.len(), "seed");
    // Reasoning is what a page is about where it says nothing else.
    let on = if benchmark == "reasoning" { String::new() } else { format!(" on {benchmark}") };
    let mut text = format!(
        "The best {prompt_word}{}{on} is {}{}, of {best}{interval} ({seeds}{n})",
        metric.title,
        metric.write(value.value),
        if metric.unit == Unit::Share { " %" } else { "" },
    );
    if let Some((next, other)) = rest.first() {
        let gap = metric.write((value.value - other.value).abs());
        text += &format!("; {next} follows {gap} points behind");
        let find = |label: &str| contenders.iter().find(|contender| contender.label == label);
        let pair = find(best).zip(find(next));
        if let Some(d) = pair.and_then(|(a, b)| compare::difference(a, b, prompt)) {
            text +=
                if d.p < 0.05 { ", more than chance explains" } else { ", which chance explains" };
            text += &if d.p < 0.001 { " (p < 0.001)".into() } else { format!(" (p = {:.3})", d.p) };
        }
    }
    Some(text + ".")
}

/// Every score: labels down, measure and prompt across, means over seeds.
fn all_scores(runs: &Runs, names: &[String]) -> Value {
    let mut columns: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut labels: Vec<String> = Vec::new();
    for name in names {
        let Ok(selection) = Selection::of(runs, name, &BTreeMap::new(), false) else { continue };
        for (prompt, rows) in group_by(&selection.rows, |row| row.prompt.clone()) {
            let values = group_by(&rows, |row| compare::label(runs, &runs.jobs[row.job]));
            let mut column = BTreeMap::new();
            for (label, rows) in values {
                if !labels.contains(&label) {
                    labels.push(label.clone());
                }
                let value = estimate(runs, &rows, Band::Questions).value;
                column.insert(label, selection.metric.write(value));
            }
            columns.push((format!("{name} {}", spoken(&prompt)), column));
        }
    }
    // The labels down, since there are more of them.
    let lines: Vec<Line<String>> = labels
        .into_iter()
        .map(|label| {
            let cell = |(_, column): &(String, BTreeMap<String, String>)| {
                column.get(&label).cloned().unwrap_or_else(|| "–".into())
            };
            Line { cells: columns.iter().map(cell).collect(), label }
        })
        .collect();
    let header: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    context! { header, lines }
}

/// A CSV file as header and rows; `None` where there is none.
fn table(path: &Path) -> Result<Option<Value>> {
    if !path.exists() {
        return Ok(None);
    }
    let (header, rows) = read_csv(path)?;
    let rows: Vec<Vec<&str>> = rows.iter().map(|row| row.iter().collect()).collect();
    Ok(Some(context! { header, rows }))
}

/// jobs.csv where the runner has written none: what the store shows.
fn own_jobs(runs: &Runs) -> Value {
    let mut header = vec!["job".to_owned(), "variant".into()];
    header.extend(runs.swept.iter().cloned());
    header.extend(["seed".into(), "state".into()]);
    let rows = runs.jobs.iter().map(|job| {
        let mut row = vec![job.id.clone(), job.variant.clone()];
        row.extend(job.swept.iter().cloned());
        let state = if job.missing.is_empty() { "done" } else { "missing" };
        row.extend([job.seed.to_string(), state.into()]);
        row
    });
    context! { header, rows => rows.collect::<Vec<_>>() }
}

/// Commits, devices and time, from the manifests of the artifacts.
fn provenance(store: &Path, runs: &Runs) -> Value {
    let keys: BTreeSet<&String> = runs.jobs.iter().flat_map(|job| &job.keys).collect();
    let (mut wall_s, mut artifacts) = (0.0, 0);
    let mut words: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for key in keys {
        let Ok(text) = std::fs::read_to_string(Record::path(&store.join(key))) else { continue };
        let Ok(table) = text.parse::<toml::Table>() else { continue };
        artifacts += 1;
        let number =
            |value: &toml::Value| value.as_float().or(value.as_integer().map(|n| n as f64));
        wall_s += table.get("wall_s").and_then(number).unwrap_or_default();
        for name in ["commit", "device"] {
            if let Some(word) = table.get(name).and_then(toml::Value::as_str) {
                words.entry(name).or_default().insert(word.to_owned());
            }
        }
    }
    let list =
        |name: &str| words.get(name).map(|all| all.iter().cloned().collect::<Vec<_>>().join(", "));
    context! {
        commit => list("commit"),
        device => list("device"),
        artifacts,
        wall => duration(wall_s),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_the_first_paragraph_of_the_first_comment() {
        let spec =
            "#:schema spec.schema.json\n# Which one\n# is best?\n#\n# Expect  MPO\nschema = 1\n";
        assert_eq!(question(spec), "Which one is best?");
        let described = format!("{spec}description = \"Is it?\"\n");
        assert_eq!(question(&described), "Is it?");
    }
}
