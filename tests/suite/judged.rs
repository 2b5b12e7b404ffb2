//! Answers that a judge grades: a server that answers well, badly, late or not at all; what is
//! graded by rule; what a failed judge leaves.

use crate::support::http::{Answer, Asked, Server, question, texts};
use crate::support::judged::{Folder, judged_by};
use crate::support::scores::{row, value};
use prefab::data::questions::write_questions;
use prefab::data::record::Question;
use prefab::data::tokenizer::Tokenizer;
use prefab::eval::asking::Asking;
use prefab::eval::bill::Bill;
use prefab::eval::judging::{By, Judge, Judgement, Used};
use prefab::eval::scores::{self, score_asked};
use prefab::eval::{Row, benchmark};
use prefab::model::{Config, Vlm};
use prefab::spec::candidates::Prompt;
use prefab::spec::embedded;
use prefab::spec::eval::Eval;
use prefab::spec::model::{Dims, Model, Size};
use prefab::stage::{Progress, StageContext};

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
fn a_reply_that_was_cut_off_is_no_grade() {
    let folder = Folder::new();
    let questions = folder.reads("mm_vet", "mm-vet.json", MM_VET);
    let server = Server::start(|_, asked| {
        let Answer::Json(mut reply) = texts(&["0.5"]) else { unreachable!("a reply is JSON") };
        if question(asked).contains("Q1?") {
            reply["choices"][0]["finish_reason"] = "length".into();
        }
        Answer::Json(reply)
    });
    let scored = folder.score("mm_vet", &questions, &["a", "b", "c", "d", "e"], &server);
    assert_eq!(verdicts(&scored.judgements)[..2], [(By::Judge, Some(0.5)), (By::Failed, None)]);
    assert_eq!(scored.judgements[1].reply, "0.5");
    // It was asked for anew, each time warmer.
    assert_eq!(server.count(), 4 + 5);
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
    prefab::data::lines::write(&place("answers").join("answers.jsonl"), &rows).unwrap();
    let ctx = StageContext {
        inputs: ["corpus", "benchmarks", "answers"].map(|r| (r.to_owned(), place(r))).into(),
        out: place("out"),
        work: place("scores"),
        replies: place("replies"),
        device: tch::Device::Cpu,
        progress: Progress::Silent,
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
        prefab::data::lines::read(&ctx.out.join("judgements.jsonl")).unwrap();
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
