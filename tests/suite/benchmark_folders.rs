//! Folders as people have them: several splits, shards, InternVL's layouts. What cannot be told apart
//! is refused; what lies beside a file is found, and enters its key.

use crate::plan::{changed, planned};
use prefab::data::record::Question;
use prefab::eval::{benchmark, files};
use prefab::plan::Stage;
use prefab::stage::Progress;
use std::path::{Path, PathBuf};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join("in").join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn picture(&self, name: &str, shade: u8) {
        let path = self.write(name, "");
        image::RgbImage::from_pixel(4, 4, image::Rgb([shade; 3])).save(path).unwrap();
    }

    fn read(&self, name: &str, path: &Path) -> prefab::Result<Vec<Question>> {
        files::questions_of(benchmark(name)?, path, &self.0.path().join("out"), &Progress::Silent)
    }

    #[track_caller]
    fn ids(&self, name: &str, path: &str) -> Vec<String> {
        let read = self.read(name, &self.at(path)).unwrap_or_else(|error| panic!("{error}"));
        read.into_iter().map(|question| question.id).collect()
    }

    #[track_caller]
    fn fails(&self, name: &str, path: &str) -> (String, String) {
        let error = self.read(name, &self.at(path)).unwrap_err();
        (error.to_string(), error.hint_text().expect("a way out").to_owned())
    }
}

fn choice(id: usize) -> String {
    format!(r#"{{"id": "{id}", "question": "Which?", "choices": ["a", "b"], "answer": 0}}"#)
}

#[test]
fn splits_of_one_folder_are_not_one_benchmark() {
    let folder = Folder::new();
    for (split, id) in [("train", 1), ("dev", 2), ("test", 3)] {
        folder.write(&format!("m3/{split}.jsonl"), choice(id));
    }
    let (said, way_out) = folder.fails("m3cot", "m3");
    assert!(said.contains("several tables: dev.jsonl, test.jsonl, train.jsonl"), "{said}");
    assert!(way_out.contains("name the file"), "{way_out}");
    assert_eq!(folder.ids("m3cot", "m3/test.jsonl"), ["m3cot/3"]);
    // The same with two ways of writing one split.
    folder.write("same/test.jsonl", choice(1));
    assert_eq!(folder.ids("m3cot", "same"), ["m3cot/1"]);
    folder.write("same/test.json", format!("[{}]", choice(1)));
    assert!(folder.fails("m3cot", "same").0.contains("test.json, test.jsonl"));
}

#[cfg(feature = "parquet")]
#[test]
fn any_benchmark_wants_all_shards_of_one_table() {
    let folder = Folder::new();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assets/parquet");
    let copy = |from: &str, to: &str| {
        folder.write(to, std::fs::read(recorded.join(from)).unwrap());
    };
    copy("mathvista.parquet", "vista/testmini-00000-of-00001.parquet");
    assert_eq!(folder.ids("mathvista", "vista").len(), 2);
    copy("mathvista.parquet", "vista/test-00000-of-00001.parquet");
    assert!(folder.fails("mathvista", "vista").0.contains("several tables: test, testmini"));
    let shard = "test-00000-of-00002.parquet";
    copy(&format!("chartqa/{shard}"), &format!("ocr/{shard}"));
    assert!(folder.fails("ocrbench", "ocr").0.contains("holds 1 of the 2 shards of `test`"));
}

#[test]
fn an_id_is_given_once_in_a_file() {
    let folder = Folder::new();
    folder.write("a.jsonl", [choice(1), choice(2), choice(1)].join("\n"));
    let (said, _) = folder.fails("m3cot", "a.jsonl");
    let (row, first) = ("a.jsonl:3: its id `1` is that of ", "a.jsonl:1 too");
    assert!(said.contains(row) && said.contains(first), "{said}");
    folder.write("b.json", format!("[{}, {}]", choice(4), choice(4)));
    let (said, _) = folder.fails("m3cot", "b.json");
    assert!(said.contains("b.json row 2: its id `4` is that of"), "{said}");
}

#[test]
fn crpes_two_files_are_read_together() {
    let folder = Folder::new();
    let table = |category: &str| {
        let row = |row| format!("{row}\tWhich?\tA\t{category}\n");
        let rows: String = (0..4).map(row).collect();
        format!("index\tquestion\tanswer\tcategory\n{rows}")
    };
    folder.write("LMUData/CRPE_EXIST.tsv", table("exist"));
    // Other benchmarks lie there too.
    folder.write("LMUData/MathVista_MINI.tsv", "index\tquestion\n");
    let (said, way_out) = folder.fails("crpe", "LMUData");
    assert!(said.contains("has no file `CRPE_RELATION…`") && way_out.contains("alone"), "{said}");
    assert_eq!(folder.ids("crpe", "LMUData/CRPE_EXIST.tsv").len(), 4);
    folder.write("LMUData/CRPE_RELATION.tsv", table("subject"));
    let ids = folder.ids("crpe", "LMUData");
    assert_eq!(
        (ids.len(), ids[0].as_str(), ids[4].as_str()),
        (8, "crpe/0", "crpe/CRPE_RELATION/0")
    );
}

#[test]
fn each_table_has_its_own_folder_of_pictures_as_vlmevalkit_keeps_them() {
    let folder = Folder::new();
    let table = |category: &str, picture: &str| {
        let row = |row| format!("{row}\t{picture}\tWhich?\tA\t{category}\n");
        let rows: String = (0..4).map(row).collect();
        format!("index\timage_path\tquestion\tanswer\tcategory\n{rows}")
    };
    for (name, category, shade) in [("CRPE_EXIST", "exist", 1), ("CRPE_RELATION", "subject", 2)] {
        folder.write(&format!("LMUData/{name}.tsv"), table(category, "x.png"));
        folder.picture(&format!("LMUData/images/{name}/x.png"), shade);
    }
    let read = folder.read("crpe", &folder.at("LMUData")).unwrap();
    assert_ne!(read[0].images, read[4].images, "the same name, another picture");
    folder.write("LMUData/CRPE_EXIST.tsv", table("exist", "x.tiff"));
    let (said, _) = folder.fails("crpe", "LMUData/CRPE_EXIST.tsv");
    assert!(said.contains("there is no picture `x.tiff`"), "{said}");
}

#[test]
fn known_answers_are_found_one_folder_down() {
    let asks = r#"{"question_id": 7, "question": "What?", "answer": "a"}"#;
    let known = r#"{"data": [{"questionId": 7, "question": "What?", "answers": ["a", "b"]}]}"#;
    // InternVL's layout, and both in one folder.
    for place in ["val/val_v1.0.json", "val_v1.0.json"] {
        let folder = Folder::new();
        folder.write("docvqa/val.jsonl", asks);
        folder.write(&format!("docvqa/{place}"), known);
        for given in ["docvqa", "docvqa/val.jsonl"] {
            let [one] = folder.read("docvqa", &folder.at(given)).unwrap().try_into().unwrap();
            assert_eq!(one.aliases, ["b"], "{given} with {place}");
        }
    }
    // The data set's own file by itself.
    let folder = Folder::new();
    folder.write("docvqa/val_v1.0_withQT.json", known);
    assert_eq!(folder.ids("docvqa", "docvqa"), ["docvqa/7"]);
}

#[test]
fn popes_layout_is_internvls() {
    let folder = Folder::new();
    for split in ["adversarial", "popular", "random"] {
        let line = |id: usize| {
            format!(
                r#"{{"question_id": {id}, "image": "1.png", "text": "Is there a dog?", "label": "yes"}}"#
            )
        };
        let lines = [line(1), line(2)].join("\n");
        folder.write(&format!("data/pope/coco/coco_pope_{split}.json"), lines);
    }
    folder.picture("data/pope/val2014/1.png", 9);
    for given in ["data/pope", "data/pope/coco"] {
        let ids = folder.ids("pope", given);
        let [first, _, second, ..] = ids.as_slice() else { panic!("{ids:?}") };
        assert_eq!((ids.len(), first.as_str()), (6, "pope/1"), "{given}");
        assert_eq!(second, "pope/coco_pope_popular/1", "{given}");
    }
    assert_eq!(folder.ids("pope", "data/pope/coco/coco_pope_random.json"), ["pope/1", "pope/2"]);
    folder.write("data/pope/coco/POPE.tsv", "index\tquestion\n");
    assert!(folder.fails("pope", "data/pope").0.contains("several tables: POPE.tsv, coco_pope"));
}

#[test]
fn what_lies_beside_a_benchmarks_file_enters_its_key() {
    let folder = Folder::new();
    let lines = format!("{}\n", choice(1).replace('{', r#"{"image": "1.png", "#));
    let path = folder.write("m3/test.jsonl", lines);
    folder.picture("m3/images/1.png", 1);
    folder.picture("m3/images/2.png", 1);
    let text = |name: &str, path: &Path| {
        format!("schema = 1\neval.benchmarks = [\"{name}\"]\neval.files.{name} = {path:?}\n")
    };
    let plan = || planned(&text("m3cot", &path));
    let before = plan();
    folder.picture("m3/images/2.png", 2);
    assert_eq!(changed(&before, &plan()), [], "no row names it");
    folder.picture("m3/images/1.png", 2);
    assert_eq!(changed(&before, &plan())[1], Stage::Benchmarks);
    // Joins too.
    let path = folder.write("doc/val.jsonl", r#"{"question_id": 7, "question": "What?"}"#);
    folder.write("doc/val/val_v1.0.json", r#"{"data": [{"questionId": 7, "answers": ["a"]}]}"#);
    let before = planned(&text("docvqa", &path));
    folder.write("doc/val/val_v1.0.json", r#"{"data": [{"questionId": 7, "answers": ["b"]}]}"#);
    assert_ne!(changed(&before, &planned(&text("docvqa", &path))), []);
    // A file that holds its pictures needs nothing beside it.
    let path = folder.write("a.tsv", "index\timage\tquestion\n1\tAAAA\tx\n");
    let plan = planned(&text("ocrbench", &path));
    let task = plan.tasks.iter().find(|task| task.stage == Stage::Benchmarks).unwrap();
    assert_eq!(task.settings["files"].as_object().unwrap().len(), 1);
}

#[test]
fn a_corpus_key_holds_the_pictures_that_its_rows_name() {
    let folder = Folder::new();
    for split in ["train", "test"] {
        let line = format!(r#"{{"image": "{split}.png", "question": "x", "answer": "y"}}"#);
        folder.write(&format!("{split}.jsonl"), line);
        folder.picture(&format!("{split}.png"), 1);
    }
    folder.picture("other.png", 1);
    let root = folder.at("");
    let text = format!(
        "schema = 1\nmodel.checkpoint = \"none\"\ncorpus.files = {{ root = {root:?}, train = \"train.jsonl\", \
         test = \"test.jsonl\" }}\n"
    );
    let before = planned(&text);
    folder.picture("other.png", 2);
    assert_eq!(changed(&before, &planned(&text)), []);
    folder.picture("test.png", 2);
    assert_eq!(changed(&before, &planned(&text))[0], Stage::Corpus);
    // A question file that is named from the root counts as well.
    let before = planned(&text);
    let line = r#"{"image": "test.png", "question": "x", "answer": "z"}"#;
    folder.write("test.jsonl", line);
    assert_eq!(changed(&before, &planned(&text))[0], Stage::Corpus);
}
