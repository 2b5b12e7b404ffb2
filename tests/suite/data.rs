//! Readers, tokenizer and templates, on real files.

use crate::support::files::{message, write};
use prefab::data::lines;
use prefab::data::pairs::{DataSet, read_meta, write_meta};
use prefab::data::questions::{read_questions, write_questions};
use prefab::data::record::{Images, Pair, Question};
use prefab::data::template::{Prompter, TEMPLATES};
use prefab::data::tokenizer::Tokenizer;
use prefab::spec::candidates::Prompt;
use std::path::Path;

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
    let pairs = lines::read::<Pair>(&path).unwrap();
    assert_eq!(pairs[0].image, Images(vec!["images/a.png".into()]));
    assert_eq!(pairs[1].image.0.len(), 2);
    assert_eq!(pairs[2].image, Images::default());
    let again = dir.path().join("again.jsonl");
    lines::write(&again, &pairs).unwrap();
    assert_eq!(std::fs::read_to_string(&again).unwrap(), line);
    // What InternVL writes besides is tolerated; a missing answer is not.
    let extra =
        write(dir.path(), "e.jsonl", line.replace("\"rejected\"", "\"length\":3,\"rejected\""));
    assert_eq!(lines::read::<Pair>(&extra).unwrap(), pairs);
    let short =
        write(dir.path(), "s.jsonl", format!("{line}{{\"question\":\"q\",\"chosen\":\"x\"}}\n"));
    assert!(message(lines::read::<Pair>(&short)).contains("s.jsonl:4:"));

    let entry = DataSet {
        root: "images".into(),
        annotation: "p.jsonl".into(),
        data_augment: false,
        max_dynamic_patch: None,
        repeat_time: 1.into(),
        length: Some(3),
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
    let text = prompter.question_text("What is it?", 0, Prompt::Direct);
    assert_eq!(text, "What is it?\nAnswer directly.");
    assert!(message(prompter.encode_prompt(&text, 1)).starts_with("a question has 0 `<image>`"));
    assert!(message(Prompter::new(&tokenizer, "plane", 4)).contains("`plane`"));
    let error = message(Prompter::new(&tokenizer, "internvl2_5", 1));
    assert!(error.contains("`internvl2_5`") && error.contains("`<|im_start|>`"), "{error}");
    let tokenizer = Path::new("tests/fixtures/internvl/text/tokenizers/qwen2");
    let tokenizer = Tokenizer::load(tokenizer).unwrap();
    let chat = Prompter::new(&tokenizer, "internvl2_5", 1).unwrap();
    let text = chat.render("<image>\nHi", &[2]);
    let turn = "<|im_start|>user\n<img><IMG_CONTEXT><IMG_CONTEXT></img>\nHi<|im_end|>\n";
    assert!(text.ends_with(&format!("<|im_end|>\n{turn}<|im_start|>assistant\n")), "{text}");
    assert!(TEMPLATES.iter().any(|template| template.name == "internvl2_5"));
}
