//! The features and candidates stages on a small generated corpus, with a kill in between.

use crate::support::small::{self, Small};
use prefab::data::image::View;
use prefab::data::questions::read_split;
use prefab::data::record::{Answer, Verdict};
use prefab::data::{image, record::Question};
use prefab::model::{Config, Features, Pictures, Tower, Vlm, features};
use prefab::sample::candidates;
use prefab::spec::candidates::{Candidates, Prompt};
use prefab::spec::corpus::Corpus;
use prefab::spec::eval::Split;
use prefab::spec::model::{Dims, Model, Module, Size};
use prefab::spec::number::{Fraction, Positive};
use std::path::Path;
use tch::Device;

/// A store with a corpus and an untrained base that cuts pictures into so many tiles.
fn store(max_tiles: usize) -> Small {
    let store = Small::empty();
    let corpus = Corpus {
        seed: 0,
        base: 30,
        train: 12,
        validation: 3,
        test: 5,
        tasks: ["count", "exists", "describe"].map(str::to_owned).to_vec(),
        files: None,
    };
    prefab::tasks::corpus::run(&corpus, &store.stage("corpus", &[])).unwrap();
    let tokenizer = small::tokenizer(&store.path("corpus"));
    let model = Model { max_tiles: std::num::NonZero::new(max_tiles), ..model() };
    let config = Config::of(&model, tokenizer.vocabulary(), tokenizer.image_context()).unwrap();
    let base = store.stage("base", &[]).out;
    Vlm::new(config, 0, Device::Cpu).save(&base).unwrap();
    tokenizer.save(&base).unwrap();
    store
}

fn model() -> Model {
    Model {
        size: Size::Tiny,
        checkpoint: None,
        dims: Dims::default(),
        train: vec![Module::Projector, Module::Language],
        lora: None,
        max_tiles: None,
        template: None,
        precision: None,
    }
}

fn settings() -> Candidates {
    Candidates {
        seed: 4,
        per_question: 3,
        temperature: Positive::try_from(1.0).unwrap(),
        top_k: 0,
        top_p: Fraction::try_from(1.0).unwrap(),
        max_tokens: 24,
        prompt: Prompt::Cot,
        // Chunks of six questions.
        batch: 2,
        ..prefab::spec::embedded().candidates.clone()
    }
}

fn answers(path: &Path) -> Vec<Answer> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn features_are_what_the_tower_sees_in_order_of_first_appearance() {
    let store = store(1);
    features::run(&model(), &store.stage("features", &["corpus", "base"])).unwrap();
    let opened = Features::open(&store.path("features")).unwrap();
    let vlm = Vlm::load(&store.path("base"), Device::Cpu).unwrap();
    for split in [Split::Train, Split::Validation, Split::Test] {
        let questions: Vec<Question> = read_split(&store.path("corpus"), split).unwrap();
        assert_eq!(opened.rows_of(split, &View::one(&questions[0].images[0])).unwrap(), 0..1);
        let picture = &questions.last().unwrap().images[0];
        let row = opened.rows_of(split, &View::one(picture)).unwrap();
        let rows = opened.rows(split, [row.start, 0]);
        assert_eq!(rows.size(), [2, 16, 384]);
        let pixels = image::pixels(&store.path("corpus").join(picture), 64).unwrap();
        let seen = tch::no_grad(|| vlm.image_features(&pixels.unsqueeze(0)));
        let off = (rows.narrow(0, 0, 1) - seen).abs().max().double_value(&[]);
        assert!(off < 1e-5, "{off}");
    }
    assert!(opened.rows_of(Split::Train, &View::one("elsewhere.png")).is_err());
}

/// Puts a question about a wide picture and one about that and a tall one in front of a split.
fn put_odd_pictures_first(corpus: &Path) {
    let save = |name: &str, width: u32, height: u32| {
        let colour = |x: u32, y: u32| ::image::Rgb([(x % 251) as u8, (y % 241) as u8, 90]);
        ::image::RgbImage::from_fn(width, height, colour).save(corpus.join(name)).unwrap();
    };
    save("wide.png", 300, 100);
    save("tall.png", 64, 128);
    let mut questions = read_split(corpus, Split::Train).unwrap();
    let asked = |id: &str, images: &[&str]| Question {
        id: id.to_owned(),
        images: images.iter().map(ToString::to_string).collect(),
        ..questions[0].clone()
    };
    let one = asked("one", &["wide.png"]);
    let mut two = asked("two", &["wide.png", "tall.png"]);
    two.question = format!("<image>\n<image>\n{}", two.question);
    questions.splice(0..0, [one, two]);
    prefab::data::questions::write_questions(&corpus.join("train.jsonl"), &questions).unwrap();
}

#[test]
fn a_picture_is_cut_by_its_share_of_the_tiles_and_seen_the_same_with_and_without_features() {
    let store = store(4);
    let corpus = store.path("corpus");
    put_odd_pictures_first(&corpus);
    features::run(&model(), &store.stage("features", &["corpus", "base"])).unwrap();
    let opened = Features::open(&store.path("features")).unwrap();
    let view = |path: &str, max_tiles| View { path: path.to_owned(), max_tiles };
    // 3 : 1 is three tiles and a thumbnail; one of two pictures has two tiles at most, and the
    // nearest shape of two is 2 : 1.
    let rows = |view| opened.rows_of(Split::Train, &view).unwrap();
    assert_eq!(rows(view("wide.png", 4)), 0..4);
    assert_eq!(rows(view("wide.png", 2)), 4..7);
    assert_eq!(rows(view("tall.png", 2)), 7..10);
    assert!(opened.rows_of(Split::Train, &view("tall.png", 4)).is_err(), "nobody shows it so");

    let vlm = Vlm::load(&store.path("base"), Device::Cpu).unwrap();
    let questions = read_split(&corpus, Split::Train).unwrap();
    let shown = || questions.iter().map(|q| vlm.config.tiling().views(&q.images));
    let views: Vec<View> = shown().flatten().collect();
    let see = |inputs: &[&str]| {
        let ctx = store.stage("see", inputs);
        let pictures =
            Pictures::open(&ctx, &vlm.config, Split::Train, Tower::Frozen, &views).unwrap();
        pictures.see_as(&vlm, shown()).unwrap()
    };
    let (cached, encoded) = (see(&["corpus", "features"]), see(&["corpus"]));
    assert_eq!(cached.counts[..3], [vec![4], vec![3, 3], vec![1]]);
    assert_eq!(cached.tiles[..3], [0..4, 4..10, 10..11]);
    assert_eq!((&cached.counts, &cached.tiles), (&encoded.counts, &encoded.tiles));
    let off = (cached.features - encoded.features).abs().max().double_value(&[]);
    assert!(off < 1e-5, "{off}");

    // Every image token of the longer prompts gets its feature: the decoder refuses otherwise.
    candidates::run(&settings(), &store.stage("cached", &["corpus", "base", "features"])).unwrap();
    candidates::run(&settings(), &store.stage("encoded", &["corpus", "base"])).unwrap();
    let file = "candidates.jsonl";
    assert_eq!(store.bytes("cached", file), store.bytes("encoded", file));
    let sampled = answers(&store.path("cached").join(file));
    assert_eq!(sampled.len(), 14 * 3);
}

#[test]
fn candidates_are_the_same_bytes_after_a_kill_and_without_features() {
    let store = store(1);
    features::run(&model(), &store.stage("features", &["corpus", "base"])).unwrap();
    let inputs = ["corpus", "base", "features"];
    candidates::run(&settings(), &store.stage("whole", &inputs)).unwrap();
    let sampled = answers(&store.path("whole").join("candidates.jsonl"));
    let questions = read_split(&store.path("corpus"), Split::Train).unwrap();
    let expected: Vec<(&str, usize)> =
        questions.iter().flat_map(|q| (0..3).map(|k| (q.id.as_str(), k))).collect();
    let found: Vec<(&str, usize)> =
        sampled.iter().map(|answer| (answer.question.as_str(), answer.sample)).collect();
    assert_eq!(found, expected);
    for (answer, question) in sampled.iter().zip(questions.iter().flat_map(|q| [q; 3])) {
        assert_eq!(answer.verdict.is_none(), question.task == "describe");
        assert!(answer.tokens <= 24 && (answer.ended || answer.tokens == 24));
        let unparsable = answer.verdict == Some(Verdict::Unparsable);
        assert!(!unparsable || answer.final_answer.is_none());
    }

    // The first chunk was finished, the second one cut off in the middle of a write.
    let killed = store.stage("killed", &inputs);
    let first = "candidates-000000.jsonl";
    std::fs::copy(store.work("whole").join(first), killed.work.join(first)).unwrap();
    std::fs::write(killed.work.join("candidates-000001.unfinished"), "{\"question\":").unwrap();
    let before = std::fs::metadata(killed.work.join(first)).unwrap().modified().unwrap();
    candidates::run(&settings(), &killed).unwrap();
    let after = std::fs::metadata(killed.work.join(first)).unwrap().modified().unwrap();
    assert_eq!(before, after, "a finished chunk is not sampled again");
    for file in ["candidates.jsonl", "stats.csv"] {
        assert_eq!(store.bytes("whole", file), store.bytes("killed", file), "{file}");
    }

    candidates::run(&settings(), &store.stage("blind", &["corpus", "base"])).unwrap();
    assert_eq!(store.bytes("whole", "candidates.jsonl"), store.bytes("blind", "candidates.jsonl"));

    let table = String::from_utf8(store.bytes("whole", "stats.csv")).unwrap();
    let mut lines = table.lines();
    assert!(lines.next().unwrap().starts_with("task,questions,answers,accuracy,any_right"));
    assert!(lines.next().unwrap().starts_with("all,12,36,"), "{table}");
    assert!(table.contains("\ndescribe,4,12,,,,,"), "{table}");
}
