//! Random draws that are the same everywhere: a ChaCha stream keyed by what is
//! drawn, and integer arithmetic of our own, so that no library update moves a picture.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A stream of draws that belongs to one (purpose, seed, index).
#[derive(Clone, Debug)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// The stream of one question: a function of its arguments alone.
    pub fn new(purpose: &str, seed: u64, index: u64) -> Self {
        let mut key = blake3::Hasher::new();
        key.update(b"prefab tasks\0").update(purpose.as_bytes()).update(b"\0");
        key.update(&seed.to_le_bytes()).update(&index.to_le_bytes());
        Self(ChaCha8Rng::from_seed(*key.finalize().as_bytes()))
    }

    /// A whole number in `[0, bound)`.
    ///
    /// # Panics
    ///
    /// If `bound` is zero.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "a draw needs something to draw from");
        // The bias of the multiply-shift is below 2^-28 for the small bounds of this room.
        ((u64::from(self.0.next_u32()) * bound as u64) >> 32) as usize
    }

    /// A whole number from `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True in `part` of `whole` cases.
    pub fn chance(&mut self, part: usize, whole: usize) -> bool {
        self.below(whole) < part
    }

    /// One of a list.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// `count` different members of a list, in random order.
    pub fn pick_some<T: Copy>(&mut self, list: &[T], count: usize) -> Vec<T> {
        let mut rest = list.to_vec();
        (0..count).map(|_| rest.remove(self.below(rest.len()))).collect()
    }

    /// Draws until something is found; the draw must succeed with fair probability.
    ///
    /// # Panics
    ///
    /// If 10,000 draws fail: the family asks for what its scenes do not hold.
    pub fn until<T>(&mut self, mut draw: impl FnMut(&mut Self) -> Option<T>) -> T {
        (0..10_000).find_map(|_| draw(self)).expect("a family's rejection loop ends")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_purpose_seed_and_index() {
        let first = |purpose, seed, index| Rng::new(purpose, seed, index).below(1 << 30);
        assert_eq!(first("count", 0, 7), first("count", 0, 7));
        assert_ne!(first("count", 0, 7), first("chart", 0, 7));
        assert_ne!(first("count", 0, 7), first("count", 1, 7));
        assert_ne!(first("count", 0, 7), first("count", 0, 8));
    }

    #[test]
    fn some_of_a_list_are_different_members() {
        let mut some = Rng::new("t", 0, 0).pick_some(&[1, 2, 3, 4, 5], 5);
        some.sort_unstable();
        assert_eq!(some, [1, 2, 3, 4, 5]);
    }
}
