//! What the report says of each set of pairs: pairs.csv, kinds.csv of every set with the set's
//! key in front; pairs_shared.csv, what two sets have in common; a contact sheet `pairs/KEY.png`
//! a set.

use super::shared_pairs::{self, Shared, short};
use super::sheet;
use super::table::{Table, read_csv};
use crate::Result;
use crate::plan::{Plan, Stage};
use crate::store::payload;
use std::path::Path;

/// Pairs on a contact sheet.
const SHOWN: usize = 8;

/// The files of every set that is there, by name below the results.
///
/// # Errors
///
/// Artifacts that cannot be read.
pub fn files(store: &Path, plan: &Plan, shared: &[Shared]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut table = None;
    for task in plan.tasks.iter().filter(|task| task.stage == Stage::Pairs) {
        let payload = payload(store, &task.key);
        let kinds = payload.join("kinds.csv");
        let short = short(task);
        if kinds.is_file() {
            Table::gather(&mut table, ["pairs_of", &short], &read_csv(&kinds)?)?;
        }
        if let Some(png) = sheet::png(&payload, SHOWN)? {
            files.push((format!("pairs/{short}.png"), png));
        }
    }
    if let Some(table) = table {
        files.insert(0, ("pairs.csv".to_owned(), table.finish().into_bytes()));
    }
    if !shared.is_empty() {
        let mut table = Table::new(&shared_pairs::HEADER);
        shared.iter().for_each(|two| table.row(&two.cells()));
        files.push(("pairs_shared.csv".to_owned(), table.finish().into_bytes()));
    }
    Ok(files)
}
