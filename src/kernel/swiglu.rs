//! SwiGLU: the gated activation of the decoder's MLP.

use super::{call, supported};
use prefab_kernels as ffi;
use tch::Tensor;

/// `silu(gate) · up`, arithmetic in f32, result in the input's number type.
///
/// One pass forward and one backward, where the plain code makes two and five.
///
/// # Shapes
/// `gate_up` `[tokens, 2 · mlp]`, gate first; the result `[tokens, mlp]`.
pub fn swiglu(gate_up: &Tensor) -> Tensor {
    if !supported(&[gate_up]) {
        return plain(gate_up);
    }
    let [out] = call::outputs(|[out]| unsafe {
        // SAFETY: the borrowed tensor outlives the call; `out` is written on success.
        ffi::prefab_swiglu(out, call::borrow(gate_up))
    });
    out
}

/// [`swiglu`] as plain tch code.
pub fn plain(gate_up: &Tensor) -> Tensor {
    let halves = gate_up.chunk(2, -1);
    halves[0].silu() * &halves[1]
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree_on_both, random};
    use tch::Kind;

    #[test]
    fn swiglu_equals_plain() {
        for (kind, tolerance) in [(Kind::Float, 2e-6), (Kind::BFloat16, 1.5e-2)] {
            let inputs = [random(&[300, 50], 1).to_kind(kind) * 4.0];
            let (kernel, plain) = (super::swiglu, super::plain);
            agree_on_both(&inputs, tolerance, |i| vec![kernel(&i[0])], |i| vec![plain(&i[0])]);
        }
    }
}
