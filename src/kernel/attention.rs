//! Attention of packed tokens: groups whose answers share a prompt, or whole images.
//!
//! q, k and v are read where the fused projection left them, rotated on the way in;
//! the result is laid out for the output projection. No rectangle is padded and no
//! mask is made: each answer's rows look at their prompt's keys and at their own past.

use super::{call, on_processor, rope};
use prefab_kernels as ffi;
use tch::{Kind, Tensor};

/// A run of rows of a group that look at the prompt (if `shared`) and at themselves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Segment {
    start: usize,
    length: usize,
    shared: usize,
    causal: bool,
}

/// Which packed rows look at which.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Layout {
    /// First row and segments of each group, in the order of the rows.
    groups: Vec<(usize, Vec<Segment>)>,
    tokens: usize,
}

impl Layout {
    /// Prompts and the answers that branch from each, one after the other: a prompt's
    /// row sees its own past, an answer's row the prompt and its own past. Lengths are
    /// numbers of rows; one of 0 is left out.
    pub fn shared_prompt<'a>(groups: impl IntoIterator<Item = (usize, &'a [usize])>) -> Layout {
        let mut layout = Layout::default();
        for (prompt, answers) in groups {
            let mut segments = vec![Segment { start: 0, length: prompt, shared: 0, causal: true }];
            let mut start = prompt;
            for &length in answers {
                segments.push(Segment { start, length, shared: prompt, causal: true });
                start += length;
            }
            layout.push(start, segments);
        }
        layout
    }

    /// Groups of equal length in which each row sees every other: a vision tower's.
    pub fn bidirectional(groups: usize, length: usize) -> Layout {
        let mut layout = Layout::default();
        for _ in 0..groups {
            layout.push(length, vec![Segment { start: 0, length, shared: 0, causal: false }]);
        }
        layout
    }

    fn push(&mut self, rows: usize, mut segments: Vec<Segment>) {
        segments.retain(|segment| segment.length > 0);
        self.groups.push((self.tokens, segments));
        self.tokens += rows;
    }

    /// Rows of all groups.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// The numbers that `runs_of` in `csrc/flash.cpp` reads: groups of one shape that lie
    /// together are one entry.
    fn flash_table(&self) -> Vec<i64> {
        let mut table = Vec::new();
        for alike in self.groups.chunk_by(|(_, a), (_, b)| a == b) {
            let (first, segments) = &alike[0];
            let rows: usize = segments.iter().map(|segment| segment.length).sum();
            table.extend([*first, alike.len(), rows, segments.len()].map(|x| x as i64));
            for Segment { start, length, shared, causal } in segments {
                table.extend([*start, *length, *shared].map(|x| x as i64));
                table.push(i64::from(*causal));
            }
        }
        table
    }

    /// The numbers that the C++ side reads; see `Layout` in `csrc/attention.cpp`.
    fn table(&self, heads: &Heads) -> Vec<i64> {
        let mut table = heads.columns().to_vec();
        table.push(self.groups.len() as i64);
        let groups = self.groups.iter();
        table.extend(groups.flat_map(|(first, segments)| [*first as i64, segments.len() as i64]));
        for segment in self.groups.iter().flat_map(|(_, segments)| segments) {
            let Segment { start, length, shared, causal } = *segment;
            table.extend([start as i64, length as i64, shared as i64, i64::from(causal)]);
        }
        table
    }
}

/// How the columns of a fused projection are heads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Heads {
    /// Query heads.
    pub queries: usize,
    /// Key-value heads, a divisor of `queries`.
    pub keys: usize,
    /// InternLM2's order: each key-value head's queries, then its key, then its value.
    /// Else all queries, then all keys, then all values.
    pub grouped: bool,
}

impl Heads {
    /// Heads of q, k and v together.
    pub fn total(&self) -> usize {
        self.queries + 2 * self.keys
    }

    /// `[columns, each, query_step, query_first, key_first, value_first, step]`.
    pub(super) fn columns(&self) -> [i64; 7] {
        let (queries, keys) = (self.queries as i64, self.keys as i64);
        let each = queries / keys;
        let total = queries + 2 * keys;
        if self.grouped {
            [total, each, each + 2, 0, each, each + 1, each + 2]
        } else {
            [total, each, each, 0, queries, queries + keys, 1]
        }
    }

    /// `[tokens, total, head]` → q `[tokens, queries, head]`, k and v `[tokens, keys, head]`.
    pub fn split(&self, qkv: &Tensor) -> (Tensor, Tensor, Tensor) {
        let (queries, keys) = (self.queries as i64, self.keys as i64);
        let (tokens, _, head) = qkv.size3().expect("qkv has three axes");
        if !self.grouped {
            let at = |first: i64, count: i64| qkv.narrow(1, first, count);
            return (at(0, queries), at(queries, keys), at(queries + keys, keys));
        }
        let each = queries / keys;
        let groups = qkv.reshape([tokens, keys, each + 2, head]);
        let q = groups.narrow(2, 0, each).reshape([tokens, queries, head]);
        (q, groups.select(2, each), groups.select(2, each + 1))
    }
}

/// Scaled dot-product attention, softmax in f32, rotated first if `angles` are given.
///
/// # Formula
/// ```text
/// out[t] = Σ_s softmax_s(scale · R_t q[t] · R_s k[s]) · v[s],  s in what t sees
/// ```
///
/// # Shapes
/// `qkv` `[tokens, heads.total(), head]` f32 or bf16; `angles` cos and sin,
/// `[tokens, head / 2]` f32 each; the result `[tokens, queries · head]`. Rows outside
/// of the layout give zeros.
pub fn attention(
    qkv: &Tensor,
    heads: Heads,
    angles: Option<(&Tensor, &Tensor)>,
    layout: &Layout,
    scale: f64,
) -> Tensor {
    if !on_processor(&[qkv]) {
        return if suits_flash(qkv) { flash } else { plain }(qkv, heads, angles, layout, scale);
    }
    let angles = angles.map(|(cosine, sine)| (cosine.contiguous(), sine.contiguous()));
    let table = layout.table(&heads);
    let [out] = call::outputs(|[out]| unsafe {
        // SAFETY: borrowed tensors and the table outlive the call; `out` is written on
        // success. The kernel copies the table.
        ffi::prefab_attention(
            out,
            call::borrow(qkv),
            call::borrow_or_null(angles.as_ref().map(|angles| &angles.0)),
            call::borrow_or_null(angles.as_ref().map(|angles| &angles.1)),
            heads.keys as i64,
            scale,
            table.as_ptr(),
            table.len() as i64,
        )
    });
    out
}

/// Whether libtorch's flash kernels on a card take such heads.
fn suits_flash(qkv: &Tensor) -> bool {
    let head = qkv.size()[2];
    qkv.kind() == Kind::BFloat16 && head % 8 == 0 && head <= 256
}

/// [`attention`] by libtorch's flash kernels, which read keys in tiles: no matrix of scores
/// is ever made. An answer's two calls, for its prompt and for its own past, are merged.
pub fn flash(
    qkv: &Tensor,
    heads: Heads,
    angles: Option<(&Tensor, &Tensor)>,
    layout: &Layout,
    scale: f64,
) -> Tensor {
    let [q, k, v] = turned_heads(qkv, heads, angles, rope::rope);
    let table = layout.flash_table();
    let [out] = call::outputs(|[out]| unsafe {
        // SAFETY: borrowed tensors and the table outlive the call; `out` is written on
        // success. The kernel copies the table.
        let (q, k, v) = (call::borrow(&q), call::borrow(&k), call::borrow(&v));
        ffi::prefab_flash(out, q, k, v, scale, table.as_ptr(), table.len() as i64)
    });
    out.flatten(1, 2)
}

/// Rotated q and k, and v, with as many key-value heads as queries: `[tokens, queries, head]`.
fn turned_heads(
    qkv: &Tensor,
    heads: Heads,
    angles: Option<(&Tensor, &Tensor)>,
    rope: impl Fn(&Tensor, &Tensor, &Tensor) -> Tensor,
) -> [Tensor; 3] {
    let (q, k, v) = heads.split(qkv);
    let turn = |x: Tensor| match angles {
        Some((cosine, sine)) => rope(&x, cosine, sine),
        None => x,
    };
    let each = (heads.queries / heads.keys) as i64;
    let repeat = |x: Tensor| match each {
        1 => x,
        _ => x.repeat_interleave_self_int(each, 1, None),
    };
    [turn(q), repeat(turn(k)), repeat(v)]
}

/// [`attention`] as plain tch code, one group after the other.
pub fn plain(
    qkv: &Tensor,
    heads: Heads,
    angles: Option<(&Tensor, &Tensor)>,
    layout: &Layout,
    scale: f64,
) -> Tensor {
    let (tokens, _, head) = qkv.size3().expect("qkv has three axes");
    let [q, k, v] = turned_heads(qkv, heads, angles, rope::plain);
    let width = heads.queries as i64 * head;
    let mut pieces = Vec::new();
    for (first, segments) in &layout.groups {
        for segment in segments {
            let start = (first + segment.start) as i64;
            let (length, shared) = (segment.length as i64, segment.shared as i64);
            let rows = |x: &Tensor, at: i64, count: i64| {
                x.narrow(0, at, count).transpose(0, 1).to_kind(Kind::Float) // [heads, count, head]
            };
            let keys = |x: &Tensor| {
                Tensor::cat(&[rows(x, *first as i64, shared), rows(x, start, length)], 1)
            };
            let mut scores = rows(&q, start, length).matmul(&keys(&k).transpose(1, 2)) * scale;
            if segment.causal {
                let ones = Tensor::ones([length, shared + length], (Kind::Bool, qkv.device()));
                scores = scores.masked_fill(&ones.triu(shared + 1), f64::NEG_INFINITY);
            }
            let out = scores.softmax(-1, Kind::Float).matmul(&keys(&v)); // [heads, length, head]
            pieces.push(out.transpose(0, 1).reshape([length, width]).to_kind(qkv.kind()));
        }
    }
    let rest = tokens - layout.tokens() as i64;
    pieces.push(Tensor::zeros([rest, width], (qkv.kind(), qkv.device())));
    Tensor::cat(&pieces, 0)
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, random};
    use super::*;

    fn each(layout: &Layout, heads: Heads, head: i64, turned: bool, extra: i64) {
        let tokens = layout.tokens() as i64 + extra;
        let (c, s) = (random(&[tokens, head / 2], 2), random(&[tokens, head / 2], 3));
        let angles = turned.then_some((&c, &s));
        let scale = 1.0 / (head as f64).sqrt();
        for (kind, tolerance) in [(Kind::Float, 5e-6), (Kind::BFloat16, 2e-2)] {
            let inputs = [random(&[tokens, heads.total() as i64, head], 1).to_kind(kind)];
            for kernel in [attention, flash] {
                agree(
                    &inputs,
                    tolerance,
                    |i| vec![kernel(&i[0], heads, angles, layout, scale)],
                    |i| vec![plain(&i[0], heads, angles, layout, scale)],
                );
            }
        }
    }

    const HEADS: Heads = Heads { queries: 4, keys: 4, grouped: false };

    #[test]
    fn answers_share_a_prompt() {
        let groups: [(usize, &[usize]); 4] =
            [(58, &[49, 70]), (5, &[1]), (17, &[]), (33, &[0, 3, 100, 16])];
        let layout = Layout::shared_prompt(groups);
        each(&layout, HEADS, 64, true, 0);
        each(&layout, HEADS, 32, false, 0);
    }

    #[test]
    fn heads_of_any_size_and_grouping() {
        let layout = Layout::shared_prompt([(7, [9usize, 4].as_slice()), (20, &[3])]);
        for grouped in [false, true] {
            each(&layout, Heads { queries: 6, keys: 2, grouped }, 20, true, 0);
            each(&layout, Heads { queries: 4, keys: 1, grouped }, 128, true, 0);
        }
    }

    #[test]
    fn images_are_seen_whole() {
        each(&Layout::bidirectional(3, 65), HEADS, 32, false, 0);
        each(&Layout::bidirectional(2, 5), HEADS, 16, true, 0);
    }

    #[test]
    fn rows_outside_the_layout_are_zero() {
        let layout = Layout::shared_prompt([(7, [9usize].as_slice())]);
        each(&layout, HEADS, 16, true, 6);
    }

    #[test]
    fn threads_never_change_a_result() {
        let layout = Layout::shared_prompt([(58, [49usize, 70].as_slice()), (20, &[30, 31])]);
        let qkv = random(&[layout.tokens() as i64, 12, 32], 1);
        let run = |threads: i32| {
            tch::set_num_threads(threads);
            let leaf = qkv.copy().set_requires_grad(true);
            let out = attention(&leaf, HEADS, None, &layout, 0.2);
            out.square().sum(Kind::Float).backward();
            (out, leaf.grad())
        };
        let ((a, da), (b, db)) = (run(1), run(3));
        assert!(a.equal(&b) && da.equal(&db));
    }
}
