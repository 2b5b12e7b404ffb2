//! MMPR data sets for one test.

use super::files::write;
use prefab::pairs::Built;
use prefab::pairs::import::Imported;
use std::io::Write;
use std::path::Path;

/// A meta.json with one data set, its rows and two pictures.
pub fn folder(rows: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    picture(&dir.path().join("pictures/a.png"));
    picture(&dir.path().join("pictures/deep/b.png"));
    write(dir.path(), "secret.png", "s");
    write(dir.path(), "rows.jsonl", rows);
    let length = rows.lines().count();
    let entry = format!(
        r#"{{"set": {{"root": "pictures", "annotation": "rows.jsonl", "length": {length}}}}}"#
    );
    write(dir.path(), "meta.json", &entry);
    dir
}

/// Writes a small picture.
pub fn picture(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::RgbImage::new(3, 2).save(path).unwrap();
}

/// How many pairs the meta.json gives.
pub fn import(dir: &Path) -> prefab::Result<usize> {
    Ok(import_file(&dir.join("meta.json"), &dir.join("out"), 0)?.len())
}

/// All pairs of a meta.json, or of a file by itself.
pub fn import_file(meta: &Path, out: &Path, seed: u64) -> prefab::Result<Vec<Built>> {
    let imported = Imported::open(meta, seed, &meta.with_file_name("bad_rows.txt"))?;
    let numbers: Vec<usize> = (0..imported.len()).collect();
    let mut built = Vec::new();
    imported.each(&numbers, out, |one| {
        built.push(one);
        Ok(())
    })?;
    Ok(built)
}

/// Writes a set like MMPR's, rows of about half a kilobyte.
pub fn generate(path: &Path, num_rows: usize) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let reasons = "First, look at the picture and count what it shows. ".repeat(4);
    for row in 0..num_rows {
        writeln!(
            file,
            r#"{{"image":"{}.png","question":"<image>\nHow many of {row}?","chosen":"{reasons}\nFinal answer: {row}","rejected":"{reasons}\nFinal answer: {}","answer_gt":"{row}"}}"#,
            row % 10,
            row + 1
        )
        .unwrap();
    }
    file.flush().unwrap();
}
