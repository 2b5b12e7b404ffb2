//! What the report says of each set of pairs: pairs.csv, kinds.csv of every set with the set's
//! key in front; pairs_shared.csv, what two sets have in common; a contact sheet `pairs/KEY.png`
//! a set.

use super::shared_pairs::{self, Shared, short};
use super::sheet;
use crate::Result;
use crate::error::Context;
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
    let mut table: Option<csv::Writer<Vec<u8>>> = None;
    for task in plan.tasks.iter().filter(|task| task.stage == Stage::Pairs) {
        let payload = payload(store, &task.key);
        let kinds = payload.join("kinds.csv");
        let short = short(task);
        if kinds.is_file() {
            add(&mut table, &kinds, &short)?;
        }
        if let Some(png) = sheet::png(&payload, SHOWN)? {
            files.push((format!("pairs/{short}.png"), png));
        }
    }
    if let Some(table) = table {
        let bytes = table.into_inner().map_err(|error| error.into_error());
        files.insert(0, ("pairs.csv".to_owned(), bytes.context("writing pairs.csv")?));
    }
    if !shared.is_empty() {
        files.push(("pairs_shared.csv".to_owned(), table_of(shared)?));
    }
    Ok(files)
}

fn table_of(shared: &[Shared]) -> Result<Vec<u8>> {
    let doing = "writing pairs_shared.csv";
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(shared_pairs::HEADER).context(doing)?;
    for two in shared {
        table.write_record(two.cells()).context(doing)?;
    }
    table.into_inner().map_err(|error| error.into_error()).context(doing)
}

/// Adds the rows of a set.
fn add(table: &mut Option<csv::Writer<Vec<u8>>>, kinds: &Path, key: &str) -> Result<()> {
    let doing = || format!("reading `{}`", kinds.display());
    let mut reader = csv::Reader::from_path(kinds).with_context(doing)?;
    let header = reader.headers().with_context(doing)?.clone();
    let whole = table.get_or_insert_with(|| csv::Writer::from_writer(Vec::new()));
    let row = |first: &str, cells: &csv::StringRecord| -> Vec<String> {
        std::iter::once(first).chain(cells).map(str::to_owned).collect()
    };
    if whole.get_ref().is_empty() {
        whole.write_record(row("pairs_of", &header)).with_context(doing)?;
        whole.flush().with_context(doing)?;
    }
    for record in reader.records() {
        whole.write_record(row(key, &record.with_context(doing)?)).with_context(doing)?;
    }
    Ok(())
}
