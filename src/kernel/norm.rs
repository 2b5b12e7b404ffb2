//! RMS norm and layer norm over the rows of `[tokens, width]`, alone or behind the
//! residual sum that precedes them in every block.

use super::{call, supported};
use prefab_kernels as ffi;
use std::ffi::c_int;
use tch::{Kind, Tensor};

/// What a norm does to a row.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Multiplies the normalized row, `[width]` f32.
    pub gain: &'a Tensor,
    /// Added to it; a layer norm's.
    pub bias: Option<&'a Tensor>,
    /// Whether the row's mean is taken off: layer norm; else RMS norm.
    pub centered: bool,
    /// Keeps the division finite.
    pub epsilon: f64,
}

impl Norm<'_> {
    /// Normalizes each row; arithmetic in f32, result in `kind` (f32 or bf16).
    ///
    /// # Formula
    /// ```text
    /// layer: (x − mean) / √(var + ε) · gain + bias
    /// RMS:   x / √(mean(x²) + ε) · gain
    /// ```
    ///
    /// # Shapes
    /// `x` and the result `[tokens, width]`.
    pub fn forward(&self, x: &Tensor, kind: Kind) -> Tensor {
        if !supported(&[x, self.gain]) || x.dim() != 2 {
            return self.plain(x, kind);
        }
        let [out] = call::outputs(|[out]| unsafe {
            // SAFETY: borrowed tensors outlive the call; `out` is written on success.
            ffi::prefab_norm(
                out,
                call::borrow(x),
                call::borrow(self.gain),
                call::borrow_or_null(self.bias),
                self.epsilon,
                c_int::from(self.centered),
                c_int::from(kind == Kind::BFloat16),
            )
        });
        out
    }

    /// [`Norm::forward`] as plain tch code.
    pub fn plain(&self, x: &Tensor, kind: Kind) -> Tensor {
        let x = x.to_kind(Kind::Float);
        let axis = [-1i64].as_slice();
        let x = if self.centered { &x - x.mean_dim(axis, true, Kind::Float) } else { x };
        let inverse = (x.square().mean_dim(axis, true, Kind::Float) + self.epsilon).rsqrt();
        let y = x * inverse * self.gain;
        let y = match self.bias {
            Some(bias) => y + bias,
            None => y,
        };
        y.to_kind(kind)
    }

    /// Adds a block's result to the residual stream and normalizes the sum for the
    /// next block: `s = x + scale · delta`, `(s, norm(s))`.
    ///
    /// One pass in place of three (four with layer scale), and in bf16 no cast pass.
    ///
    /// # Shapes
    /// `x` and the sum `[tokens, width]` f32; `delta` `[tokens, width]` f32 or bf16;
    /// `scale` `[width]` f32; the normalized rows `[tokens, width]` in `kind`.
    pub fn add_forward(
        &self,
        x: &Tensor,
        delta: &Tensor,
        scale: Option<&Tensor>,
        kind: Kind,
    ) -> (Tensor, Tensor) {
        if !supported(&[x, delta, self.gain]) || x.dim() != 2 || x.kind() != Kind::Float {
            return self.add_plain(x, delta, scale, kind);
        }
        let [sum, out] = call::outputs(|[sum, out]| unsafe {
            // SAFETY: borrowed tensors outlive the call; both outputs are written on success.
            ffi::prefab_add_norm(
                sum,
                out,
                call::borrow(x),
                call::borrow(delta),
                call::borrow_or_null(scale),
                call::borrow(self.gain),
                call::borrow_or_null(self.bias),
                self.epsilon,
                c_int::from(self.centered),
                c_int::from(kind == Kind::BFloat16),
            )
        });
        (sum, out)
    }

    /// [`Norm::add_forward`] as plain tch code.
    pub fn add_plain(
        &self,
        x: &Tensor,
        delta: &Tensor,
        scale: Option<&Tensor>,
        kind: Kind,
    ) -> (Tensor, Tensor) {
        let delta = delta.to_kind(Kind::Float);
        let sum = match scale {
            Some(scale) => x + delta * scale,
            None => x + delta,
        };
        let normalized = self.plain(&sum, kind);
        (sum, normalized)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree_on_both, random};
    use super::*;

    fn each(tolerance: f64, x_kind: Kind, kind: Kind) {
        for (tokens, width, centered, with_bias) in [
            (1, 8, false, false),
            (300, 72, false, false),
            (300, 72, true, true),
            (129, 33, true, false),
        ] {
            let inputs = [
                random(&[tokens, width], 1).to_kind(x_kind),
                random(&[width], 2) + 1.0,
                random(&[width], 3),
            ];
            let norm = |i: &[Tensor]| {
                let bias = with_bias.then(|| i[2].shallow_clone());
                (i[1].shallow_clone(), bias)
            };
            let run = |i: &[Tensor], plain: bool| {
                let (gain, bias) = norm(i);
                let n = Norm { gain: &gain, bias: bias.as_ref(), centered, epsilon: 1e-5 };
                // The unused bias gets a gradient, so that the comparison finds one.
                let idle = i[2].sum(Kind::Float) * 0.0;
                vec![if plain { n.plain(&i[0], kind) } else { n.forward(&i[0], kind) }, idle]
            };
            agree_on_both(&inputs, tolerance, |i| run(i, false), |i| run(i, true));
        }
    }

    #[test]
    fn norm_equals_plain() {
        each(3e-6, Kind::Float, Kind::Float);
        each(1e-2, Kind::BFloat16, Kind::BFloat16);
        each(1e-2, Kind::Float, Kind::BFloat16);
        each(1e-2, Kind::BFloat16, Kind::Float);
    }

    #[test]
    fn add_norm_equals_plain() {
        for (kind, tolerance) in [(Kind::Float, 3e-6), (Kind::BFloat16, 1e-2)] {
            for (scaled, centered) in [(false, false), (true, true), (true, false)] {
                let inputs = [
                    random(&[200, 48], 1),
                    random(&[200, 48], 2).to_kind(kind),
                    random(&[48], 3),
                    random(&[48], 4) + 1.0,
                    random(&[48], 5),
                ];
                let run = |i: &[Tensor], plain: bool| {
                    let n = Norm { gain: &i[3], bias: Some(&i[4]), centered, epsilon: 1e-6 };
                    let scale = scaled.then_some(&i[2]);
                    let (sum, out) = if plain {
                        n.add_plain(&i[0], &i[1], scale, kind)
                    } else {
                        n.add_forward(&i[0], &i[1], scale, kind)
                    };
                    vec![sum, out, i[2].sum(Kind::Float) * 0.0]
                };
                agree_on_both(&inputs, tolerance, |i| run(i, false), |i| run(i, true));
            }
        }
    }

    #[test]
    fn either_output_alone_has_gradients() {
        let inputs = [random(&[140, 16], 1), random(&[140, 16], 2), random(&[16], 3)];
        for pick in [0, 1] {
            let run = |i: &[Tensor], plain: bool| {
                let n = Norm { gain: &i[2], bias: None, centered: false, epsilon: 1e-6 };
                let (sum, out) = if plain {
                    n.add_plain(&i[0], &i[1], None, Kind::Float)
                } else {
                    n.add_forward(&i[0], &i[1], None, Kind::Float)
                };
                vec![[sum, out][pick].shallow_clone(), i[2].sum(Kind::Float) * 0.0]
            };
            agree_on_both(&inputs, 3e-6, |i| run(i, false), |i| run(i, true));
        }
    }
}
