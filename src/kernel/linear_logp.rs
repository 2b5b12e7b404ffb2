//! Linear head → log-probability of a target, over tiles of the vocabulary.

use super::{call, is_float, supported};
use prefab_kernels as ffi;
use tch::{Kind, Tensor};

/// Log-probability, in nats, of each row's target under `softmax(hidden · weightᵀ)`.
///
/// Never holds more than 2,048 columns of logits, 16,384 on a card: at 4,096 tokens and 92,544
/// words a ninth of the plain code's memory in bf16. Softmax in f32 whatever the inputs are.
///
/// # Shapes
/// `hidden` `[tokens, width]` and `weight` `[vocabulary, width]`, both f32 or both
/// bf16; `targets` `[tokens]` i64; the result `[tokens]` f32.
pub fn linear_logp(hidden: &Tensor, weight: &Tensor, targets: &Tensor) -> Tensor {
    if !is_float(&[hidden, weight]) || hidden.size()[0] == 0 {
        return plain(hidden, weight, targets);
    }
    tiled(hidden, weight, targets, !supported(&[hidden, weight]))
}

/// In tiles; by the loops for the device, or `portable`, by ATen's operations.
fn tiled(hidden: &Tensor, weight: &Tensor, targets: &Tensor, portable: bool) -> Tensor {
    let [out] = call::outputs(|[out]| unsafe {
        // SAFETY: borrowed tensors outlive the call; `out` is written on success.
        ffi::prefab_linear_logp(
            out,
            call::borrow(hidden),
            call::borrow(weight),
            call::borrow(targets),
            i32::from(portable),
        )
    });
    out
}

/// [`linear_logp`] as plain tch code.
pub fn plain(hidden: &Tensor, weight: &Tensor, targets: &Tensor) -> Tensor {
    let logits = hidden.linear(weight, None::<&Tensor>).to_kind(Kind::Float);
    logits.log_softmax(-1, Kind::Float).gather(1, &targets.unsqueeze(1), false).squeeze_dim(1)
}

#[cfg(test)]
mod tests {
    use super::super::check::{EmulatedCard, agree_on_both, random};
    use tch::{Kind, Tensor};

    fn each(vocabulary: i64, kind: Kind, tolerance: f64) {
        let targets: Vec<i64> = (0..150).map(|t| t * 37 % vocabulary).collect();
        let targets = Tensor::from_slice(&targets);
        let inputs =
            [random(&[150, 32], 1).to_kind(kind), random(&[vocabulary, 32], 2).to_kind(kind)];
        for portable in [false, true] {
            agree_on_both(
                &inputs,
                tolerance,
                |i| vec![super::tiled(&i[0], &i[1], &targets, portable)],
                |i| vec![super::plain(&i[0], &i[1], &targets)],
            );
        }
    }

    #[test]
    fn one_tile_equals_plain() {
        each(300, Kind::Float, 3e-6);
        each(300, Kind::BFloat16, 1.5e-2);
    }

    #[test]
    fn many_tiles_equal_plain() {
        // Three tiles of the loops' width, two of a card's.
        for vocabulary in [5000, 20_000] {
            each(vocabulary, Kind::Float, 3e-6);
            each(vocabulary, Kind::BFloat16, 1.5e-2);
        }
    }

    #[test]
    fn a_target_outside_the_vocabulary_is_not_a_number() {
        let (hidden, weight) = (random(&[2, 4], 1), random(&[6, 4], 2));
        for (portable, on_card) in [(false, false), (true, false), (false, true)] {
            let _card = on_card.then(EmulatedCard::new);
            let targets = Tensor::from_slice(&[1i64, 6]);
            let logps = super::tiled(&hidden, &weight, &targets, portable);
            assert!(logps.double_value(&[0]) < 0.0);
            assert!(logps.double_value(&[1]).is_nan());
        }
    }
}
