//! benchmarks.csv: where each job's benchmarks come from, real questions or stand-ins, and who
//! judged.

use super::runs::{Runs, read_csv};
use crate::Result;
use crate::error::Context;
use crate::plan::{Plan, Stage};
use crate::store::payload;
use std::path::Path;

/// The table of all jobs, a row a job and benchmark; none where nothing is a stand-in, of a file or
/// judged.
///
/// # Errors
///
/// A table in the store that cannot be read.
pub fn table(store: &Path, plan: &Plan, runs: &Runs) -> Result<Option<Vec<u8>>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let mut matters = false;
    for (job, record) in plan.jobs.iter().zip(&runs.jobs) {
        let Some(task) = plan.task_of(job, Stage::Scores) else { continue };
        let path = payload(store, &task.key).join("benchmarks.csv");
        if !path.exists() {
            continue;
        }
        let (header, rows) = read_csv(&path)?;
        if csv.get_ref().is_empty() {
            csv.write_record(std::iter::once("job").chain(header.iter().map(|name| &**name)))
                .context("writing benchmarks.csv")?;
            csv.flush().context("writing benchmarks.csv")?;
        }
        for row in &rows {
            matters |= row.get(1).is_some_and(|questions| questions != "corpus");
            csv.write_record(std::iter::once(record.id.as_str()).chain(row))
                .context("writing benchmarks.csv")?;
        }
    }
    let bytes = csv.into_inner().map_err(|error| error.into_error());
    let bytes = bytes.context("writing benchmarks.csv")?;
    Ok(matters.then_some(bytes))
}
