//! Rotary angles and how they change beyond the trained length.

use super::config::{LanguageConfig, RopeScaling};
use super::ops;
use tch::{Device, Tensor};

/// Rotary angles of some positions: cos and sin, `[tokens, head/2]`.
#[derive(Debug)]
pub struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Angles {
    /// Angles in f32. `lengths` are those of the whole sequences: dynamic NTK and LongRoPE
    /// change the frequencies where one is longer than what was trained.
    ///
    /// # Source
    ///
    /// Su et al. 2021, arXiv:2104.09864; dynamic NTK as in transformers 4.37; LongRoPE as
    /// in its Phi-3 (Ding et al. 2024, arXiv:2402.13753).
    pub fn new(
        config: &LanguageConfig,
        positions: &[i64],
        lengths: &[i64],
        device: Device,
    ) -> Self {
        let (head, theta) = (config.head, config.rope_theta);
        let frequencies = |theta: f64| -> Vec<f32> {
            (0..head / 2).map(|i| (theta as f32).powf(-((2 * i) as f32) / head as f32)).collect()
        };
        let divided = |divisors: &[f64]| -> Vec<f32> {
            let plain = (0..head / 2).map(|i| theta.powf((2 * i) as f64 / head as f64));
            plain.zip(divisors).map(|(plain, divisor)| (1.0 / (divisor * plain)) as f32).collect()
        };
        let longest = lengths.iter().max().copied().unwrap_or(0);
        let (mut divisor, mut scale) = (1.0, 1.0);
        // The frequencies of a sequence of some length; none where the length changes nothing.
        let by_length: Option<Box<dyn Fn(i64) -> Vec<f32> + '_>> = match &config.rope_scaling {
            RopeScaling::None => None,
            RopeScaling::Linear(factor) => {
                divisor = *factor;
                None
            }
            RopeScaling::Dynamic(factor) => {
                let trained = config.positions as i64;
                let factor = *factor;
                let stretched = move |length: i64| {
                    let excess = factor * length as f64 / trained as f64 - (factor - 1.0);
                    theta * excess.powf(head as f64 / (head as f64 - 2.0))
                };
                (longest > trained).then(|| -> Box<dyn Fn(i64) -> Vec<f32>> {
                    Box::new(move |length| match length > trained {
                        true => frequencies(stretched(length)),
                        false => frequencies(theta),
                    })
                })
            }
            RopeScaling::Long { short, long, trained, scale: by } => {
                scale = *by;
                let trained = *trained as i64;
                Some(Box::new(move |length| divided(if length > trained { long } else { short })))
            }
        };
        let frequencies = match by_length {
            None => Tensor::from_slice(&frequencies(theta)).unsqueeze(0),
            Some(of) => {
                let each: Vec<f32> = lengths.iter().flat_map(|&length| of(length)).collect();
                Tensor::from_slice(&each).view([lengths.len() as i64, head as i64 / 2])
            }
        };
        let positions: Vec<f32> =
            positions.iter().map(|&position| (position as f64 / divisor) as f32).collect();
        let positions = Tensor::from_slice(&positions).unsqueeze(1).to_device(device);
        let angles = positions * frequencies.to_device(device); // [tokens, head/2]
        let (cos, sin) = (angles.cos(), angles.sin());
        match scale == 1.0 {
            true => Self { cos, sin },
            false => Self { cos: cos * scale, sin: sin * scale },
        }
    }

    /// Turns `[tokens, heads, head]`.
    pub fn turn(&self, x: &Tensor) -> Tensor {
        ops::rope(x, &self.cos, &self.sin)
    }

    /// cos and sin, `[tokens, head/2]` each.
    pub fn pair(&self) -> (&Tensor, &Tensor) {
        (&self.cos, &self.sin)
    }
}
