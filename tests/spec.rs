//! Specs as people write them, right and wrong.

/// Every committed experiment, by file stem.
fn committed() -> Vec<(String, String, String)> {
    let folder = format!("{}/experiments", env!("CARGO_MANIFEST_DIR"));
    let mut specs: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .map(|path| {
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            (stem, path.display().to_string(), std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    specs.sort();
    specs
}

#[test]
fn committed_experiments_are_sound() {
    for (stem, file, text) in committed() {
        let read = prefab::spec::parse(&stem, &file, &text, &[]);
        read.unwrap_or_else(|error| panic!("{error}"));
    }
}
