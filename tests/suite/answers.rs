//! The answers and scores stages on a small corpus and an untrained model: what is asked,
//! what a killed worker's successor does, what the files hold.

use crate::support::http::{Answer, Server, question, texts};
use crate::support::small;
use prefab::data::lines;
use prefab::data::questions::read_split;
use prefab::data::record::Question;
use prefab::eval::origin::Origin;
use prefab::eval::scores::{QuestionScore, Score};
use prefab::eval::{BENCHMARKS, Likelihood, Row, answers, files, scores};
use prefab::model::{Config, Vlm};
use prefab::spec::benchmarks;
use prefab::spec::candidates::Prompt;
use prefab::spec::corpus::Corpus;
use prefab::spec::eval::{Eval, Split};
use prefab::spec::model::{Dims, Model, Size};
use prefab::stage::{Progress, StageContext};
use std::path::{Path, PathBuf};

/// Four questions of each of three families, and a model that has learned nothing.
struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        Self::of(&["count", "exists", "describe"], 12)
    }

    fn of(tasks: &[&str], test: usize) -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        let corpus = Corpus {
            seed: 0,
            // What a base would learn its words from.
            base: 24 * tasks.len(),
            train: 0,
            validation: 0,
            test,
            tasks: tasks.iter().map(|&task| task.to_owned()).collect(),
            files: None,
        };
        prefab::tasks::corpus::run(&corpus, &world.context("corpus", &[])).unwrap();
        let tokenizer = small::tokenizer(&world.folder("corpus"));
        let small = Dims { width: Some(32), layers: Some(1), mlp: Some(32), ..Dims::default() };
        let model = Model {
            size: Size::Tiny,
            checkpoint: None,
            dims: small,
            train: Vec::new(),
            lora: None,
            max_tiles: None,
            template: None,
            precision: None,
        };
        let config = Config::of(&model, tokenizer.vocabulary(), tokenizer.image_context()).unwrap();
        let folder = world.folder("model");
        Vlm::new(config, 0, tch::Device::Cpu).save(&folder).unwrap();
        tokenizer.save(&folder).unwrap();
        world
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.0.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn context(&self, out: &str, inputs: &[&str]) -> StageContext {
        StageContext {
            inputs: inputs.iter().map(|name| ((*name).to_owned(), self.folder(name))).collect(),
            out: self.folder(out),
            work: self.folder(&format!("work-{out}")),
            replies: self.folder("replies"),
            device: tch::Device::Cpu,
            progress: Progress::Silent,
        }
    }

    fn questions(&self) -> Vec<Question> {
        read_split(&self.folder("corpus"), Split::Test).unwrap()
    }
}

fn eval(benchmarks: &[&str]) -> Eval {
    Eval {
        prompts: vec![Prompt::Direct, Prompt::Cot],
        benchmarks: benchmarks.iter().map(|&name| name.to_owned()).collect(),
        split: Split::Test,
        max_tokens: 48,
        batch: 4,
        every: 0,
        slice: 0,
        ..prefab::spec::embedded().eval.clone()
    }
}

fn bytes(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

#[test]
fn a_server_answers_in_place_of_the_model_and_keeps_what_it_said() {
    let world = World::new();
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let breaks = broken.clone();
    let server = Server::start(move |number, asked| {
        if number == 5 && breaks.load(std::sync::atomic::Ordering::SeqCst) {
            return Answer::Status(500, "", "no".into());
        }
        match question(asked).contains("\nReason step by step before you answer.") {
            true => texts(&["I see one.\nThat is all.\nFinal answer: 1"]),
            false => texts(&["1"]),
        }
    });
    let mut eval = eval(&["reasoning"]);
    eval.server.url = Some(server.url.clone());
    eval.server.model = Some("m".to_owned());
    (eval.server.attempts, eval.server.requests) = (1, 1);
    let ctx = world.context("answers", &["corpus"]);
    let error = answers::run(&eval, &ctx).unwrap_err().to_string();
    assert!(
        error.contains("failed for 1 of 16 rows") && error.contains("question test-"),
        "{error}"
    );
    broken.store(false, std::sync::atomic::Ordering::SeqCst);
    answers::run(&eval, &ctx).unwrap();
    // Descriptions have no one answer; eight questions are asked in two ways.
    assert_eq!(server.count(), 16 + 1, "only the failed one is asked again");
    let rows: Vec<Row> = lines::read(&ctx.out.join("answers.jsonl")).unwrap();
    assert_eq!(rows.len(), 16);
    let questions = world.questions();
    for row in &rows {
        let question = questions.iter().find(|q| q.id == row.answer.question).unwrap();
        assert_eq!(row.answer.final_answer.as_deref(), Some("1"));
        assert_eq!(row.answer.tokens, 3, "as the server counts");
        assert_eq!(row.is_right(), question.answer.as_deref() == Some("1"), "{row:?}");
    }
    for asked in server.asked.lock().unwrap().iter() {
        assert_eq!(asked.body["max_tokens"], 48);
        assert_eq!(asked.body["temperature"], 0.0);
    }
    scores::run(&eval, &world.context("scores", &["corpus", "answers"])).unwrap();
}

#[test]
fn everything_is_asked_once_and_scored() {
    let world = World::new();
    // The paper's benchmarks have tests of their own.
    let names = ["reasoning", "pope", "describe", "shift"];
    let eval = eval(&names);
    let ctx = world.context("answers", &["corpus", "model"]);
    answers::run(&eval, &ctx).unwrap();

    // Twelve questions with two prompts; eight have a rationale to start from, at three shares.
    let asked: Vec<Row> = lines::read(&ctx.out.join("answers.jsonl")).unwrap();
    assert_eq!(asked.len(), 12 * 2 + 8 * 3);
    let questions = world.questions();
    for row in asked.iter().filter(|row| row.given_percent == 75) {
        let question = questions.iter().find(|q| q.id == row.answer.question).unwrap();
        let rationale = &question.generated.as_ref().unwrap().rationale;
        let given = rationale.len() / 2; // characters and tokens differ: half is surely given
        assert!(row.answer.text.starts_with(&rationale[..given]), "{row:?}");
        assert!(row.answer.tokens <= eval.max_tokens);
    }
    let measured: Vec<Likelihood> = lines::read(&ctx.out.join("likelihood.jsonl")).unwrap();
    assert_eq!(measured.len(), 8 * 4);
    for row in &measured {
        assert!(row.tokens > 0 && row.after_true < 0.0 && row.after_own < 0.0, "{row:?}");
        // With nothing given there is nothing to differ by.
        assert!(row.given_percent > 0 || (row.after_true - row.after_own).abs() < 1e-3, "{row:?}");
    }

    let ctx = world.context("scores", &["corpus", "answers"]);
    scores::run(&eval, &ctx).unwrap();
    let mut reader = csv::Reader::from_path(ctx.out.join("scores.csv")).unwrap();
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let columns = ["benchmark", "task", "prompt", "split", "metric", "value", "low", "high", "n"];
    assert_eq!(header, columns);
    let scored: Vec<Score> = reader.deserialize().map(|row| row.unwrap()).collect();
    for name in names {
        assert!(scored.iter().any(|score| score.benchmark == name), "{name} is not scored");
    }
    let mut reader = csv::Reader::from_path(ctx.out.join("verdicts.csv")).unwrap();
    let verdicts: Vec<QuestionScore> = reader.deserialize().map(|row| row.unwrap()).collect();
    // reasoning 8 × 2, pope 4 × 2, describe 4 × 2, shift 8 × 4.
    assert_eq!(verdicts.len(), 16 + 8 + 8 + 32);
}

#[test]
fn a_killed_stage_goes_on_to_the_same_bytes() {
    let world = World::new();
    let eval = eval(&["reasoning", "shift"]);
    let first = world.context("first", &["corpus", "model"]);
    answers::run(&eval, &first).unwrap();

    // A successor finds one chunk of the dead worker's, and a draft that it never finished.
    let second = world.context("second", &["corpus", "model"]);
    let name = "answers-000000.jsonl";
    std::fs::copy(first.work.join(name), second.work.join(name)).unwrap();
    std::fs::write(second.work.join("answers-000001.draft"), "{\"half").unwrap();
    answers::run(&eval, &second).unwrap();
    for file in ["answers.jsonl", "likelihood.jsonl"] {
        assert_eq!(bytes(&first.out, file), bytes(&second.out, file), "{file}");
    }
}

#[test]
fn a_benchmark_without_questions_says_what_it_needs() {
    let world = World::new();
    let mut eval = eval(&["pope"]);
    eval.split = Split::Validation;
    let error = answers::run(&eval, &world.context("none", &["corpus", "model"])).unwrap_err();
    assert!(error.to_string().contains("`pope` finds no question in the validation split"));
    assert!(error.hint_text().unwrap().contains("`exists` in `corpus.tasks`"), "{error:?}");
}

#[test]
fn specs_know_the_benchmarks_there_are() {
    let names: Vec<&str> = BENCHMARKS.iter().map(|benchmark| benchmark.name()).collect();
    assert_eq!(names, benchmarks::names());
}

fn origins(folder: &Path) -> Vec<Origin> {
    let mut reader = csv::Reader::from_path(folder.join("benchmarks.csv")).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

#[test]
fn stand_ins_are_asked_scored_and_exported() {
    let families: Vec<&str> = prefab::tasks::FAMILIES.iter().map(|family| family.name).collect();
    let world = World::of(&families, 22);
    let stands_in =
        |name: &str| benchmarks::benchmark(name).is_some_and(|row| !row.tasks.is_empty());
    let names: Vec<&str> = BENCHMARKS
        .iter()
        .filter(|b| b.file().is_some() && stands_in(b.name()))
        .map(|b| b.name())
        .collect();
    let eval = eval(&names);
    let ctx = world.context("answers", &["corpus", "model"]);
    answers::run(&eval, &ctx).unwrap();
    // Two relations are asked in four wordings beside their own.
    let asked: Vec<Row> = lines::read(&ctx.out.join("answers.jsonl")).unwrap();
    assert_eq!(asked.len(), (22 + 8) * 2);
    let mut table = csv::ReaderBuilder::new()
        .delimiter(b'\t')
        .from_path(ctx.out.join("tsv/crpe-cot.tsv"))
        .unwrap();
    let header: Vec<String> = table.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(
        header,
        ["index", "question", "answer", "A", "B", "C", "D", "category", "image_path", "prediction"]
    );
    assert_eq!(table.records().count(), 8);
    assert!(!ctx.out.join("tsv/crpe_rows-cot.tsv").exists(), "the same answers");
    // Columns that VLMEvalKit needs.
    for (name, columns) in
        [("mm_vet", &["category"][..]), ("llava_bench", &["caption", "category", "gpt4_ans"])]
    {
        let table =
            std::fs::read_to_string(ctx.out.join(format!("tsv/{name}-direct.tsv"))).unwrap();
        let header: Vec<&str> = table.lines().next().unwrap().split('\t').collect();
        assert!(columns.iter().all(|column| header.contains(column)), "{name}: {header:?}");
    }

    let ctx = world.context("scores", &["corpus", "answers"]);
    scores::run(&eval, &ctx).unwrap();
    let origins = origins(&ctx.out);
    assert_eq!(origins.len(), names.len());
    for origin in &origins {
        assert_eq!((origin.questions.as_str(), origin.failed), ("stand-in", 0), "{origin:?}");
        let graded = ["mm_vet", "llava_bench", "mmhal", "object_halbench"];
        let by = if graded.contains(&origin.benchmark.as_str()) { "rule" } else { "" };
        assert_eq!((origin.judge.as_str(), origin.by_rule > 0), (by, !by.is_empty()));
    }
    let mut reader = csv::Reader::from_path(ctx.out.join("scores.csv")).unwrap();
    let scored: Vec<Score> = reader.deserialize().map(|row| row.unwrap()).collect();
    for name in names {
        for prompt in [Prompt::Direct, Prompt::Cot] {
            let of = |score: &&Score| score.benchmark == name && score.prompt == prompt;
            assert!(scored.iter().any(|score| of(&score)), "{name} {prompt:?}");
        }
    }
}

#[test]
fn a_benchmarks_own_file_takes_the_place_of_its_stand_in() {
    let world = World::new();
    let picture = world.folder("corpus").join("images/test/000000.png");
    let folder = world.folder("files");
    std::fs::copy(picture, folder.join("a.png")).unwrap();
    let file = folder.join("testmini.json");
    let row = |pid: usize, answer: usize| {
        serde_json::json!({ "pid": pid, "query": "How many red circles are there?", "image": "a.png",
            "question": "…", "answer": answer.to_string(), "question_type": "free_form",
            "answer_type": "integer", "choices": null })
    };
    std::fs::write(&file, serde_json::json!([row(1, 0), row(2, 1)]).to_string()).unwrap();
    let mut eval = eval(&["reasoning", "mathvista", "mathvista_internvl"]);
    eval.files.insert("mathvista".to_owned(), file.to_string_lossy().into_owned());

    files::run(&eval, &world.context("benchmarks", &[])).unwrap();
    let ctx = world.context("answers", &["corpus", "model", "benchmarks"]);
    answers::run(&eval, &ctx).unwrap();
    let asked: Vec<Row> = lines::read(&ctx.out.join("answers.jsonl")).unwrap();
    assert_eq!(asked.len(), (8 + 2) * 2, "descriptions are nobody's question");
    assert!(asked[..16].iter().all(|row| row.answer.question.starts_with("test-")));
    assert!(asked[16..].iter().all(|row| row.answer.question.starts_with("mathvista/")));
    // The same picture and question: what the policy says of both is the same.
    assert_eq!(asked[16].answer.text, asked[17].answer.text);
    let exported = std::fs::read_to_string(ctx.out.join("tsv/mathvista-direct.tsv")).unwrap();
    assert!(exported.starts_with("index\tquestion\tanswer\tanswer_type\t"), "{exported}");

    let ctx = world.context("scores", &["corpus", "answers", "benchmarks"]);
    scores::run(&eval, &ctx).unwrap();
    let from: Vec<(String, usize)> =
        origins(&ctx.out).into_iter().map(|origin| (origin.questions, origin.n)).collect();
    let file = "testmini.json".to_owned();
    assert_eq!(from, [("corpus".to_owned(), 8), (file.clone(), 2), (file, 2)]);

    let mut blind = row(1, 0);
    blind.as_object_mut().unwrap().remove("image");
    std::fs::write(&eval.files["mathvista"], serde_json::json!([blind]).to_string()).unwrap();
    let error = files::run(&eval, &world.context("benchmarks", &[])).unwrap_err().to_string();
    assert!(error.contains("testmini.json has no picture in any row"), "{error}");
}
