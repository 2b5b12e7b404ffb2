//! A stage's work in chunks whose bounds depend on the settings alone. A finished chunk is
//! a JSONL file in the work folder: a stage that was killed goes on after it, to the same
//! bytes.

use crate::Result;
use crate::store::parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
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
