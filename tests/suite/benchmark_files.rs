//! Benchmark files in the exact formats that evaluators read: VLMEvalKit's TSV, InternVL's JSON and
//! JSONL; and what is said of files that are broken.

use crate::support::memory::peak;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prefab::data::benchmark::{Format, Join, Pictures, Record, read};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const ANY: Format = Format { main: &["questions", "test_"], parts: &[], inside: &[], joins: &[] };

/// A picture of one colour as a file's bytes, a different one for each number.
fn bitmap(number: u32, side: u32) -> Vec<u8> {
    let size = side * side * 3;
    let mut bytes = b"BM".to_vec();
    let header = [54 + size, 0, 54, 40, side, side, 24 << 16 | 1, 0, size, 0, 0, 0, 0];
    bytes.extend(header.iter().flat_map(|word| word.to_le_bytes()));
    bytes.resize(54 + size as usize, (number % 200) as u8);
    bytes[54..58].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn picture(number: u32) -> String {
    STANDARD.encode(bitmap(number, 8))
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join("in").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("out")
    }

    fn read(&self, path: &Path, format: &Format) -> prefab::Result<Vec<Record>> {
        let out = self.out();
        read(path, format, &mut Pictures::new(&out, "set", path)?)
    }

    #[track_caller]
    fn fails(&self, path: &Path) -> String {
        let error = self.read(path, &ANY).unwrap_err();
        assert!(error.hint_text().is_some(), "no way out: {error}");
        error.to_string()
    }
}

#[test]
fn a_tsv_has_pictures_options_and_quoted_cells() {
    let folder = Folder::new();
    let (one, two) = (picture(1), picture(2));
    let text = format!(
        "index\timage\tquestion\thint\tA\tB\tC\tanswer\n\
         7\t{one}\t\"What says \"\"STOP\"\"?\nLook closely.\"\t\tcat\tdog\t\tA\n\
         8\t7\tAgain?\ta hint\tcat\tdog\tcow\tB\n\
         9\t\"['{one}', '{two}']\"\tBoth?\t\t\t\t\tYes\n\
         10\t\tNo picture?\t\t\t\t\t5\n"
    );
    let rows = folder.read(&folder.write("Set.tsv", text), &ANY).unwrap();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[0].text(&["question"]).unwrap(), "What says \"STOP\"?\nLook closely.");
    assert_eq!(rows[0].lettered().unwrap(), ["cat", "dog"]);
    assert_eq!(rows[1].lettered().unwrap(), ["cat", "dog", "cow"]);
    assert_eq!(rows[1].images, rows[0].images, "a row may reuse another's picture");
    assert_eq!(rows[2].images.len(), 2);
    assert_eq!(rows[2].images[0], rows[0].images[0], "the same picture is one file");
    assert!(rows[3].images.is_empty() && !rows[3].fields.contains_key("image"));
    let kept = std::fs::read(folder.out().join(&rows[2].images[1])).unwrap();
    assert_eq!(kept, bitmap(2, 8));
}

#[test]
fn a_row_may_reuse_a_later_picture_and_one_that_is_reused_itself() {
    let folder = Folder::new();
    let one = picture(1);
    let text = format!("index\timage\tquestion\na\tb\tx\nb\tc\ty\nc\t{one}\tz\n");
    let rows = folder.read(&folder.write("Set.tsv", text), &ANY).unwrap();
    assert!(rows.iter().all(|row| row.images.len() == 1 && row.images == rows[2].images));
    let text = "index\timage\tquestion\na\tb\tx\nb\ta\ty\n";
    let said = folder.fails(&folder.write("circle.tsv", text));
    assert!(said.contains("2 faults in 2 rows") && said.contains("row 1 (line 2)"), "{said}");
}

#[test]
fn what_is_wrong_with_a_tsv_is_named_by_row() {
    let folder = Folder::new();
    let one = picture(1);
    let broken = "!".repeat(80);
    let cut = &one[..72];
    let text = format!(
        "index\timage\tquestion\tanswer\n\
         1\t{one}\tx\ty\n\
         1\t{one}\tx\ty\n\
         3\t{broken}\tx\ty\n\
         4\t{cut}\tx\ty\n\
         5\t99\tx\ty\n\
         6\t{one}\tx\n\
         \t{one}\tx\ty\n"
    );
    let said = folder.fails(&folder.write("bad.tsv", text));
    for part in [
        "6 faults in 7 rows",
        "bad.tsv row 2 (line 3): index `1` is that of row 1 too",
        "row 3 (line 4): the picture's base64 is broken",
        "row 4 (line 5): the picture is damaged",
        "row 6 (line 7): 3 cells, but 4 columns",
        "row 7 (line 8): `index` is empty",
        "… and 1 more",
    ] {
        assert!(said.contains(part), "`{part}` is not in {said}");
    }
    let said = folder.fails(&folder.write("a.tsv", "index\timage\tanswer\n1\tx\ty\n"));
    assert!(said.contains("has no column `question`"), "{said}");
    let said = folder.fails(&folder.write("b.tsv", "index\tquestion\tindex\n1\tx\ty\n"));
    assert!(said.contains("two columns `index`"), "{said}");
    let bytes = [b"index\tquestion\n1\t\xff\n".as_slice()].concat();
    let said = folder.fails(&folder.write("c.tsv", bytes));
    assert!(said.contains("row 1 (line 2): `question` is not UTF-8"), "{said}");
    let unknown = "index\timage\tquestion\n1\t99\tx\n";
    let said = folder.fails(&folder.write("d.tsv", unknown));
    assert!(said.contains("that of index `99`, which no row with a picture has"), "{said}");
}

#[test]
fn lines_and_lists_name_their_pictures_or_hold_them() {
    let folder = Folder::new();
    folder.write("images/a.bmp", bitmap(1, 8));
    let one = picture(1);
    let lines = format!(
        "{{\"image\": \"a.bmp\", \"question\": \"x\", \"choices\": [\"p\", \"q\"], \"answer\": 1}}\n\n\
         {{\"image\": \"{one}\", \"question\": \"y\", \"answer\": \"z\"}}\n"
    );
    let rows = folder.read(&folder.write("questions.jsonl", &lines), &ANY).unwrap();
    assert_eq!(rows[0].images, rows[1].images);
    assert_eq!(rows[0].list(&["choices"]).unwrap(), ["p", "q"]);
    assert_eq!(rows[0].text(&["answer"]).unwrap(), "1");
    assert_eq!(rows[0].text(&["image_name"]).unwrap(), "a.bmp");
    // POPE's files are JSONL under another name; MathVista's is an object by id.
    assert_eq!(folder.read(&folder.write("coco.json", &lines), &ANY).unwrap().len(), 2);
    let by_id = "{\"12\": {\"query\": \"x\"}, \"13\": {\"query\": \"y\", \"id\": \"own\"}}";
    let rows = folder.read(&folder.write("testmini.json", by_id), &ANY).unwrap();
    assert_eq!(rows[0].text(&["id"]).unwrap(), "12");
    assert_eq!(rows[1].text(&["id"]).unwrap(), "own");
    let data =
        "{\"dataset_name\": \"docvqa\", \"data\": [{\"questionId\": 3, \"answers\": [\"a\"]}]}";
    let rows = folder.read(&folder.write("val_v1.0.json", data), &ANY).unwrap();
    assert_eq!(rows[0].list(&["answers"]).unwrap(), ["a"]);
}

#[test]
fn what_is_wrong_with_json_is_named_by_line() {
    let folder = Folder::new();
    let lines = "{\"image\": \"gone.png\", \"question\": \"x\"}\n{\"image\": \"../a.png\"}\n3\n";
    let said = folder.fails(&folder.write("questions.jsonl", lines));
    for part in [
        "questions.jsonl:1: there is no picture `gone.png`",
        "questions.jsonl:2: the picture's path `../a.png` leaves the file's folder",
        "questions.jsonl:3: a number is no object",
    ] {
        assert!(said.contains(part), "`{part}` is not in {said}");
    }
    let said = folder.fails(&folder.write("x.jsonl", "{\"a\": 1}\n{\"a\": \n"));
    assert!(said.contains("x.jsonl:2:5: not JSON: EOF while parsing a value"), "{said}");
    let said = folder.fails(&folder.write("x.json", "7"));
    assert!(said.contains("holds a number"), "{said}");
    let said = folder.fails(&folder.write("x.csv", "a,b"));
    assert!(said.contains("`.csv` is not read"), "{said}");
    let said = folder.fails(&folder.write("x.parquet", "PAR1"));
    assert!(said.contains("x.parquet: "), "{said}");
}

#[test]
fn files_of_a_folder_belong_together() {
    let folder = Folder::new();
    folder.write("images/001.bmp", bitmap(1, 8));
    let path = folder.write(
        "questions.jsonl",
        "{\"question_id\": 0, \"image\": \"001.bmp\", \"text\": \"x\", \"category\": \"conv\"}\n\
         {\"question_id\": 1, \"image\": \"001.bmp\", \"text\": \"y\", \"category\": \"detail\"}\n",
    );
    folder
        .write("context.jsonl", "{\"id\": \"001\", \"image\": \"001.bmp\", \"caption\": \"c\"}\n");
    folder.write("answers_gpt4.jsonl", "{\"question_id\": 1, \"text\": \"good\"}\n");
    let format = Format {
        main: &["questions"],
        joins: &[
            Join { name: "context", file: "context", key: &["image_name"], of: &["image"] },
            Join {
                name: "gpt4",
                file: "answers_gpt4",
                key: &["question_id"],
                of: &["question_id"],
            },
        ],
        ..ANY
    };
    for given in [path.as_path(), path.parent().unwrap()] {
        let rows = folder.read(given, &format).unwrap();
        assert_eq!(rows.len(), 2);
        assert!(rows.iter().all(|row| row.text(&["context.caption"]).as_deref() == Some("c")));
        assert_eq!(rows[0].text(&["gpt4.text"]), None);
        assert_eq!(rows[1].text(&["gpt4.text"]).as_deref(), Some("good"));
    }
    folder.write("answers_gpt4.jsonl", "{\"question_id\": 1}\n{\"question_id\": 1}\n");
    let error = folder.read(&path, &format).unwrap_err().to_string();
    assert!(error.contains("answers_gpt4.jsonl:2: `1` is there twice"), "{error}");
    let empty = folder.write("other/readme.txt", "");
    let said = folder.fails(empty.parent().unwrap());
    assert!(said.contains("no file of this benchmark"), "{said}");
}

#[test]
fn ten_thousand_embedded_pictures_do_not_fill_the_memory() {
    const ROWS: u32 = 10_000;
    let folder = Folder::new();
    let path = folder.write("Set.tsv", "index\timage\tquestion\tanswer\n");
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    for number in 0..ROWS {
        use std::io::Write;
        let mut row = String::new();
        let picture = STANDARD.encode(bitmap(number, 64));
        writeln!(row, "{number}\t{picture}\tWhat is number {number}?\t{number}").unwrap();
        file.write_all(row.as_bytes()).unwrap();
    }
    let (size, before) = (file.metadata().unwrap().len() >> 20, peak());
    let rows = folder.read(&path, &ANY).unwrap();
    let grown = (peak() - before) >> 20;
    assert_eq!(rows.len(), ROWS as usize);
    assert_eq!(std::fs::read_dir(folder.out().join("images/set")).unwrap().count(), ROWS as usize);
    assert!(size > 150 && grown < 40, "{grown} MiB more for a file of {size} MiB");
}
