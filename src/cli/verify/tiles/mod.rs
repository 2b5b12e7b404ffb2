//! `prefab verify tiles DIR`: grids, resampled bytes and normalised values that
//! InternVL's pipeline recorded with Pillow and torchvision, recomputed by
//! [`crate::data::image`].
//!
//! | file | what it records |
//! |---|---|
//! | grid_table.json | the grid of pictures by their sizes alone |
//! | expected.json | by picture: size, grids, hashes and statistics of tiles |
//! | expected.safetensors | a sample of each tile's pixels; decoded JPEGs |
//! | pil_bicubic_unit.safetensors | small pictures, and the same resampled |

mod picture;

use super::absent;
use super::exact::EXACT;
use super::ledger::{Ledger, Tolerance};
use super::record::{Tensors, array, json, object, side};
use crate::data::image::{Tiling, bicubic};
use crate::error::Context;
use crate::{Error, Result};
use picture::Pictures;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// The folder's files that are read here.
const FILES: [&str; 4] =
    ["grid_table.json", "expected.json", "expected.safetensors", "pil_bicubic_unit.safetensors"];

/// Recomputes everything in the folder.
///
/// # Errors
///
/// A file that cannot be read, or what [`Ledger::close`] says.
pub fn run(dir: &Path) -> Result<()> {
    let mut ledger = Ledger::default();
    for name in FILES.iter().filter(|name| !dir.join(name).exists()) {
        absent(name);
    }
    note_unknown_files(dir, &mut ledger)?;
    if let Some(table) = json(&dir.join(FILES[0]))? {
        verify_grids(&table, &mut ledger).context(FILES[0])?;
    }
    let tensors = Tensors::open(&dir.join(FILES[2]))?;
    if let Some(expected) = json(&dir.join(FILES[1]))? {
        Pictures::of(dir, &expected, &tensors, &mut ledger)
            .and_then(|mut pictures| pictures.verify(&expected))
            .context(FILES[1])?;
    } else if let Some(name) = tensors.names().first() {
        return Err(Error::new(format!("`{name}` of {} needs {}", FILES[2], FILES[1])));
    }
    let units = Tensors::open(&dir.join(FILES[3]))?;
    verify_units(&units, &mut ledger).context(FILES[3])?;
    ledger.close(&dir.display().to_string())
}

/// Recorded values of which nothing here knows.
fn note_unknown_files(dir: &Path, ledger: &mut Ledger) -> Result<()> {
    let doing = || format!("reading {}", dir.display());
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(dir).with_context(doing)? {
        names.insert(file.with_context(doing)?.file_name().to_string_lossy().into_owned());
    }
    let is_recorded = |name: &str| name.ends_with(".json") || name.ends_with(".safetensors");
    names.retain(|name| is_recorded(name) && !FILES.contains(&name.as_str()));
    names.into_iter().for_each(|name| ledger.unknown(name));
    Ok(())
}

fn verify_grids(table: &Value, ledger: &mut Ledger) -> Result<()> {
    for name in object(table, "the table")?.keys() {
        if !["columns", "image_size", "rows"].contains(&name.as_str()) {
            ledger.unknown(format!("{}: {name}", FILES[0]));
        }
    }
    let columns = ["width", "height", "min_num", "max_num", "cols", "rows"];
    if table.get("columns").is_some_and(|names| *names != Value::from(&columns[..])) {
        ledger.unknown(format!("{}: columns {}", FILES[0], table["columns"]));
    }
    let side = side(table, "image_size")?;
    for row in array(table, "rows")? {
        let values: Vec<usize> =
            serde_json::from_value(row.clone()).with_context(|| format!("row {row}"))?;
        let &[width, height, min_tiles, max_tiles, columns, rows] = values.as_slice() else {
            return Err(Error::new(format!("row {row} has not six numbers")));
        };
        let tiling = Tiling { min_tiles, ..Tiling::new(side, max_tiles) };
        let grid = tiling.grid(width as u32, height as u32);
        ledger.same("grid", &row.to_string(), &(grid.columns, grid.rows), &(columns, rows));
    }
    Ok(())
}

fn verify_units(units: &Tensors, ledger: &mut Ledger) -> Result<()> {
    for name in units.names() {
        if let Some(case) = name.strip_suffix(".dst") {
            let (source, target) = (units.picture(&format!("{case}.src"))?, units.picture(&name)?);
            let got = bicubic::resize(&source, target.width(), target.height());
            compare_bytes("bicubic bytes", &name, got.as_raw(), target.as_raw(), EXACT, ledger);
        } else if !name.ends_with(".src") {
            ledger.unknown(format!("{}: {name}", FILES[3]));
        }
    }
    Ok(())
}

fn compare_bytes(
    quantity: &str,
    at: &str,
    got: &[u8],
    recorded: &[u8],
    allowed: Tolerance,
    ledger: &mut Ledger,
) {
    let numbers = |bytes: &[u8]| bytes.iter().map(|byte| f64::from(*byte)).collect::<Vec<_>>();
    ledger.compare_all(quantity, at, &numbers(got), &numbers(recorded), allowed);
}
