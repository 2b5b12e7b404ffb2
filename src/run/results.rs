//! jobs.csv and stages.csv: what was done and what it cost, rows in plan order.
//!
//! A job's `wall_s` is the time of the stages that no other job needs, its
//! `peak_gib` the largest of all its stages. Both come from the artifacts, so
//! that a second run, which does nothing, writes the same table.

use super::process::Workers;
use super::state::{Board, State};
use crate::error::{Context, Result};
use crate::spec::sweep::text;
use crate::store::disk;
use std::path::Path;

/// Writes both tables into `folder`, each at once.
///
/// # Errors
///
/// If the file system refuses.
pub fn write(board: &Board, folder: &Path, workers: &Workers) -> Result<()> {
    // Somebody may have cleared the folder meanwhile; the work is in the store.
    disk::create_dirs(folder)?;
    replace_if_new(&folder.join("jobs.csv"), &jobs(board, workers)?)?;
    replace_if_new(&folder.join("stages.csv"), &stages(board)?)
}

/// Removes what a killed run left half-written in a folder.
///
/// # Errors
///
/// If the file system refuses.
pub fn sweep(folder: &Path) -> Result<()> {
    let doing = || format!("reading `{}`", folder.display());
    for entry in std::fs::read_dir(folder).with_context(doing)? {
        let path = entry.with_context(doing)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // `.jobs.csv.1234`, as `disk::replace` names them, of a process that is gone.
        let writer = name.strip_prefix('.').and_then(|name| name.rsplit_once('.'));
        let pid = writer.and_then(|(_, pid)| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            std::fs::remove_file(&path)
                .with_context(|| format!("removing `{}`", path.display()))?;
        }
    }
    Ok(())
}

/// A table that has not changed is not written again.
fn replace_if_new(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    disk::replace(path, bytes)
}

fn jobs(board: &Board, workers: &Workers) -> Result<Vec<u8>> {
    let mut axes: Vec<&str> = Vec::new();
    for (axis, _) in board.plan.jobs.iter().flat_map(|job| &job.swept) {
        if !axes.contains(&axis.as_str()) {
            axes.push(axis);
        }
    }
    let mut users = vec![0; board.entries.len()];
    for index in board.plan.jobs.iter().flat_map(|job| &job.tasks) {
        users[*index] += 1;
    }
    let mut header = vec!["id", "variant"];
    header.extend(&axes);
    header.extend(["seed", "state", "wall_s", "peak_gib", "device", "commit"]);
    let mut rows = vec![header.into_iter().map(str::to_owned).collect()];
    for job in &board.plan.jobs {
        let entries = || job.tasks.iter().map(|index| (index, &board.entries[*index]));
        let own = entries()
            .filter(|(index, _)| users[**index] == 1)
            .filter_map(|(_, entry)| entry.record.as_ref());
        // The sum of nothing is -0.0.
        let wall_s = own.map(|record| record.wall_s).sum::<f64>() + 0.0;
        let peak = entries()
            .filter_map(|(_, entry)| {
                entry.record.as_ref().map(|record| record.peak_gib).or(entry.peak_gib)
            })
            .fold(0.0, f64::max);
        let commit = entries()
            .filter_map(|(_, entry)| Some(entry.record.as_ref()?.commit.as_str()))
            .next_back()
            .unwrap_or(&workers.commit);
        let state = job_state(entries().map(|(_, entry)| &entry.state));
        let mut row = vec![job.id.clone(), job.variant.clone().unwrap_or_default()];
        row.extend(axes.iter().map(|axis| {
            let value = job.swept.iter().find(|(name, _)| name == axis);
            value.map(|(_, value)| text(value)).unwrap_or_default()
        }));
        row.extend([job.seed.to_string(), state.into(), rounded(wall_s), rounded(peak)]);
        row.extend([workers.label.clone(), commit.to_owned()]);
        rows.push(row);
    }
    table(&rows)
}

/// The word for a job: that of its worst task.
fn job_state<'a>(states: impl Iterator<Item = &'a State>) -> &'static str {
    let names: Vec<_> = states.map(State::name).collect();
    ["failed", "blocked", "running", "waiting", "left out"]
        .into_iter()
        .find(|name| names.contains(name))
        .unwrap_or("done")
}

fn stages(board: &Board) -> Result<Vec<u8>> {
    let header = ["stage", "key", "state", "cached", "wall_s", "peak_gib"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for (task, entry) in board.plan.tasks.iter().zip(&board.entries) {
        let cached = match entry.state {
            State::Done { cached } => cached.to_string(),
            _ => String::new(),
        };
        let (wall_s, peak_gib) = match &entry.record {
            Some(record) => (rounded(record.wall_s), rounded(record.peak_gib)),
            None => (String::new(), entry.peak_gib.map(rounded).unwrap_or_default()),
        };
        let (stage, state) = (task.stage.to_string(), entry.state.name().to_owned());
        rows.push(vec![stage, task.key.clone(), state, cached, wall_s, peak_gib]);
    }
    table(&rows)
}

/// Milliseconds and mebibytes are enough; sums of floats would show their last bits.
fn rounded(number: f64) -> String {
    ((number * 1e3).round() / 1e3).to_string()
}

fn table(rows: &[Vec<String>]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).context("writing a table")?;
    }
    Ok(writer.into_inner().expect("a vector takes every write"))
}
