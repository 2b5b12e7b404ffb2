//! A stage's work in chunks whose bounds depend on the settings alone. A finished chunk is
//! a JSONL file in the work folder: a stage that was killed goes on after it, to the same
//! bytes.

use crate::Result;
use crate::error::Context;
use crate::store::parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Works off the chunks that have no file yet; returns all results in order. `make` is
/// told the place of a chunk's first item and the results before it.
pub fn each<I, T: Serialize + DeserializeOwned>(
    work: &Path,
    name: &str,
    items: &[I],
    size: usize,
    mut make: impl FnMut(usize, &[I], &[T]) -> Result<Vec<T>>,
) -> Result<Vec<T>> {
    let mut results: Vec<T> = Vec::with_capacity(items.len());
    for (chunk, items) in items.chunks(size).enumerate() {
        let part = format!("{name}-{chunk:06}.jsonl");
        let some = parts::rows(work, &part, || make(chunk * size, items, &results))?;
        results.extend(some);
    }
    Ok(results)
}

/// Writes records, one a line, down to the disk.
pub fn write<T: Serialize>(path: &Path, records: &[T]) -> Result<()> {
    let doing = || format!("writing `{}`", path.display());
    let mut file = BufWriter::new(File::create(path).with_context(doing)?);
    for record in records {
        serde_json::to_writer(&mut file, record).with_context(doing)?;
        file.write_all(b"\n").with_context(doing)?;
    }
    let file = file.into_inner().map_err(|error| error.into_error()).with_context(doing)?;
    file.sync_all().with_context(doing)
}
