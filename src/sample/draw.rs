//! Which token comes next, and the random numbers behind it.

use super::Generation;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use tch::{Kind, Tensor};

/// The random numbers of one prompt: any (sample, position) at once, whatever the batch.
#[derive(Clone, Debug)]
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// Those of a prompt, named by seed and stream.
    pub fn new(seed: u64, stream: u64) -> Self {
        let key = blake3::hash(format!("prefab sampled tokens {seed} {stream}").as_bytes());
        Self(ChaCha8Rng::from_seed(*key.as_bytes()))
    }

    /// Those of one sample, from a position of its answer on: one number a token.
    pub fn sample(&self, sample: usize, position: usize) -> Self {
        let mut random = self.0.clone();
        random.set_stream(sample as u64);
        random.set_word_pos(position as u128);
        Self(random)
    }

    /// The next number, in `[0, 1)`.
    pub fn uniform(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1u32 << 24) as f32
    }
}

/// Chooses a token a row: the likeliest, or by inverting the distribution function at
/// the row's random number, after temperature, then top-k, then top-p.
///
/// # Shapes
///
/// logits `[rows, vocabulary]` f32.
pub fn choose(logits: &Tensor, uniforms: &[f32], settings: &Generation) -> Vec<i64> {
    let Some(temperature) = settings.temperature else {
        return values(&logits.argmax(-1, false));
    };
    let vocabulary = logits.size()[1];
    let top_k = match settings.top_k {
        0 => vocabulary,
        k => (k as i64).min(vocabulary),
    };
    let sorted = top_k < vocabulary || settings.top_p < 1.0;
    let (logits, names) = match sorted {
        true => {
            let (logits, names) = logits.topk(top_k, -1, true, true);
            (logits, Some(names))
        }
        false => (logits.shallow_clone(), None),
    };
    let mut probabilities = (logits / temperature).softmax(-1, Kind::Float);
    if settings.top_p < 1.0 {
        let before = probabilities.cumsum(-1, Kind::Float) - &probabilities;
        let keep = before.lt(settings.top_p);
        // The likeliest token stays, whatever top_p is.
        let _ = keep.narrow(1, 0, 1).fill_(1);
        probabilities *= keep;
    }
    let cumulated = probabilities.cumsum(-1, Kind::Float);
    let total = cumulated.narrow(1, -1, 1);
    let uniforms = Tensor::from_slice(uniforms).unsqueeze(1).to_device(cumulated.device());
    let count = |is_below: Tensor| is_below.sum_dim_intlist([-1i64].as_slice(), true, Kind::Int64);
    // Rounding may carry a number to the total: the last token with a probability, then.
    let last = count(cumulated.lt_tensor(&total));
    let chosen = count(cumulated.le_tensor(&(uniforms * &total))).minimum(&last);
    match names {
        Some(names) => values(&names.gather(1, &chosen, false).squeeze_dim(1)),
        None => values(&chosen.squeeze_dim(1)),
    }
}

fn values(tokens: &Tensor) -> Vec<i64> {
    Vec::try_from(tokens).expect("tokens are a row of i64")
}
