//! The loop of the base stage's two lessons: plain supervised steps with one
//! cosine, guards, a record and checkpoints.

use super::checkpoint::{Checkpoints, named};
use super::guards;
use super::optimizer::{AdamW, Settings};
use super::schedule::Schedule;
use crate::Result;
use crate::spec::lists::BASE_STEPS;
use crate::spec::train::Schedule as Shape;
use crate::stage::StageContext;
use crate::tasks::LAYERS;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Instant;
use tch::Tensor;

/// Share of a lesson's steps with rising learning rate.
const WARMUP: f64 = 0.03;

/// Steps between two checkpoints.
const CHECKPOINT_EVERY: usize = 200;

/// What is taught, for how long, how fast.
pub(super) struct Lesson<'a> {
    /// `vision` or `language`: names its checkpoints and its rows of base_steps.csv.
    pub name: &'static str,
    /// Every tensor it may change, those that require a gradient being trained.
    pub parameters: Vec<(&'a str, &'a Tensor)>,
    pub steps: usize,
    pub learning_rate: f64,
    pub ctx: &'a StageContext,
}

/// What one step gives: the loss to minimise and the share of right predictions.
pub(super) struct Taught {
    pub loss: Tensor,
    pub accuracy: Vec<f64>,
}

/// A checkpoint's scalars.
#[derive(Debug, Default, Deserialize, Serialize)]
struct State {
    step: usize,
    rows: String,
}

impl Lesson<'_> {
    /// Teaches to the last step; returns the rows of base_steps.csv.
    ///
    /// A killed lesson goes on from its last checkpoint; a finished one is
    /// taken over whole.
    ///
    /// # Errors
    ///
    /// What `step` says, a loss or gradient that is not finite, a full disk.
    pub fn teach(self, mut step_loss: impl FnMut(usize) -> Result<Taught>) -> Result<String> {
        let mut optimizer = AdamW::new(&self.parameters, Settings::BASE);
        let checkpoints = Checkpoints::new(&self.ctx.work, self.name);
        let mut state = self.resume(&checkpoints, &mut optimizer)?;
        let schedule = Schedule::new(Shape::Cosine, self.learning_rate, WARMUP, self.steps);
        let (clock, first) = (Instant::now(), state.step);
        for step in state.step..self.steps {
            optimizer.zero_grad();
            let taught = step_loss(step)?;
            let loss = taught.loss.double_value(&[]);
            guards::finite(step, &format!("the {} loss", self.name), loss)?;
            taught.loss.backward();
            let grad_norm = optimizer.grad_norm();
            guards::finite(step, &format!("the {} gradient", self.name), grad_norm)?;
            let rate = schedule.rate(step);
            optimizer.step(rate, grad_norm);

            let (loss, grad_norm) = (loss as f32, grad_norm as f32);
            let mut cells = taught.accuracy.iter().map(|share| (*share as f32).to_string());
            let shares: [String; LAYERS.len()] =
                std::array::from_fn(|_| cells.next().unwrap_or_default());
            let shares = shares.join(",");
            state.rows += &format!("{},{step},{loss},{grad_norm},{rate},{shares}\n", self.name);
            state.step = step + 1;
            let speed = (state.step - first) as f64 / clock.elapsed().as_secs_f64().max(1e-9);
            let note = format!("{}: loss {loss:.3}  {speed:.1} steps/s", self.name);
            self.ctx.progress.report(state.step as u64, self.steps as u64, note);
            if state.step.is_multiple_of(CHECKPOINT_EVERY) || state.step == self.steps {
                self.save(&checkpoints, &state, &optimizer)?;
            }
        }
        Ok(state.rows)
    }

    fn trained(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.parameters.iter().copied().filter(|(_, parameter)| parameter.requires_grad())
    }

    fn save(&self, checkpoints: &Checkpoints, state: &State, optimizer: &AdamW) -> Result<()> {
        let mut tensors = named("model", self.trained());
        tensors.extend(optimizer.state());
        checkpoints.save(state.step, &tensors, state)
    }

    fn resume(&self, checkpoints: &Checkpoints, optimizer: &mut AdamW) -> Result<State> {
        let Some((step, checkpoint)) = checkpoints.newest::<State>() else {
            return Ok(State::default());
        };
        tracing::info!("{}: going on from step {step}", self.name);
        checkpoint.put_back(self.trained())?;
        optimizer.restore(|name, own| checkpoint.copy_to(name, own))?;
        Ok(checkpoint.scalars)
    }
}

/// Writes base_steps.csv.
pub(super) fn write(path: &Path, rows: &str) -> Result<()> {
    use crate::error::Context;
    std::fs::write(path, format!("lesson,step,{}\n{rows}", BASE_STEPS.join(",")))
        .with_context(|| format!("writing `{}`", path.display()))
}
