//! The paper's benchmarks: their files in each form, generated questions that stand in, and how
//! answers to both are counted.

use base64::Engine;
use prefab::data::questions::read_split;
use prefab::data::record::Question;
use prefab::eval::asking::Asking;
use prefab::eval::judging::Judge;
use prefab::eval::origin::Origin;
use prefab::eval::scores::{Score, score};
use prefab::eval::{Row, benchmark, files, matching};
use prefab::spec::candidates::Prompt;
use prefab::spec::embedded;
use prefab::spec::eval::{Eval, Split};
use prefab::spec::lists::NEEDED_TASKS;
use std::path::{Path, PathBuf};

/// A picture's bytes, a different one for each number.
fn bitmap(number: u8) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    let header: [u32; 14] = [54 + 192, 0, 54, 40, 8, 8, 24 << 16 | 1, 0, 192, 0, 0, 0, 0, 0];
    bytes.extend(header[..13].iter().flat_map(|word| word.to_le_bytes()));
    bytes.resize(54 + 192, number);
    bytes
}

fn base64(number: u8) -> String {
    base64::engine::general_purpose::STANDARD.encode(bitmap(number))
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("images/1.bmp", bitmap(1));
        folder
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn questions(&self, name: &str, path: &Path) -> prefab::Result<Vec<Question>> {
        files::questions_of(benchmark(name)?, path, &self.0.path().join("out"))
    }

    #[track_caller]
    fn fails(&self, name: &str, file: &str, text: &str) -> String {
        let error = self.questions(name, &self.write(file, text)).unwrap_err();
        assert!(error.hint_text().is_some(), "no way out: {error}");
        error.to_string()
    }

    #[track_caller]
    fn reads(&self, name: &str, file: &str, text: &str) -> Vec<Question> {
        let path = self.write(file, text);
        self.questions(name, &path).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

#[test]
fn multiple_choice_is_read_from_lines_and_tables() {
    let folder = Folder::new();
    let lines = r#"{"image": "1.bmp", "question": "What is it?", "choices": ["dog", "cat"], "answer": 1, "hint": "Look.", "domain": "science"}"#;
    let [one] = folder.reads("m3cot", "test.jsonl", lines).try_into().unwrap();
    assert_eq!(one.question, "Look.\nWhat is it?\nA. dog\nB. cat");
    assert_eq!((one.answer.as_deref(), one.says("domain")), (Some("B"), "science"));
    assert_eq!(
        one.says("direct"),
        "Answer with the option's letter from the given choices directly."
    );
    assert_eq!((one.id.as_str(), one.source.as_str(), one.images.len()), ("m3cot/1", "m3cot", 1));
    let table = format!(
        "index\timage\tquestion\thint\tA\tB\tC\tanswer\n7\t{}\tWhich?\t\tx\ty\tz\tC\n",
        base64(1)
    );
    let [one] = folder.reads("scienceqa", "ScienceQA_TEST.tsv", &table).try_into().unwrap();
    assert_eq!(
        (one.question.as_str(), one.answer.as_deref()),
        ("Which?\nA. x\nB. y\nC. z", Some("C"))
    );
    assert_eq!(one.id, "scienceqa/7");
    let [one] = folder.reads("ai2d", "AI2D_TEST.tsv", &table).try_into().unwrap();
    assert_eq!(one.choices.len(), 3);
    let inline = r#"{"question": "Which?\nA. x\nB. y\nAnswer with the option's letter from the given choices directly.", "image": "1.bmp", "answer": "A"}"#;
    let [one] = folder.reads("ai2d", "test_vlmevalkit.jsonl", inline).try_into().unwrap();
    assert_eq!(one.question, "Which?\nA. x\nB. y");
    assert!(one.says("direct").starts_with("Answer with the option's letter"));

    let out = r#"{"image": "1.bmp", "question": "x", "choices": ["a", "b"], "answer": 2}"#;
    let said = folder.fails("m3cot", "a.jsonl", out);
    assert!(said.contains("a.jsonl:1: `answer` is `2`, which is none of 2 options"), "{said}");
    let none = r#"{"image": "1.bmp", "question": "x", "answer": 0}"#;
    assert!(folder.fails("m3cot", "b.jsonl", none).contains("fewer than two options"));
    assert!(
        folder
            .fails("m3cot", "c.jsonl", r#"{"answer": 0, "choices": ["a", "b"]}"#)
            .contains("`question` or `text` is missing")
    );
}

#[test]
fn mathematics_is_read_with_its_types() {
    let folder = Folder::new();
    let by_id = r#"{"12": {"question": "How many?", "image": "images/1.bmp", "choices": null, "precision": 1.0,
        "answer": "1.2", "question_type": "free_form", "answer_type": "float", "pid": "12",
        "query": "Hint: a float.\nQuestion: How many?", "metadata": {"task": "x"}}}"#;
    let [one] = folder.reads("mathvista", "testmini.json", by_id).try_into().unwrap();
    assert_eq!(one.question, "Hint: a float.\nQuestion: How many?");
    assert_eq!(
        (one.says("answer_type"), one.says("precision"), one.says("direct")),
        ("float", "1.0", "")
    );
    let table = "index\tquestion\tchoices\tanswer\tquestion_type\tanswer_type\tanswer_option\tcategory\n\
                 3\tWhich?\t\"['(A) x', '(B) y']\"\t(B) y\tmulti_choice\ttext\tB\tgeometry\n";
    let [one] = folder.reads("mathvista", "MathVista_MINI.tsv", table).try_into().unwrap();
    assert_eq!((one.choices.len(), one.says("category")), (2, "geometry"));
    let said = folder.fails("mathvista", "a.tsv", "index\tquestion\tanswer\n1\tx\ty\n");
    assert!(said.contains("`question_type` is missing or empty"), "{said}");
    let lines = r#"{"id": "5", "question": "Which?", "options": ["1", "2"], "image": "images/1.bmp", "answer": "B", "level": 2, "subject": "algebra"}"#;
    let [one] = folder.reads("mathvision", "test.jsonl", lines).try_into().unwrap();
    assert_eq!((one.question.as_str(), one.says("subject")), ("Which?\nA. 1\nB. 2", "algebra"));
    let letters = lines.replace(r#"["1", "2"]"#, r#"["A", "B"]"#);
    let [one] = folder.reads("mathvision", "letters.jsonl", &letters).try_into().unwrap();
    assert_eq!(one.question, "Which?", "options that stand in the picture");
    // VLMEvalKit's frame goes, whatever stands in it.
    for (id, framed) in ["Question: Which?", r"Hint: a letter.\nQuestion: Which?\nChoices:\n(A) 1"]
        .into_iter()
        .enumerate()
    {
        let lines = lines.replace("Which?", framed);
        let [one] = folder.reads("mathvision", &format!("{id}.jsonl"), &lines).try_into().unwrap();
        assert_eq!(one.question, "Which?\nA. 1\nB. 2");
    }
}

#[test]
fn reading_is_read_with_all_known_answers() {
    let folder = Folder::new();
    let human = r#"{"image": "1.bmp", "question": "How much?", "answer": "3"}"#;
    folder.write("chart/test_human.jsonl", human.replace("1.bmp", "png/2.bmp"));
    folder.write("chart/test_augmented.jsonl", human.replace("1.bmp", "png/2.bmp"));
    folder.write("chart/png/2.bmp", bitmap(2));
    let both = folder.questions("chartqa", &folder.0.path().join("chart")).unwrap();
    let ids: Vec<&str> = both.iter().map(|question| question.id.as_str()).collect();
    assert_eq!(ids, ["chartqa/1", "chartqa/2"]);
    assert_eq!(both[0].says("direct"), "Answer the question using a single word or phrase.");
    let own = r#"[{"imgname": "1.bmp", "query": "How much?", "label": "3"}]"#;
    assert_eq!(folder.reads("chartqa", "test_human.json", own)[0].answer.as_deref(), Some("3"));

    folder.write("doc/images/1.bmp", bitmap(1));
    folder.write("doc/val_v1.0.json", r#"{"data": [{"questionId": 7, "answers": ["a", "b"]}]}"#);
    let asks = r#"{"question_id": 7, "question": "What?", "image": "1.bmp"}"#;
    let [one] = folder.reads("docvqa", "doc/val.jsonl", asks).try_into().unwrap();
    assert_eq!((one.answer.as_deref(), one.aliases.as_slice()), (Some("a"), &["b".to_owned()][..]));
    let table = "index\tquestion\tanswer\tcategory\n1\tWhat?\t\"['a', 'b']\"\tx\n2\tWhat?\t5\tx\n";
    for name in ["docvqa", "infovqa", "textvqa", "ocrbench"] {
        let rows = folder.reads(name, &format!("{name}.tsv"), table);
        assert_eq!((rows[0].aliases.len(), rows[1].answer.as_deref()), (1, Some("5")), "{name}");
    }
    let annotators = r#"{"annotations": [{"question_id": 1, "answers": [{"answer": "x", "answer_id": 1}, {"answer": "y"}]}]}"#;
    folder.write("text/textvqa_val_annotations.json", annotators);
    let asks = r#"{"question_id": 1, "question": "What?"}"#;
    let [one] = folder.reads("textvqa", "text/textvqa_val.jsonl", asks).try_into().unwrap();
    assert_eq!(one.aliases, ["y"]);
}

#[test]
fn questions_of_ones_own_are_matched_as_their_data_set_is() {
    let folder = Folder::new();
    let rows = r#"{"images": ["1.bmp"], "question": "How high?", "answer": "10", "task": "bars", "source": "ChartQA"}
{"image": "1.bmp", "question": "Which?", "answer": "wine glass", "aliases": ["goblet"]}
{"image": "1.bmp", "question": "Which?", "answer": "B", "choices": ["red", "blue"]}
"#;
    let questions = folder.reads("questions", "own.jsonl", rows);
    // Asked as the spec says, with the model's own tiles.
    assert!(questions.iter().all(|q| q.says("direct").is_empty() && q.says("tiles").is_empty()));
    // ChartQA allows 5 %; the second is no data set's; the third is right by its option's text.
    let right: Vec<Row> =
        questions.iter().zip(["10.4", "goblet", "blue"]).map(|(q, t)| row(q, t)).collect();
    let wrong: Vec<Row> =
        questions.iter().zip(["10.6", "glass", "red"]).map(|(q, t)| row(q, t)).collect();
    let eval = eval(&["questions"], &[("questions", "own.jsonl")]);
    for (rows, share) in [(right, 1.0), (wrong, 0.0)] {
        let (scores, verdicts) = score(&eval, &questions, &rows, &[]).unwrap();
        assert_eq!(value(&scores, "all", "accuracy"), share);
        assert_eq!(value(&scores, "bars", "accuracy"), share);
        assert_eq!(verdicts.len(), 3);
    }
}

fn rotations(categories: [&str; 8]) -> String {
    let mut table = "index\timage_path\tquestion\tanswer\tcategory\n".to_owned();
    for (row, category) in categories.iter().enumerate() {
        let letter = ["A", "B", "C", "D"][row % 4];
        table += &format!("{row}\timages/1.bmp\tWhich?\t{letter}\t{category}\n");
    }
    table
}

#[test]
fn crpe_counts_a_question_with_all_its_rotations() {
    let folder = Folder::new();
    let table =
        rotations(["exist", "exist", "exist", "exist", "subject", "subject", "subject", "subject"]);
    let questions = folder.reads("crpe", "CRPE_RELATION.tsv", &table);
    assert!(questions[..4].iter().all(|question| question.says("rotation_of") == "crpe/0"));
    // The first is right throughout, the second three times of four.
    let said = ["A", "(B)", "C.", "the answer is D", "A", "B", "C", "A"];
    let rows: Vec<Row> = questions.iter().zip(said).map(|(q, text)| row(q, text)).collect();
    let scores = |name: &str| {
        let eval = eval(&[name], &[("crpe", "CRPE_RELATION.tsv")]);
        score(&eval, &questions, &rows, &[]).unwrap()
    };
    let (whole, verdicts) = scores("crpe");
    assert_eq!(value(&whole, "all", "accuracy"), 0.5);
    assert_eq!(
        (value(&whole, "exist", "accuracy"), value(&whole, "subject", "accuracy")),
        (1.0, 0.0)
    );
    assert_eq!(verdicts.iter().map(|v| v.score).collect::<Vec<_>>(), [1.0, 0.0]);
    assert_eq!(value(&scores("crpe_rows").0, "all", "accuracy"), 7.0 / 8.0);
    // "(B)" and "the answer is D" do not begin with their letter.
    assert_eq!(value(&scores("crpe_vlmevalkit").0, "all", "accuracy"), 0.5);

    let odd = rotations(["exist"; 8]).lines().take(7).collect::<Vec<_>>().join("\n");
    assert!(folder.fails("crpe", "a.tsv", &odd).contains("6 rows are no multiple of 4"));
    let mixed =
        rotations(["exist", "exist", "object", "exist", "exist", "exist", "exist", "exist"]);
    assert!(
        folder.fails("crpe", "b.tsv", &mixed).contains("rows 1 to 4 are of several categories")
    );
    let other = rotations(["kind"; 8]);
    assert!(folder.fails("crpe", "c.tsv", &other).contains("category is `kind`"));
}

#[test]
fn pope_is_the_mean_of_three_splits() {
    let folder = Folder::new();
    for split in ["adversarial", "popular", "random"] {
        let line = |id: usize, label: &str| {
            format!(
                r#"{{"question_id": {id}, "image": "1.bmp", "text": "Is there a dog in the image?", "label": "{label}"}}"#
            )
        };
        let lines = [line(1, "yes"), line(2, "no")].join("\n");
        folder.write(&format!("pope/coco_pope_{split}.json"), lines);
    }
    folder.write("pope/val2014/1.bmp", bitmap(3));
    let questions = folder.questions("pope", &folder.0.path().join("pope")).unwrap();
    let ids: Vec<&str> = questions.iter().map(|question| question.id.as_str()).collect();
    assert_eq!(ids[..3], ["pope/1", "pope/2", "pope/coco_pope_popular/1"]);
    assert_eq!(questions[2].says("category"), "popular");
    // Adversarial: both right. Popular: always yes. Random: nothing is said.
    let said = ["Yes, there is.", "No.", "yes", "Yes, there is no doubt", "", "not sure"];
    let rows: Vec<Row> = questions.iter().zip(said).map(|(q, text)| row(q, text)).collect();
    let scores =
        |name: &str| score(&eval(&[name], &[("pope", "pope")]), &questions, &rows, &[]).unwrap().0;
    let ours = scores("pope");
    assert_eq!(value(&ours, "adversarial", "f1"), 1.0);
    assert!((value(&ours, "popular", "f1") - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(value(&ours, "random", "f1"), 0.0);
    assert!((value(&ours, "all", "mean_f1") - 5.0 / 9.0).abs() < 1e-12);
    assert_eq!(value(&ours, "random", "unparsable"), 1.0);
    // Everything without a no is yes there: "" too, and "there is no doubt" is not.
    let theirs = scores("pope_internvl");
    assert_eq!(value(&theirs, "popular", "f1"), 1.0);
    assert_eq!(value(&theirs, "random", "f1"), 1.0);
    let words = scores("pope_vlmevalkit");
    assert_eq!(value(&words, "popular", "unparsable"), 0.5, "yes and no at once");
    let said = folder.fails("pope", "x.jsonl", r#"{"text": "Is there?", "label": "perhaps"}"#);
    assert!(said.contains("`perhaps` is neither yes nor no"), "{said}");
}

fn eval(benchmarks: &[&str], files: &[(&str, &str)]) -> Eval {
    Eval {
        prompts: vec![Prompt::Direct],
        benchmarks: benchmarks.iter().map(|&name| name.to_owned()).collect(),
        files: files.iter().map(|&(name, path)| (name.to_owned(), path.to_owned())).collect(),
        max_tokens: 48,
        batch: 8,
        ..embedded().eval.clone()
    }
}

fn row(question: &Question, text: &str) -> Row {
    let said = matching::Said { text: text.into(), tokens: 4, ended: true };
    Row { answer: matching::answer(question, Prompt::Direct, 0, said), given_percent: 0 }
}

#[track_caller]
fn value(scores: &[Score], task: &str, metric: &str) -> f64 {
    let found = scores.iter().find(|score| score.task == task && score.metric == metric);
    found.unwrap_or_else(|| panic!("{task} has {metric} in {scores:?}")).value
}

/// Questions of the generated families that stand in.
fn stand_ins(benchmark_name: &str, each: u64) -> Vec<Question> {
    let asks = benchmark(benchmark_name).unwrap();
    let of = |family: &'static prefab::tasks::Family| {
        (0..each).map(move |index| {
            let id = format!("test-{}-{index:05}", family.name);
            family.item(0, index).record(id.clone(), format!("{id}.png"), family.name)
        })
    };
    let all = prefab::tasks::FAMILIES.iter().flat_map(of);
    all.filter(|question| asks.selects(question)).collect()
}

#[test]
fn every_stand_in_gives_its_known_answers_full_marks() {
    let stands_in = |name: &str| NEEDED_TASKS.iter().any(|(known, _)| *known == name);
    let filed = prefab::eval::BENCHMARKS.iter().filter(|b| b.file().is_some());
    for benchmark in filed.filter(|b| stands_in(b.name())) {
        let eval = eval(&[benchmark.name()], &[]);
        let asking = Asking::new(&eval, stand_ins(benchmark.name(), 4)).unwrap();
        let asked = asking.of[0].1.iter().map(|&index| &asking.questions[index]);
        let asked: Vec<Question> = asked.cloned().collect();
        let answer = |text: fn(&Question) -> String| -> Vec<Score> {
            let rows: Vec<Row> = asked.iter().map(|q| row(q, &text(q))).collect();
            let mut judge = Judge::nobody(&eval.judge);
            let scored = prefab::eval::scores::score_asked(&eval, &asking, &rows, &[], &mut judge);
            let scored = scored.unwrap();
            let origin: &Origin = &scored.origins[0];
            assert_eq!(origin.questions, "stand-in", "{}", benchmark.name());
            assert_eq!((origin.n, origin.failed, origin.judged), (asked.len(), 0, 0));
            scored.scores
        };
        let first = benchmark.metrics()[0];
        let known = answer(|question| question.answer.clone().unwrap());
        let silent = answer(|_| String::new());
        let of = |scores: &[Score]| {
            let found =
                scores.iter().find(|score| score.task == "all" && score.metric == first.name);
            found.map(|score| score.value)
        };
        let (best, worst) = match benchmark.name() {
            "mmhal" => (6.0, 3.0),
            "llava_bench" => (1.0, 0.1),
            // Nothing is said of an answer that names nothing.
            "object_halbench" => {
                assert_eq!((of(&known), of(&silent)), (Some(0.0), None));
                continue;
            }
            // What says nothing is yes there, and half of the questions' answers.
            // Answers that are words are compared with "None", as the peer does.
            "mathvista_vlmevalkit" => (of(&known).unwrap(), 0.0),
            // A lone known answer is left out of its own comparison, as the peer does.
            "textvqa_vlmevalkit" => (0.0, 0.0),
            "pope_internvl" => (1.0, of(&silent).unwrap()),
            _ => (1.0, 0.0),
        };
        assert_eq!((of(&known), of(&silent)), (Some(best), Some(worst)), "{}", benchmark.name());
    }
}

#[test]
fn relations_stand_in_with_four_wordings() {
    let eval = eval(&["crpe", "m3cot"], &[]);
    let corpus = stand_ins("crpe", 12);
    let asking = Asking::new(&eval, corpus.clone()).unwrap();
    assert_eq!((asking.of[0].1.len(), asking.of[1].1.len()), (48, 12));
    for (rows, original) in asking.of[0].1.chunks(4).zip(&corpus) {
        for (place, &row) in rows.iter().enumerate() {
            let question = &asking.questions[row];
            assert_eq!(question.says("rotation_of"), original.id);
            assert_eq!((&question.answer, &question.images), (&original.answer, &original.images));
            let sides = ["left", "right", "above", "below"];
            assert_eq!(question.choices[0], sides[place]);
            let options = question.choices.join(" ");
            let said: Vec<&str> =
                question.question.split([' ', ',']).filter(|word| sides.contains(word)).collect();
            assert_eq!(said.join(" "), options, "{}", question.question);
        }
    }
}

#[test]
fn other_benchmarks_do_not_ask_what_a_file_holds() {
    let folder = Folder::new();
    let table = format!(
        "index\timage\tquestion\tanswer\tcategory\n1\t{}\tIs there?\tYes\trandom,popular\n",
        base64(1)
    );
    let of_file = folder.reads("pope", "POPE.tsv", &table);
    let all: Vec<Question> = stand_ins("pope", 4).into_iter().chain(of_file).collect();
    let asks = |files: &[(&str, &str)]| {
        let asking = Asking::new(&eval(&["reasoning", "pope"], files), all.clone()).unwrap();
        (asking.of[0].1.len(), asking.of[1].1.len())
    };
    assert_eq!(asks(&[("pope", "POPE.tsv")]), (4, 1));
    let without: Vec<Question> = stand_ins("pope", 4);
    let asking = Asking::new(&eval(&["reasoning", "pope"], &[]), without).unwrap();
    assert_eq!((asking.of[0].1.len(), asking.of[1].1.len()), (4, 4));
}

#[test]
fn questions_survive_the_disk() {
    let folder = Folder::new();
    let table = format!(
        "index\timage\tquestion\tanswer\tcategory\n1\t{}\tIs there?\tYes\trandom\n",
        base64(1)
    );
    let questions = folder.reads("pope", "POPE.tsv", &table);
    let out = folder.0.path();
    prefab::data::questions::write_questions(&out.join("test.jsonl"), &questions).unwrap();
    assert_eq!(read_split(out, Split::Test).unwrap(), questions);
    let plain = Question { id: "a".into(), question: "b".into(), ..Question::default() };
    assert!(!serde_json::to_string(&plain).unwrap().contains("meta"), "old bytes do not change");
}
