//! SwiGLU: the gated activation of the decoder's MLP.

use super::{call, supported};
use prefab_kernels as ffi;
use tch::Tensor;

/// `silu(gate) · up`, arithmetic in f32, result in the inputs' number type.
///
/// One pass forward and one backward, where the plain code makes two and five.
///
/// # Shapes
/// All `[tokens, mlp]`; the inputs may be column ranges of one wider tensor.
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Tensor {
    if !supported(&[gate, up]) || gate.dim() != 2 {
        return plain(gate, up);
    }
    let [out] = call::outputs(|[out]| unsafe {
        // SAFETY: borrowed tensors outlive the call; `out` is written on success.
        ffi::prefab_swiglu(out, call::borrow(gate), call::borrow(up))
    });
    out
}

/// [`swiglu`] as plain tch code.
pub fn plain(gate: &Tensor, up: &Tensor) -> Tensor {
    gate.silu() * up
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, random};
    use tch::Kind;

    #[test]
    fn swiglu_equals_plain() {
        for (kind, tolerance) in [(Kind::Float, 2e-6), (Kind::BFloat16, 1.5e-2)] {
            let inputs =
                [random(&[300, 50], 1).to_kind(kind) * 4.0, random(&[300, 50], 2).to_kind(kind)];
            agree(
                &inputs,
                tolerance,
                |i| vec![super::swiglu(&i[0], &i[1])],
                |i| vec![super::plain(&i[0], &i[1])],
            );
        }
    }

    #[test]
    fn halves_of_one_tensor() {
        let inputs = [random(&[130, 24], 1)];
        let halves = |x: &tch::Tensor| (x.narrow(1, 0, 12), x.narrow(1, 12, 12));
        agree(
            &inputs,
            2e-6,
            |i| {
                let (gate, up) = halves(&i[0]);
                vec![super::swiglu(&gate, &up)]
            },
            |i| {
                let (gate, up) = halves(&i[0]);
                vec![super::plain(&gate, &up)]
            },
        );
    }
}
