//! GELU with the error function: the vision tower's and the projector's activation.

use super::{call, on_processor};
use prefab_kernels as ffi;
use tch::Tensor;

/// `x · Φ(x)`, arithmetic in f32, result in `x`'s number type and shape.
pub fn gelu(x: &Tensor) -> Tensor {
    if !on_processor(&[x]) {
        return plain(x);
    }
    let [out] = call::outputs(|[out]| unsafe {
        // SAFETY: the borrowed tensor outlives the call; `out` is written on success.
        ffi::prefab_gelu(out, call::borrow(x))
    });
    out
}

/// [`gelu`] as plain tch code.
pub fn plain(x: &Tensor) -> Tensor {
    x.gelu("none")
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, random};
    use tch::Kind;

    #[test]
    fn gelu_equals_plain() {
        for (kind, tolerance) in [(Kind::Float, 2e-6), (Kind::BFloat16, 1e-2)] {
            let inputs = [random(&[7, 300, 5], 1).to_kind(kind) * 4.0];
            let (kernel, plain) = (super::gelu, super::plain);
            agree(&inputs, tolerance, |i| vec![kernel(&i[0])], |i| vec![plain(&i[0])]);
        }
    }
}
