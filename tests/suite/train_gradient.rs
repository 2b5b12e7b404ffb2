//! Accumulation never changes a loss: the gradient of a step is the same for
//! every micro-batch size, for every algorithm in the list.

use crate::support::loss_table::loss_table;
use prefab::loss::{ALGORITHMS, Mix, Shift};
use prefab::train::gradient::{Known, PairLogps, backward, pieces};
use tch::{Kind, Tensor};

const PAIRS: usize = 32;
const WIDTH: i64 = 6;

fn mix(algorithm: &str, extra: &str) -> Mix {
    Mix::new(&loss_table(algorithm, extra)).expect("the mix is legal")
}

/// Numbers between −1 and 1 that look random and never change.
fn numbers(count: usize, salt: f64) -> Vec<f64> {
    (0..count).map(|i| ((i as f64 + salt) * 12.9898).sin()).collect()
}

/// A toy policy: the log-probability of an answer is `−softplus(x · θ) · tokens`.
struct Toy {
    chosen: Tensor,
    rejected: Tensor,
    theta: Tensor,
    known: Known,
    lengths: Vec<usize>,
}

impl Toy {
    fn new() -> Self {
        let inputs = |salt| {
            Tensor::from_slice(&numbers(PAIRS * WIDTH as usize, salt)).view([PAIRS as i64, WIDTH])
        };
        let lengths: Vec<usize> = (0..PAIRS).map(|pair| 6 + (7 * pair) % 13).collect();
        let tokens: Vec<f64> = lengths.iter().map(|&length| length as f64).collect();
        let shorter: Vec<f64> = lengths.iter().map(|&length| (length - 2) as f64).collect();
        let reference = |salt| Tensor::from_slice(&numbers(PAIRS, salt)) * 3.0 - 9.0;
        Self {
            chosen: inputs(0.1),
            rejected: inputs(0.7),
            theta: Tensor::from_slice(&numbers(WIDTH as usize, 0.3)).set_requires_grad(true),
            known: Known {
                reference: PairLogps { chosen: reference(0.4), rejected: reference(0.9) },
                chosen_tokens: Tensor::from_slice(&tokens),
                rejected_tokens: Tensor::from_slice(&shorter),
            },
            lengths,
        }
    }

    fn logps(&self, at: &[usize]) -> PairLogps {
        let rows: Vec<i64> = at.iter().map(|&at| at as i64).collect();
        let rows = Tensor::from_slice(&rows);
        let side = |inputs: &Tensor, tokens: &Tensor| {
            -inputs.index_select(0, &rows).matmul(&self.theta).softplus()
                * tokens.index_select(0, &rows)
        };
        PairLogps {
            chosen: side(&self.chosen, &self.known.chosen_tokens),
            rejected: side(&self.rejected, &self.known.rejected_tokens),
        }
    }

    /// Loss, gradient and running shift of one step.
    fn step(&mut self, mix: &Mix, micro_batch: usize) -> (f64, Vec<f64>, Shift) {
        self.theta.zero_grad();
        let start = Shift { mean: 0.3, batches: 2 };
        let mut shift = start;
        let pieces = pieces(&self.lengths, micro_batch);
        let (_, terms) = backward(
            &self.known,
            &pieces,
            |at| Ok(self.logps(at)),
            |logps| {
                let (terms, _, after) = mix.step(logps, start, micro_batch);
                shift = after;
                terms
            },
        )
        .unwrap();
        let gradient = Vec::<f64>::try_from(self.theta.grad().to_kind(Kind::Double)).unwrap();
        (terms.loss.double_value(&[]), gradient, shift)
    }
}

#[track_caller]
fn assert_same(mix: &Mix) {
    let mut toy = Toy::new();
    let (loss, gradient, shift) = toy.step(mix, PAIRS);
    assert!(gradient.iter().any(|g| g.abs() > 1e-9), "{}: no gradient", mix.describe());
    for micro_batch in [1, 4, 5, 31] {
        let (other_loss, other, other_shift) = toy.step(mix, micro_batch);
        let scale = gradient.iter().fold(1e-12_f64, |scale, g| scale.max(g.abs()));
        let worst = gradient.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst / scale < 1e-9, "{} at {micro_batch}: {worst}", mix.describe());
        assert!((loss - other_loss).abs() <= 1e-9 * loss.abs().max(1.0), "{}", mix.describe());
        assert_eq!(shift.batches, other_shift.batches);
        assert!((shift.mean - other_shift.mean).abs() < 1e-12);
    }
}

#[test]
fn every_algorithm_has_one_gradient_whatever_the_micro_batch() {
    for algorithm in ALGORITHMS {
        assert_same(&mix(algorithm.name, ""));
        assert_same(&mix(algorithm.name, "w_g = 1.0"));
        assert_same(&mix(algorithm.name, "w_q = 0.2\ngeneration = \"answer\""));
    }
}

#[test]
fn paired_aot_and_a_smoothed_shift_too() {
    assert_same(&mix("mpo", "delta = { mode = \"ema\", decay = 0.5, update = \"after\" }"));
    assert_same(&mix("bco", "delta = 0.25"));
}
