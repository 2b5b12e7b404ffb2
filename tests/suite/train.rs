//! The training stages end to end on a model of a few thousand parameters:
//! base, reference and policy; killed and resumed runs end in the same bytes.

use crate::support::loss_table::loss_table;
use prefab::data::lines;
use prefab::data::questions::read_questions;
use prefab::data::record::{Images, Pair};
use prefab::data::template::Prompter;
use prefab::data::tokenizer::Tokenizer;
use prefab::spec;
use prefab::spec::candidates::Prompt;
use prefab::stage::{Progress, StageContext};
use prefab::train;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const MODEL: &str = r#"
size = "tiny"
train = ["projector", "language"]
dims = { vision_width = 16, vision_layers = 1, vision_heads = 2, vision_mlp = 32, width = 16, layers = 1, heads = 2, kv_heads = 2, mlp = 32 }
"#;

const EVAL: &str = r#"
prompts = ["direct", "cot"]
benchmarks = []
split = "test"
max_tokens = 4
batch = 8
every = 0
slice = 4
"#;

fn table<T: serde::de::DeserializeOwned>(text: &str) -> T {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// With a reference that moves within these few steps.
fn loss(algorithm: &str) -> spec::loss::Loss {
    loss_table(algorithm, "tr_dpo = { alpha = 0.5, every = 3 }")
}

fn settings(extra: &str) -> spec::train::Train {
    let mut all: toml::Table = r#"
        seed = 1
        pairs_per_step = 8
        micro_batch = 8
        epochs = 2.0
        learning_rate = 1e-3
        schedule = "cosine"
        warmup = 0.1
        max_grad_norm = 1.0
        weight_decay = 0.05
        adam_beta1 = 0.9
        adam_beta2 = 0.999
        adam_epsilon = 1e-8
        precision = "fp32"
        keep = "last"
        checkpoint_every = 4
    "#
    .parse()
    .unwrap();
    all.extend(extra.parse::<toml::Table>().unwrap());
    all.try_into().unwrap()
}

fn context(root: &Path, inputs: &[(&str, &Path)]) -> StageContext {
    let (out, work) = (root.join("out"), root.join("work"));
    fs::create_dir_all(&out).unwrap();
    fs::create_dir_all(&work).unwrap();
    let inputs: BTreeMap<String, PathBuf> =
        inputs.iter().map(|(role, path)| ((*role).to_owned(), path.to_path_buf())).collect();
    let device = tch::Device::Cpu;
    let replies = root.join("replies");
    StageContext { inputs, out, work, replies, device, progress: Progress::Silent }
}

/// A corpus, an untaught base, 28 pairs and their reference, made once.
struct House {
    _folder: tempfile::TempDir,
    root: PathBuf,
}

impl House {
    fn shared() -> &'static Self {
        static HOUSE: OnceLock<House> = OnceLock::new();
        HOUSE.get_or_init(Self::build)
    }

    fn build() -> Self {
        tch::set_num_threads(1);
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let house = Self { _folder: folder, root };
        let corpus = table(
            "seed = 0\nbase = 24\ntrain = 28\nvalidation = 6\ntest = 4\n\
             tasks = [\"count\", \"compare\", \"chart\"]",
        );
        prefab::tasks::corpus::run(&corpus, &context(&house.root.join("corpus"), &[])).unwrap();
        house.base(&house.root.join("base"), 3, 3);
        house.write_pairs();
        house.reference(&house.root.join("reference"));
        house
    }

    fn artifact(&self, stage: &str) -> PathBuf {
        self.root.join(stage).join("out")
    }

    fn base(&self, root: &Path, vision_steps: usize, steps: usize) {
        let base = table(&format!(
            "seed = 0\nvision_steps = {vision_steps}\nvision_batch = 8\n\
             vision_learning_rate = 2e-3\nsteps = {steps}\nbatch = 8\nlearning_rate = 2e-3\n\
             reasoned = 0.5\nsloppy = 0.5\nimage_dropout = 0.2"
        ));
        let ctx = context(root, &[("corpus", &self.artifact("corpus"))]);
        train::base::run(&base, &table(MODEL), &ctx).unwrap();
    }

    /// The careful rationale against the sloppy one, or against a wrong answer.
    fn write_pairs(&self) {
        let tokenizer = Tokenizer::load(&self.artifact("base")).unwrap();
        let prompter = Prompter::new(&tokenizer, "plain", 16).unwrap();
        let questions = read_questions(&self.artifact("corpus").join("train.jsonl")).unwrap();
        let pairs: Vec<Pair> = questions
            .iter()
            .map(|question| {
                let generated = question.generated.as_ref().unwrap();
                let sloppy = generated.sloppy.clone().filter(|text| *text != generated.rationale);
                Pair {
                    image: Images(question.images.clone()),
                    question: prompter.question_text(&question.question, 1, Prompt::Cot),
                    chosen: generated.rationale.clone(),
                    rejected: sloppy.unwrap_or_else(|| "Final answer: 0".to_owned()),
                    ..Pair::default()
                }
            })
            .collect();
        let folder = self.artifact("pairs");
        fs::create_dir_all(&folder).unwrap();
        lines::write(&folder.join("pairs.jsonl"), &pairs).unwrap();
    }

    fn inputs(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("model", self.artifact("base")),
            ("corpus", self.artifact("corpus")),
            ("pairs", self.artifact("pairs")),
        ]
    }

    fn reference(&self, root: &Path) {
        let inputs = self.inputs();
        let inputs: Vec<_> = inputs.iter().map(|(role, path)| (*role, path.as_path())).collect();
        train::reference::run(&table(MODEL), &settings(""), &context(root, &inputs)).unwrap();
    }

    /// Trains a policy in `root` and returns steps.csv and the weights.
    fn policy(
        &self,
        root: &Path,
        loss: &spec::loss::Loss,
        train: &spec::train::Train,
        eval: &str,
    ) -> prefab::Result<(String, Vec<u8>)> {
        let mut inputs = self.inputs();
        inputs.push(("reference", self.artifact("reference")));
        let inputs: Vec<_> = inputs.iter().map(|(role, path)| (*role, path.as_path())).collect();
        let ctx = context(root, &inputs);
        train::policy::run(loss, train, &table(MODEL), &table(eval), &ctx)?;
        let steps = fs::read_to_string(ctx.out.join("steps.csv")).unwrap();
        Ok((steps, fs::read(ctx.out.join("model.safetensors")).unwrap()))
    }
}

fn column(steps: &str, name: &str) -> Vec<Option<f64>> {
    let at = steps.lines().next().unwrap().split(',').position(|column| column == name).unwrap();
    steps.lines().skip(1).map(|line| line.split(',').nth(at).unwrap().parse().ok()).collect()
}

/// Gives `resumed` the only checkpoint that a run in `whole` left, as after a kill.
#[track_caller]
fn copy_checkpoint(whole: &Path, resumed: &Path) {
    let left: Vec<_> = fs::read_dir(whole.join("work")).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "the last checkpoint");
    let checkpoint = resumed.join("work").join(left[0].file_name());
    fs::create_dir_all(&checkpoint).unwrap();
    for file in fs::read_dir(left[0].path()).unwrap().flatten() {
        fs::copy(file.path(), checkpoint.join(file.file_name())).unwrap();
    }
}

/// Runs a policy; then again from the checkpoint it left.
#[track_caller]
fn assert_resumes(loss: &spec::loss::Loss, train: &spec::train::Train, eval: &str) -> String {
    let house = House::shared();
    let folder = tempfile::tempdir().unwrap();
    let (whole, resumed) = (folder.path().join("whole"), folder.path().join("resumed"));
    let (steps, weights) = house.policy(&whole, loss, train, eval).unwrap();
    copy_checkpoint(&whole, &resumed);
    let (steps_again, weights_again) = house.policy(&resumed, loss, train, eval).unwrap();
    assert_eq!(steps, steps_again);
    assert!(weights == weights_again, "weights differ after resuming");
    steps
}

#[test]
fn a_killed_run_resumes_to_the_same_bytes() {
    // 28 pairs, 2 epochs, 8 a step: 7 steps, a checkpoint after the fourth.
    let steps = assert_resumes(&loss("mpo"), &settings(""), EVAL);
    assert_eq!(steps.lines().count(), 8);
    let deltas = column(&steps, "delta");
    assert_eq!(deltas[0], Some(0.0), "policy and reference agree at the start");
    assert!(deltas[6].is_some_and(|delta| delta != 0.0));
}

#[test]
fn a_moving_reference_survives_a_kill() {
    let steps = assert_resumes(&loss("tr_dpo"), &settings(""), EVAL);
    let synced = column(&steps, "reference/synced");
    let when: Vec<usize> = (0..synced.len()).filter(|&step| synced[step] == Some(1.0)).collect();
    assert_eq!(when, [2, 5], "every third step");
}

#[test]
fn validation_and_the_best_weights_survive_a_kill() {
    let eval = EVAL.replace("every = 0", "every = 2");
    let steps = assert_resumes(&loss("sft"), &settings("keep = \"best\""), &eval);
    let asked = column(&steps, "validation/n");
    assert_eq!(
        asked.iter().filter(|n| **n == Some(4.0)).count(),
        5,
        "steps 0, 2, 4, 6 and the end"
    );
    assert_eq!(steps.lines().count(), 9, "the end has a row of its own");
}

#[test]
fn weights_that_go_to_zero_stop_a_resumed_run_too() {
    // A decay of 0.9 a step, most of it before the checkpoint: from there on it is no collapse.
    let (house, decaying) = (House::shared(), settings("weight_decay = 900.0"));
    let folder = tempfile::tempdir().unwrap();
    let (whole, resumed) = (folder.path().join("whole"), folder.path().join("resumed"));
    let stopped = house.policy(&whole, &loss("mpo"), &decaying, EVAL).unwrap_err().to_string();
    assert!(stopped.starts_with("step 6: the weights of `"), "{stopped}");
    copy_checkpoint(&whole, &resumed);
    let again = house.policy(&resumed, &loss("mpo"), &decaying, EVAL).unwrap_err();
    assert_eq!(again.to_string(), stopped);
}

#[test]
fn micro_batches_change_memory_alone() {
    let house = House::shared();
    for algorithm in ["mpo", "aot", "sft"] {
        let folder = tempfile::tempdir().unwrap();
        let run = |micro: usize| {
            let train = settings(&format!("micro_batch = {micro}\nprecision = \"fp32\""));
            let root = folder.path().join(micro.to_string());
            house.policy(&root, &loss(algorithm), &train, EVAL).unwrap().0
        };
        let (whole, cut) = (run(8), run(3));
        for name in ["loss", "grad_norm", "logps/chosen", "rewards/margins"] {
            for (a, b) in column(&whole, name).iter().zip(column(&cut, name)) {
                let (a, b) = (a.unwrap(), b.unwrap());
                assert!((a - b).abs() < 2e-3 * a.abs().max(1.0), "{algorithm} {name}: {a} {b}");
            }
        }
    }
}

#[test]
fn the_loss_falls_and_starts_at_its_closed_form() {
    let house = House::shared();
    let folder = tempfile::tempdir().unwrap();
    let train = settings("learning_rate = 0.01\nepochs = 6.0");
    let (steps, _) = house.policy(folder.path(), &loss("dpo"), &train, EVAL).unwrap();
    let losses = column(&steps, "loss");
    assert!((losses[0].unwrap() - std::f64::consts::LN_2).abs() < 1e-3);
    assert!(losses.last().unwrap().unwrap() < 0.6, "{losses:?}");
    assert_eq!(column(&steps, "loss/quality")[0], None, "a term of weight 0 is not measured");
}

#[test]
fn a_reference_of_other_numbers_stops_at_step_zero() {
    let house = House::shared();
    let folder = tempfile::tempdir().unwrap();
    let stale = folder.path().join("stale");
    fs::create_dir_all(&stale).unwrap();
    for file in fs::read_dir(house.artifact("reference")).unwrap().flatten() {
        fs::copy(file.path(), stale.join(file.file_name())).unwrap();
    }
    let text = fs::read_to_string(stale.join("reference.csv")).unwrap();
    let moved: Vec<String> = text
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let logp = cells[1].parse::<f64>().map_or(cells[1].into(), |l| (l - 9.0).to_string());
            [cells[0], &logp, cells[2], cells[3], cells[4]].join(",")
        })
        .collect();
    fs::write(stale.join("reference.csv"), moved.join("\n") + "\n").unwrap();
    let mut inputs = house.inputs();
    inputs.push(("reference", stale));
    let inputs: Vec<_> = inputs.iter().map(|(role, path)| (*role, path.as_path())).collect();
    let ctx = context(&folder.path().join("policy"), &inputs);
    let error = train::policy::run(&loss("dpo"), &settings(""), &table(MODEL), &table(EVAL), &ctx)
        .unwrap_err();
    assert!(error.to_string().contains("step 0"), "{error}");
}

#[test]
fn impossible_settings_are_refused_before_training() {
    let house = House::shared();
    let folder = tempfile::tempdir().unwrap();
    let best = settings("keep = \"best\"");
    let error = house.policy(folder.path(), &loss("dpo"), &best, EVAL).unwrap_err();
    assert!(error.to_string().contains("best"), "{error}");
    let mut late = loss("tr_dpo");
    late.tr_dpo = toml::from_str("every = 64").unwrap();
    let error = house.policy(folder.path(), &late, &settings(""), EVAL).unwrap_err();
    assert!(error.to_string().contains("never move"), "{error}");
}

#[test]
fn a_reference_is_the_same_when_it_goes_on_from_its_chunks() {
    let house = House::shared();
    let folder = tempfile::tempdir().unwrap();
    house.reference(folder.path());
    let read = |root: &Path| fs::read_to_string(root.join("out/reference.csv")).unwrap();
    let first = read(folder.path());
    assert_eq!(first, read(&house.root.join("reference")));
    assert_eq!(first.lines().count(), 29);
    house.reference(folder.path());
    assert_eq!(first, read(folder.path()), "chunks are taken over");
}

#[test]
fn a_base_resumes_after_its_vision_lesson() {
    let house = House::shared();
    let folder = tempfile::tempdir().unwrap();
    house.base(folder.path(), 3, 3);
    let weights = fs::read(folder.path().join("out/model.safetensors")).unwrap();
    assert!(weights == fs::read(house.artifact("base").join("model.safetensors")).unwrap());
    // As if killed in the language lesson: its checkpoint is gone, the vision lesson's is there.
    fs::remove_dir_all(folder.path().join("work/language-00000003")).unwrap();
    fs::remove_file(folder.path().join("out/model.safetensors")).unwrap();
    house.base(folder.path(), 3, 3);
    assert!(weights == fs::read(folder.path().join("out/model.safetensors")).unwrap());
    let steps = fs::read_to_string(folder.path().join("out/base_steps.csv")).unwrap();
    assert_eq!(steps.lines().count(), 7, "a header, three vision and three language rows");
}

#[test]
fn without_vision_steps_everything_learns_together() {
    let house = House::shared();
    let folder = tempfile::tempdir().unwrap();
    house.base(folder.path(), 0, 2);
    let steps = fs::read_to_string(folder.path().join("out/base_steps.csv")).unwrap();
    assert!(steps.lines().skip(1).all(|line| line.starts_with("language,")));
}
