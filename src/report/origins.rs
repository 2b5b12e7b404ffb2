//! benchmarks.csv: where each job's benchmarks come from, real questions or stand-ins, and who
//! judged.

use super::runs::{Runs, whole};
use super::table::{Table, read_csv};
use crate::Result;
use crate::plan::{Plan, Stage};
use std::path::Path;

/// The table of all jobs, a row a job and benchmark; none where nothing is a stand-in, of a file or
/// judged.
///
/// # Errors
///
/// A table in the store that cannot be read.
pub fn table(store: &Path, plan: &Plan, runs: &Runs) -> Result<Option<Vec<u8>>> {
    let mut all = None;
    let mut matters = false;
    for (job, record) in plan.jobs.iter().zip(&runs.jobs) {
        let Some(task) = plan.task_of(job, Stage::Scores) else { continue };
        let Some(path) = whole(store, &task.key, "benchmarks.csv")? else { continue };
        let file = read_csv(&path)?;
        let is_own = |row: &csv::StringRecord| row.get(1).is_some_and(|of| of != "corpus");
        matters |= file.1.iter().any(is_own);
        Table::gather(&mut all, ["job", &record.id], &file)?;
    }
    Ok(all.filter(|_| matters).map(|all| all.finish().into_bytes()))
}
