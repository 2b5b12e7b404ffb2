//! The training loop of a policy.

use super::batch::{PairRow, Pairs, ReferenceTable, logps};
use super::checkpoint::{Checkpoints, named};
use super::gradient::{self, Known};
use super::guards::{self, ChosenWatch, Norms};
use super::moving::MovingReference;
use super::optimizer::AdamW;
use super::order::Order;
use super::record::{Record, StepRow};
use super::schedule::Schedule;
use super::validation::Validation;
use crate::loss::{Mix, Shift, StepLogps, Terms};
use crate::model::Vlm;
use crate::model::pass::Noise;
use crate::spec::train::{Keep, Train};
use crate::stage::Progress;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::time::Instant;
use tch::{Kind, Tensor};

/// Steps between two looks at the norms of the weights.
const NORMS_EVERY: usize = 16;

/// Everything a run reads, set up by [`super::policy`].
pub(super) struct Run<'a> {
    pub mix: Mix,
    pub train: &'a Train,
    pub model: &'a Vlm,
    pub pairs: &'a Pairs<'a>,
    pub table: ReferenceTable,
    pub moving: Option<MovingReference>,
    pub order: Order,
    pub steps: usize,
    pub optimizer: AdamW,
    pub validation: Option<Validation>,
    pub checkpoints: Checkpoints,
    pub progress: &'a Progress,
    /// Whether the reference is the model that the policy starts from.
    pub starts_at_reference: bool,
    /// DropPath's share at the tower's last layer, where the tower trains.
    pub drop_path: Option<f64>,
    /// Whether adapters leave inputs out.
    pub has_dropout: bool,
}

/// What changes from step to step beside tensors; a checkpoint's scalars.
#[derive(Debug, Default, Deserialize, Serialize)]
struct State {
    /// Updates done.
    step: usize,
    shift: Shift,
    tokens: u64,
    watch: ChosenWatch,
    rows: String,
    /// Step and accuracy of the best weights so far.
    best: Option<(usize, f64)>,
}

impl Run<'_> {
    /// Trains to the last step and leaves the weights to keep in the model.
    ///
    /// # Errors
    ///
    /// A guard's reason, or what the disk says.
    pub fn run(mut self) -> Result<Record> {
        // Of the weights that training starts from, whatever a checkpoint made of them.
        let norms = Norms::of(&self.model.parameters());
        let (mut state, mut best_weights) = self.resume()?;
        let mut record = Record::from_rows(std::mem::take(&mut state.rows));
        if state.step == 0 {
            self.check_step_zero()?;
        }
        let schedule = Schedule::of(self.train, self.steps);
        let clock = (Instant::now(), state.step);
        for step in state.step..=self.steps {
            let last = step == self.steps; // one extra turn, so that both ends are measured
            let scores = match &self.validation {
                Some(validation) if validation.is_due(step, last) => {
                    Some(validation.scores(self.model)?)
                }
                _ => None,
            };
            if let Some(accuracy) = scores.as_ref().map(|scores| scores.accuracy())
                && state.best.is_none_or(|(_, best)| accuracy > best)
            {
                state.best = Some((step, accuracy));
                self.snapshot(&mut best_weights);
            }
            if last {
                if scores.is_some() {
                    record.push(step, None, scores.as_ref());
                }
                break;
            }
            // ---- one training step --------------------------------------------------------
            let rows = self.order.rows_of(step);
            let batch = self.pairs.get(rows.iter().copied())?;
            let batch: Vec<&PairRow> = batch.iter().collect();
            let known = self.known(&rows, &batch)?; // reference log-probs and token counts: [pairs]
            self.optimizer.zero_grad();
            let (logps, terms, delta, shift) = self.backward(step, &known, &batch, state.shift)?;
            check_terms(step, &terms)?;
            let grad_norm = self.optimizer.grad_norm();
            self.check_gradient(step, grad_norm)?;
            let learning_rate = schedule.rate(step);
            self.optimizer.step(learning_rate, grad_norm);
            let synced = match &mut self.moving {
                Some(moving) => moving.follow(step + 1, self.model)?,
                None => false,
            };
            // -------------------------------------------------------------------------------
            state.shift = shift;
            state.tokens += batch.iter().map(|row| row.tokens() as u64).sum::<u64>();
            let measured = Measured { logps: &logps, terms: &terms, delta: &delta };
            let row = StepRow {
                epoch: self.order.epochs(step),
                grad_norm: grad_norm as f32,
                learning_rate,
                tokens: state.tokens,
                pairs: batch.len(),
                synced,
                ..measured.row(&self.mix)
            };
            record.push(step, Some(&row), scores.as_ref());
            self.watch(step, &mut state.watch, &logps);
            if (step + 1).is_multiple_of(NORMS_EVERY) || step + 1 == self.steps {
                norms.check(step)?;
            }
            state.step = step + 1;
            self.report(&state, &row, clock);
            if state.step.is_multiple_of(self.train.checkpoint_every.max(1))
                && state.step < self.steps
            {
                state.rows = record.rows().to_owned();
                self.save(&state, &best_weights)?;
            }
        }
        if self.train.keep == Keep::Best {
            let (step, accuracy) =
                state.best.expect("`keep = \"best\"` without validation is refused at set-up");
            tracing::info!("keeping the weights of step {step}: validation accuracy {accuracy:.3}");
            self.put_back(&best_weights);
        }
        Ok(record)
    }

    /// The loss of the whole step and its gradient, whatever the micro-batches.
    fn backward(
        &self,
        step: usize,
        known: &Known,
        batch: &[&PairRow],
        shift: Shift,
    ) -> Result<(StepLogps, Terms, Tensor, Shift)> {
        let lengths: Vec<usize> = batch.iter().map(|row| row.tokens()).collect();
        let micro_batch = self.train.micro_batch;
        let policy = |at: &[usize]| {
            let rows: Vec<&PairRow> = at.iter().map(|&at| batch[at]).collect();
            self.model.set_noise(self.noise(step, at));
            let logps = logps(self.model, &rows, &self.pairs.pictures, self.train.precision);
            self.model.set_noise(None);
            logps
        };
        let mut shifted = None;
        let (logps, terms) =
            gradient::backward(known, &gradient::pieces(&lengths, micro_batch), policy, |logps| {
                let (terms, delta, after) = self.mix.step(logps, shift, micro_batch);
                shifted = Some((delta, after));
                terms
            })?;
        let (delta, shift) = shifted.expect("every step computes its loss once");
        Ok((logps, terms, delta, shift))
    }

    /// What is left out at random of one micro-batch: the same whenever it is computed.
    fn noise(&self, step: usize, pairs: &[usize]) -> Option<Noise> {
        let is_quiet = self.drop_path.is_none() && !self.has_dropout;
        let first = *pairs.first().filter(|_| !is_quiet)?;
        Some(Noise::new(self.train.seed, step, first, self.drop_path.unwrap_or(0.0)))
    }

    /// The cached reference, or the live one once it has moved.
    fn known(&self, rows: &[usize], batch: &[&PairRow]) -> Result<Known> {
        let device = self.model.device();
        let mut known = self.table.known(rows, device);
        if let Some(moving) = &self.moving
            && let Some(live) = moving.logps(
                batch,
                self.train.micro_batch,
                &self.pairs.pictures,
                self.train.precision,
            )?
        {
            known.reference = live;
        }
        Ok(known)
    }

    /// A separate pass, before training: policy and cached reference agree, and
    /// the loss has its closed form.
    fn check_step_zero(&mut self) -> Result<()> {
        if !self.starts_at_reference {
            tracing::info!("the reference is another model than the start: no step-0 check");
            return Ok(());
        }
        let _no_grad = tch::no_grad_guard();
        let limit = guards::step_zero_limit(self.train.precision);
        let rows = self.order.rows_of(0);
        for rows in rows.chunks(self.train.micro_batch.max(1)) {
            let batch = self.pairs.get(rows.iter().copied())?;
            let batch: Vec<&PairRow> = batch.iter().collect();
            let known = self.table.known(rows, self.model.device());
            let policy = logps(self.model, &batch, &self.pairs.pictures, self.train.precision)?;
            let reference = &known.reference;
            guards::step_zero(&policy.chosen, &reference.chosen, &known.chosen_tokens, limit)?;
            guards::step_zero(
                &policy.rejected,
                &reference.rejected,
                &known.rejected_tokens,
                limit,
            )?;
        }
        let Some(expected) = self.mix.at_reference() else { return Ok(()) };
        // With the reference's own numbers, so that rounding does not blur the formula.
        let known = self.table.known(&rows, self.model.device());
        let same = gradient::PairLogps {
            chosen: known.reference.chosen.shallow_clone(),
            rejected: known.reference.rejected.shallow_clone(),
        };
        let (terms, _, _) =
            self.mix.step(&known.with(same), Shift::default(), self.train.micro_batch);
        let likelihood =
            terms.generation.map_or(0.0, |term| self.mix.weights.w_g * term.double_value(&[]));
        guards::closed_form(terms.loss.double_value(&[]) - likelihood, expected, 1e-3)
    }

    fn check_gradient(&self, step: usize, grad_norm: f64) -> Result<()> {
        if grad_norm.is_finite() {
            return Ok(());
        }
        let place = self.optimizer.broken_gradient().unwrap_or("every parameter together");
        guards::finite(step, &format!("the gradient of `{place}`"), grad_norm)
    }

    fn watch(&self, step: usize, watch: &mut ChosenWatch, logps: &StepLogps) {
        let ratio = mean(&logps.chosen_ratio());
        if watch.observe(f64::from(ratio)) {
            self.progress.warn(&format!(
                "step {step}: chosen answers are {:.1} nats less likely than under the reference \
                 and falling; a generation term (`loss.w_g`) or a lower `train.learning_rate` holds them",
                -ratio
            ));
        }
    }

    fn report(&self, state: &State, row: &StepRow, (start, first): (Instant, usize)) {
        let pairs = (state.step - first) * row.pairs;
        let rate = pairs as f64 / start.elapsed().as_secs_f64().max(1e-9);
        let note = format!("loss {:.3}  {rate:.0} pairs/s", row.loss);
        self.progress.report(state.step as u64, self.steps as u64, note);
    }

    fn save(&self, state: &State, best_weights: &[(String, Tensor)]) -> Result<()> {
        let mut tensors = named("model", self.trained());
        tensors.extend(self.optimizer.state());
        if let Some(moving) = &self.moving {
            tensors.extend(moving.state(self.model));
        }
        tensors.extend(best_weights.iter().map(|(name, t)| (name.clone(), t.shallow_clone())));
        self.checkpoints.save(state.step, &tensors, state)
    }

    /// The newest checkpoint's state, its tensors put in place; or a fresh one.
    fn resume(&mut self) -> Result<(State, Vec<(String, Tensor)>)> {
        let Some((step, checkpoint)) = self.checkpoints.newest::<State>() else {
            return Ok((State::default(), Vec::new()));
        };
        tracing::info!("going on from step {step}");
        checkpoint.put_back(self.trained())?;
        let mut best_weights = Vec::new();
        for (name, parameter) in self.trained() {
            let best = format!("best.{name}");
            if checkpoint.has(&best) {
                let weights = parameter.detach().empty_like();
                checkpoint.copy_to(&best, &weights)?;
                best_weights.push((best, weights));
            }
        }
        self.model.refresh();
        self.optimizer.restore(|name, own| checkpoint.copy_to(name, own))?;
        if let Some(moving) = &mut self.moving {
            moving.restore(&checkpoint, self.model)?;
        }
        Ok((checkpoint.scalars, best_weights))
    }

    fn trained(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.model.trained().into_iter()
    }

    /// Copies the trained weights, where the best are kept: over the best so far.
    fn snapshot(&self, best: &mut Vec<(String, Tensor)>) {
        if self.train.keep != Keep::Best {
            return;
        }
        let _no_grad = tch::no_grad_guard();
        if best.is_empty() {
            let copies = named("best", self.trained());
            *best = copies.into_iter().map(|(name, t)| (name, t.copy())).collect();
            return;
        }
        for ((_, best), (_, parameter)) in best.iter_mut().zip(self.trained()) {
            best.copy_(parameter);
        }
    }

    fn put_back(&self, weights: &[(String, Tensor)]) {
        let _no_grad = tch::no_grad_guard();
        for ((_, parameter), (_, saved)) in self.trained().zip(weights) {
            parameter.shallow_clone().copy_(saved);
        }
        self.model.refresh();
    }
}

fn check_terms(step: usize, terms: &Terms) -> Result<()> {
    let each = [
        ("loss/preference", &terms.preference),
        ("loss/quality", &terms.quality),
        ("loss/generation", &terms.generation),
    ];
    for (name, term) in each {
        if let Some(term) = term {
            guards::finite(step, name, term.double_value(&[]))?;
        }
    }
    guards::finite(step, "the loss", terms.loss.double_value(&[]))
}

struct Measured<'a> {
    logps: &'a StepLogps,
    terms: &'a Terms,
    delta: &'a Tensor,
}

impl Measured<'_> {
    /// The columns that come from the step's tensors; the caller fills in the rest.
    fn row(&self, mix: &Mix) -> StepRow {
        let _no_grad = tch::no_grad_guard();
        let Self { logps, terms, delta } = self;
        let chosen_reward = logps.chosen_ratio() * mix.knobs.beta; // [pairs]
        let rejected_reward = logps.rejected_ratio() * mix.knobs.beta; // [pairs]
        let value = |term: &Option<Tensor>| term.as_ref().map(|t| t.double_value(&[]) as f32);
        StepRow {
            epoch: 0.0,
            loss: terms.loss.double_value(&[]) as f32,
            preference: value(&terms.preference),
            quality: value(&terms.quality),
            generation: value(&terms.generation),
            delta: terms.quality.is_some().then(|| mean(delta)),
            accuracy: mean(&chosen_reward.gt_tensor(&rejected_reward)),
            chosen_reward: mean(&chosen_reward),
            rejected_reward: mean(&rejected_reward),
            chosen_logp: mean(&logps.policy_chosen),
            rejected_logp: mean(&logps.policy_rejected),
            nll: -(logps.policy_chosen.sum(Kind::Double) / logps.chosen_tokens.sum(Kind::Double))
                .double_value(&[]) as f32,
            grad_norm: 0.0,
            learning_rate: 0.0,
            tokens: 0,
            pairs: 0,
            synced: false,
        }
    }
}

fn mean(tensor: &Tensor) -> f32 {
    tensor.detach().to_kind(Kind::Double).mean(Kind::Double).double_value(&[]) as f32
}

/// Why `keep = "best"` cannot be had without validation.
pub(super) fn check_keep(train: &Train, validates: bool) -> Result<()> {
    if train.keep == Keep::Best && !validates {
        return Err(Error::spec("`train.keep` is \"best\", but nothing is validated")
            .hint("set `eval.every` above 0, and give the corpus a validation split"));
    }
    Ok(())
}
