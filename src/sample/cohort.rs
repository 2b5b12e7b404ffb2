//! Requests that started together: their prompts' keys and values, once a request, and
//! the answers' own, once a row.

use super::Generated;
use super::draw::Draws;
use crate::kernel::attention::Heads;
use crate::kernel::decode::{Cache, Prompt, Sharing, decode};
use tch::{Device, Tensor};

/// One answer being written.
#[derive(Debug)]
pub(super) struct Row {
    /// Which of the cohort's prompts it belongs to.
    pub(super) slot: usize,
    pub(super) request: usize,
    pub(super) sample: usize,
    /// Positions before its first token: prompt and prefix.
    pub(super) start: usize,
    /// It cannot end before it has so many tokens, the end token among them.
    pub(super) least: usize,
    /// How many tokens it may have.
    pub(super) budget: usize,
    pub(super) draws: Draws,
    pub(super) tokens: Vec<i64>,
    pub(super) ended: bool,
}

impl Row {
    /// Whether nothing more is added to it.
    pub(super) fn done(&self) -> bool {
        self.ended || self.tokens.len() >= self.budget
    }
}

/// Rows are dropped from the caches when at least this share of them is done: copying
/// what stays costs more than a few steps with some idle rows.
const IDLE: f64 = 0.125;
/// The caches grow by this many positions at a time.
const ROOM: i64 = 16;

/// A batch within the batch.
#[derive(Debug)]
pub(super) struct Cohort {
    rows: Vec<Row>,
    /// Whether a row's answer has been handed over already.
    released: Vec<bool>,
    layers: Vec<Cache>,
    sharing: Sharing,
    /// Positions of each prompt.
    lengths: Vec<usize>,
    /// Own positions so far.
    written: i64,
    heads: Heads,
    device: Device,
}

impl Cohort {
    /// `caches` hold the prompts' keys and values by layer, `[prompts, seq, kv_heads, head]`.
    pub(super) fn new(
        rows: Vec<Row>,
        lengths: Vec<usize>,
        caches: Vec<[Tensor; 2]>,
        heads: Heads,
    ) -> Self {
        let device = caches[0][0].device();
        let layers = caches.into_iter().map(|prompt| Cache::new(prompt, rows.len())).collect();
        let mut cohort = Self {
            released: vec![false; rows.len()],
            rows,
            layers,
            sharing: Sharing::new(vec![], device),
            device,
            lengths,
            written: 0,
            heads,
        };
        cohort.arrange();
        cohort
    }

    /// Rows that are computed, finished ones that have not been dropped yet among them.
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn all(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn all_mut(&mut self) -> &mut [Row] {
        &mut self.rows
    }

    /// Own positions so far.
    pub(super) fn written(&self) -> usize {
        self.written as usize
    }

    /// Makes room for one more position.
    pub(super) fn make_room(&mut self) {
        if self.written == self.layers[0].room() {
            for cache in &mut self.layers {
                cache.grow(ROOM);
            }
        }
    }

    /// Counts the position that every layer has written.
    pub(super) fn advance(&mut self) {
        self.written += 1;
    }

    /// One token's attention to its prompt and its own past, itself included.
    ///
    /// # Shapes
    ///
    /// qkv `[rows, heads + 2·kv_heads, head]`, cos and sin `[rows, head/2]` →
    /// `[rows, heads·head]`.
    pub(super) fn attend(&mut self, layer: usize, qkv: &Tensor, angles: [&Tensor; 2]) -> Tensor {
        let (cache, angles) = (&mut self.layers[layer], (angles[0], angles[1]));
        decode(qkv, self.heads, angles, cache, &self.sharing, self.written)
    }

    /// Hands over answers that are done, and drops their rows when there are many.
    pub(super) fn release(&mut self) -> Vec<Generated> {
        let mut finished = Vec::new();
        for (row, released) in self.rows.iter_mut().zip(&mut self.released) {
            if row.done() && !*released {
                *released = true;
                finished.push(Generated {
                    request: row.request,
                    sample: row.sample,
                    tokens: row.tokens.clone(),
                    ended: row.ended,
                });
            }
        }
        let idle = self.released.iter().filter(|&&released| released).count();
        if idle == self.rows.len() || idle as f64 >= IDLE * self.rows.len() as f64 && idle > 0 {
            self.compact();
        }
        finished
    }

    /// Drops finished rows, and prompts that no row needs any more.
    fn compact(&mut self) {
        let kept: Vec<i64> =
            (0..self.rows.len()).filter(|&row| !self.released[row]).map(|row| row as i64).collect();
        self.rows.retain(|row| !row.done());
        self.released = vec![false; self.rows.len()];
        if self.rows.is_empty() {
            self.layers.clear();
            return;
        }
        let mut slots: Vec<usize> = self.rows.iter().map(|row| row.slot).collect();
        slots.dedup();
        let tensor = |indices: &[i64]| Tensor::from_slice(indices).to_device(self.device);
        let kept = tensor(&kept);
        for cache in &mut self.layers {
            cache.keep_rows(&kept, self.written);
        }
        if slots.len() < self.lengths.len() {
            let index: Vec<i64> = slots.iter().map(|&slot| slot as i64).collect();
            let index = tensor(&index);
            for cache in &mut self.layers {
                cache.keep_prompts(&index);
            }
            self.lengths = slots.iter().map(|&slot| self.lengths[slot]).collect();
            for row in &mut self.rows {
                row.slot = slots.binary_search(&row.slot).expect("each row's slot was kept");
            }
        }
        self.arrange();
    }

    /// Counts the rows of each prompt. Those of one lie together, in order of prompts.
    fn arrange(&mut self) {
        let mut prompts: Vec<Prompt> =
            self.lengths.iter().map(|&length| Prompt { length, rows: 0 }).collect();
        for row in &self.rows {
            prompts[row.slot].rows += 1;
        }
        self.sharing = Sharing::new(prompts, self.device);
    }
}
