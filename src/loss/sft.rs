//! Supervised fine-tuning (SFT) on the chosen answers.

use super::algorithm::{Algorithm, Weights};

/// No preference term: `w_g = 1`. See [`super::generation`] for the formula.
pub const SFT: Algorithm = Algorithm {
    name: "sft",
    title: "SFT",
    source: "likelihood of the chosen answer",
    formula: "none; L_g = −Σ log π(y⁺|x) / Σ |y⁺|",
    weights: Weights { w_p: 0.0, w_q: 0.0, w_g: 1.0 },
    ..Algorithm::PLAIN
};
