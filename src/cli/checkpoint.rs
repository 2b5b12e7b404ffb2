//! Models that a command names: a folder, or a key of the store.

use crate::store::{artifacts, is_shed, payload_of};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// The Hub-style folder of what was named.
///
/// # Errors
///
/// If there is none, or its weights were not kept.
pub fn folder(named: &Path, store: &Path) -> Result<PathBuf> {
    let artifact = artifacts(store).join(named);
    let found = [named.to_owned(), artifact].into_iter().find(|folder| folder.is_dir());
    let Some(found) = found else {
        return Err(Error::spec(format!("there is no checkpoint `{}`", named.display()))
            .hint("name a Hub-style folder, or a key of `base` or `policy` in stages.csv"));
    };
    if is_shed(&found) {
        return Err(Error::spec(format!("the weights of `{}` are gone", found.display())).hint(
            "they were trained with `train.keep = \"none\"`; train with \"last\" to keep them",
        ));
    }
    let payload = payload_of(&found);
    let folder = if payload.is_dir() { payload } else { found };
    if !folder.join("config.json").is_file() {
        return Err(Error::spec(format!(
            "`{}` is no checkpoint: it has no config.json",
            folder.display()
        ))
        .hint("name a Hub-style folder, or a key of `base` or `policy` in stages.csv"));
    }
    Ok(folder)
}
