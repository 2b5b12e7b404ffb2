//! What the rest of a plan will cost: what earlier tasks like it took, by their work, where the
//! store has some ([`past`](super::past)), else a rough rate.
//!
//! The rates were measured for the tiny size (1.2 M parameters, fp32) on one
//! core of two, side by side with another worker. They are for planning: a
//! first run replaces them by measurements. Of released sizes nothing is guessed.

use super::{Plan, Settings, Stage, Task};
use crate::model::Config;
use crate::spec::eval::Split;
use crate::spec::loss::Loss;
use crate::spec::model::{Model, Size};
use std::path::Path;

/// Seconds that a plan will take, by stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// One row a stage that has tasks, in pipeline order.
    pub rows: Vec<Row>,
}

/// One stage of an estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Which.
    pub stage: Stage,
    /// Tasks in the plan.
    pub tasks: usize,
    /// Those of which the artifact exists.
    pub cached: usize,
    /// Seconds for the rest that something is known of, one after the other.
    pub seconds: f64,
    /// Tasks of the rest that nothing is known of.
    pub unknown: usize,
    /// Whether all that is known of the rest was measured.
    pub measured: bool,
}

impl Estimate {
    /// Seconds for everything that is left, one task at a time.
    pub fn seconds(&self) -> f64 {
        self.rows.iter().map(|row| row.seconds).sum()
    }

    /// Tasks that nothing is known of.
    pub fn unknown(&self) -> usize {
        self.rows.iter().map(|row| row.unknown).sum()
    }
}

/// Estimates what is not cached. `measured` are the seconds that a task will take, by earlier tasks
/// like it.
pub fn estimate(
    plan: &Plan,
    cached: &dyn Fn(&str) -> bool,
    measured: &dyn Fn(&Task) -> Option<f64>,
) -> Estimate {
    let mut rows = Vec::new();
    for stage in Stage::ALL {
        let tasks: Vec<&Task> = plan.tasks.iter().filter(|task| task.stage == stage).collect();
        let open: Vec<&&Task> = tasks.iter().filter(|task| !cached(&task.key)).collect();
        let known: Vec<Option<f64>> = open.iter().map(|task| measured(task)).collect();
        let guesses: Vec<Option<f64>> = open
            .iter()
            .zip(&known)
            .map(|(task, known)| known.or_else(|| rough(plan, task)))
            .collect();
        if !tasks.is_empty() {
            rows.push(Row {
                stage,
                tasks: tasks.len(),
                cached: tasks.len() - open.len(),
                seconds: guesses.iter().flatten().sum(),
                unknown: guesses.iter().filter(|guess| guess.is_none()).count(),
                measured: known == guesses && known.iter().any(Option::is_some),
            });
        }
    }
    Estimate { rows }
}

/// A guess from the settings of the first job that stands on the task; none where the size is a
/// released one's, or nobody knows yet how many pairs there are.
fn rough(plan: &Plan, task: &Task) -> Option<f64> {
    use Stage::{Benchmarks, Corpus, Pairs, Policy, Reference, Scores};
    let index = plan.tasks.iter().position(|other| other.key == task.key);
    let job = plan.jobs.iter().find(|job| index.is_some_and(|index| job.tasks.contains(&index)));
    let settings = &job?.settings;
    let is_imported = settings.pairs.import.is_some();
    let scale = match task.stage {
        Corpus | Pairs | Benchmarks | Scores => 1.0,
        Reference | Policy if is_imported => return None,
        _ => scale(&settings.model)?,
    };
    Some(scale * seconds(task.stage, settings))
}

/// How much slower than the tiny size; none of a size that nothing is known of. A checkpoint is as
/// large as it says itself.
fn scale(model: &Model) -> Option<f64> {
    let size = match &model.checkpoint {
        None => model.size,
        Some(checkpoint) => match Config::load(Path::new(checkpoint)).ok()?.language.width {
            0..=128 => Size::Tiny,
            129..=256 => Size::Small,
            _ => return None,
        },
    };
    match size {
        Size::Tiny => Some(1.0),
        Size::Small => Some(4.0),
        _ => None,
    }
}

/// Seconds of a stage at the tiny size: what its work is counted in.
pub(super) fn seconds(stage: Stage, settings: &Settings) -> f64 {
    let Settings { corpus, base, candidates, pairs, train, eval, .. } = settings;
    let images = (corpus.train + corpus.validation + corpus.test) as f64;
    // Of 5,000 questions, 5,900 pairs were made at two a question.
    let found = 0.6 * (corpus.train * pairs.correctness.max_per_question) as f64;
    let num_pairs = pairs.max.map_or(found, |most| found.min(most as f64));
    let asked = match eval.split {
        Split::Validation => corpus.validation,
        _ => corpus.test,
    } as f64;
    let tokens_a_second = 20_000.0;
    match stage {
        Stage::Corpus => (images + corpus.base as f64) / 4000.0,
        Stage::Base if settings.model.checkpoint.is_some() => 10.0,
        Stage::Base => {
            let vision = (base.vision_steps * base.vision_batch) as f64 / 350.0;
            vision + (base.steps * base.batch) as f64 / 370.0
        }
        Stage::Features => images / 1500.0,
        Stage::Candidates => {
            // Reasoned answers have about 30 tokens.
            let rows = (corpus.train * candidates.per_question) as f64;
            rows * 30.0_f64.min(candidates.max_tokens as f64) / tokens_a_second
        }
        Stage::Pairs => 2.0,
        Stage::Reference => num_pairs / 900.0,
        Stage::Policy => {
            let moving = settings.loss.as_ref().is_some_and(Loss::moves_reference);
            let work = num_pairs * train.epochs.get() / 110.0;
            if moving { work * 1.3 } else { work }
        }
        Stage::Benchmarks => 20.0 * eval.files.len() as f64,
        Stage::Answers => asked * eval.prompts.len() as f64 / 400.0,
        Stage::Scores => 2.0,
    }
}
