//! Which questions each benchmark asks: those of its own file, or generated ones that stand in.

use super::{Benchmark, benchmark};
use crate::Result;
use crate::data::questions::read_split;
use crate::data::record::{Question, ours};
use crate::spec::eval::{Eval, Split};
use crate::stage::StageContext;
use std::collections::HashMap;

/// All questions, and which of them each benchmark asks.
pub struct Asking {
    /// Those of the corpus, then what is derived from them, then those of files.
    pub questions: Vec<Question>,
    /// Benchmarks in the spec's order, with indices into the questions.
    pub of: Vec<(&'static dyn Benchmark, Vec<usize>)>,
}

impl Asking {
    /// For the benchmarks of the table.
    ///
    /// # Errors
    ///
    /// A benchmark that does not exist.
    pub fn new(eval: &Eval, questions: Vec<Question>) -> Result<Self> {
        let (files, mut questions): (Vec<_>, Vec<_>) = questions.into_iter().partition(is_of_file);
        let in_corpus = questions.len();
        let mut derived: HashMap<String, usize> = HashMap::new();
        let mut of: Vec<(&'static dyn Benchmark, Vec<usize>)> = Vec::new();
        for name in &eval.benchmarks {
            let benchmark = benchmark(name)?;
            let mut indices = Vec::new();
            if !eval.files.contains_key(benchmark.asks()) {
                for index in 0..in_corpus {
                    if !benchmark.selects(&questions[index]) {
                        continue;
                    }
                    let Some(others) = benchmark.derive(&questions[index]) else {
                        indices.push(index);
                        continue;
                    };
                    for other in others {
                        let at = *derived.entry(other.id.clone()).or_insert(questions.len());
                        if at == questions.len() {
                            questions.push(other);
                        }
                        indices.push(at);
                    }
                }
            }
            of.push((benchmark, indices));
        }
        for question in files {
            let index = questions.len();
            for (benchmark, indices) in &mut of {
                if benchmark.asks() == question.says(ours::BENCHMARK)
                    && eval.files.contains_key(benchmark.asks())
                {
                    indices.push(index);
                }
            }
            questions.push(question);
        }
        Ok(Self { questions, of })
    }

    /// Reads the corpus and the files that a stage was given.
    ///
    /// # Errors
    ///
    /// Files that cannot be read, a benchmark that does not exist.
    pub fn read(eval: &Eval, ctx: &StageContext) -> Result<Self> {
        let mut questions = read_split(ctx.input("corpus"), eval.split)?;
        if let Some(files) = ctx.inputs.get("benchmarks") {
            questions.extend(read_split(files, Split::Test)?);
        }
        Self::new(eval, questions)
    }
}

/// Whether a question comes from a benchmark's file.
pub fn is_of_file(question: &Question) -> bool {
    question.meta.contains_key(ours::BENCHMARK)
}
