//! Tables, charts and the page of an experiment. Reads files only, never a tensor.
//!
//! [`run`] collects the artifacts of a plan's jobs into runs.csv ([`runs`]), draws the spec's
//! charts or the default ones ([`chart`]), tables and contact sheets of the pairs (`pair_sets`),
//! says what two sets of them have in common (`shared_pairs`), and writes report.html ([`page`]).
//! An unfinished experiment reports what is there and says what is missing.

pub mod chart;
pub mod compare;
mod engine;
mod geometry;
pub mod metric;
pub mod number;
mod origins;
pub mod overlay;
pub mod page;
mod pair_sets;
pub mod pairs;
pub mod runs;
pub mod scene;
pub mod select;
mod shared_pairs;
mod sheet;
mod table;

use crate::error::Context;
use crate::plan::Plan;
use crate::spec::lists::suggest;
use crate::store::disk;
use crate::{Error, Result};
use chart::{Chart, Picture};
use runs::Runs;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes runs.csv, charts/ and report.html into `results_dir`, from what the plan's jobs have
/// left in `store` so far; returns the files in the order in which they were written.
///
/// `charts` are the spec's, in its order; with none the default charts are drawn.
///
/// # Errors
///
/// If a file cannot be read or written. Charts that cannot be drawn (a column that there is not)
/// are reported, all of them, after everything else has been written.
pub fn run(
    results_dir: &Path,
    store: &Path,
    plan: &Plan,
    charts: &[(String, Chart)],
) -> Result<Vec<PathBuf>> {
    let runs = Runs::collect(store, plan)?;
    let mut files = Vec::new();
    write(&mut files, results_dir.join("runs.csv"), runs.csv().as_bytes())?;
    let mut pictures: Vec<(String, Picture)> = Vec::new();
    let (mut undrawn, mut failures) = (Vec::new(), Vec::new());
    for (name, chart) in charts {
        match chart::draw(name, chart, &runs, results_dir) {
            Ok(Some(picture)) if !picture.marks.is_empty() => {
                pictures.push((name.clone(), picture));
            }
            Ok(_) => undrawn.push(name.clone()),
            Err(error) => failures.push(error),
        }
    }
    if let Some(warning) = unseen(&undrawn, &runs) {
        tracing::warn!("{warning}");
    }
    if charts.is_empty() {
        pictures = chart::defaults::draw(&runs, results_dir)?;
    }
    for (name, picture) in &pictures {
        let file = |ending: &str| results_dir.join(format!("charts/{name}.{ending}"));
        if picture.scene.has_boxes() {
            tracing::warn!(
                "boxes stand in `{}` for letters that its font lacks; the SVG and report.html have them",
                file("png").display()
            );
        }
        write(&mut files, file("svg"), picture.scene.svg()?.as_bytes())?;
        write(&mut files, file("png"), &picture.scene.png()?)?;
        write(&mut files, file("csv"), picture.csv().as_bytes())?;
    }
    let origins = origins::table(store, plan, &runs)?;
    if let Some(bytes) = &origins {
        write(&mut files, results_dir.join("benchmarks.csv"), bytes)?;
    } else {
        disk::remove_file(&results_dir.join("benchmarks.csv"))?;
    }
    let shared = shared_pairs::compare(store, plan)?;
    if shared.is_empty() {
        disk::remove_file(&results_dir.join("pairs_shared.csv"))?;
    }
    for (name, bytes) in pair_sets::files(store, plan, &shared)? {
        write(&mut files, results_dir.join(name), &bytes)?;
    }
    remove_stale(&results_dir.join("pairs"), &files)?;
    let page = page::render(results_dir, store, &runs, &pictures, &undrawn, &shared)?;
    write(&mut files, results_dir.join("report.html"), page.as_bytes())?;
    remove_stale(&results_dir.join("charts"), &files)?;
    together(failures).map_or(Ok(files), Err)
}

/// What there is to say of charts without a mark once every job has its scores: nothing more will
/// come.
fn unseen(undrawn: &[String], runs: &Runs) -> Option<String> {
    if undrawn.is_empty() || !runs.unfinished().is_empty() {
        return None;
    }
    let names: Vec<String> = undrawn.iter().map(|name| format!("`{name}`")).collect();
    Some(format!(
        "nothing to draw in {}: no row of runs.csv has what it asks for; change its `where` or its columns and run `prefab report`",
        names.join(", ")
    ))
}

/// Several failures as one; each keeps its way out.
fn together(mut failures: Vec<Error>) -> Option<Error> {
    if failures.len() < 2 {
        return failures.pop();
    }
    let lines: Vec<String> = failures.iter().map(|error| format!("\n  {error}")).collect();
    let message = format!("{} charts could not be drawn:{}", failures.len(), lines.concat());
    let mut hints: Vec<&str> = failures.iter().filter_map(Error::hint_text).collect();
    hints.dedup();
    let all = match failures.iter().all(|error| error.exit_code() == 2) {
        true => Error::spec(message),
        false => Error::new(message),
    };
    Some(if hints.is_empty() { all } else { all.hint(hints.join("\n")) })
}

/// The charts of a spec's text, in its order.
///
/// # Errors
///
/// If the text is no TOML, or a chart has a key that there is not.
pub fn charts(text: &str) -> Result<Vec<(String, Chart)>> {
    let spec: toml::Table =
        toml::from_str(text).map_err(|e| Error::spec(format!("reading the spec: {e}")))?;
    let Some(toml::Value::Table(charts)) = spec.get("chart") else { return Ok(vec![]) };
    let parse = |(name, chart): (&String, &toml::Value)| {
        if let Err(hint) = Chart::check_name(name) {
            return Err(Error::spec(format!("`{name}` cannot name a chart")).hint(hint));
        }
        let parsed: Result<Chart, _> = chart.clone().try_into();
        let parsed = parsed.map_err(|error| {
            let message = error.message().lines().next().unwrap_or_default().to_owned();
            Error::spec(format!("reading chart `{name}`: {message}")).hint(chart_hint(chart))
        });
        Ok((name.clone(), parsed?))
    };
    charts.iter().map(parse).collect()
}

/// What a chart that cannot be read was probably meant to say.
fn chart_hint(chart: &toml::Value) -> String {
    let known: Vec<&str> = Chart::KINDS.iter().map(|(kind, _)| *kind).collect();
    let kinds: Vec<&str> =
        chart.as_table().into_iter().flat_map(|t| t.keys()).map(|k| &**k).collect();
    match kinds[..] {
        [kind] if !known.contains(&kind) => suggest(kind, "kinds of charts", &known),
        _ => "such as `bars = { x = \"variant\", y = \"reasoning.accuracy\" }`".into(),
    }
}

/// Charts that the spec no longer names would pass for current ones.
fn remove_stale(folder: &Path, files: &[PathBuf]) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let ending = path.extension().and_then(|ending| ending.to_str());
        if matches!(ending, Some("svg" | "png" | "csv")) && !files.contains(&path) {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

/// Writes beside the place and renames, so that a killed report leaves whole files.
fn write(files: &mut Vec<PathBuf>, path: PathBuf, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().expect("a file has a folder");
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let part = path.with_extension("part");
    fs::write(&part, bytes)
        .and_then(|()| fs::rename(&part, &path))
        .with_context(|| format!("writing {}", path.display()))?;
    files.push(path);
    Ok(())
}
