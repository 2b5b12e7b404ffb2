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
/// `[positions, head / 2]` f32; `positions` `[tokens]` i64, below the table's rows.
pub fn rope(x: &Tensor, cosine: &Tensor, sine: &Tensor, positions: &Tensor) -> Tensor {
    if !supported(&[x, cosine]) || cosine.kind() != Kind::Float {
        return plain(x, cosine, sine, positions);
    }
    let (cosine, sine, positions) =
        (cosine.contiguous(), sine.contiguous(), positions.contiguous());
    let [out] = call::outputs(|[out]| unsafe {
        // SAFETY: borrowed tensors outlive the call; `out` is written on success.
        ffi::prefab_rope(
            out,
            call::borrow(x),
            call::borrow(&cosine),
            call::borrow(&sine),
            call::borrow(&positions),
        )
    });
    out
}

/// [`rope`] as plain tch code.
pub fn plain(x: &Tensor, cosine: &Tensor, sine: &Tensor, positions: &Tensor) -> Tensor {
    let half = x.size()[2] / 2;
    let cosine = cosine.index_select(0, positions).unsqueeze(1); // [tokens, 1, head / 2]
    let sine = sine.index_select(0, positions).unsqueeze(1);
    let kind = x.kind();
    let x = x.to_kind(Kind::Float);
    let (a, b) = (x.narrow(2, 0, half), x.narrow(2, half, half));
    Tensor::cat(&[&a * &cosine - &b * &sine, &b * &cosine + &a * &sine], 2).to_kind(kind)
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, random};
    use tch::{Kind, Tensor};

    #[test]
    fn rope_equals_plain() {
        let positions = Tensor::from_slice(&(0..140).map(|t| t % 9).collect::<Vec<i64>>());
        let (cosine, sine) = (random(&[9, 6], 2), random(&[9, 6], 3));
        for (kind, tolerance) in [(Kind::Float, 2e-6), (Kind::BFloat16, 1e-2)] {
            let inputs = [random(&[140, 3, 24], 1).to_kind(kind)];
            // A column range of a wider tensor, as a fused projection gives it.
            let part = |i: &[Tensor]| i[0].narrow(2, 0, 12).contiguous();
            let (c, s, p) = (&cosine, &sine, &positions);
            agree(
                &inputs,
                tolerance,
                |i| vec![super::rope(&part(i), c, s, p)],
                |i| vec![super::plain(&part(i), c, s, p)],
            );
        }
    }

    #[test]
    fn rows_may_have_a_stride() {
        let positions = Tensor::from_slice(&(0..20).collect::<Vec<i64>>());
        let (cosine, sine) = (random(&[20, 4], 2), random(&[20, 4], 3));
        let inputs = [random(&[20, 48], 1)];
        let query = |i: &[Tensor]| i[0].narrow(1, 16, 16).view_(&[20, 2, 8]);
        agree(
            &inputs,
            2e-6,
            |i| vec![super::rope(&query(i), &cosine, &sine, &positions)],
            |i| vec![super::plain(&query(i), &cosine, &sine, &positions)],
        );
    }
}
