//! AdamW with decoupled weight decay and a state that can be saved.

use crate::Result;
use crate::kernel::{adamw, clip};
use crate::spec::train::{Moments, Train};
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
    /// Number type of the moments.
    pub moments: Moments,
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
            moments: train.moments,
        }
    }

    /// The base stage's.
    pub const BASE: Self = Self {
        beta1: 0.9,
        beta2: 0.98,
        epsilon: 1e-8,
        weight_decay: 0.01,
        max_grad_norm: 1.0,
        moments: Moments::Fp32,
    };
}

/// Tensors of one weight decay, and their moments.
#[derive(Debug)]
struct Group {
    names: Vec<String>,
    parameters: Vec<Tensor>,
    moments: adamw::AdamW,
    weight_decay: f64,
}

impl Group {
    fn gradients(&self) -> Vec<Tensor> {
        self.parameters.iter().map(Tensor::grad).collect()
    }

    fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }
}

/// AdamW over a fixed list of fp32 leaf tensors: the fused kernel of
/// [`crate::kernel::adamw`], with clipping, and with decay for matrices only.
///
/// # Source
///
/// Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2. A departure that
/// everybody makes: vectors (norms, biases, layer scales) do not decay.
#[derive(Debug)]
pub struct AdamW {
    groups: [Group; 2],
    settings: Settings,
}

impl AdamW {
    /// An optimizer of the tensors that require a gradient.
    pub fn new(parameters: &[(&str, &Tensor)], settings: Settings) -> Self {
        Self::with_masters(parameters, settings, |_| None)
    }

    /// The same, where some of the tensors are bf16 copies of f32 masters.
    pub fn with_masters(
        parameters: &[(&str, &Tensor)],
        settings: Settings,
        master: impl Fn(&str) -> Option<Tensor>,
    ) -> Self {
        let kind = match settings.moments {
            Moments::Fp32 => Kind::Float,
            Moments::Bf16 => Kind::BFloat16,
        };
        let group = |decays: bool, weight_decay: f64| {
            let (names, parameters): (Vec<String>, Vec<Tensor>) = parameters
                .iter()
                .filter(|(_, tensor)| tensor.requires_grad() && (tensor.dim() > 1) == decays)
                .map(|(name, tensor)| ((*name).to_owned(), tensor.shallow_clone()))
                .unzip();
            let masters = names.iter().map(|name| master(name)).collect();
            let moments = adamw::AdamW::narrow(&parameters, kind, masters);
            Group { moments, names, parameters, weight_decay }
        };
        Self { groups: [group(true, settings.weight_decay), group(false, 0.0)], settings }
    }

    /// Forgets all gradients.
    pub fn zero_grad(&mut self) {
        for parameter in self.groups.iter_mut().flat_map(|group| &mut group.parameters) {
            parameter.zero_grad();
        }
    }

    /// The norm of the whole gradient, before clipping: `NaN` or infinite where any element is.
    pub fn grad_norm(&self) -> f64 {
        let gradients: Vec<Tensor> = self.groups.iter().flat_map(Group::gradients).collect();
        clip::norm(&gradients)
    }

    /// The first tensor whose gradient holds a number that is not finite.
    pub fn broken_gradient(&self) -> Option<&str> {
        let _no_grad = tch::no_grad_guard();
        self.groups.iter().find_map(|group| {
            let broken = group.gradients().iter().position(|gradient| {
                gradient.defined() && gradient.isfinite().all().int64_value(&[]) == 0
            })?;
            Some(group.names[broken].as_str())
        })
    }

    /// Clips by `grad_norm` and updates every parameter that has a gradient.
    pub fn step(&mut self, learning_rate: f64, grad_norm: f64) {
        let divisor = clip::divisor(grad_norm, self.settings.max_grad_norm);
        let Settings { beta1, beta2, epsilon, .. } = self.settings;
        for group in &mut self.groups {
            let weight_decay = group.weight_decay;
            let settings = adamw::Settings { learning_rate, beta1, beta2, epsilon, weight_decay };
            let gradients = group.gradients();
            group.moments.step(&group.parameters, &gradients, &settings, divisor);
        }
    }

    /// What a checkpoint holds: moments and step counts by name, storage shared.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.groups.iter().flat_map(|group| group.moments.state(&group.names())).collect()
    }

    /// Takes over a checkpoint's state: `fill` writes each tensor by its name.
    ///
    /// # Errors
    ///
    /// What `fill` says: a moment is missing or has another shape.
    pub fn restore(&mut self, fill: impl Fn(&str, &Tensor) -> Result<()>) -> Result<()> {
        for group in &mut self.groups {
            let names: Vec<&str> = group.names.iter().map(String::as_str).collect();
            group.moments.restore(&names, &fill)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    const SETTINGS: Settings = Settings {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.5,
        max_grad_norm: 10.0,
        moments: Moments::Fp32,
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
            .restore(|name, own| {
                let (_, saved) = moments.iter().find(|(saved, _)| saved == name).unwrap();
                own.shallow_clone().copy_(saved);
                Ok(())
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
        assert_eq!(adam.state().len(), 3, "two moments and a count of one tensor");
        assert_eq!(adam.grad_norm(), 0.0);
        adam.step(0.1, 0.0);
        assert_eq!(idle.double_value(&[0]), 1.0);
    }
}
