//! A matrix packed once for the many small products of a generation.

use super::{call, on_processor};
use prefab_kernels as ffi;
use tch::{Kind, Tensor};

/// Columns of a panel.
const PANEL: i64 = 64;
/// Panels of more inputs than this do not stay in a core's cache, and a library's product,
/// which takes the inputs in pieces, is as fast.
pub(crate) const MOST_INPUTS: i64 = 1024;

/// `x · weightᵀ + bias` for a weight that does not change.
///
/// A library's product of few rows spends an eighth of its time on bringing the matrix into
/// this order, each time anew.
#[derive(Debug)]
pub struct Packed {
    /// `[⌈out / 64⌉, in, 64]`.
    panels: Tensor,
    bias: Option<Tensor>,
    out: i64,
}

impl Packed {
    /// Of `weight` `[out, in]` and `bias` `[out]`; None where packing gains nothing: not on
    /// the CPU, not f32, or with more than 1,024 inputs.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Option<Self> {
        let (out, inputs) = weight.size2().expect("a matrix has two axes");
        let fits = on_processor(&[weight]) && weight.kind() == Kind::Float && inputs <= MOST_INPUTS;
        fits.then(|| {
            let _no_grad = tch::no_grad_guard();
            // Written in place: a head padded beside its panels would be there three times.
            let full = out / PANEL;
            let panels = Tensor::zeros(
                [(out + PANEL - 1) / PANEL, inputs, PANEL],
                (Kind::Float, weight.device()),
            );
            let rows = weight.detach().narrow(0, 0, full * PANEL).reshape([full, PANEL, inputs]);
            panels.narrow(0, 0, full).copy_(&rows.transpose(1, 2));
            let rest = out - full * PANEL;
            if rest > 0 {
                let rows = weight.detach().narrow(0, full * PANEL, rest);
                panels.select(0, full).narrow(1, 0, rest).copy_(&rows.transpose(0, 1));
            }
            Self { panels, bias: bias.map(|bias| bias.detach().contiguous()), out }
        })
    }

    /// The product; no gradient. What a row gives does not depend on the rows beside it, to
    /// the last bit.
    ///
    /// # Shapes
    /// `x` `[rows, in]` f32; the result `[rows, out]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let x = x.contiguous();
        let [y] = call::outputs(|[y]| unsafe {
            // SAFETY: the borrowed tensors outlive the call; `y` is written on success.
            ffi::prefab_packed(
                y,
                call::borrow(&x),
                call::borrow(&self.panels),
                call::borrow_or_null(self.bias.as_ref()),
                self.out,
            )
        });
        y
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::random;
    use super::Packed;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn packed_equals_plain() {
        for (rows, out, inputs) in [(1, 64, 128), (13, 384, 128), (300, 272, 50), (7, 5, 344)] {
            let (x, weight) = (random(&[rows, inputs], 1), random(&[out, inputs], 2));
            let bias = random(&[out], 3);
            for bias in [None, Some(&bias)] {
                let got = Packed::new(&weight, bias).expect("it fits").forward(&x);
                let off = (got - x.linear(&weight, bias)).abs().max().double_value(&[]);
                assert!(off <= 5e-5, "{off} at {rows} x {out} x {inputs}");
            }
        }
    }

    #[test]
    fn rows_beside_do_not_matter() {
        let (x, weight) = (random(&[200, 96], 1), random(&[130, 96], 2));
        let packed = Packed::new(&weight, None).expect("it fits");
        let together = packed.forward(&x);
        for row in [0, 5, 127, 128, 199] {
            assert_eq!(packed.forward(&x.narrow(0, row, 1)), together.narrow(0, row, 1));
        }
    }

    #[test]
    fn what_gains_nothing_is_not_packed() {
        let weight = |inputs: i64, kind| Tensor::zeros([4, inputs], (kind, Device::Cpu));
        assert!(Packed::new(&weight(8, Kind::BFloat16), None).is_none());
        assert!(Packed::new(&weight(2048, Kind::Float), None).is_none());
    }
}
