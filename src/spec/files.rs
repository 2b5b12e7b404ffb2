//! Whether the files that a point names are there.
//!
//! A path below `PATH/TO` stands for one that a user has to fill in: `check` and `plan` work
//! without it, `run` does not.

use super::Settings;
use super::finder::Finder;
use crate::data::pairs::{annotation_path, read_meta};
use std::path::Path;

/// What a path to fill in begins with.
const BLANK: &str = "PATH/TO";

/// A path that a point names.
struct Named<'a> {
    key: String,
    path: &'a str,
    is_folder: bool,
}

fn named<'a>(settings: &'a Settings) -> Vec<Named<'a>> {
    let trains = settings.loss.is_some();
    let mut all = Vec::new();
    let mut name = |key: &str, path: Option<&'a String>, is_folder| {
        all.extend(path.map(|path| Named { key: key.to_owned(), path, is_folder }));
    };
    name("model.checkpoint", settings.model.checkpoint.as_ref(), true);
    if trains {
        name("pairs.import", settings.pairs.import.as_ref(), false);
        let samples = settings.candidates.import.as_ref();
        // One of the sampler's files, or a folder of them.
        name("candidates.import", samples, samples.is_some_and(|path| Path::new(path).is_dir()));
        name("pairs.judge.checkpoint", settings.pairs.judge.checkpoint.as_ref(), true);
    }
    if let Some(files) = &settings.corpus.files {
        name("corpus.files.root", Some(&files.root), true);
        name("corpus.files.train", Some(&files.train), false);
        name("corpus.files.test", Some(&files.test), false);
        name("corpus.files.base", files.base.as_ref(), false);
        name("corpus.files.validation", files.validation.as_ref(), false);
    }
    name("eval.judge.checkpoint", settings.eval.judge.checkpoint.as_ref(), true);
    for (benchmark, path) in &settings.eval.files {
        // One file, or a folder of those that belong together.
        name(&format!("eval.files.{benchmark}"), Some(path), Path::new(path).is_dir());
    }
    all
}

/// Keys of paths that are still to be filled in.
pub fn blanks(settings: &Settings) -> Vec<String> {
    let is_blank = |named: &Named<'_>| named.path.starts_with(BLANK);
    named(settings).into_iter().filter(is_blank).map(|named| named.key).collect()
}

/// Checks that the files which a meta.json names are there.
fn annotations(import: Option<&str>, find: &mut Finder) {
    let Some(path) = import.map(Path::new).filter(|path| path.is_file()) else { return };
    if path.extension().is_some_and(|ending| ending == "jsonl") {
        return;
    }
    let key = "pairs.import";
    match read_meta(path) {
        Err(error) => find.wrong(
            key,
            format!("`{key}`: {error}"),
            error.hint_text().unwrap_or("mend it, or name another file"),
        ),
        Ok(sets) => {
            for (name, entry) in sets {
                let file = annotation_path(path, &entry);
                if !file.is_file() && !entry.annotation.starts_with(BLANK) {
                    let (path, file) = (path.display(), file.display());
                    find.wrong(
                        key,
                        format!("`{key}`: `{path}` names `{file}` for `{name}`, and there is no such file"),
                        "annotations are relative to the meta.json, or to the folder that prefab is started in",
                    );
                }
            }
        }
    }
}

/// Checks that the files a point names are there.
pub fn check(settings: &Settings, find: &mut Finder) {
    if let Some(path) = &settings.model.checkpoint {
        let folder = Path::new(path);
        let files: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().collect();
        let has_weights =
            files.iter().any(|f| f.path().extension().is_some_and(|end| end == "safetensors"));
        let lacks = match folder.join("config.json").is_file() {
            false => Some("config.json"),
            true if !has_weights => Some("*.safetensors"),
            true => None,
        };
        if let Some(lacks) = lacks.filter(|_| folder.is_dir()) {
            find.wrong(
                "model.checkpoint",
                format!("`{path}` is no checkpoint: it has no {lacks}"),
                "name a Hub-style directory: config.json, safetensors, tokenizer files",
            );
        }
    }
    if settings.loss.is_some() {
        annotations(settings.pairs.import.as_deref(), find);
    }
    for Named { key, path, is_folder } in named(settings) {
        let (there, what) = match is_folder {
            true => (Path::new(path).is_dir(), "folder"),
            false => (Path::new(path).is_file(), "file"),
        };
        if !there && !path.starts_with(BLANK) {
            find.wrong(
                &key,
                format!("`{key}`: there is no {what} `{path}`"),
                "paths are relative to the folder that prefab is started in; mend the \
                 path, or fetch the data: `./just --list` has recipes for some",
            );
        }
    }
}
