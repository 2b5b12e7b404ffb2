//! Which rows a step sees: every epoch is a permutation of its own, drawn from
//! (purpose, seed, epoch) alone, so that a resumed run needs no state but its
//! step number.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A random stream that depends on its purpose and seed only: a draw added to
/// one purpose moves no other.
pub fn stream(purpose: &str, seed: u64, stream: u64) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new();
    hasher.update(purpose.as_bytes());
    hasher.update(&[0]);
    hasher.update(&seed.to_le_bytes());
    let mut random = ChaCha8Rng::from_seed(*hasher.finalize().as_bytes());
    random.set_stream(stream);
    random
}

/// A number in `[0, 1)` that belongs to an id for ever.
pub fn share_of(purpose: &str, seed: u64, id: &str) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(purpose.as_bytes());
    hasher.update(&[0]);
    hasher.update(&seed.to_le_bytes());
    hasher.update(id.as_bytes());
    let bytes = hasher.finalize();
    let word = u64::from_le_bytes(bytes.as_bytes()[..8].try_into().expect("8 of 32 bytes"));
    (word >> 11) as f64 / (1_u64 << 53) as f64
}

/// An endless sequence of epochs over `rows` rows, cut into steps.
#[derive(Clone, Debug)]
pub struct Order {
    purpose: &'static str,
    seed: u64,
    rows: usize,
    rows_per_step: usize,
    /// The permutation drawn last, with its epoch.
    epoch: Option<(usize, Vec<usize>)>,
}

impl Order {
    /// An order over `rows` rows; a step never sees a row twice unless there are too few.
    ///
    /// # Panics
    ///
    /// If there are no rows: callers refuse an empty data set first.
    pub fn new(purpose: &'static str, seed: u64, rows: usize, rows_per_step: usize) -> Self {
        assert!(rows > 0, "an order needs rows");
        Self { purpose, seed, rows, rows_per_step: rows_per_step.clamp(1, rows), epoch: None }
    }

    /// Rows a step: what was asked for, or all of them where there are fewer.
    pub fn rows_per_step(&self) -> usize {
        self.rows_per_step
    }

    /// Steps in that many passes over the rows; a last step that would be short is left out.
    pub fn steps(&self, epochs: f64) -> usize {
        ((epochs * self.rows as f64 + 1e-9) as usize / self.rows_per_step).max(1)
    }

    /// Passes over the rows when that many steps are done.
    pub fn epochs(&self, steps: usize) -> f64 {
        (steps * self.rows_per_step) as f64 / self.rows as f64
    }

    /// The rows of step `step`, counted from 0.
    pub fn rows_of(&mut self, step: usize) -> Vec<usize> {
        let first = step * self.rows_per_step;
        (first..first + self.rows_per_step).map(|position| self.row_at(position)).collect()
    }

    fn row_at(&mut self, position: usize) -> usize {
        let (epoch, place) = (position / self.rows, position % self.rows);
        if self.epoch.as_ref().is_none_or(|(drawn, _)| *drawn != epoch) {
            let mut rows: Vec<usize> = (0..self.rows).collect();
            rows.shuffle(&mut stream(self.purpose, self.seed, epoch as u64));
            self.epoch = Some((epoch, rows));
        }
        self.epoch.as_ref().expect("drawn above").1[place]
    }
}

/// One draw in `[0, 1)` for a row's turn at a step.
pub fn draw(purpose: &str, seed: u64, position: u64) -> f64 {
    stream(purpose, seed, position).random::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_sees_every_row_once() {
        let mut order = Order::new("test", 7, 12, 4);
        assert_eq!(order.steps(2.0), 6);
        let mut seen: Vec<usize> = (0..3).flat_map(|step| order.rows_of(step)).collect();
        assert_ne!(seen, (0..12).collect::<Vec<_>>(), "rows are shuffled");
        seen.sort_unstable();
        assert_eq!(seen, (0..12).collect::<Vec<_>>());
    }

    #[test]
    fn a_step_depends_on_seed_and_number_only() {
        let mut straight = Order::new("test", 1, 10, 3);
        let all: Vec<_> = (0..9).map(|step| straight.rows_of(step)).collect();
        let mut jumping = Order::new("test", 1, 10, 3);
        assert_eq!(jumping.rows_of(8), all[8]);
        assert_eq!(jumping.rows_of(2), all[2]);
        let mut other = Order::new("test", 2, 10, 3);
        assert_ne!(other.rows_of(0), all[0]);
    }

    #[test]
    fn fewer_rows_than_a_step_make_smaller_steps() {
        let mut order = Order::new("test", 0, 3, 32);
        assert_eq!(order.rows_of(0).len(), 3);
        assert_eq!(order.steps(1.0), 1);
        assert_eq!(Order::new("test", 0, 6, 4).steps(0.1), 1);
    }

    #[test]
    fn shares_of_ids_fill_the_unit_interval() {
        let mean: f64 =
            (0..1000).map(|id| share_of("test", 0, &id.to_string())).sum::<f64>() / 1000.0;
        assert!((mean - 0.5).abs() < 0.05, "mean {mean}");
        assert_eq!(share_of("test", 0, "a"), share_of("test", 0, "a"));
    }
}
