//! A benchmark's file, answers to it, and a judge that grades them.

use super::files;
use super::http::Server;
use super::scores::row;
use prefab::data::record::Question;
use prefab::eval::asking::Asking;
use prefab::eval::files::read_blind;
use prefab::eval::judging::Judge;
use prefab::eval::scores::{Scored, score_asked};
use prefab::eval::{Row, benchmark};
use prefab::spec::candidates::Prompt;
use prefab::spec::embedded;
use prefab::spec::eval::Eval;
use prefab::spec::number::NonNegative;
use prefab::spec::server::Server as Table;
use std::path::PathBuf;

/// A folder for one test's files.
pub struct Folder(pub tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        files::write(self.0.path(), name, text)
    }

    #[track_caller]
    pub fn reads(&self, name: &str, file: &str, text: &str) -> Vec<Question> {
        let path = self.write(file, text);
        let read = read_blind(benchmark(name).unwrap(), &path);
        read.unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn score(
        &self,
        name: &str,
        questions: &[Question],
        said: &[&str],
        server: &Server,
    ) -> Scored {
        let eval = judged_by(name, server);
        let rows: Vec<Row> = questions.iter().zip(said).map(|(q, text)| row(q, text)).collect();
        let asking = Asking::new(&eval, questions.to_vec()).unwrap();
        let replies = self.0.path().join("replies");
        let mut judge = Judge::with(&eval.judge, &replies, tch::Device::Cpu).unwrap();
        score_asked(&eval, &asking, &rows, &[], &mut judge).unwrap()
    }
}

/// Settings under which a server grades one benchmark of a file.
pub fn judged_by(name: &str, server: &Server) -> Eval {
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
