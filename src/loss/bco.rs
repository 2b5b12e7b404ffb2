//! Binary classifier optimisation (BCO): the quality term by itself.

use super::algorithm::{Algorithm, Beta, Weights};

/// No preference term: `w_q = 1`. See [`super::quality`] for the formula.
pub const BCO: Algorithm = Algorithm {
    name: "bco",
    title: "BCO",
    source: "Jung et al. 2024, arXiv:2404.04656, equation 9",
    formula: "none; L_q = −log σ(β·a − δ) − log σ(−(β·b − δ))",
    weights: Weights { w_p: 0.0, w_q: 1.0, w_g: 0.0 },
    beta: Beta { paper: 0.01, embedded: 0.1 },
    ..Algorithm::PLAIN
};
