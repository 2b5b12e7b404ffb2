//! The norm of all gradients, and the divisor that clips them.

use super::{call, on_processor};
use prefab_kernels as ffi;
use tch::{Kind, Tensor};

/// The Euclidean norm over all numbers of all tensors; f64 sums in a fixed order, so
/// that it does not depend on the number of threads. Undefined tensors count nothing.
pub fn norm(gradients: &[Tensor]) -> f64 {
    let defined: Vec<&Tensor> = gradients.iter().filter(|gradient| gradient.defined()).collect();
    if !on_processor(&defined) {
        return stacked(&defined);
    }
    let pointers = call::borrow_all(&defined);
    let mut norm = 0.0;
    // SAFETY: `pointers` holds as many borrowed tensors as said; `norm` outlives the call.
    call::check(unsafe {
        ffi::prefab_gradient_norm(&raw mut norm, pointers.as_ptr(), pointers.len() as i64)
    });
    norm
}

/// On a card: one number is fetched from it, not one a tensor.
fn stacked(gradients: &[&Tensor]) -> f64 {
    if gradients.is_empty() {
        return 0.0;
    }
    let norms = gradients.iter().map(|gradient| gradient.detach().to_kind(Kind::Float).norm());
    Tensor::stack(&norms.collect::<Vec<_>>(), 0).to_kind(Kind::Double).norm().double_value(&[])
}

/// [`norm`] as plain tch code.
pub fn plain(gradients: &[Tensor]) -> f64 {
    let squares = gradients.iter().filter(|gradient| gradient.defined()).map(|gradient| {
        gradient.detach().to_kind(Kind::Double).square().sum(Kind::Double).double_value(&[])
    });
    squares.sum::<f64>().sqrt()
}

/// What gradients of this norm are divided by so that it is at most `largest`: 1 where
/// it already is. [`super::adamw::AdamW::step`] divides as it reads, at no cost.
pub fn divisor(norm: f64, largest: f64) -> f64 {
    if norm > largest { (norm + 1e-6) / largest } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::super::check::random;
    use super::*;

    #[test]
    fn norm_equals_plain() {
        let gradients = [
            random(&[70_000], 1),
            random(&[33, 5], 2).tr(),
            random(&[9], 3).to_kind(Kind::BFloat16),
            Tensor::new(),
        ];
        let (kernel, plain) = (norm(&gradients), plain(&gradients));
        assert!((kernel / plain - 1.0).abs() < 1e-6, "{kernel} {plain}");
        let on_card = stacked(&[&gradients[0], &gradients[1], &gradients[2]]);
        assert!((on_card / plain - 1.0).abs() < 1e-6, "{on_card} {plain}");
        assert_eq!(stacked(&[]), 0.0);
        assert_eq!(norm(&[]), 0.0);
    }

    #[test]
    fn a_clipped_norm_is_the_largest_allowed() {
        assert_eq!(divisor(0.5, 1.0), 1.0);
        assert!((3.0 / divisor(3.0, 0.5) - 0.5).abs() < 1e-6);
    }
}
