//! `prefab score`: answers of others, and exported ones, scored without a model.

use std::path::{Path, PathBuf};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn score(&self, answers: &Path, more: &[&str]) -> (i32, String, String) {
        let mut prefab = assert_cmd::Command::cargo_bin("prefab").expect("the binary");
        let output =
            prefab.current_dir(&self.0).arg("score").arg(answers).args(more).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }
}

const TABLE: &str = "index\tquestion\tA\tB\tanswer\tcategory\tprediction\n\
                     1\tWhich?\tcat\tdog\tA\tx\tA\n2\tWhich?\tcat\tdog\tB\tx\tthe dog\n\
                     3\tWhich?\tcat\tdog\tB\ty\t\n4\tWhich?\tcat\tdog\tA\ty\tA or B\n";

#[test]
fn a_table_of_another_program_is_scored() {
    let folder = Folder::new();
    let path = folder.write("model_ScienceQA.tsv", TABLE);
    let (code, out, err) = folder.score(&path, &["-b", "scienceqa", "-o", "scores"]);
    assert_eq!(code, 0, "{err}");
    let line =
        out.lines().find(|line| line.starts_with("all") && line.contains("accuracy")).unwrap();
    assert!(line.contains("0.5000"), "{out}");
    assert!(out.contains("4 questions of model_ScienceQA.tsv"), "{out}");
    let verdicts = std::fs::read_to_string(folder.0.path().join("scores/verdicts.csv")).unwrap();
    assert_eq!(verdicts.lines().count(), 5);
    for file in ["scores.csv", "benchmarks.csv"] {
        assert!(folder.0.path().join("scores").join(file).is_file(), "{file}");
    }
}

#[test]
fn answers_by_id_are_joined_with_their_questions() {
    let folder = Folder::new();
    let questions = folder.write(
        "test_human.jsonl",
        "{\"question_id\": 7, \"question\": \"How much?\", \"image\": \"a.png\", \"answer\": \"100\"}\n\
         {\"question_id\": 8, \"question\": \"How much?\", \"image\": \"b.png\", \"answer\": \"50%\"}\n",
    );
    let questions = questions.to_str().unwrap();
    let answers = folder.write(
        "answers.jsonl",
        "{\"question_id\": 8, \"text\": \"so it is half.\\nAnswer: 0.5\"}\n{\"question_id\": 7, \"text\": \"Answer: 104\"}\n",
    );
    let (code, out, err) =
        folder.score(&answers, &["-b", "chartqa", "--questions", questions, "-p", "cot"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.lines()
            .any(|l| l.starts_with("human") && l.contains("accuracy") && l.contains("1.0000")),
        "{out}"
    );
    let by_id = folder.write("by_id.json", "{\"7\": \"104\", \"8\": \"49\"}");
    let (code, out, _) = folder.score(&by_id, &["-b", "chartqa", "--questions", questions]);
    assert!(code == 0 && out.contains("0.5000"), "{out}");
}

#[test]
fn what_is_missing_is_named() {
    let folder = Folder::new();
    let path = folder.write("answers.tsv", &TABLE.replace("\tprediction\n", "\tsaid\n"));
    let (code, _, err) = folder.score(&path, &["-b", "scienceqa"]);
    assert_eq!(code, 2);
    assert!(err.contains("4 of 4 questions have no answer, such as `scienceqa/1`"), "{err}");
    let (code, _, err) = folder.score(&path, &["-b", "reasoning"]);
    assert!(code == 2 && err.contains("reads no file"), "{err}");
    let (code, _, err) = folder.score(&path, &["-b", "sciencqa"]);
    assert!(code == 2 && err.contains("did you mean `scienceqa`?"), "{err}");
    let (code, _, err) = folder.score(&path, &["-b", "mm_vet"]);
    assert!(code == 2 && err.contains("`[eval.judge]` names nobody"), "{err}");
    let (code, _, err) = folder.score(&folder.write("a.xlsx", ""), &["-b", "scienceqa"]);
    assert!(code == 2 && err.contains("`.xlsx` is not read"), "{err}");
    let twice = folder.write("twice.tsv", &TABLE.replace("\n4\t", "\n3\t"));
    let (code, _, err) = folder.score(&twice, &["-b", "scienceqa"]);
    assert!(code == 2 && err.contains("index `3` is that of row 3 too"), "{err}");
}

#[test]
fn exported_answers_are_scored_alike() {
    // Generated questions of every benchmark whose answers need no judge, answered by the known answer.
    use prefab::eval::asking::Asking;
    use prefab::eval::{BENCHMARKS, Row, benchmark, export, matching};
    use prefab::spec::candidates::Prompt;
    use prefab::spec::lists::NEEDED_TASKS;
    let folder = Folder::new();
    let names = BENCHMARKS.iter().filter(|b| b.file().is_some() && b.grader().is_none());
    let names = names.filter(|b| b.asks() == b.name()).map(|b| b.name());
    let stands_in = |name: &&str| NEEDED_TASKS.iter().any(|(known, _)| known == name);
    let names: Vec<&str> = names.filter(stands_in).collect();
    let eval = prefab::spec::eval::Eval {
        benchmarks: names.iter().map(|&name| name.to_owned()).collect(),
        ..prefab::spec::embedded().eval.clone()
    };
    let of = |family: &'static prefab::tasks::Family| {
        (0..3).map(move |index| {
            let id = format!("{}-{index}", family.name);
            family.item(0, index).record(id.clone(), format!("{id}.png"), family.name)
        })
    };
    let asking = Asking::new(&eval, prefab::tasks::FAMILIES.iter().flat_map(of).collect()).unwrap();
    let row = |question: &prefab::data::record::Question| -> Row {
        let text = question.answer.clone().unwrap();
        let said = matching::Said { text, tokens: 1, ended: true };
        Row { answer: matching::answer(question, Prompt::Direct, 0, said), given_percent: 0 }
    };
    let rows: Vec<Row> = asking.questions.iter().map(row).collect();
    export::write(folder.0.path(), &asking, &rows).unwrap();
    for name in names {
        let path = folder.0.path().join(format!("{name}-direct.tsv"));
        let (code, out, err) = folder.score(&path, &["-b", name]);
        assert_eq!(code, 0, "{name}: {err}");
        let first = benchmark(name).unwrap().metrics()[0].name;
        let line =
            out.lines().find(|line| line.starts_with("all") && line.contains(first)).unwrap();
        assert!(line.contains("1.0000"), "{name}: {out}");
    }
}
