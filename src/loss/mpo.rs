//! Mixed preference optimisation (MPO).

use super::algorithm::{Algorithm, Weights};
use super::dpo;
use std::f64::consts::LN_2;

/// DPO's preference term with 0.8, BCO's quality term with 0.2, SFT with 1.
pub const MPO: Algorithm = Algorithm {
    name: "mpo",
    title: "MPO",
    source: "Wang et al. 2024, arXiv:2411.10442, equation 1",
    formula: "−log σ(β·h); with L_q and L_g",
    weights: Weights { w_p: 0.8, w_q: 0.2, w_g: 1.0 },
    term: Some(dpo::per_pair),
    at_reference: Some(|_| LN_2),
    term_name: Some("dpo"),
    ..Algorithm::PLAIN
};
