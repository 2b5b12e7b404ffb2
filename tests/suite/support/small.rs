//! A few artifacts of a small generated corpus, made with the committed base.

use prefab::data::lines;
use prefab::data::record::{Answer, Pair, Question};
use prefab::data::tokenizer::Tokenizer;
use prefab::model::sizes::Row;
use prefab::spec::candidates::Candidates;
use prefab::spec::corpus::Corpus;
use prefab::spec::embedded;
use prefab::spec::eval::Split;
use prefab::spec::model::{Dims, Size};
use prefab::spec::pairs::Pairs;
use prefab::stage::{Progress, StageContext};
use prefab::train::base::build_tokenizer;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The tokenizer that an embedded base of a corpus has.
pub fn tokenizer(corpus: &Path) -> Tokenizer {
    let row = Row::of(Size::Tiny, &Dims::default());
    build_tokenizer(&embedded().base, corpus, &row).unwrap()
}

/// A store that is thrown away at the end.
pub struct Small {
    pub folder: tempfile::TempDir,
}

impl Small {
    /// With nothing in it.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With a corpus of these families, and the committed base.
    pub fn new(tasks: &[&str], train: usize) -> Self {
        let small = Self::empty();
        let corpus = Corpus {
            base: 0,
            train,
            validation: 0,
            test: 0,
            tasks: tasks.iter().map(|task| (*task).to_owned()).collect(),
            ..embedded().corpus.clone()
        };
        prefab::tasks::corpus::run(&corpus, &small.stage("corpus", &[])).unwrap();
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/base");
        let copy = small.stage("base", &[]).out;
        for entry in std::fs::read_dir(base).unwrap() {
            let file = entry.unwrap().path();
            std::fs::copy(&file, copy.join(file.file_name().unwrap())).unwrap();
        }
        small
    }

    /// Samples answers for all questions.
    pub fn sample(&self, settings: &Candidates) -> prefab::Result<()> {
        let inputs = ["corpus", "base"];
        prefab::sample::candidates::run(settings, &self.stage("candidates", &inputs))
    }

    /// Builds pairs under a name of their own.
    pub fn pair(&self, settings: &Pairs, name: &str) -> prefab::Result<Vec<Pair>> {
        let ctx = self.stage(name, &["corpus", "base", "candidates"]);
        prefab::pairs::run(settings, &ctx)?;
        lines::read::<Pair>(&ctx.out.join("pairs.jsonl"))
    }

    pub fn path(&self, role: &str) -> PathBuf {
        self.folder.path().join("store").join(role).join("payload")
    }

    pub fn work(&self, role: &str) -> PathBuf {
        self.folder.path().join("work").join(role)
    }

    pub fn stage(&self, role: &str, inputs: &[&str]) -> StageContext {
        let (out, work) = (self.path(role), self.work(role));
        std::fs::create_dir_all(&out).unwrap();
        std::fs::create_dir_all(&work).unwrap();
        StageContext {
            inputs: inputs.iter().map(|role| ((*role).to_owned(), self.path(role))).collect(),
            out,
            work,
            replies: self.folder.path().join("replies"),
            device: tch::Device::Cpu,
            progress: Progress::Silent,
        }
    }

    pub fn questions(&self) -> Vec<Question> {
        prefab::data::questions::read_split(&self.path("corpus"), Split::Train).unwrap()
    }

    pub fn answers(&self) -> Vec<Answer> {
        lines::read(&self.path("candidates").join("candidates.jsonl")).unwrap()
    }

    pub fn bytes(&self, role: &str, file: &str) -> Vec<u8> {
        std::fs::read(self.path(role).join(file)).unwrap()
    }

    /// stats.csv by (task, metric).
    pub fn stats(&self, role: &str) -> BTreeMap<(String, String), f64> {
        let mut reader = csv::Reader::from_path(self.path(role).join("stats.csv")).unwrap();
        let rows = reader.deserialize::<(String, String, f64)>();
        rows.map(|row| row.unwrap()).map(|(task, metric, value)| ((task, metric), value)).collect()
    }

    /// A cell of kinds.csv.
    pub fn kinds(&self, role: &str, kind: &str, task: &str, column: &str) -> String {
        let mut reader = csv::Reader::from_path(self.path(role).join("kinds.csv")).unwrap();
        let at = reader.headers().unwrap().iter().position(|name| name == column).unwrap();
        let row =
            reader.records().map(Result::unwrap).find(|row| &row[0] == kind && &row[1] == task);
        row.unwrap_or_else(|| panic!("{kind} {task}"))[at].to_owned()
    }
}

pub fn candidates(per_question: usize) -> Candidates {
    Candidates { per_question, batch: 64, ..embedded().candidates.clone() }
}
