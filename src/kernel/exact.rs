//! Libtorch's switches for a process that computes on cards: the same bytes each time, and
//! f32 that is f32.

use super::call;
use prefab_kernels as ffi;

/// For cuBLAS, which reads it when a process first multiplies on a card: products of one stream
/// in a fixed order.
pub const CUBLAS: (&str, &str) = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8");

/// Sums in a fixed order wherever libtorch knows one, with a warning where it does not; no TF32.
pub fn exact() {
    // SAFETY: sets switches of libtorch.
    call::check(unsafe { ffi::prefab_exact() });
}

#[cfg(test)]
mod tests {
    use super::super::check::random;
    use tch::{Kind, Tensor};

    #[test]
    fn the_processors_numbers_stay() {
        let (a, b) = (random(&[65, 33], 1), random(&[33, 17], 2));
        let rows = Tensor::from_slice(&[3i64, 0, 3, 5]);
        let run = || {
            let sums = Tensor::zeros([6, 33], (Kind::Float, a.device()));
            [a.matmul(&b), sums.index_add(0, &rows, &a.narrow(0, 0, 4)), a.softmax(1, Kind::Float)]
        };
        let before = run();
        super::exact();
        for (before, after) in before.iter().zip(&run()) {
            assert!(before.equal(after));
        }
    }
}
