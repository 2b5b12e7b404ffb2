//! How a pass through the layers is done: number type, training noise, recomputation.

use tch::Kind;

/// Settings of one pass.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Of matrix products.
    pub kind: Kind,
    /// What training leaves out at random; none elsewhere.
    pub noise: Option<Noise>,
    /// Keep each layer's input alone and compute the layer again in the backward pass
    /// (gradient checkpointing): the same numbers in less memory.
    pub recompute: bool,
}

impl Pass {
    /// Nothing but matrix products of that kind.
    pub fn plain(kind: Kind) -> Self {
        Self { kind, noise: None, recompute: false }
    }
}

/// Dropout and DropPath of one micro-batch. Every draw is a function of the key and the
/// place where it is made, so that a layer that is computed again draws the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    key: u64,
    /// DropPath's share at the tower's last layer.
    pub drop_path: f64,
}

impl Noise {
    /// For one micro-batch: its step and the step's first pair that it holds.
    pub fn new(seed: u64, step: usize, first_pair: usize, drop_path: f64) -> Self {
        let text = format!("prefab training noise {seed} {step} {first_pair}");
        let hash = blake3::hash(text.as_bytes());
        let key = hash.as_bytes()[..8].try_into().expect("a hash has eight bytes");
        Self { key: u64::from_le_bytes(key), drop_path }
    }

    /// Seeds libtorch's generators for the draws at one place, such as a tensor's name.
    pub(crate) fn seed(self, place: &str) {
        let hash = blake3::hash(format!("{} {place}", self.key).as_bytes());
        let seed = hash.as_bytes()[..8].try_into().expect("a hash has eight bytes");
        tch::manual_seed(i64::from_le_bytes(seed));
    }
}
