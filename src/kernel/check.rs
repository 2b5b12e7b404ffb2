//! Equality of a kernel with its plain code, values and gradients.

use tch::{Kind, Tensor};

/// Numbers from a fixed stream, about normal.
pub(super) fn random(shape: &[i64], seed: u64) -> Tensor {
    use rand::Rng;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
    let mut stream = ChaCha8Rng::seed_from_u64(seed);
    let count: i64 = shape.iter().product();
    let mut draw = || (0..4).map(|_| stream.random::<f32>() - 0.5).sum::<f32>() * 1.7;
    let numbers: Vec<f32> = (0..count).map(|_| draw()).collect();
    Tensor::from_slice(&numbers).reshape(shape)
}

/// Runs both over leaf copies of `inputs` with the same random upstream gradient and
/// requires each output and each input's gradient to agree within `tolerance` of the
/// largest magnitude.
pub(super) fn agree(
    inputs: &[Tensor],
    tolerance: f64,
    kernel: impl Fn(&[Tensor]) -> Vec<Tensor>,
    plain: impl Fn(&[Tensor]) -> Vec<Tensor>,
) {
    let (values, gradients) = run(inputs, kernel);
    let (plain_values, plain_gradients) = run(inputs, plain);
    for (index, (a, b)) in values.iter().zip(&plain_values).enumerate() {
        close(&format!("output {index}"), a, b, tolerance);
    }
    for (index, (a, b)) in gradients.iter().zip(&plain_gradients).enumerate() {
        close(&format!("gradient of input {index}"), a, b, tolerance);
    }
}

/// [`agree`] by the loops for the processor, and by a card's on the processor, where one thread
/// adds up a whole row, and so rounds more than a block of 256 would: four times the tolerance.
pub(super) fn agree_on_both(
    inputs: &[Tensor],
    tolerance: f64,
    kernel: impl Fn(&[Tensor]) -> Vec<Tensor>,
    plain: impl Fn(&[Tensor]) -> Vec<Tensor>,
) {
    agree(inputs, tolerance, &kernel, &plain);
    let _card = EmulatedCard::new();
    agree(inputs, 4.0 * tolerance, kernel, plain);
}

/// While it lives, this thread's kernels are a card's.
pub(super) struct EmulatedCard(());

impl EmulatedCard {
    pub(super) fn new() -> Self {
        // SAFETY: sets a flag of this thread.
        unsafe { prefab_kernels::prefab_emulate_card(1) };
        Self(())
    }
}

impl Drop for EmulatedCard {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { prefab_kernels::prefab_emulate_card(0) };
    }
}

fn run(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Vec<Tensor>) -> (Vec<Tensor>, Vec<Tensor>) {
    let leaves: Vec<Tensor> =
        inputs.iter().map(|input| input.detach().copy().set_requires_grad(true)).collect();
    let outputs = f(&leaves);
    let mut sum = Tensor::from(0.0f32);
    for (index, output) in outputs.iter().enumerate() {
        let upstream = random(&output.size(), 1000 + index as u64);
        sum += (output.to_kind(Kind::Float) * upstream).sum(Kind::Float);
    }
    sum.backward();
    let gradients = leaves.iter().map(Tensor::grad).collect();
    (outputs, gradients)
}

/// Requires two tensors to agree within `tolerance` of the larger magnitude.
pub(super) fn close(what: &str, a: &Tensor, b: &Tensor, tolerance: f64) {
    assert_eq!(a.size(), b.size(), "{what}");
    assert_eq!(a.kind(), b.kind(), "{what}");
    let (a, b) = (a.detach().to_kind(Kind::Double), b.detach().to_kind(Kind::Double));
    let scale = b.abs().max().double_value(&[]).max(1e-3);
    let difference = (&a - &b).abs().max().double_value(&[]);
    assert!(
        difference <= tolerance * scale,
        "{what}: {difference:e} apart at magnitude {scale:e}, tolerance {tolerance:e}"
    );
}
