//! The corpus stage, generated and from files.

use crate::support::files::{message, write};
use crate::support::small;
use prefab::data::questions::read_split;
use prefab::data::record::Question;
use prefab::data::template::Prompter;
use prefab::spec::candidates::Prompt;
use prefab::spec::corpus::{Corpus, Files};
use prefab::spec::eval::Split;
use prefab::stage::{Progress, StageContext};
use prefab::tasks::{FAMILIES, Family};
use std::path::Path;

/// Paths of the questions' pictures, each once.
fn paths(questions: &[Question]) -> Vec<String> {
    let paths = questions.iter().flat_map(|question| &question.images);
    paths.cloned().collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

fn context(out: &Path) -> StageContext {
    StageContext {
        inputs: [("corpus".to_owned(), out.to_owned())].into(),
        out: out.to_owned(),
        work: out.to_owned(),
        replies: out.to_owned(),
        device: tch::Device::Cpu,
        progress: Progress::Silent,
    }
}

fn generated(questions: usize) -> Corpus {
    Corpus {
        seed: 0,
        base: questions,
        train: questions / 2,
        validation: 11,
        test: 22,
        tasks: FAMILIES.iter().map(|family| family.name.to_owned()).collect(),
        files: None,
    }
}

#[test]
fn a_generated_corpus_is_the_same_twice_and_its_tokenizer_gives_back_every_text() {
    let [one, two] = [0, 1].map(|_| tempfile::tempdir().unwrap());
    for dir in [&one, &two] {
        prefab::tasks::corpus::run(&generated(220), &context(dir.path())).unwrap();
    }
    let tokenizer = small::tokenizer(one.path());
    let prompter = Prompter::new(&tokenizer, "plain", 16).unwrap();
    for split in Split::ALL {
        let file = format!("{}.jsonl", split.name());
        let bytes = |dir: &Path| std::fs::read(dir.join(&file)).unwrap();
        assert_eq!(bytes(one.path()), bytes(two.path()));
        for question in read_split(one.path(), split).unwrap() {
            let picture = |dir: &Path| std::fs::read(dir.join(&question.images[0])).unwrap();
            assert_eq!(picture(one.path()), picture(two.path()));
            let truth = question.generated.unwrap();
            for text in [&question.question, &truth.rationale, &truth.sloppy.unwrap()] {
                let ids = prompter.encode_answer(text);
                assert_eq!(&tokenizer.decode(&ids), text);
                assert_eq!(*ids.last().unwrap(), tokenizer.eos());
            }
            for prompt in [Prompt::Direct, Prompt::Cot] {
                let text = prompter.question_text(&question.question, 1, prompt);
                assert!(text.starts_with("<image>\n"));
                let ids = prompter.encode_prompt(&text, 1).unwrap();
                let images = ids.iter().filter(|id| **id == tokenizer.image_context()).count();
                assert_eq!(images, 16);
                assert!(ids.len() - 18 <= 24, "{text}");
                assert_eq!(prompter.encode_prompt(&text, 0).unwrap(), ids[18..]);
            }
        }
    }
}

#[test]
fn a_split_keeps_its_questions_whatever_the_size_of_another() {
    let [small, large] = [0, 1].map(|_| tempfile::tempdir().unwrap());
    prefab::tasks::corpus::run(&generated(22), &context(small.path())).unwrap();
    prefab::tasks::corpus::run(&generated(44), &context(large.path())).unwrap();
    let [few, many] = [&small, &large].map(|dir| read_split(dir.path(), Split::Base).unwrap());
    assert_eq!(few, many[..few.len()]);
    let [one, other] = [&small, &large].map(|dir| read_split(dir.path(), Split::Test).unwrap());
    assert_eq!(one, other);
    // Families take turns.
    let tasks: Vec<&str> = few.iter().map(|question| question.task.as_str()).collect();
    assert_eq!(tasks[..11], FAMILIES.iter().map(|family| family.name).collect::<Vec<_>>());
}

#[test]
fn an_unknown_or_repeated_family_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut corpus = generated(4);
    corpus.tasks = vec!["coutn".into()];
    let error = prefab::tasks::corpus::run(&corpus, &context(dir.path())).unwrap_err();
    assert_eq!(error.to_string(), "`coutn` is not a task family");
    assert!(error.hint_text().unwrap().contains("`count`"));
    corpus.tasks = vec!["count".into(), "chart".into(), "count".into()];
    let error = prefab::tasks::corpus::run(&corpus, &context(dir.path())).unwrap_err();
    assert_eq!(error.to_string(), "`count` is listed twice");
}

/// A folder with two pictures and JSONL files, and the spec that reads it.
fn on_disk(train: &str, test: &str) -> (tempfile::TempDir, Corpus) {
    let dir = tempfile::tempdir().unwrap();
    for (index, name) in (0..).zip(["a.png", "deep/b.png"]) {
        let png = Family::named("count").unwrap().item(0, index).picture.png().unwrap();
        let path = write(dir.path(), name, "");
        std::fs::write(path, png).unwrap();
    }
    write(dir.path(), "train.jsonl", train);
    write(dir.path(), "test.jsonl", test);
    let files = Files {
        root: dir.path().to_string_lossy().into_owned(),
        base: None,
        train: "train.jsonl".into(),
        validation: None,
        test: "test.jsonl".into(),
    };
    let corpus = Corpus { base: 9, train: 9, test: 9, files: Some(files), ..generated(0) };
    (dir, corpus)
}

const ROW: &str = r#"{"image": "a.png", "question": "What is it?", "answer": 3}"#;

#[test]
fn files_on_disk_become_a_corpus() {
    let train = format!("\u{feff}{ROW}\r\n\r\n{}\r\n", ROW.replace("a.png", "deep/b.png"));
    let (_dir, corpus) = on_disk(&train, &format!("{ROW}\n"));
    let out = tempfile::tempdir().unwrap();
    prefab::tasks::corpus::run(&corpus, &context(out.path())).unwrap();
    let questions = read_split(out.path(), Split::Train).unwrap();
    assert_eq!(questions.len(), 2);
    assert_eq!(questions[1].images, ["images/deep/b.png"]);
    assert_eq!(questions[1].answer.as_deref(), Some("3"));
    assert_eq!(questions[1].id, "train-3");
    assert_eq!(questions[1].task, "train");
    assert!(read_split(out.path(), Split::Validation).unwrap().is_empty());
    let pixels = prefab::data::image::pixels(&out.path().join("images/a.png"), 64).unwrap();
    assert_eq!(pixels.size(), [3, 64, 64]);
    let both = prefab::data::image::batch(out.path(), &["images/a.png"; 2], 64).unwrap();
    assert_eq!(both.get(1), pixels);
    let smaller = prefab::data::image::pixels(&out.path().join("images/a.png"), 32).unwrap();
    assert_eq!(smaller.size(), [3, 32, 32]);
}

#[test]
fn a_limit_takes_a_fixed_choice_of_rows_in_file_order() {
    let rows: String =
        (0..50).map(|id| ROW.replace('{', &format!("{{\"id\": {id}, ")) + "\n").collect();
    let (_dir, mut corpus) = on_disk(&rows, ROW);
    corpus.train = 7;
    let ids = |corpus: &Corpus| -> Vec<usize> {
        let out = tempfile::tempdir().unwrap();
        prefab::tasks::corpus::run(corpus, &context(out.path())).unwrap();
        let questions = read_split(out.path(), Split::Train).unwrap();
        questions.iter().map(|question| question.id.parse().unwrap()).collect()
    };
    let chosen = ids(&corpus);
    assert_eq!(chosen.len(), 7);
    assert!(chosen.is_sorted());
    assert_eq!(chosen, ids(&corpus));
    corpus.seed = 1;
    assert_ne!(chosen, ids(&corpus));
}

#[track_caller]
fn refused(train: &str, damage: impl Fn(&Path), part: &str) {
    let (dir, corpus) = on_disk(train, ROW);
    damage(dir.path());
    let out = tempfile::tempdir().unwrap();
    let error = message(prefab::tasks::corpus::run(&corpus, &context(out.path())));
    assert!(error.contains(part), "{error}");
}

#[test]
fn bad_files_are_named_with_row_and_count() {
    let nothing = |_: &Path| ();
    refused(&format!("{ROW}\n{{\"question\": 1}}\n"), nothing, "train.jsonl:2:");
    refused(&format!("{ROW}\nnot json\n"), nothing, "train.jsonl:2:");
    refused("{\"question\": \" \"}", nothing, "train.jsonl:1: the question is empty");
    refused("{\"image\": \"a.png\"}", nothing, "missing field `question`");
    let twice = ROW.replace('{', "{\"id\": \"x\", ");
    refused(
        &format!("{twice}\n{twice}"),
        nothing,
        "train.jsonl:2: the id `x` is already on line 1",
    );
    let missing = ROW.replace("a.png", "c.png");
    refused(&missing, nothing, "train.jsonl:1: picture `c.png` cannot be opened");
    let three = format!("{ROW}\n{missing}\n{}", ROW.replace("a.png", "d.png"));
    refused(&three, nothing, "2 of 3 pictures are faulty:\n");
    refused(&three, nothing, "train.jsonl:3: picture `d.png` cannot be opened");
    refused(&ROW.replace("a.png", "../a.png"), nothing, "leaves the root");
    refused(&ROW.replace("a.png", "/etc/hostname"), nothing, "leaves the root");
    let truncate = |dir: &Path| {
        let bytes = std::fs::read(dir.join("a.png")).unwrap();
        std::fs::write(dir.join("a.png"), &bytes[..bytes.len() / 2]).unwrap();
    };
    refused(ROW, truncate, "a.png cannot be decoded");
    let text = |dir: &Path| std::fs::write(dir.join("a.png"), "no picture").unwrap();
    refused(ROW, text, "a.png cannot be decoded");
    let outside = tempfile::NamedTempFile::new().unwrap();
    let link = |dir: &Path| {
        std::fs::remove_file(dir.join("a.png")).unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.join("a.png")).unwrap();
    };
    refused(ROW, link, "leaves the root");
    refused(ROW, |dir| std::fs::remove_file(dir.join("train.jsonl")).unwrap(), "train.jsonl");
}

#[test]
fn a_question_in_two_splits_is_refused() {
    let (_dir, mut corpus) = on_disk(ROW, ROW);
    corpus.files.as_mut().unwrap().test = "train.jsonl".into();
    let out = tempfile::tempdir().unwrap();
    let error = message(prefab::tasks::corpus::run(&corpus, &context(out.path())));
    assert!(error.contains("train.jsonl:1: the id `train-1` is in"), "{error}");
}

#[test]
#[ignore = "needs data/easy-vqa: ./just easy-vqa"]
fn easy_vqa_is_read_from_disk() {
    let files = Files {
        root: "data/easy-vqa".into(),
        base: Some("base.jsonl".into()),
        train: "train.jsonl".into(),
        validation: Some("validation.jsonl".into()),
        test: "test.jsonl".into(),
    };
    let all = 100_000;
    let limits = Corpus { base: all, train: 6000, validation: all, test: all, ..generated(0) };
    let out = tempfile::tempdir().unwrap();
    let corpus = Corpus { files: Some(files), ..limits };
    prefab::tasks::corpus::run(&corpus, &context(out.path())).unwrap();
    let counts = Split::ALL.map(|split| read_split(out.path(), split).unwrap().len());
    assert_eq!(counts, [23_017, 6000, 3888, 9673]);
    let tokenizer = small::tokenizer(out.path());
    assert!(tokenizer.vocabulary() < 100, "{}", tokenizer.vocabulary());
    let questions = read_split(out.path(), Split::Test).unwrap();
    let pictures = paths(&questions);
    assert_eq!(pictures.len(), 1000);
    let pixels = prefab::data::image::batch(out.path(), &pictures, 64).unwrap();
    assert_eq!(pixels.size(), [1000, 3, 64, 64]);
}
