//! The paper's benchmarks in each form that their files have.

use crate::support::benchmark::{Folder, base64, bitmap};
use prefab::data::questions::read_split;
use prefab::data::record::Question;
use prefab::spec::eval::Split;

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
