//! Attention of one new token a row, over a cache whose prompts rows share: generation's.
//!
//! No gradient: nothing is trained through a cache.

use super::attention::Heads;
use super::{call, on_processor, rope};
use prefab_kernels as ffi;
use std::cell::OnceCell;
use tch::{Device, Kind, Tensor};

/// Positions in a cache come in multiples of this. What is beyond a prompt's length is
/// finite, and nobody looks at it.
pub const STRIDE: i64 = 16;

/// Keys, already rotated, and values of one layer.
#[derive(Debug)]
pub struct Cache {
    /// Of each prompt: keys `[prompts, kv_heads, head, seq]`, values
    /// `[prompts, kv_heads, seq, head]`; seq is a multiple of [`STRIDE`].
    prompt: [Tensor; 2],
    /// Of what each row wrote itself, `[kv_heads, rows, room, head]` each; room too is a
    /// multiple of [`STRIDE`].
    own: [Tensor; 2],
}

impl Cache {
    /// Of rows that have written nothing, from their prompts' keys and values,
    /// `[prompts, seq, kv_heads, head]`.
    pub fn new(prompt: [Tensor; 2], rows: usize) -> Self {
        let [keys, values] = prompt.map(|x| {
            let beyond = (-x.size()[1]).rem_euclid(STRIDE);
            x.constant_pad_nd([0, 0, 0, 0, 0, beyond])
        });
        let (_, _, kv_heads, head) = keys.size4().expect("keys have four axes");
        let shape = [kv_heads, rows as i64, 0, head];
        let own = [0, 1].map(|_| keys.new_empty(shape, (keys.kind(), keys.device())));
        let prompt = [keys.permute([0, 2, 3, 1]), values.transpose(1, 2)];
        Self { prompt: prompt.map(|x| x.contiguous()), own }
    }

    /// How many positions each row has room for.
    pub fn room(&self) -> i64 {
        self.own[0].size()[2]
    }

    /// Room for `by` more, a multiple of [`STRIDE`].
    pub fn grow(&mut self, by: i64) {
        for own in &mut self.own {
            let (kv_heads, rows, _, head) = own.size4().expect("a cache has four axes");
            let more = own.new_empty([kv_heads, rows, by, head], (own.kind(), own.device()));
            *own = Tensor::cat(&[&*own, &more], 2);
        }
    }

    /// Drops all rows but these, of which so many positions are written.
    pub fn keep_rows(&mut self, kept: &Tensor, written: i64) {
        let room = self.room();
        for own in &mut self.own {
            let rows = own.narrow(2, 0, written).index_select(1, kept);
            let (kv_heads, count, _, head) = rows.size4().expect("a cache has four axes");
            let fresh = rows.new_empty([kv_heads, count, room, head], (rows.kind(), rows.device()));
            fresh.narrow(2, 0, written).copy_(&rows);
            *own = fresh;
        }
    }

    /// Drops all prompts but these.
    pub fn keep_prompts(&mut self, kept: &Tensor) {
        for prompt in &mut self.prompt {
            *prompt = prompt.index_select(0, kept);
        }
    }
}

/// Which rows share which prompt. Rows of one prompt lie together, in the prompts' order.
#[derive(Debug)]
pub struct Sharing {
    prompts: Vec<Prompt>,
    /// The same for the plain code: rows in a rectangle of prompts × rows of each.
    columns: i64,
    /// None where the rows stand in it already.
    rectangle: Option<Rectangle>,
    /// 0 at a prompt's positions, −∞ behind them, `[prompts, 1, 1, seq]` f32.
    padding: OnceCell<Tensor>,
    device: Device,
}

/// A prompt's length in positions, and how many rows share it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Prompt {
    /// Positions.
    pub length: usize,
    /// Rows.
    pub rows: usize,
}

#[derive(Debug)]
struct Rectangle {
    /// The row at each place; holes hold any row. `[prompts·columns]`.
    row: Tensor,
    /// The place of each row. `[rows]`.
    place: Tensor,
}

impl Sharing {
    /// Of prompts in their order.
    pub fn new(prompts: Vec<Prompt>, device: Device) -> Self {
        let columns = prompts.iter().map(|prompt| prompt.rows).max().unwrap_or(0);
        let is_full = prompts.iter().all(|prompt| prompt.rows == columns);
        let rectangle = (!is_full).then(|| {
            let mut row = vec![0; prompts.len() * columns];
            let mut place = Vec::new();
            for (slot, prompt) in prompts.iter().enumerate() {
                for column in 0..prompt.rows {
                    row[slot * columns + column] = place.len() as i64;
                    place.push((slot * columns + column) as i64);
                }
            }
            let tensor = |values: &[i64]| Tensor::from_slice(values).to_device(device);
            Rectangle { row: tensor(&row), place: tensor(&place) }
        });
        Self { prompts, columns: columns as i64, rectangle, padding: OnceCell::new(), device }
    }

    fn padding(&self, seq: i64) -> &Tensor {
        self.padding.get_or_init(|| {
            let lengths = self.prompts.iter().map(|prompt| prompt.length as i64);
            let lengths = Tensor::from_slice(&lengths.collect::<Vec<_>>()).to_device(self.device);
            let positions = Tensor::arange(seq, (Kind::Int64, self.device));
            let behind = positions.ge_tensor(&lengths.view([-1, 1, 1, 1]));
            let zeros = behind.zeros_like().to_kind(Kind::Float);
            zeros.masked_fill(&behind, f64::NEG_INFINITY)
        })
    }

    /// The numbers that the C++ side reads: prompt, length, first row and rows of each share.
    fn table(&self, heads: &Heads) -> Vec<i64> {
        let mut table = heads.columns().to_vec();
        let mut first = 0;
        for (slot, prompt) in self.prompts.iter().enumerate() {
            table.extend([slot, prompt.length, first, prompt.rows].map(|x| x as i64));
            first += prompt.rows;
        }
        table
    }

    /// `[rows, kv_heads, each, x]` → `[prompts, kv_heads, columns·each, x]`.
    fn to_rectangle(&self, rows: &Tensor) -> Tensor {
        let (_, kv_heads, each, last) = rows.size4().expect("rows have four axes");
        let placed = match &self.rectangle {
            Some(rectangle) => rows.index_select(0, &rectangle.row),
            None => rows.shallow_clone(),
        };
        let prompts = self.prompts.len() as i64;
        placed.reshape([prompts, self.columns, kv_heads, each, last]).transpose(1, 2).reshape([
            prompts,
            kv_heads,
            self.columns * each,
            last,
        ])
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
}

/// Each row's token attends to its prompt, to what the row wrote before, and to itself; its
/// key and value enter the cache at position `written`.
///
/// # Formula
/// ```text
/// out[r] = Σ_s softmax_s(R q[r] · k[s] / √head) · v[s]
/// ```
///
/// # Shapes
/// `qkv` `[rows, heads.total(), head]`, f32 or bf16 as the cache is; `angles` cos and sin,
/// `[rows, head / 2]` f32 each; the result `[rows, queries · head]`.
pub fn decode(
    qkv: &Tensor,
    heads: Heads,
    angles: (&Tensor, &Tensor),
    cache: &mut Cache,
    sharing: &Sharing,
    written: i64,
) -> Tensor {
    let head = qkv.size()[2];
    if !on_processor(&[qkv]) || head % STRIDE != 0 {
        return plain(qkv, heads, angles, cache, sharing, written);
    }
    let (qkv, cosine, sine) = (qkv.contiguous(), angles.0.contiguous(), angles.1.contiguous());
    let caches = cache.prompt.iter().chain(&cache.own).map(call::borrow);
    let caches: Vec<_> = caches.collect();
    let table = sharing.table(&heads);
    let [out] = call::outputs(|[out]| unsafe {
        // SAFETY: borrowed tensors and the table outlive the call; the caches are borrowed
        // for writing; `out` is written on success.
        ffi::prefab_decode(
            out,
            call::borrow(&qkv),
            call::borrow(&cosine),
            call::borrow(&sine),
            caches.as_ptr(),
            written,
            (head as f64).sqrt().recip(),
            table.as_ptr(),
            sharing.prompts.len() as i64,
        )
    });
    out
}

/// [`decode`] as plain tch code.
pub fn plain(
    qkv: &Tensor,
    heads: Heads,
    angles: (&Tensor, &Tensor),
    cache: &mut Cache,
    sharing: &Sharing,
    written: i64,
) -> Tensor {
    let (q, k, v) = heads.split(qkv);
    let turn = |x: &Tensor| rope::rope(x, angles.0, angles.1);
    let (rows, kv_heads, head) = k.size3().expect("keys have three axes");
    let each = (heads.queries / heads.keys) as i64;
    for (own, new) in cache.own.iter().zip([turn(&k), v]) {
        own.select(2, written).copy_(&new.transpose(0, 1));
    }
    let [keys, values] =
        cache.own.each_ref().map(|own| own.narrow(2, 0, written + 1).transpose(0, 1));
    let q = (turn(&q) / (head as f64).sqrt()).reshape([rows, kv_heads, each, head]);
    let own = q.matmul(&keys.transpose(2, 3)); // [rows, kv_heads, each, own]
    let shared = sharing.to_rectangle(&q).matmul(&cache.prompt[0]);
    let shared = shared + sharing.padding(cache.prompt[0].size()[3]);
    let shared = sharing.to_rows(&shared, each); // [rows, kv_heads, each, seq]
    let seq = shared.size()[3];
    let weights = Tensor::cat(&[shared, own.to_kind(Kind::Float)], -1);
    let weights = weights.softmax(-1, Kind::Float).to_kind(q.kind());
    let from_own = weights.narrow(3, seq, written + 1).matmul(&values);
    let from_prompt = sharing.to_rectangle(&weights.narrow(3, 0, seq)).matmul(&cache.prompt[1]);
    (from_own + sharing.to_rows(&from_prompt, each)).reshape([rows, kv_heads * each * head])
}

#[cfg(test)]
mod tests {
    use super::super::check::random;
    use super::*;

    /// Rows of prompts of these lengths write some tokens, by the kernel and by plain code, the
    /// latter in f32 whatever the kernel's numbers are.
    fn each(prompts: &[(usize, usize)], heads: Heads, head: i64, kind: Kind, tolerance: f64) {
        let prompts: Vec<Prompt> =
            prompts.iter().map(|&(length, rows)| Prompt { length, rows }).collect();
        let longest = prompts.iter().map(|prompt| prompt.length).max().expect("a prompt");
        let seq = longest as i64 + (-(longest as i64)).rem_euclid(STRIDE);
        let (count, keys) = (prompts.len() as i64, heads.keys as i64);
        let rows = prompts.iter().map(|prompt| prompt.rows as i64).sum::<i64>();
        let sharing = Sharing::new(prompts, Device::Cpu);
        let room = 32;
        let given = |shape: &[i64], seed: u64| random(shape, seed).to_kind(kind);
        let cache = |kind: Kind| Cache {
            prompt: [
                given(&[count, keys, head, seq], 1).to_kind(kind),
                given(&[count, keys, seq, head], 2).to_kind(kind),
            ],
            // What nobody wrote is not looked at.
            own: [0, 1]
                .map(|_| Tensor::full([keys, rows, room, head], f64::NAN, (kind, Device::Cpu))),
        };
        let (mut fast, mut slow) = (cache(kind), cache(Kind::Float));
        for written in 0..19 {
            let qkv = given(&[rows, heads.total() as i64, head], 10 + written as u64);
            let (c, s) = (random(&[rows, head / 2], 3), random(&[rows, head / 2], 4));
            let got = decode(&qkv, heads, (&c, &s), &mut fast, &sharing, written);
            let qkv = qkv.to_kind(Kind::Float);
            let want = plain(&qkv, heads, (&c, &s), &mut slow, &sharing, written);
            assert_eq!(got.kind(), kind);
            let difference = |a: &Tensor, b: &Tensor| {
                (a.to_kind(Kind::Float) - b.to_kind(Kind::Float)).abs().max().double_value(&[])
            };
            let off = difference(&got, &want);
            assert!(off <= tolerance, "{off} at {written}");
            for (a, b) in fast.own.iter().zip(&slow.own) {
                let off = difference(&a.narrow(2, written, 1), &b.narrow(2, written, 1));
                assert!(off <= tolerance, "the cache is off by {off} at {written}");
            }
        }
    }

    #[test]
    fn decode_equals_plain() {
        let heads = Heads { queries: 4, keys: 4, grouped: false };
        for (kind, tolerance) in [(Kind::Float, 5e-6), (Kind::BFloat16, 5e-2)] {
            each(&[(41, 8), (7, 8)], heads, 64, kind, tolerance);
            each(&[(33, 1), (50, 5), (16, 0), (1, 3)], heads, 32, kind, tolerance);
        }
    }

    #[test]
    fn heads_share_keys() {
        for grouped in [false, true] {
            let heads = Heads { queries: 14, keys: 2, grouped };
            each(&[(20, 9), (4, 1)], heads, 64, Kind::Float, 5e-6);
            each(&[(20, 60)], Heads { queries: 64, keys: 1, grouped }, 16, Kind::Float, 5e-6);
        }
    }

    #[test]
    fn an_odd_head_takes_the_plain_way() {
        each(&[(5, 2)], Heads { queries: 4, keys: 2, grouped: false }, 20, Kind::Float, 0.0);
    }
}
