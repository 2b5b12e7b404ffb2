//! `prefab score`: answers of others, and exported ones, scored without a model.

use prefab::answer::matching;
use prefab::data::record::Question;
use prefab::eval::{Row, benchmark, files, foreign};
use prefab::spec::candidates::Prompt;
use std::path::{Path, PathBuf};

/// A question's direct answer.
fn said(question: &Question, text: &str) -> Row {
    let said = matching::Said { text: text.to_owned(), tokens: 1, ended: true };
    Row { answer: matching::answer(question, Prompt::Direct, 0, said), given_percent: 0 }
}

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
    use prefab::eval::{BENCHMARKS, benchmark, export};
    use prefab::spec::benchmarks;
    let folder = Folder::new();
    let names = BENCHMARKS.iter().filter(|b| b.file().is_some() && b.grader().is_none());
    let names = names.filter(|b| b.asks() == b.name()).map(|b| b.name());
    let stands_in =
        |name: &&str| benchmarks::benchmark(name).is_some_and(|row| !row.tasks.is_empty());
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
    let known = |question: &Question| said(question, question.answer.as_deref().unwrap());
    let rows: Vec<Row> = asking.questions.iter().map(known).collect();
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
    // As VLMEvalKit has them: it compares with these words, and parts by these columns.
    let table = |name: &str| -> Vec<std::collections::HashMap<String, String>> {
        let path = folder.0.path().join(name);
        let table = csv::ReaderBuilder::new().delimiter(b'\t').from_path(path).unwrap();
        table.into_deserialize().map(|row| row.unwrap()).collect()
    };
    for row in table("pope-direct.tsv") {
        assert!(["Yes", "No"].contains(&row["answer"].as_str()), "{row:?}");
        assert!(
            ["random", "popular", "adversarial"].contains(&row["category"].as_str()),
            "{row:?}"
        );
    }
    for row in table("crpe-direct.tsv") {
        let (letter, text) = row["answer"].split_once(". ").unwrap();
        assert_eq!((row[letter].as_str(), row["prediction"].as_str()), (text, text));
        assert!(row["question"].ends_with(&format!("\nD. {}", row["D"])), "{row:?}");
    }
}

/// POPE's three files, two questions each, numbered alike; and its own table of all splits.
fn pope(folder: &Folder) -> (String, String) {
    let mut all = String::new();
    std::fs::create_dir_all(folder.0.path().join("pope/coco")).unwrap();
    for (place, split) in ["adversarial", "popular", "random"].into_iter().enumerate() {
        let line = |id: usize, label: &str| {
            format!(
                "{{\"question_id\": {id}, \"image\": \"{id}.jpg\", \"text\": \"Is it?\", \"label\": \"{label}\"}}\n"
            )
        };
        let lines = line(1, "yes") + &line(2, "no");
        folder.write(&format!("pope/coco/coco_pope_{split}.json"), &lines);
        for number in 0..2 {
            all += &format!(
                "{{\"question_id\": {}, \"image\": \"{}.jpg\", \"category\": \"{split}\", \"text\": \"Is it?\\n\
                 Answer the question using a single word or phrase.\"}}\n",
                2 * place + number,
                number + 1
            );
        }
    }
    let table = folder.write("pope/llava_pope_test.jsonl", &all);
    let path = |path: PathBuf| path.to_str().unwrap().to_owned();
    (path(folder.0.path().join("pope/coco")), path(table))
}

#[test]
fn exported_answers_to_parts_of_a_benchmark_have_an_index_each() {
    use prefab::eval::{asking::Asking, benchmark, export, files};
    let folder = Folder::new();
    let (parts, _) = pope(&folder);
    let questions = files::read_blind(benchmark("pope").unwrap(), Path::new(&parts)).unwrap();
    let eval = prefab::spec::eval::Eval {
        benchmarks: vec!["pope".to_owned()],
        files: [("pope".to_owned(), parts.clone())].into(),
        ..prefab::spec::embedded().eval.clone()
    };
    let rows: Vec<Row> = questions.iter().map(|question| said(question, "Yes.")).collect();
    export::write(folder.0.path(), &Asking::new(&eval, questions).unwrap(), &rows).unwrap();
    let path = folder.0.path().join("pope-direct.tsv");
    let table = std::fs::read_to_string(&path).unwrap();
    assert!(table.contains("\n1\t") && table.contains("\ncoco_pope_random/1\t"), "{table}");
    assert!(table.contains("\tIs it?\tYes\t"), "{table}");
    for more in [&["-b", "pope"][..], &["-b", "pope", "--questions", &parts]] {
        let (code, out, err) = folder.score(&path, more);
        assert_eq!(code, 0, "{err}");
        assert!(out.contains("6 questions of") && out.contains("0.5000"), "{out}");
    }
}

#[test]
fn answers_of_rlaif_v_are_those_about_their_pictures() {
    let folder = Folder::new();
    folder.write("synonyms.txt", "dog\ncat\n");
    let objects = "{\"30\": {\"objects\": [\"dog\"]}, \"10\": {\"objects\": [\"cat\"]}}";
    folder.write("objects.json", objects);
    let asked = "{\"image_id\": 30, \"question\": \"Describe it.\"}\n\
                 {\"image_id\": 10, \"question\": \"What is there?\"}\n";
    let asked = folder.write("obj_halbench.jsonl", asked);
    // Numbered from 0, in another order.
    let said = "{\"question_id\": 0, \"image_id\": 10, \"question\": \"What is there?\", \"answer\": \"A cat.\"}\n\
                {\"question_id\": 1, \"image_id\": 30, \"question\": \"Describe it.\", \"answer\": \"A dog.\"}\n";
    let said = folder.write("said.jsonl", said);
    let questions = files::read_blind(benchmark("object_halbench").unwrap(), &asked).unwrap();
    let rows = foreign::answers(&said, &questions, Prompt::Direct, true).unwrap();
    let texts: Vec<&str> = rows.iter().map(|row| row.answer.text.as_str()).collect();
    assert_eq!(texts, ["A dog.", "A cat."]);
}

#[test]
fn a_number_that_several_questions_have_names_none_of_them() {
    let folder = Folder::new();
    let (files, table) = pope(&folder);
    let said: Vec<String> = ["Yes", "No", "Yes", "No", "Yes", "Yes"]
        .iter()
        .enumerate()
        .map(|(id, text)| format!("{{\"question_id\": {id}, \"text\": \"{text}\"}}"))
        .collect();
    let answers = folder.write("pope_out.json", &format!("[{}]", said.join(", ")));
    let (code, _, err) = folder.score(&answers, &["-b", "pope", "--questions", &files]);
    assert_eq!(code, 2);
    assert!(err.contains("4 of 6 questions have no answer, such as `pope/coco_pope_pop"), "{err}");
    assert!(err.contains("4 of 6 answers belong to no question, such as `"), "{err}");
    // With the labels of the three files, by split and order.
    let (code, out, err) = folder.score(&answers, &["-b", "pope", "--questions", &table]);
    assert_eq!(code, 0, "{err}");
    let value = |task: &str, metric: &str| {
        let is = |line: &&str| line.starts_with(task) && line.contains(metric);
        out.lines().find(is).map(|line| line.split_whitespace().nth(2).unwrap().to_owned())
    };
    assert_eq!(value("all", "accuracy").as_deref(), Some("0.8333"), "{out}");
    assert_eq!(value("random", "accuracy").as_deref(), Some("0.5000"), "{out}");
    assert_eq!(value("all", "mean_f1").as_deref(), Some("0.8889"), "{out}");
    assert_eq!(value("random", "mean_f1"), None, "it is of all splits");
    let of_random = std::fs::read_to_string(format!("{files}/coco_pope_random.json")).unwrap();
    std::fs::write(format!("{files}/coco_pope_random.json"), of_random.replace("2.jpg", "3.jpg"))
        .unwrap();
    let (code, _, err) = folder.score(&answers, &["-b", "pope", "--questions", &table]);
    assert!(code == 2 && err.contains("does not hold the labels of the `random` rows"), "{err}");
    std::fs::remove_file(format!("{files}/coco_pope_random.json")).unwrap();
    let (code, _, err) = folder.score(&answers, &["-b", "pope", "--questions", &table]);
    assert!(code == 2 && err.contains("coco_pope_random.json is not there"), "{err}");
}

#[test]
fn results_of_internvls_scripts_hold_what_was_said_as_the_answer() {
    let folder = Folder::new();
    let asked = |id: usize, known: &str| {
        format!(
            "{{\"question_id\": {id}, \"question\": \"What is q{id}?\", \"image\": \"a.png\", {known}}}\n"
        )
    };
    let four = |known: &dyn Fn(usize) -> String| -> String {
        (1..5).map(|id| asked(id, &known(id))).collect()
    };
    let charts = folder.write("test_human.jsonl", &four(&|id| format!("\"answer\": \"{id}0\"")));
    let texts = folder.write(
        "textvqa.jsonl",
        &four(&|id| format!("\"answers\": {:?}", vec![format!("{id}0"); 10])),
    );
    let choices = folder.write(
        "m3.jsonl",
        &four(&|id| format!("\"choices\": [\"cat\", \"dog\"], \"answer\": {}", id % 2)),
    );
    let wrapped = "Think. What is q{id}?\\nAnswer the question using a single word or phrase.";
    for (benchmark, questions, record, right) in [
        (
            "chartqa",
            &charts,
            r#""question": "{wrapped}", "answer": "{id}0", "annotation": "7""#,
            "1.0",
        ),
        (
            "textvqa",
            &texts,
            r#""question": "{wrapped}", "question_id": {id}, "answer": "{id}0""#,
            "1.0",
        ),
        (
            "m3cot",
            &choices,
            r#""question": "", "answer": "B", "gt_answers": "A", "image_path": "x.png""#,
            "0.5",
        ),
        ("chartqa", &charts, r#""id": {id}, "response": ["{id}0"]"#, "1.0"),
        ("chartqa", &charts, r#""id": {id}, "prediction": null, "response": "{id}0""#, "1.0"),
    ] {
        let record = |id: usize| {
            let record = record.replace("{wrapped}", wrapped).replace("{id}", &id.to_string());
            format!("{{{record}}}")
        };
        let records: Vec<String> = (1..5).map(record).collect();
        let answers = folder.write("out.json", &format!("[{}]", records.join(", ")));
        let questions = questions.to_str().unwrap();
        let (code, out, err) = folder.score(&answers, &["-b", benchmark, "--questions", questions]);
        assert_eq!(code, 0, "{records:?}: {err}");
        let line = out.lines().find(|line| line.starts_with("all ")).unwrap();
        assert!(line.split_whitespace().nth(2).unwrap().starts_with(right), "{records:?}: {out}");
    }
    // Anything else in `answer` is the known one.
    let charts = charts.to_str().unwrap();
    for (records, fault) in [
        (r#"[{"id": 1, "answer": "10", "said": "x"}]"#, "4 of 4 questions have no answer"),
        (
            r#"{"1": "10", "2": "20", "3": "30", "4": "40", "5": "50"}"#,
            "1 of 5 answers belong to no question, such as `",
        ),
        (
            r#"[{"question": "What is q4?", "response": "40"}, {"response": "20"}, {"response": "30"},
                {"question": "What is q1?", "response": "10"}]"#,
            "`chartqa/1`, in its place, asks something else",
        ),
    ] {
        let answers = folder.write("out.json", records);
        let (code, _, err) = folder.score(&answers, &["-b", "chartqa", "--questions", charts]);
        assert!(code == 2 && err.contains(fault), "{records}: {err}");
    }
    // A question that asks in `text` is no answer.
    let asks = folder.write("x.jsonl", "{\"id\": 1, \"text\": \"Is it?\", \"label\": \"yes\"}\n");
    let (code, _, err) = folder.score(&asks, &["-b", "pope"]);
    assert!(code == 2 && err.contains("1 of 1 questions have no answer"), "{err}");
}

#[test]
fn a_judge_that_gives_no_reply_leaves_no_scores() {
    use crate::support::http::{Answer, Server, texts};
    let folder = Folder::new();
    let table = "index\tquestion\tanswer\tcategory\tprediction\n1\tWhich?\tred\trec\tred\n\
                 2\tWhich?\tred\trec,ocr\tblue\n3\tWhich?\tred\tocr\tteal\n";
    let path = folder.write("model_MMVet.tsv", table);
    for (status, scored) in [(401, false), (200, true)] {
        let server = Server::start(move |_, asked| match status {
            200 if asked.body.to_string().contains("teal") => texts(&["no idea"]),
            200 => texts(&["Grade: 0.5"]),
            _ => Answer::Status(status, "", "no such key".into()),
        });
        let url = format!("eval.judge.server.url={}", server.url);
        let judge =
            ["model=m", "attempts=1", "requests=1"].map(|set| format!("eval.judge.server.{set}"));
        let mut more = vec!["-b", "mm_vet", "-o", "scores", "--set", &url];
        more.extend(judge.iter().flat_map(|set| ["--set", set.as_str()]));
        let (code, out, err) = folder.score(&path, &more);
        assert_eq!(folder.0.path().join("scores").exists(), scored, "{err}");
        if !scored {
            assert_eq!(code, 3);
            assert!(err.contains("no reply about 3 of 3 answers") && err.contains("401"), "{err}");
            continue;
        }
        assert_eq!(code, 0, "{err}");
        let number = |metric: &str| {
            let line = out.lines().find(|line| line.starts_with("all ") && line.contains(metric));
            let last = line.and_then(|line| line.split_whitespace().last());
            last.unwrap_or_else(|| panic!("{metric} in {out}")).to_owned()
        };
        // A reply that cannot be read is a grade less, and an answer all the same.
        assert_eq!((number(" grade").as_str(), number(" failed").as_str()), ("2", "3"), "{out}");
        let verdicts = folder.0.path().join("scores/verdicts.csv");
        let verdicts = std::fs::read_to_string(verdicts).unwrap();
        assert!(verdicts.contains(",rec;ocr;rec_ocr,"), "every group of it: {verdicts}");
    }
}
