//! Whether the files that a point names are there.

use super::Settings;
use super::finder::Finder;
use std::path::Path;

/// Checks that the files a point names are there.
pub fn check(settings: &Settings, find: &mut Finder) {
    let mut wanted: Vec<(&str, &str, bool)> = Vec::new();
    if let Some(path) = &settings.model.checkpoint {
        wanted.push(("model.checkpoint", path, true));
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
    if let Some(path) = settings.pairs.import.as_ref().filter(|_| settings.loss.is_some()) {
        wanted.push(("pairs.import", path, false));
    }
    if let Some(path) = settings.candidates.import.as_ref().filter(|_| settings.loss.is_some()) {
        // One of the sampler's files, or a folder of them.
        wanted.push(("candidates.import", path, Path::new(path).is_dir()));
    }
    if let Some(path) = settings.pairs.judge.checkpoint.as_ref().filter(|_| settings.loss.is_some())
    {
        wanted.push(("pairs.judge.checkpoint", path, true));
    }
    if let Some(files) = &settings.corpus.files {
        wanted.push(("corpus.files.root", &files.root, true));
        wanted.push(("corpus.files.train", &files.train, false));
        wanted.push(("corpus.files.test", &files.test, false));
        wanted.extend(files.base.iter().map(|path| ("corpus.files.base", path.as_str(), false)));
        let validation = files.validation.iter();
        wanted.extend(validation.map(|path| ("corpus.files.validation", path.as_str(), false)));
    }
    for (key, path, folder) in wanted {
        let (there, what) = match folder {
            true => (Path::new(path).is_dir(), "folder"),
            false => (Path::new(path).is_file(), "file"),
        };
        if !there {
            find.wrong(
                key,
                format!("`{key}`: there is no {what} `{path}`"),
                "paths are relative to the folder that prefab is started in; fetch the data or \
                 mend the path",
            );
        }
    }
}
