//! Rotary position embedding of packed tokens, each at its own position.

use super::{call, supported};
use prefab_kernels as ffi;
use tch::{Kind, Tensor};

/// Rotates the two halves of every head by the angle of the token's position.
///
/// # Formula
/// ```text
/// out[..half] = x[..half] · cos − x[half..] · sin
/// out[half..] = x[half..] · cos + x[..half] · sin
/// ```
///
/// # Shapes
/// `x` and the result `[tokens, heads, head]`, f32 or bf16; `cosine` and `sine`
/// `[tokens, head / 2]` f32, the angles of each token's position.
pub fn rope(x: &Tensor, cosine: &Tensor, sine: &Tensor) -> Tensor {
    if !supported(&[x, cosine]) || cosine.kind() != Kind::Float {
        return plain(x, cosine, sine);
    }
    let (cosine, sine) = (cosine.contiguous(), sine.contiguous());
    let [out] = call::outputs(|[out]| unsafe {
        // SAFETY: borrowed tensors outlive the call; `out` is written on success.
        ffi::prefab_rope(out, call::borrow(x), call::borrow(&cosine), call::borrow(&sine))
    });
    out
}

/// [`rope`] as plain tch code.
pub fn plain(x: &Tensor, cosine: &Tensor, sine: &Tensor) -> Tensor {
    let half = x.size()[2] / 2;
    let (cosine, sine) = (cosine.unsqueeze(1), sine.unsqueeze(1)); // [tokens, 1, head / 2]
    let kind = x.kind();
    let x = x.to_kind(Kind::Float);
    let (a, b) = (x.narrow(2, 0, half), x.narrow(2, half, half));
    Tensor::cat(&[&a * &cosine - &b * &sine, &b * &cosine + &a * &sine], 2).to_kind(kind)
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree_on_both, random};
    use tch::Kind;

    #[test]
    fn rope_equals_plain() {
        let (c, s) = (random(&[140, 6], 2), random(&[140, 6], 3));
        for (kind, tolerance) in [(Kind::Float, 2e-6), (Kind::BFloat16, 1e-2)] {
            let inputs = [random(&[140, 3, 12], 1).to_kind(kind)];
            agree_on_both(
                &inputs,
                tolerance,
                |i| vec![super::rope(&i[0], &c, &s)],
                |i| vec![super::plain(&i[0], &c, &s)],
            );
        }
    }

    #[test]
    fn rows_may_have_a_stride() {
        // Some columns of a wider tensor, as a fused projection gives them.
        let (c, s) = (random(&[20, 4], 2), random(&[20, 4], 3));
        let inputs = [random(&[20, 6, 8], 1)];
        agree_on_both(
            &inputs,
            2e-6,
            |i| vec![super::rope(&i[0].narrow(1, 2, 2), &c, &s)],
            |i| vec![super::plain(&i[0].narrow(1, 2, 2), &c, &s)],
        );
    }
}
