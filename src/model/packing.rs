//! How prompts and the answers that branch from them lie in one flat row of tokens.
//!
//! ```text
//! group 0: prompt | answer 0 | answer 1    group 1: prompt | answer 0 | …
//! ```
//!
//! Every token stands there once: linear layers and norms see `[tokens, width]`
//! without padding. An answer's last token is left out, since nothing is predicted
//! from it. Positions restart at the prompt's length with each answer. Only
//! attention needs a rectangle: groups of like length are padded together
//! (a *bucket*), so that little is wasted. Where each group has at most one answer,
//! attention is causal; else a mask lets an answer see its prompt and its own past.

use super::ops::{self, Visible};
use super::rope::Angles;
use crate::kernel::attention::{self, Heads, Layout};
use tch::{Device, Kind, Tensor};

/// Lengths of one group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lengths {
    /// Prompt positions, at least 1.
    pub prompt: usize,
    /// Tokens of each answer, at least 1; none where only the prompt is run.
    pub answers: Vec<usize>,
}

impl Lengths {
    /// Positions in the flat row.
    fn rows(&self) -> usize {
        self.prompt + self.answers.iter().map(|answer| answer - 1).sum::<usize>()
    }

    /// Positions of the longest branch, its last token included.
    fn longest(&self) -> usize {
        self.prompt + self.answers.iter().max().unwrap_or(&0)
    }
}

/// Groups whose attention is done together.
#[derive(Debug)]
struct Bucket {
    members: Vec<usize>,
    seq: usize,
    visible: Visible,
}

/// The layout of one batch.
#[derive(Debug)]
pub struct Packing {
    groups: Vec<Lengths>,
    buckets: Vec<Bucket>,
    /// Rows of each group in the flat row.
    rows: Vec<i64>,
    every_row: bool,
}

/// A group enters a bucket if its length is at least this share of the longest one's.
const ALIKE: f64 = 0.8;

impl Packing {
    /// Lays groups out; masks are made in `kind`.
    pub fn new(groups: Vec<Lengths>, kind: Kind, device: Device) -> Self {
        let rows: Vec<usize> = groups.iter().map(Lengths::rows).collect();
        let mut by_length: Vec<usize> = (0..groups.len()).collect();
        by_length.sort_by_key(|&group| std::cmp::Reverse(rows[group]));
        let mut members: Vec<Vec<usize>> = Vec::new();
        for group in by_length {
            match members.last_mut() {
                Some(bucket) if rows[group] as f64 >= ALIKE * rows[bucket[0]] as f64 => {
                    bucket.push(group);
                }
                _ => members.push(vec![group]),
            }
        }
        let buckets = members.into_iter().map(|mut members| {
            let seq = rows[members[0]];
            members.sort_unstable();
            let causal = members.iter().all(|&group| groups[group].answers.len() <= 1);
            let visible = match causal {
                true => Visible::Past,
                false => Visible::Where(mask(&groups, &members, seq, kind, device)),
            };
            Bucket { members, seq, visible }
        });
        let buckets = buckets.collect();
        let rows = rows.into_iter().map(|rows| rows as i64).collect();
        Self { groups, buckets, rows, every_row: false }
    }

    /// Keeps every row, as if each predicted a token: for comparisons with other
    /// implementations, which compute all of them.
    pub fn every_row(mut self) -> Self {
        self.every_row = true;
        self
    }

    /// Position of each token in its branch, and the length of the longest branch of
    /// its group (dynamic rotary scaling depends on it).
    pub fn positions(&self) -> (Vec<i64>, Vec<i64>) {
        let (mut positions, mut lengths) = (Vec::new(), Vec::new());
        for group in &self.groups {
            let prompt = group.prompt as i64;
            positions.extend(0..prompt);
            for &answer in &group.answers {
                positions.extend(prompt..prompt + answer as i64 - 1);
            }
            lengths.resize(positions.len(), group.longest() as i64);
        }
        (positions, lengths)
    }

    /// Attention of the whole batch, from the fused projection; rotated on the way in
    /// if there are angles.
    ///
    /// # Shapes
    ///
    /// qkv `[tokens, heads + 2·kv_heads, head]` → `[tokens, heads·head]`.
    pub fn attend(&self, qkv: &Tensor, heads: Heads, angles: Option<&Angles>) -> Tensor {
        if qkv.device() == Device::Cpu {
            let scale = 1.0 / (qkv.size()[2] as f64).sqrt();
            let angles = angles.map(Angles::pair);
            return attention::attention(qkv, heads, angles, &self.layout(), scale);
        }
        let (q, k, v) = heads.split(qkv);
        match angles {
            Some(angles) => self.attend_padded(&angles.turn(&q), &angles.turn(&k), &v),
            None => self.attend_padded(&q, &k, &v),
        }
    }

    /// Which rows look at which.
    fn layout(&self) -> Layout {
        let rows: Vec<Vec<usize>> = self
            .groups
            .iter()
            .map(|group| group.answers.iter().map(|answer| answer - 1).collect())
            .collect();
        let groups = self.groups.iter().zip(&rows);
        Layout::shared_prompt(groups.map(|(group, rows)| (group.prompt, rows.as_slice())))
    }

    /// The same in padded buckets, where there is no kernel for ragged groups.
    fn attend_padded(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Tensor {
        let mut done: Vec<Option<Tensor>> = self.groups.iter().map(|_| None).collect();
        let split = [q, k, v].map(|x| x.split_with_sizes(self.rows.as_slice(), 0));
        for bucket in &self.buckets {
            let [q, k, v] = [0, 1, 2]
                .map(|which| pad(&split[which], &bucket.members, bucket.seq).transpose(1, 2)); // [groups, heads, seq, head]
            let out = ops::attention(&q, &k, &v, &bucket.visible);
            let out = out.transpose(1, 2).flatten(2, 3).flatten(0, 1); // [groups·seq, heads·head]
            let sizes: Vec<i64> = bucket
                .members
                .iter()
                .flat_map(|&group| [self.rows[group], bucket.seq as i64 - self.rows[group]])
                .collect();
            let pieces = out.split_with_sizes(sizes.as_slice(), 0);
            for (piece, &group) in pieces.into_iter().step_by(2).zip(&bucket.members) {
                done[group] = Some(piece);
            }
        }
        let done: Vec<Tensor> =
            done.into_iter().map(|piece| piece.expect("each group is in one bucket")).collect();
        join(done)
    }

    /// The prompts' keys or values, padded at the end to the longest prompt.
    ///
    /// # Shapes
    ///
    /// `[tokens, kv_heads, head]` → `[groups, seq, kv_heads, head]`.
    pub fn pad_all(&self, x: &Tensor) -> Tensor {
        let members: Vec<usize> = (0..self.groups.len()).collect();
        let seq = self.rows.iter().max().copied().unwrap_or(0) as usize;
        pad(&x.split_with_sizes(self.rows.as_slice(), 0), &members, seq)
    }

    /// The rows that predict a token each, in the answers' order: for each answer its
    /// prompt's last row and its own rows; for a group without answers its prompt's last.
    ///
    /// # Shapes
    ///
    /// `[tokens, width]` → `[predictions, width]`.
    pub fn predicting(&self, x: &Tensor) -> Tensor {
        if self.every_row {
            return x.shallow_clone();
        }
        let mut sizes = Vec::new();
        for group in &self.groups {
            sizes.extend([group.prompt as i64 - 1, 1]);
            sizes.extend(group.answers.iter().map(|&answer| answer as i64 - 1));
        }
        let mut pieces = x.split_with_sizes(sizes.as_slice(), 0).into_iter();
        let mut chosen = Vec::new();
        for group in &self.groups {
            let mut next = || pieces.next().expect("there is a piece for each size");
            let (_before, last) = (next(), next());
            if group.answers.is_empty() {
                chosen.push(last);
                continue;
            }
            for &answer in &group.answers {
                chosen.push(last.shallow_clone());
                let rows = next();
                if answer > 1 {
                    chosen.push(rows);
                }
            }
        }
        join(chosen)
    }
}

/// Pieces of some groups as a rectangle, zeros behind the shorter ones.
///
/// `[rows, heads, head]` each → `[groups, seq, heads, head]`.
fn pad(pieces: &[Tensor], members: &[usize], seq: usize) -> Tensor {
    let seq = seq as i64;
    let (_, heads, head) = pieces[members[0]].size3().expect("a piece has three axes");
    let mut parts = Vec::with_capacity(2 * members.len());
    for &member in members {
        let piece = &pieces[member];
        let missing = seq - piece.size()[0];
        parts.push(piece.shallow_clone());
        if missing > 0 {
            parts.push(piece.new_zeros([missing, heads, head], (piece.kind(), piece.device())));
        }
    }
    join(parts).view([members.len() as i64, seq, heads, head])
}

/// Concatenates along the first axis; one piece is passed on as it is.
fn join(mut pieces: Vec<Tensor>) -> Tensor {
    match pieces.len() {
        1 => pieces.remove(0),
        _ => Tensor::cat(&pieces, 0),
    }
}

/// 0 where a row may look and −∞ elsewhere. Rows of padding look at the first token,
/// so that no softmax is empty.
///
/// → `[groups, 1, seq, seq]`.
fn mask(groups: &[Lengths], members: &[usize], seq: usize, kind: Kind, device: Device) -> Tensor {
    let mut values = vec![f32::NEG_INFINITY; members.len() * seq * seq];
    for (&member, square) in members.iter().zip(values.chunks_exact_mut(seq * seq)) {
        let Lengths { prompt, answers } = &groups[member];
        let mut rows = square.chunks_exact_mut(seq);
        for (at, row) in rows.by_ref().take(*prompt).enumerate() {
            row[..=at].fill(0.0);
        }
        let mut start = *prompt;
        for answer in answers {
            for (at, row) in rows.by_ref().take(answer - 1).enumerate() {
                row[..*prompt].fill(0.0);
                row[start..=start + at].fill(0.0);
            }
            start += answer - 1;
        }
        for row in rows {
            row[0] = 0.0;
        }
    }
    let (groups, seq) = (members.len() as i64, seq as i64);
    Tensor::from_slice(&values).view([groups, 1, seq, seq]).to_kind(kind).to_device(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn ragged_and_padded_attention_agree() {
        let lengths =
            |prompt: usize, answers: &[usize]| Lengths { prompt, answers: answers.into() };
        let groups = vec![lengths(9, &[4, 12]), lengths(7, &[1, 3, 9]), lengths(30, &[])];
        let packing = Packing::new(groups, Kind::Float, Device::Cpu);
        let tokens = packing.rows.iter().sum::<i64>();
        let qkv = Tensor::arange(tokens * 8 * 16, (Kind::Float, Device::Cpu)).sin();
        let qkv = qkv.view([tokens, 8, 16]);
        let heads = Heads { queries: 4, keys: 2, grouped: true };
        let (q, k, v) = heads.split(&qkv);
        let padded = packing.attend_padded(&q, &k, &v);
        let ragged = packing.attend(&qkv, heads, None);
        let apart = (padded - ragged).abs().max().double_value(&[]);
        assert!(apart < 1e-5, "{apart}");
    }
}
