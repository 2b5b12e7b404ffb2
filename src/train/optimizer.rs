//! AdamW with decoupled weight decay and a state that can be saved.

use crate::spec::train::Train;
use tch::{Kind, Tensor};

/// The numbers of AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Decay of the gradient mean.
    pub beta1: f64,
    /// Decay of the squared gradient mean.
    pub beta2: f64,
    /// Added to the root of the squared gradient mean.
    pub epsilon: f64,
    /// Decoupled weight decay of matrices; norms, biases and other vectors have none.
    pub weight_decay: f64,
    /// Largest gradient norm.
    pub max_grad_norm: f64,
}

impl Settings {
    /// The policy stage's.
    pub fn of(train: &Train) -> Self {
        Self {
            beta1: train.adam_beta1.get(),
            beta2: train.adam_beta2.get(),
            epsilon: train.adam_epsilon.get(),
            weight_decay: train.weight_decay.get(),
            max_grad_norm: train.max_grad_norm.get(),
        }
    }

    /// The base stage's.
    pub const BASE: Self =
        Self { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weight_decay: 0.01, max_grad_norm: 1.0 };
}

/// A trained tensor, fp32, with its two moments.
#[derive(Debug)]
struct Slot {
    name: String,
    parameter: Tensor,
    mean: Tensor,
    square: Tensor,
    decays: bool,
}

/// AdamW over a fixed list of fp32 leaf tensors.
///
/// # Formula
///
/// ```text
/// g ← g · min(1, max_norm / ‖g‖)
/// m ← β₁m + (1 − β₁)g       v ← β₂v + (1 − β₂)g²
/// θ ← θ(1 − ηλ) − η · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)
/// ```
///
/// # Source
///
/// Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2. A departure that
/// everybody makes: vectors (norms, biases, layer scales) do not decay.
#[derive(Debug)]
pub struct AdamW {
    slots: Vec<Slot>,
    settings: Settings,
    steps: i64,
}

impl AdamW {
    /// An optimizer of the tensors that require a gradient.
    pub fn new(parameters: &[(&str, &Tensor)], settings: Settings) -> Self {
        let slots = parameters
            .iter()
            .filter(|(_, parameter)| parameter.requires_grad())
            .map(|(name, parameter)| Slot {
                name: (*name).to_owned(),
                parameter: parameter.shallow_clone(),
                mean: parameter.zeros_like().set_requires_grad(false),
                square: parameter.zeros_like().set_requires_grad(false),
                decays: parameter.dim() > 1,
            })
            .collect();
        Self { slots, settings, steps: 0 }
    }

    /// Names of the trained tensors, in file order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().map(|slot| slot.name.as_str())
    }

    /// Forgets all gradients.
    pub fn zero_grad(&mut self) {
        for slot in &mut self.slots {
            slot.parameter.zero_grad();
        }
    }

    /// The norm of the whole gradient, before clipping: `NaN` or infinite where any element is.
    pub fn grad_norm(&self) -> f64 {
        let _no_grad = tch::no_grad_guard();
        let squares: Vec<Tensor> = self
            .slots
            .iter()
            .map(|slot| slot.parameter.grad())
            .filter(Tensor::defined)
            .map(|grad| grad.square().sum(Kind::Double))
            .collect();
        if squares.is_empty() {
            return 0.0;
        }
        Tensor::stack(&squares, 0).sum(Kind::Double).sqrt().double_value(&[])
    }

    /// The first tensor whose gradient holds a number that is not finite.
    pub fn broken_gradient(&self) -> Option<&str> {
        self.slots.iter().find_map(|slot| {
            let grad = slot.parameter.grad();
            let broken = grad.defined() && !grad.isfinite().all().int64_value(&[]).is_positive();
            broken.then_some(slot.name.as_str())
        })
    }

    /// Clips by `grad_norm` and updates every parameter that has a gradient.
    pub fn step(&mut self, rate: f64, grad_norm: f64) {
        let _no_grad = tch::no_grad_guard();
        self.steps += 1;
        let Settings { beta1, beta2, epsilon, weight_decay, max_grad_norm } = self.settings;
        let clip = (max_grad_norm / (grad_norm + 1e-6)).min(1.0);
        let mean_bias = 1.0 - beta1.powi(self.steps as i32);
        let square_bias = 1.0 - beta2.powi(self.steps as i32);
        for slot in &mut self.slots {
            let grad = slot.parameter.grad();
            if !grad.defined() {
                continue;
            }
            let grad = if clip < 1.0 { grad * clip } else { grad };
            let _ = slot.mean.g_mul_scalar_(beta1).g_add_(&(&grad * (1.0 - beta1)));
            let _ = slot.square.g_mul_scalar_(beta2).g_add_(&(grad.square() * (1.0 - beta2)));
            if slot.decays {
                let _ = slot.parameter.g_mul_scalar_(1.0 - rate * weight_decay);
            }
            let root = (slot.square.sqrt() / square_bias.sqrt()) + epsilon;
            let _ = slot.parameter.g_add_(&(&slot.mean / root * (-rate / mean_bias)));
        }
    }

    /// What a checkpoint holds: both moments of every tensor.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let named = |kind: &str, slot: &Slot, tensor: &Tensor| {
            (format!("{kind}.{}", slot.name), tensor.shallow_clone())
        };
        let means = self.slots.iter().map(|slot| named("exp_avg", slot, &slot.mean));
        let squares = self.slots.iter().map(|slot| named("exp_avg_sq", slot, &slot.square));
        means.chain(squares).collect()
    }

    /// Steps taken.
    pub fn steps(&self) -> i64 {
        self.steps
    }

    /// Takes over a checkpoint's state.
    ///
    /// # Errors
    ///
    /// If a moment is missing or has another shape.
    pub fn restore(
        &mut self,
        steps: i64,
        find: impl Fn(&str, &[i64]) -> crate::Result<Tensor>,
    ) -> crate::Result<()> {
        let _no_grad = tch::no_grad_guard();
        for slot in &mut self.slots {
            let shape = slot.parameter.size();
            slot.mean.copy_(&find(&format!("exp_avg.{}", slot.name), &shape)?);
            slot.square.copy_(&find(&format!("exp_avg_sq.{}", slot.name), &shape)?);
        }
        self.steps = steps;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    const SETTINGS: Settings = Settings {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.5,
        max_grad_norm: 10.0,
    };

    fn leaf(values: &[f32], shape: &[i64]) -> Tensor {
        Tensor::from_slice(values).reshape(shape).set_requires_grad(true)
    }

    #[test]
    fn the_first_step_moves_by_the_rate_and_matrices_decay() {
        let matrix = leaf(&[1.0, -2.0], &[1, 2]);
        let bias = leaf(&[3.0], &[1]);
        let mut adam = AdamW::new(&[("matrix", &matrix), ("bias", &bias)], SETTINGS);
        let loss = (&matrix * 2.0).sum(Kind::Float) + (&bias * -1.0).sum(Kind::Float);
        loss.backward();
        let norm = adam.grad_norm();
        assert!((norm - 3.0).abs() < 1e-6, "√(4 + 4 + 1)");
        adam.step(0.1, norm);
        // Bias-corrected, the first step is rate · sign(gradient); decay is 0.1 · 0.5.
        let matrix = Vec::<f32>::try_from(matrix.flatten(0, -1)).unwrap();
        assert!((matrix[0] - (0.95 - 0.1)).abs() < 1e-6, "{matrix:?}");
        assert!((matrix[1] - (-1.9 - 0.1)).abs() < 1e-6, "{matrix:?}");
        assert!((bias.double_value(&[0]) - 3.1).abs() < 1e-6, "vectors do not decay");
    }

    #[test]
    fn a_restored_optimizer_goes_on_to_the_same_bits() {
        let step = |adam: &mut AdamW, parameter: &Tensor| {
            adam.zero_grad();
            parameter.square().sum(Kind::Float).backward();
            let norm = adam.grad_norm();
            adam.step(0.01, norm);
        };
        let straight = leaf(&[1.0, 2.0], &[2]);
        let mut adam = AdamW::new(&[("w", &straight)], SETTINGS);
        step(&mut adam, &straight);
        step(&mut adam, &straight);
        let saved = adam.state();
        let resumed = straight.detach().copy().set_requires_grad(true);
        let moments: Vec<_> = saved.into_iter().map(|(name, t)| (name, t.copy())).collect();
        let mut other = AdamW::new(&[("w", &resumed)], SETTINGS);
        other
            .restore(adam.steps(), |name, _| {
                Ok(moments.iter().find(|(n, _)| n == name).unwrap().1.shallow_clone())
            })
            .unwrap();
        step(&mut adam, &straight);
        step(&mut other, &resumed);
        assert_eq!(
            Vec::<f32>::try_from(&straight).unwrap(),
            Vec::<f32>::try_from(&resumed).unwrap()
        );
    }

    #[test]
    fn frozen_tensors_and_missing_gradients_are_left_alone() {
        let frozen = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
        let idle = leaf(&[1.0], &[1]);
        let mut adam = AdamW::new(&[("frozen", &frozen), ("idle", &idle)], SETTINGS);
        assert_eq!(adam.names().collect::<Vec<_>>(), ["idle"]);
        assert_eq!(adam.grad_norm(), 0.0);
        adam.step(0.1, 0.0);
        assert_eq!(idle.double_value(&[0]), 1.0);
    }
}
