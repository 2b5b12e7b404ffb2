//! Answers that a judge grades: a server that answers well, badly, late or not at all; what is
//! graded by rule; what a failed judge leaves.

use crate::support::http::{Answer, Asked, Server, question, texts};
use prefab::data::questions::write_questions;
use prefab::data::record::Question;
use prefab::data::tokenizer::Tokenizer;
use prefab::eval::asking::Asking;
use prefab::eval::bill::Bill;
use prefab::eval::judging::{By, Judge, Judgement, Used};
use prefab::eval::scores::{self, Score, Scored, score_asked};
use prefab::eval::{Row, benchmark, files, matching};
use prefab::model::{Config, Vlm};
use prefab::run::stage::{Progress, StageContext};
use prefab::spec::candidates::Prompt;
use prefab::spec::embedded;
use prefab::spec::eval::Eval;
use prefab::spec::model::{Dims, Model, Size};
use prefab::spec::number::NonNegative;
use prefab::spec::server::Server as Table;
use std::path::PathBuf;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    #[track_caller]
    fn reads(&self, name: &str, file: &str, text: &str) -> Vec<Question> {
        let path = self.write(file, text);
        let read = files::read_blind(benchmark(name).unwrap(), &path);
        read.unwrap_or_else(|error| panic!("{error}"))
    }

    fn score(&self, name: &str, questions: &[Question], said: &[&str], server: &Server) -> Scored {
        let eval = judged_by(name, server);
        let rows: Vec<Row> = questions.iter().zip(said).map(|(q, text)| row(q, text)).collect();
        let asking = Asking::new(&eval, questions.to_vec()).unwrap();
        let replies = self.0.path().join("replies");
        let mut judge = Judge::with(&eval.judge, &replies, tch::Device::Cpu).unwrap();
        score_asked(&eval, &asking, &rows, &[], &mut judge).unwrap()
    }
}

fn judged_by(name: &str, server: &Server) -> Eval {
    let mut eval = Eval {
        prompts: vec![Prompt::Direct],
        benchmarks: vec![name.to_owned()],
        files: [(name.to_owned(), "file".to_owned())].into(),
        ..embedded().eval.clone()
    };
    eval.judge.server = Table {
        url: Some(server.url.clone()),
        model: Some("m".to_owned()),
        attempts: 2,
        ..eval.judge.server
    };
    eval.judge.price_read = NonNegative::try_from(10.0).unwrap();
    eval.judge.price_written = NonNegative::try_from(100.0).unwrap();
    eval
}

fn row(question: &Question, text: &str) -> Row {
    let said = matching::Said { text: text.into(), tokens: 3, ended: true };
    Row { answer: matching::answer(question, Prompt::Direct, 0, said), given_percent: 0 }
}

#[track_caller]
fn value(scores: &[Score], task: &str, metric: &str) -> f64 {
    let found = scores.iter().find(|score| score.task == task && score.metric == metric);
    found.unwrap_or_else(|| panic!("{task} has {metric} in {scores:?}")).value
}

fn verdicts(judgements: &[Judgement]) -> Vec<(By, Option<f64>)> {
    let number = |judgement: &Judgement| judgement.grade.as_ref().map(|grade| grade.numbers[0]);
    judgements.iter().map(|judgement| (judgement.by, number(judgement))).collect()
}

const MM_VET: &str = r#"{
    "v1_0": {"imagename": "0.png", "question": "Q0?", "answer": "zero", "capability": ["rec", "ocr"]},
    "v1_1": {"imagename": "1.png", "question": "Q1?", "answer": "one", "capability": ["ocr"]},
    "v1_2": {"imagename": "2.png", "question": "Q2?", "answer": "two", "capability": ["rec"]},
    "v1_3": {"imagename": "3.png", "question": "Q3?", "answer": "a <AND> b", "capability": ["math"]},
    "v1_4": {"imagename": "4.png", "question": "Q4?", "answer": "four", "capability": ["rec"]}
}"#;

/// Q0 is graded at once, Q1 at the second try, Q2 never, Q3 not at all.
fn moody(_: usize, asked: &Asked) -> Answer {
    let text = question(asked);
    let warm = asked.body["temperature"].as_f64().unwrap() > 0.0;
    match (
        ["Q0?", "Q1?", "Q2?", "Q3?"]
            .iter()
            .position(|q| text.contains(&format!("Question: {q} | Known: "))),
        warm,
    ) {
        (Some(0), _) => texts(&["0.5"]),
        (Some(1), false) => texts(&["I would say seven"]),
        (Some(1), true) => texts(&["1.0"]),
        (Some(2), _) => texts(&["1.5"]),
        _ => Answer::Status(500, "", "no".into()),
    }
}

#[test]
fn a_failed_judge_never_becomes_a_score() {
    let folder = Folder::new();
    let questions = folder.reads("mm_vet", "mm-vet.json", MM_VET);
    assert!(questions.iter().all(|question| question.answer.is_none()), "open questions");
    let server = Server::start(moody);
    let said = ["about zero", "one", "two", "a", " "];
    let scored = folder.score("mm_vet", &questions, &said, &server);
    let expected = [
        (By::Judge, Some(0.5)),
        (By::Judge, Some(1.0)),
        (By::Failed, None),
        (By::Failed, None),
        (By::Rule, Some(0.0)), // an empty answer needs no judge
    ];
    assert_eq!(verdicts(&scored.judgements), expected);
    assert!(
        scored.judgements[3].reply.starts_with("no reply: status 500"),
        "{:?}",
        scored.judgements[3]
    );
    assert_eq!(value(&scored.scores, "all", "grade"), 0.5, "the mean of three");
    assert_eq!(value(&scored.scores, "ocr", "grade"), 0.75);
    assert_eq!(value(&scored.scores, "rec_ocr", "grade"), 0.5);
    assert_eq!(value(&scored.scores, "all", "failed"), 0.4);
    assert!(!scored.scores.iter().any(|score| score.task == "math" && score.metric == "grade"));
    assert_eq!(scored.verdicts.len(), 3, "what failed is compared with nothing");
    let origin = &scored.origins[0];
    assert_eq!((origin.by_rule, origin.judged, origin.failed), (1, 2, 2));
    assert_eq!((origin.judge.as_str(), origin.rubric.len()), ("m", 8));
    // Q0 once, Q1 twice, Q2 five times: eight replies of 7 tokens read and 3 written.
    assert_eq!((origin.tokens_read, origin.tokens_written), (56, 24));
    assert!((origin.cost - (56.0 * 10.0 + 24.0 * 100.0) / 1e6).abs() < 1e-12);
    // Q3 had two attempts.
    assert_eq!(server.count(), 8 + 2);

    // A second run asks again only for what has no reply.
    let again = folder.score("mm_vet", &questions, &said, &server);
    assert_eq!(verdicts(&again.judgements), expected);
    assert_eq!(server.count(), 10 + 2);
    let other = folder.score("mm_vet", &questions, &["a", "b", "c", "d", "e"], &server);
    assert_eq!(other.judgements.len(), 5);
    assert!(server.count() > 12, "other answers are other requests");
}

#[test]
fn a_stage_is_done_when_every_reply_is_there() {
    let folder = Folder::new();
    let questions = folder.reads("mm_vet", "mm-vet.json", MM_VET);
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let breaks = broken.clone();
    let server = Server::start(move |_, asked| {
        let text = question(asked);
        let down = breaks.load(std::sync::atomic::Ordering::SeqCst);
        match () {
            () if text.contains("Q0?") => Answer::Status(400, "", "not this picture".into()),
            () if text.contains("Q1?") && down => Answer::Status(503, "", "busy".into()),
            () if text.contains("Q2?") => texts(&["unreadable"]),
            () if text.contains("Q4?") => Answer::Json(serde_json::json!({ "choices": [{
                "message": { "content": null, "refusal": "I will not" }, "finish_reason": "stop" }] })),
            () => texts(&["1.0"]),
        }
    });
    let eval = judged_by("mm_vet", &server);
    let place = |name: &str| {
        let path = folder.0.path().join("work").join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    write_questions(&place("corpus").join("test.jsonl"), &[]).unwrap();
    write_questions(&place("benchmarks").join("test.jsonl"), &questions).unwrap();
    let rows: Vec<Row> = questions.iter().map(|question| row(question, "x")).collect();
    prefab::eval::rows::write(&place("answers").join("answers.jsonl"), &rows).unwrap();
    let ctx = StageContext {
        inputs: ["corpus", "benchmarks", "answers"].map(|r| (r.to_owned(), place(r))).into(),
        out: place("out"),
        work: place("scores"),
        device: tch::Device::Cpu,
        progress: Progress::silent(),
    };
    let error = scores::run(&eval, &ctx).unwrap_err();
    assert!(
        error.to_string().contains("no reply about 1 of 5 answers, such as that to `mm_vet/v1_1`"),
        "{error}"
    );
    assert!(error.hint_text().unwrap().contains("run again"));
    assert!(!ctx.out.join("scores.csv").exists(), "nothing is kept as a result");
    let before = server.count();
    broken.store(false, std::sync::atomic::Ordering::SeqCst);
    scores::run(&eval, &ctx).unwrap();
    // What was refused is asked again, by the model twice, and what had no reply; the rest was kept.
    assert_eq!(server.count() - before, 4);
    let origins = std::fs::read_to_string(ctx.out.join("benchmarks.csv")).unwrap();
    assert!(origins.lines().nth(1).unwrap().contains(",m,"), "{origins}");
    let judged: Vec<Judgement> =
        prefab::eval::rows::read(&ctx.out.join("judgements.jsonl")).unwrap();
    let by: Vec<By> = judged.iter().map(|judgement| judgement.by).collect();
    assert_eq!(by, [By::Failed, By::Judge, By::Failed, By::Judge, By::Failed]);
    assert!(judged[4].reply.starts_with("no reply: a choice has no text"), "{:?}", judged[4]);
}

#[test]
fn a_server_that_is_gone_leaves_no_score_at_all() {
    let folder = Folder::new();
    let questions = folder.reads("mm_vet", "mm-vet.json", MM_VET);
    for fault in [|| Answer::Closed, || Answer::Garbage, || Answer::CutOff] {
        let server = Server::start(move |_, _| fault());
        let scored = folder.score("mm_vet", &questions, &["a", "b", "c", "d", "e"], &server);
        assert_eq!(value(&scored.scores, "all", "failed"), 1.0);
        assert!(!scored.scores.iter().any(|score| score.metric == "grade"));
        assert!(scored.verdicts.is_empty());
    }
}

#[test]
fn without_a_judge_everything_fails_and_says_so() {
    let folder = Folder::new();
    let questions = folder.reads("mm_vet", "mm-vet.json", MM_VET);
    let rows: Vec<Row> = questions.iter().map(|question| row(question, "x")).collect();
    let eval = Eval {
        prompts: vec![Prompt::Direct],
        benchmarks: vec!["mm_vet".to_owned()],
        files: [("mm_vet".to_owned(), "mm-vet.json".to_owned())].into(),
        ..embedded().eval.clone()
    };
    let asking = Asking::new(&eval, questions).unwrap();
    let mut judge = Judge::nobody(&eval.judge);
    let scored = score_asked(&eval, &asking, &rows, &[], &mut judge).unwrap();
    assert_eq!(
        (scored.origins[0].failed, scored.origins[0].questions.as_str()),
        (5, "mm-vet.json")
    );
    assert!(scored.judgements[0].reply.contains("`[eval.judge]` names one"));
}

#[test]
fn a_checkpoint_judges_without_a_server() {
    let folder = Folder::new();
    let questions = folder.reads("mm_vet", "mm-vet.json", MM_VET);
    let rows: Vec<Row> = questions.iter().map(|question| row(question, "x")).collect();
    let mut eval = Eval {
        prompts: vec![Prompt::Direct],
        benchmarks: vec!["mm_vet".to_owned()],
        files: [("mm_vet".to_owned(), "mm-vet.json".to_owned())].into(),
        ..embedded().eval.clone()
    };
    eval.judge.max_tokens = 4;
    // One that knows the words of the rubric, and has learned nothing.
    let grader = benchmark("mm_vet").unwrap().grader().unwrap();
    let rubrics: Vec<String> = questions.iter().map(|q| (grader.ask)(q, "x")).collect();
    let tokenizer = Tokenizer::build(rubrics.iter().map(String::as_str));
    let dims = Dims { width: Some(32), layers: Some(1), mlp: Some(32), ..Dims::default() };
    let size = Model {
        size: Size::Tiny,
        checkpoint: None,
        dims,
        train: Vec::new(),
        ..embedded().model.clone()
    };
    let config = Config::of(&size, tokenizer.vocabulary(), tokenizer.image_context()).unwrap();
    let dir = folder.0.path().join("judge");
    std::fs::create_dir(&dir).unwrap();
    Vlm::new(config, 0, tch::Device::Cpu).save(&dir).unwrap();
    tokenizer.save(&dir).unwrap();
    eval.judge.checkpoint = Some(dir.to_string_lossy().into_owned());
    let asking = Asking::new(&eval, questions).unwrap();
    let score = |eval: &Eval| {
        let mut judge = Judge::with(&eval.judge, folder.0.path(), tch::Device::Cpu)?;
        score_asked(eval, &asking, &rows, &[], &mut judge)
    };
    let scored = score(&eval).unwrap();
    assert!(scored.origins[0].judge.ends_with("judge"));
    for judgement in &scored.judgements {
        let read = (grader.read)(&Question::default(), &judgement.reply);
        assert_eq!(judgement.grade, read, "{judgement:?}");
    }
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/base");
    eval.judge.checkpoint = Some(base.to_owned());
    let error = score(&eval).unwrap_err();
    assert!(error.to_string().contains("is not in the vocabulary"), "{error}");
    assert!(error.hint_text().unwrap().contains("or a server"), "{error:?}");
}

#[test]
fn their_own_prompt_is_asked_whatever_the_spec_says() {
    let folder = Folder::new();
    let question = folder.reads("mm_vet", "mm-vet.json", MM_VET).remove(0);
    assert_eq!((question.says("direct"), question.meta.get("cot").unwrap().as_str()), ("", ""));
    let table = "index\tquestion\tcaption\tgpt4_ans\n0\tQ?\ta cat\tgood\n";
    let [own] = folder.reads("llava_bench", "LLaVABench.tsv", table).try_into().unwrap();
    assert_eq!(own.says("cot"), "Answer this question in detail.");
    // Nor is a marker looked for: the response is the answer.
    let text = "It is red. Final answer: blue";
    let said = |name: &str, question: &Question| {
        let mut row = row(question, text);
        row.answer.prompt = Prompt::Cot;
        benchmark(name).unwrap().grader().unwrap().said(question, &row).to_owned()
    };
    assert_eq!(said("mm_vet", &question), text);
    assert_eq!(said("llava_bench", &own), text);
    assert_eq!(
        said("mm_vet", &Question::default()),
        "blue",
        "generated ones are asked as the spec says"
    );
    let line = r#"{"question": "Q?", "gt_answer": "g", "image_src": "0.png"}"#;
    let [other] = folder.reads("mmhal", "mmhal-bench.jsonl", line).try_into().unwrap();
    assert!(!other.meta.contains_key("cot"));
    assert_eq!(said("mmhal", &other), "blue");
}

#[test]
fn a_bill_says_what_judging_will_cost() {
    let folder = Folder::new();
    let questions = folder.reads("mm_vet", "mm-vet.json", MM_VET);
    let server = Server::start(|_, _| texts(&["0.5"]));
    let mut eval = judged_by("mm_vet", &server);
    let benchmark = benchmark("mm_vet").unwrap();
    let replies = folder.0.path().join("replies");
    let bill = |eval: &Eval, rows: Option<&[Row]>| {
        Bill::new(eval, benchmark, &questions, rows, &replies).unwrap()
    };
    eval.prompts.push(Prompt::Cot);
    let ahead = bill(&eval, None);
    assert_eq!((ahead.calls, ahead.kept, ahead.used.written), (10, 0, 800));
    assert!(ahead.used.read > 2000, "{ahead:?}");
    assert!(!replies.exists(), "nothing is made");
    eval.prompts.pop();
    let said = ["a", "b", "c", "d", " "];
    let rows: Vec<Row> = questions.iter().zip(said).map(|(q, text)| row(q, text)).collect();
    let before = bill(&eval, Some(&rows));
    assert_eq!((before.calls, before.kept), (4, 0), "an empty answer needs no judge");
    folder.score("mm_vet", &questions, &said[..], &server);
    let after = bill(&eval, Some(&rows));
    assert_eq!((after.calls, after.kept, after.used), (4, 4, Used::default()));
}

#[test]
fn answers_are_scored_against_a_reference() {
    let folder = Folder::new();
    let table = "index\tquestion\tcategory\tcaption\tgpt4_ans\timage_path\n\
                 0\tQ0?\tconv\ta cat\tgood\t0.png\n1\tQ1?\tdetail\ta dog\tgood\t1.png\n\
                 2\tQ2?\tcomplex\ta cow\tgood\t2.png\n";
    let questions = folder.reads("llava_bench", "LLaVABench.tsv", table);
    assert_eq!(questions[0].says("direct"), "Answer this question in detail.");
    let server = Server::start(|_, asked| {
        let text = question(asked);
        assert!(text.contains("[Assistant 1]\ngood") && text.contains("[Picture]\na "), "{text}");
        texts(&[match () {
            () if text.contains("Q0?") => "8 4\nBecause.",
            () if text.contains("Q1?") => "Scores: 10, 9\nBecause.",
            () => "Both are fine.",
        }])
    });
    let scored = folder.score("llava_bench", &questions, &["a", "b", "c"], &server);
    assert_eq!(value(&scored.scores, "all", "relative"), 13.0 / 18.0);
    assert_eq!(value(&scored.scores, "conv", "relative"), 0.5);
    assert_eq!(value(&scored.scores, "all", "reference"), 9.0);
    assert_eq!(value(&scored.scores, "complex", "failed"), 1.0);
    assert!(
        !scored.scores.iter().any(|score| score.task == "complex" && score.metric == "relative")
    );
}

#[test]
fn ratings_below_three_are_hallucinations() {
    let folder = Folder::new();
    let lines: String = (0..9)
        .map(|index| {
            format!(
                "{{\"question\": \"Q{index}?\", \"image_content\": [\"dog\", \"tree\"], \
                 \"gt_answer\": \"g\", \"image_src\": \"{index}.png\"}}\n"
            )
        })
        .collect();
    let questions = folder.reads("mmhal", "mmhal-bench_with_image.jsonl", &lines);
    assert_eq!(questions[8].says("question_type"), questions[0].says("question_type"));
    let server = Server::start(|_, asked| {
        let text = question(asked);
        assert!(text.contains("In the picture: dog, tree"), "{text}");
        let number = (0..9).find(|index| text.contains(&format!("Q{index}?"))).unwrap();
        texts(&[&match number {
            0 => "Fine.\nRating: 6".to_owned(),
            1 => "**Rating:** 2".to_owned(),
            2 => "Rating: 3 or Rating: 2".to_owned(), // two ratings are none
            _ => format!("Rating: {}", number.min(5)),
        }])
    });
    let scored = folder.score("mmhal", &questions, &["x"; 9], &server);
    // 6, 2, none, 3, 4 and four times 5.
    assert_eq!(value(&scored.scores, "all", "rating"), 35.0 / 8.0);
    assert_eq!(value(&scored.scores, "all", "hallucination_rate"), 1.0 / 8.0);
    assert_eq!(value(&scored.scores, "all", "failed"), 1.0 / 9.0);
    assert_eq!(value(&scored.scores, "attribute", "rating"), 5.5);
}

#[test]
fn objects_of_a_description_are_looked_up() {
    let folder = Folder::new();
    let synonyms = "dog, puppy\nperson, man, woman\nsofa, couch\ncat, kitten\n";
    folder.write("halbench/synonyms_refine.txt", synonyms);
    folder.write(
        "halbench/annotations/instances_val2014.json",
        r#"{
        "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
        "annotations": [{"image_id": 7, "category_id": 18, "segmentation": [[1, 2]]},
                        {"image_id": 8, "category_id": 1}]}"#,
    );
    folder.write(
        "halbench/annotations/captions_val2014.json",
        r#"{
        "annotations": [{"image_id": 7, "caption": "A puppy sits on a couch."}]}"#,
    );
    let lines = "{\"image_id\": 7, \"question\": \"Describe it.\"}\n{\"image_id\": 8, \"question\": \"Describe it.\"}\n\
                 {\"image_id\": 8, \"question\": \"Describe it well.\"}\n";
    let questions =
        folder.reads("object_halbench", "halbench/obj_halbench_300_with_image.jsonl", lines);
    assert_eq!(questions[0].says("objects"), "[\"dog\",\"sofa\"]");
    let server = Server::start(|_, asked| {
        texts(&[match question(asked).contains("Two puppies") {
            true => "```json\n[\"puppies\", \"couch\", \"kitten\", \"sky\"]\n```",
            false => "[\"man\"]",
        }])
    });
    let said = ["Two puppies on a couch, and a kitten.", "A man stands there.", "Nothing much."];
    let scored = folder.score("object_halbench", &questions, &said, &server);
    assert_eq!(server.count(), 2, "up to three words are not looked at");
    assert_eq!(value(&scored.scores, "all", "response_rate"), 0.5);
    assert_eq!(value(&scored.scores, "all", "mention_rate"), 0.25);
    assert_eq!(value(&scored.scores, "all", "coverage"), 0.75);
    std::fs::remove_file(folder.0.path().join("halbench/annotations/captions_val2014.json"))
        .unwrap();
    let path = folder.0.path().join("halbench");
    let error = files::read_blind(benchmark("object_halbench").unwrap(), &path).unwrap_err();
    assert!(error.to_string().contains("captions_*.json"), "{error}");
    std::fs::remove_file(path.join("synonyms_refine.txt")).unwrap();
    let error = files::read_blind(benchmark("object_halbench").unwrap(), &path).unwrap_err();
    assert!(error.to_string().contains("no synonym list"), "{error}");
}
