//! Readers, tokenizer, templates and the corpus stage, on real files.

use prefab::data::pairs::{DataSet, read_meta, read_pairs, write_meta, write_pairs};
use prefab::data::questions::{Pictures, read_questions, read_split, write_questions};
use prefab::data::record::{Images, Question};
use prefab::data::template::{Prompter, TEMPLATES};
use prefab::data::tokenizer::Tokenizer;
use prefab::run::stage::{Progress, StageContext};
use prefab::spec::candidates::Prompt;
use prefab::spec::corpus::{Corpus, Files};
use prefab::spec::eval::Split;
use prefab::tasks::{FAMILIES, Family};
use std::path::{Path, PathBuf};

fn context(out: &Path) -> StageContext {
    StageContext {
        inputs: [("corpus".to_owned(), out.to_owned())].into(),
        out: out.to_owned(),
        work: out.to_owned(),
        device: tch::Device::Cpu,
        progress: Progress::silent(),
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

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

fn message<T>(result: prefab::Result<T>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn a_generated_corpus_is_the_same_twice_and_its_tokenizer_gives_back_every_text() {
    let [one, two] = [0, 1].map(|_| tempfile::tempdir().unwrap());
    for dir in [&one, &two] {
        prefab::tasks::corpus::run(&generated(220), &context(dir.path())).unwrap();
    }
    let tokenizer = Tokenizer::of_corpus(one.path(), "plain").unwrap();
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
                let text = prompter.question_text(&question.question, prompt);
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
    let error = message(prefab::data::image::pixels(&out.path().join("images/a.png"), 32));
    assert!(error.ends_with("is 64×64, and the model's side is 32"), "{error}");
}

#[test]
fn a_limit_takes_a_fixed_choice_of_rows_in_file_order() {
    let rows: String =
        (0..50).map(|id| ROW.replace('{', &format!("{{\"id\": {id}, ")) + "\n").collect();
    let (_dir, mut corpus) = on_disk(&rows, &rows);
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
    refused(&missing, nothing, "1 of 1 pictures are faulty\n  question `train-1`: picture `c.png`");
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
fn a_decompression_bomb_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    // A PNG header that promises 30,000 × 30,000 pixels of RGBA.
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(30_000u32.to_be_bytes().repeat(2));
    bytes.extend([8, 6, 0, 0, 0]);
    let checksum = bytes[12..].iter().fold(u32::MAX, |mut crc, byte| {
        crc ^= u32::from(*byte);
        (0..8).for_each(|_| crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1)));
        crc
    });
    bytes.extend((!checksum).to_be_bytes());
    bytes.extend(b"\0\0\0\0IDAT");
    let path = dir.path().join("bomb.png");
    std::fs::write(&path, bytes).unwrap();
    let error = message(prefab::data::image::decode(&path));
    assert!(error.contains("bomb.png cannot be decoded") && error.contains("limit"), "{error}");
}

#[test]
fn pairs_and_meta_are_mmprs_records() {
    let dir = tempfile::tempdir().unwrap();
    let line = concat!(
        r#"{"image":"images/a.png","question":"<image>\nWhat?","chosen":"a\nb","rejected":"c","answer_gt":"3"}"#,
        "\n",
        r#"{"image":["a.png","b.png"],"question":"<image><image>","chosen":"x","rejected":"y"}"#,
        "\n",
        r#"{"question":"text only","chosen":"x","rejected":"y","chosen_meta":{"sample":2}}"#,
        "\n"
    );
    let path = write(dir.path(), "p.jsonl", line);
    let pairs = read_pairs(&path).unwrap();
    assert_eq!(pairs[0].image, Images(vec!["images/a.png".into()]));
    assert_eq!(pairs[1].image.0.len(), 2);
    assert_eq!(pairs[2].image, Images::default());
    let again = dir.path().join("again.jsonl");
    write_pairs(&again, &pairs).unwrap();
    assert_eq!(std::fs::read_to_string(&again).unwrap(), line);
    // What InternVL writes besides is tolerated; a missing answer is not.
    let extra =
        write(dir.path(), "e.jsonl", &line.replace("\"rejected\"", "\"length\":3,\"rejected\""));
    assert_eq!(read_pairs(&extra).unwrap(), pairs);
    let short =
        write(dir.path(), "s.jsonl", &format!("{line}{{\"question\":\"q\",\"chosen\":\"x\"}}\n"));
    assert!(message(read_pairs(&short)).contains("s.jsonl:4:"));

    let entry = DataSet {
        root: "images".into(),
        annotation: "p.jsonl".into(),
        data_augment: false,
        max_dynamic_patch: None,
        repeat_time: 1.into(),
        length: 3,
    };
    let meta = dir.path().join("meta.json");
    let sets = [("zeta".to_owned(), entry.clone()), ("alpha".to_owned(), entry)];
    write_meta(&meta, &sets).unwrap();
    assert_eq!(read_meta(&meta).unwrap(), sets);
    assert_eq!(prefab::data::pairs::annotation_path(&meta, &sets[0].1), path);
    let comma = write(dir.path(), "comma.json", "{\"a\": {\"root\": \"\"},}");
    let error = read_meta(&comma).unwrap_err();
    assert!(error.to_string().contains("comma.json") && error.to_string().contains("line 1"));
    let lacking = write(dir.path(), "l.json", "{\"a\": {\"root\": \"\", \"length\": 1}}");
    assert!(message(read_meta(&lacking)).contains("data set `a`: missing field `annotation`"));
}

#[test]
fn questions_survive_writing_and_pictures_keep_their_first_order() {
    let dir = tempfile::tempdir().unwrap();
    let about = |id: &str, images: &[&str]| Question {
        id: id.into(),
        images: images.iter().map(ToString::to_string).collect(),
        question: "What?".into(),
        task: "t".into(),
        source: "s".into(),
        ..Question::default()
    };
    let questions = [about("1", &["z.png", "a.png"]), about("2", &[]), about("3", &["a.png"])];
    let path = dir.path().join("q.jsonl");
    write_questions(&path, &questions).unwrap();
    assert_eq!(read_questions(&path).unwrap(), questions);
    let pictures = Pictures::of(&questions);
    assert_eq!(pictures.paths(), ["z.png", "a.png"]);
    assert_eq!(pictures.row("a.png"), Some(1));
    assert_eq!(pictures.row("b.png"), None);
}

#[test]
fn any_text_of_known_pieces_is_given_back_exactly() {
    let texts = [
        "",
        " ",
        "  two  spaces ",
        "\n",
        "\n\nline\n breaks \n",
        "a1 red circle 12, 345.",
        "x\ty",
        "Final answer: 7",
        "naïve Größe 東京 don't",
        "3+4=7 (no spaces)",
        "end ",
    ];
    let tokenizer = Tokenizer::build(texts);
    let dir = tempfile::tempdir().unwrap();
    tokenizer.save(dir.path()).unwrap();
    let loaded = Tokenizer::load(dir.path()).unwrap();
    for text in texts {
        let ids = tokenizer.encode_known(text).unwrap();
        assert_eq!(tokenizer.decode(&ids), text, "{ids:?}");
        assert_eq!(loaded.encode(text), ids);
    }
    // A word is one token wherever it stands; numbers never seen can be written.
    assert_eq!(tokenizer.encode("red").as_slice(), &tokenizer.encode("a1 red")[1..]);
    assert_eq!(tokenizer.encode("line")[0], tokenizer.encode("\nline")[2]);
    assert_eq!(tokenizer.decode(&tokenizer.encode_known("9086").unwrap()), "9086");
    let error = message(tokenizer.encode_known("a1 crimson circle"));
    assert_eq!(error, "the word `crimson` is not in the vocabulary");
    assert_eq!(Tokenizer::build(texts.into_iter().rev()).encode("red"), tokenizer.encode("red"));
}

#[test]
fn pictures_and_markers_must_agree() {
    let tokenizer = Tokenizer::build(["What is it? Answer directly.", "\n"]);
    let prompter = Prompter::new(&tokenizer, "plain", 4).unwrap();
    let text = prompter.question_text_with("What is it?", 0, Prompt::Direct);
    assert_eq!(text, "What is it?\nAnswer directly.");
    assert!(message(prompter.encode_prompt(&text, 1)).starts_with("a question has 0 `<image>`"));
    assert!(message(Prompter::new(&tokenizer, "plane", 4)).contains("`plane`"));
    assert!(TEMPLATES.iter().any(|template| template.name == "internvl2_5"));
}
