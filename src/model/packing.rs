//! How prompts and the answers that branch from them lie in one flat row of tokens.
//!
//! ```text
//! group 0: prompt | answer 0 | answer 1    group 1: prompt | answer 0 | …
//! ```
//!
//! Every token stands there once: linear layers and norms see `[tokens, width]`
//! without padding. An answer's last token is left out, since nothing is predicted
//! from it. Positions restart at the prompt's length with each answer. Attention reads the
//! groups where they lie: an answer sees its prompt and its own past.

use super::rope::Angles;
use crate::kernel::attention::{self, Heads, Layout};
use tch::Tensor;

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

/// The layout of one batch.
#[derive(Debug)]
pub struct Packing {
    groups: Vec<Lengths>,
    /// Rows of each group in the flat row.
    rows: Vec<i64>,
    every_row: bool,
}

impl Packing {
    /// Lays groups out.
    pub fn new(groups: Vec<Lengths>) -> Self {
        let rows = groups.iter().map(|group| group.rows() as i64).collect();
        Self { groups, rows, every_row: false }
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
        let scale = 1.0 / (qkv.size()[2] as f64).sqrt();
        attention::attention(qkv, heads, angles.map(Angles::pair), &self.layout(), scale)
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

    /// The prompts' keys or values, padded at the end to the longest prompt.
    ///
    /// # Shapes
    ///
    /// `[tokens, kv_heads, head]` → `[groups, seq, kv_heads, head]`.
    pub fn pad_all(&self, x: &Tensor) -> Tensor {
        let seq = self.rows.iter().max().copied().unwrap_or(0);
        pad(&x.split_with_sizes(self.rows.as_slice(), 0), seq)
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

/// Pieces as a rectangle, zeros behind the shorter ones.
///
/// `[rows, heads, head]` each → `[groups, seq, heads, head]`.
fn pad(pieces: &[Tensor], seq: i64) -> Tensor {
    let (_, heads, head) = pieces[0].size3().expect("a piece has three axes");
    let mut parts = Vec::with_capacity(2 * pieces.len());
    for piece in pieces {
        let missing = seq - piece.size()[0];
        parts.push(piece.shallow_clone());
        if missing > 0 {
            parts.push(piece.new_zeros([missing, heads, head], (piece.kind(), piece.device())));
        }
    }
    join(parts).view([pieces.len() as i64, seq, heads, head])
}

/// Concatenates along the first axis; one piece is passed on as it is.
fn join(mut pieces: Vec<Tensor>) -> Tensor {
    match pieces.len() {
        1 => pieces.remove(0),
        _ => Tensor::cat(&pieces, 0),
    }
}
