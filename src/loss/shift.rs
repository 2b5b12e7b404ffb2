//! The reward shift δ of the quality term and its running state.

use super::algorithm::StepLogps;
use crate::spec::loss::{Delta, Mode, Moving, Per, Update};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Share of the old mean that an exponential mean keeps where the spec does not say.
pub(super) const DECAY: f64 = 0.9;

/// The running mean of rewards: owned by the trainer, saved with its checkpoint.
/// Evaluation never updates it.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Shift {
    /// Mean reward so far, no unit.
    pub mean: f64,
    /// Batches in it.
    pub batches: u64,
}

impl Shift {
    /// δ for every pair of a step, `[pairs]` without gradient, and the state after it.
    ///
    /// A batch's reward is the mean of `β·a` and `β·b` over its pairs, both
    /// answers together, as TRL 0.10's running moments take it. With
    /// `per = "micro_batch"` the pairs are taken `micro_batch` at a time.
    pub fn advance(
        self,
        delta: Delta,
        beta: f64,
        micro_batch: usize,
        logps: &StepLogps,
    ) -> (Tensor, Self) {
        let kind = logps.policy_chosen.kind();
        let rewards = (logps.chosen_ratio() + logps.rejected_ratio()).detach() * (0.5 * beta); // [pairs]
        let pairs = rewards.size1().expect("log-probabilities are one a pair");
        let constant = |shift: f64| Tensor::full([pairs], shift, (kind, rewards.device()));
        let moving = match delta {
            Delta::None => return (constant(0.0), self),
            Delta::Fixed(shift) => return (constant(shift), self),
            Delta::Moving(moving) => moving,
        };
        let piece = match moving.per {
            Per::Step => pairs,
            Per::MicroBatch => micro_batch as i64,
        };
        let mut state = self;
        let shifts: Vec<Tensor> = rewards
            .split(piece, 0)
            .iter()
            .map(|rewards| {
                let before = state;
                state = state.with(moving, rewards.mean(Kind::Double).double_value(&[]));
                let used = if moving.update == Update::Before { state } else { before };
                Tensor::full(rewards.size(), used.mean, (kind, rewards.device()))
            })
            .collect();
        (Tensor::cat(&shifts, 0), state)
    }

    /// The state with one more batch mean in it.
    fn with(self, moving: Moving, reward: f64) -> Self {
        let batches = self.batches + 1;
        let keep = match moving.mode {
            _ if batches == 1 => 0.0,
            Mode::Cumulative => 1.0 - 1.0 / batches as f64,
            Mode::Ema => moving.decay.map_or(DECAY, |decay| decay.get()),
        };
        Self { mean: keep * self.mean + (1.0 - keep) * reward, batches }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pairs whose rewards at β = 1 are their chosen log-probabilities halved.
    fn logps(first: f64, second: f64) -> StepLogps {
        let zero = || Tensor::from_slice(&[0.0f64, 0.0]);
        StepLogps {
            policy_chosen: Tensor::from_slice(&[2.0 * first, 2.0 * second]),
            policy_rejected: zero(),
            reference_chosen: zero(),
            reference_rejected: zero(),
            chosen_tokens: zero(),
            rejected_tokens: zero(),
        }
    }

    fn moving(update: Update, per: Per, mode: Mode) -> Delta {
        Delta::Moving(Moving { mode, decay: None, update, per })
    }

    #[track_caller]
    fn assert_shifts(delta: Delta, expected: [[f64; 2]; 2]) {
        let mut state = Shift::default();
        for (step, expected) in [logps(1.0, 3.0), logps(5.0, 7.0)].iter().zip(expected) {
            let (shift, next) = state.advance(delta, 1.0, 1, step);
            assert_eq!(Vec::<f64>::try_from(shift).unwrap(), expected);
            state = next;
        }
    }

    #[test]
    fn running_mean_holds_the_step_itself() {
        // Step means 2 and 6: the mean is 2, then (2 + 6) / 2 = 4.
        assert_shifts(Delta::RUNNING, [[2.0, 2.0], [4.0, 4.0]]);
    }

    #[test]
    fn updating_after_uses_earlier_steps_only() {
        let delta = moving(Update::After, Per::Step, Mode::Cumulative);
        assert_shifts(delta, [[0.0, 0.0], [2.0, 2.0]]);
    }

    #[test]
    fn per_micro_batch_advances_within_the_step() {
        // Means 1, 3, 5, 7 in turn: cumulative 1, 2, 3, 4.
        let delta = moving(Update::Before, Per::MicroBatch, Mode::Cumulative);
        assert_shifts(delta, [[1.0, 2.0], [3.0, 4.0]]);
    }

    #[test]
    fn ema_keeps_nine_tenths() {
        // 2, then 0.9 · 2 + 0.1 · 6 = 2.4.
        let delta = moving(Update::Before, Per::Step, Mode::Ema);
        let mut state = Shift::default();
        for (step, mean) in [(logps(1.0, 3.0), 2.0), (logps(5.0, 7.0), 2.4)] {
            state = state.advance(delta, 1.0, 1, &step).1;
            assert!((state.mean - mean).abs() < 1e-12, "{state:?}");
        }
    }

    #[test]
    fn fixed_and_none_keep_no_state() {
        assert_shifts(Delta::Fixed(0.5), [[0.5, 0.5], [0.5, 0.5]]);
        assert_shifts(Delta::None, [[0.0, 0.0], [0.0, 0.0]]);
    }
}
