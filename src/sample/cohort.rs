//! Requests that started together: their prompts' keys and values, once a request, and
//! the answers' own, once a row.

use super::Generated;
use super::draw::Draws;
use crate::model::LanguageConfig;
use tch::{Kind, Tensor};

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
const ROOM: i64 = 32;

/// A batch within the batch.
#[derive(Debug)]
pub(super) struct Cohort {
    rows: Vec<Row>,
    /// Whether a row's answer has been handed over already.
    released: Vec<bool>,
    layers: Vec<Cache>,
    /// 0 at a prompt's positions, −∞ behind a shorter one, `[prompts, 1, 1, seq]`; none
    /// where all are of one length.
    padding: Option<Tensor>,
    /// How rows stand in the rectangle of prompts × rows of each; none where they do already.
    rectangle: Option<Rectangle>,
    /// Columns of that rectangle.
    columns: i64,
    prompts: i64,
    /// Own positions so far.
    length: i64,
    heads: i64,
}

/// Keys and values of one layer.
#[derive(Debug)]
struct Cache {
    /// `[prompts, kv_heads, seq, head]` each.
    prompt: [Tensor; 2],
    /// `[rows, kv_heads, room, head]` each; what is beyond `length` is not yet written.
    own: [Tensor; 2],
}

#[derive(Debug)]
struct Rectangle {
    /// The row at each place; holes hold any row. `[prompts·columns]`.
    row: Tensor,
    /// The place of each row. `[rows]`.
    place: Tensor,
}

impl Cohort {
    /// `caches` hold the prompts' keys and values by layer, `[prompts, seq, kv_heads, head]`.
    pub(super) fn new(
        rows: Vec<Row>,
        lengths: &[usize],
        caches: Vec<[Tensor; 2]>,
        config: &LanguageConfig,
        kind: Kind,
    ) -> Self {
        let device = caches[0][0].device();
        let (kv_heads, head) = (config.kv_heads as i64, config.head as i64);
        let own = || Tensor::empty([rows.len() as i64, kv_heads, ROOM, head], (kind, device));
        let layers = caches
            .into_iter()
            .map(|prompt| Cache {
                prompt: prompt.map(|x| x.transpose(1, 2).contiguous()),
                own: [own(), own()],
            })
            .collect();
        let longest = lengths.iter().max().copied().unwrap_or(0);
        let padding = lengths.iter().any(|&length| length < longest).then(|| {
            let values: Vec<f32> = lengths
                .iter()
                .flat_map(|&length| {
                    (0..longest).map(move |at| if at < length { 0.0 } else { f32::NEG_INFINITY })
                })
                .collect();
            let padding = Tensor::from_slice(&values).view([lengths.len() as i64, 1, 1, -1]);
            padding.to_kind(kind).to_device(device)
        });
        let mut cohort = Self {
            released: vec![false; rows.len()],
            rows,
            layers,
            padding,
            rectangle: None,
            columns: 0,
            prompts: lengths.len() as i64,
            length: 0,
            heads: config.heads as i64,
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
    pub(super) fn length(&self) -> usize {
        self.length as usize
    }

    /// Makes room for one more position.
    pub(super) fn make_room(&mut self) {
        if self.length < self.layers[0].own[0].size()[2] {
            return;
        }
        for own in self.layers.iter_mut().flat_map(|layer| &mut layer.own) {
            let (rows, kv_heads, _, head) = own.size4().expect("a cache has four axes");
            let more = own.new_empty([rows, kv_heads, ROOM, head], (own.kind(), own.device()));
            *own = Tensor::cat(&[&*own, &more], 2);
        }
    }

    /// Counts the position that every layer has written.
    pub(super) fn advance(&mut self) {
        self.length += 1;
    }

    /// One token's attention to its prompt and its own past, itself included.
    ///
    /// # Shapes
    ///
    /// q `[rows, heads, head]`, k and v `[rows, kv_heads, head]` → `[rows, heads·head]`.
    pub(super) fn attend(&mut self, layer: usize, q: &Tensor, k: &Tensor, v: &Tensor) -> Tensor {
        let (rows, kv_heads, head) = k.size3().expect("keys have three axes");
        let each = self.heads / kv_heads;
        let cache = &mut self.layers[layer];
        for (own, new) in cache.own.iter_mut().zip([k, v]) {
            own.narrow(2, self.length, 1).copy_(&new.unsqueeze(2));
        }
        let [keys, values] =
            [0, 1].map(|which: usize| cache.own[which].narrow(2, 0, self.length + 1));
        let q = (q / (head as f64).sqrt()).reshape([rows, kv_heads, each, head]);
        let own = q.matmul(&keys.transpose(2, 3)); // [rows, kv_heads, each, own]
        let cache = &self.layers[layer];
        let mut shared = self.to_rectangle(&q).matmul(&cache.prompt[0].transpose(2, 3));
        if let Some(padding) = &self.padding {
            shared += padding;
        }
        let shared = self.to_rows(&shared, each); // [rows, kv_heads, each, seq]
        let seq = shared.size()[3];
        let weights = Tensor::cat(&[shared, own], -1).softmax(-1, Kind::Float).to_kind(q.kind());
        let from_own = weights.narrow(3, seq, self.length + 1).matmul(&values);
        let from_prompt = self.to_rectangle(&weights.narrow(3, 0, seq)).matmul(&cache.prompt[1]);
        (from_own + self.to_rows(&from_prompt, each)).reshape([rows, self.heads * head])
    }

    /// `[rows, kv_heads, each, x]` → `[prompts, kv_heads, columns·each, x]`.
    fn to_rectangle(&self, rows: &Tensor) -> Tensor {
        let (_, kv_heads, each, last) = rows.size4().expect("rows have four axes");
        let placed = match &self.rectangle {
            Some(rectangle) => rows.index_select(0, &rectangle.row),
            None => rows.shallow_clone(),
        };
        placed
            .reshape([self.prompts, self.columns, kv_heads, each, last])
            .transpose(1, 2)
            .reshape([self.prompts, kv_heads, self.columns * each, last])
    }

    /// The way back.
    fn to_rows(&self, rectangle: &Tensor, each: i64) -> Tensor {
        let (prompts, kv_heads, _, last) = rectangle.size4().expect("rectangles have four axes");
        let rows = rectangle
            .view([prompts, kv_heads, self.columns, each, last])
            .transpose(1, 2)
            .reshape([prompts * self.columns, kv_heads, each, last]);
        match &self.rectangle {
            Some(rectangle) => rows.index_select(0, &rectangle.place),
            None => rows,
        }
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
        let device = self.layers[0].own[0].device();
        let kept = Tensor::from_slice(&kept).to_device(device);
        let written = self.length.max(1);
        for own in self.layers.iter_mut().flat_map(|layer| &mut layer.own) {
            let room = own.size()[2];
            let rows = own.narrow(2, 0, written).index_select(0, &kept);
            let (count, kv_heads, _, head) = rows.size4().expect("a cache has four axes");
            let fresh = rows.new_empty([count, kv_heads, room, head], (rows.kind(), device));
            fresh.narrow(2, 0, written).copy_(&rows);
            *own = fresh;
        }
        if slots.len() < self.prompts as usize {
            let index: Vec<i64> = slots.iter().map(|&slot| slot as i64).collect();
            let index = Tensor::from_slice(&index).to_device(device);
            for prompt in self.layers.iter_mut().flat_map(|layer| &mut layer.prompt) {
                *prompt = prompt.index_select(0, &index);
            }
            self.padding = self.padding.as_ref().map(|padding| padding.index_select(0, &index));
            for row in &mut self.rows {
                row.slot = slots.binary_search(&row.slot).expect("each row's slot was kept");
            }
            self.prompts = slots.len() as i64;
        }
        self.arrange();
    }

    /// Works out the rectangle. Rows of one prompt lie together, in order of prompts.
    fn arrange(&mut self) {
        let mut counts = vec![0; self.prompts as usize];
        let places: Vec<(usize, i64)> = self
            .rows
            .iter()
            .map(|row| {
                counts[row.slot] += 1;
                (row.slot, counts[row.slot] - 1)
            })
            .collect();
        self.columns = counts.iter().max().copied().unwrap_or(0);
        if counts.iter().all(|&count| count == self.columns) {
            self.rectangle = None;
            return;
        }
        let place: Vec<i64> =
            places.iter().map(|&(slot, column)| slot as i64 * self.columns + column).collect();
        let mut row = vec![0; (self.prompts * self.columns) as usize];
        for (index, &place) in place.iter().enumerate() {
            row[place as usize] = index as i64;
        }
        let device = self.layers[0].own[0].device();
        let tensor = |values: &[i64]| Tensor::from_slice(values).to_device(device);
        self.rectangle = Some(Rectangle { row: tensor(&row), place: tensor(&place) });
    }
}
