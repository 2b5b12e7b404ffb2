//! The features and candidates stages on a small generated corpus, with a kill in between.

use prefab::data::questions::read_split;
use prefab::data::record::{Answer, Verdict};
use prefab::data::tokenizer::Tokenizer;
use prefab::data::{image, record::Question};
use prefab::model::{Config, Features, Vlm, features};
use prefab::run::stage::{Progress, StageContext};
use prefab::sample::candidates;
use prefab::spec::candidates::{Candidates, Prompt};
use prefab::spec::corpus::Corpus;
use prefab::spec::eval::Split;
use prefab::spec::model::{Dims, Model, Module, Size};
use prefab::spec::number::{Fraction, Positive};
use std::path::{Path, PathBuf};
use tch::Device;

/// A store of few artifacts, thrown away at the end.
struct Store {
    folder: tempfile::TempDir,
}

impl Store {
    /// With a corpus and an untrained base.
    fn new() -> Self {
        let store = Self { folder: tempfile::tempdir().unwrap() };
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
        let tokenizer = Tokenizer::of_corpus(&store.path("corpus"), "plain").unwrap();
        let config =
            Config::of(&model(), tokenizer.vocabulary(), tokenizer.image_context()).unwrap();
        let base = store.stage("base", &[]).out;
        Vlm::new(config, 0, Device::Cpu).save(&base).unwrap();
        tokenizer.save(&base).unwrap();
        store
    }

    fn path(&self, role: &str) -> PathBuf {
        self.folder.path().join(role)
    }

    fn stage(&self, role: &str, inputs: &[&str]) -> StageContext {
        let (out, work) = (self.path(role), self.path(&format!("{role}.work")));
        std::fs::create_dir_all(&out).unwrap();
        std::fs::create_dir_all(&work).unwrap();
        StageContext {
            inputs: inputs.iter().map(|role| ((*role).to_owned(), self.path(role))).collect(),
            out,
            work,
            device: Device::Cpu,
            progress: Progress::silent(),
        }
    }

    fn bytes(&self, role: &str, file: &str) -> Vec<u8> {
        std::fs::read(self.path(role).join(file)).unwrap()
    }
}

fn model() -> Model {
    Model {
        size: Size::Tiny,
        checkpoint: None,
        dims: Dims::default(),
        train: vec![Module::Projector, Module::Language],
        lora: None,
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
    let store = Store::new();
    features::run(&model(), &store.stage("features", &["corpus", "base"])).unwrap();
    let opened = Features::open(&store.path("features")).unwrap();
    let vlm = Vlm::load(&store.path("base"), Device::Cpu).unwrap();
    for split in [Split::Train, Split::Validation, Split::Test] {
        let questions: Vec<Question> = read_split(&store.path("corpus"), split).unwrap();
        assert_eq!(opened.index_of(split, &questions[0].images[0]).unwrap(), 0);
        let picture = &questions.last().unwrap().images[0];
        let row = opened.index_of(split, picture).unwrap();
        let rows = opened.rows(split, &[row, 0]);
        assert_eq!(rows.size(), [2, 16, 384]);
        let pixels = image::pixels(&store.path("corpus").join(picture), 64).unwrap();
        let seen = tch::no_grad(|| vlm.image_features(&pixels.unsqueeze(0)));
        let off = (rows.narrow(0, 0, 1) - seen).abs().max().double_value(&[]);
        assert!(off < 1e-5, "{off}");
    }
    assert!(opened.index_of(Split::Train, "elsewhere.png").is_err());
}

#[test]
fn candidates_are_the_same_bytes_after_a_kill_and_without_features() {
    let store = Store::new();
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
    std::fs::copy(store.path("whole.work").join(first), killed.work.join(first)).unwrap();
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
