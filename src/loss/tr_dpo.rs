//! Trust-region DPO (TR-DPO): DPO whose reference follows the policy.

use super::algorithm::{Algorithm, Beta};
use super::dpo;
use std::f64::consts::LN_2;

/// DPO; every `[loss.tr_dpo] every` steps the trainer sets
/// `reference ← α·policy + (1−α)·reference`. The state is the trainer's.
pub const TR_DPO: Algorithm = Algorithm {
    name: "tr_dpo",
    title: "TR-DPO",
    source: "Gorbatovski et al. 2024, arXiv:2404.09656, equations 3 and 4",
    formula: "−log σ(β·h), reference ← α·policy + (1−α)·reference",
    beta: Beta { paper: 0.05, embedded: 0.1 },
    term: Some(dpo::per_pair),
    at_reference: Some(|_| LN_2),
    moves_reference: true,
    copy_table: |from, to| to.tr_dpo = from.tr_dpo,
    ..Algorithm::PLAIN
};

/// The paper's scale: share of the policy, and steps between two syncs (TRL 1.x has the same).
pub const PAPER: (f64, usize) = (0.6, 512);

/// For some 200 steps: TRL 0.10's values, so that there are syncs at all.
pub const EMBEDDED: (f64, usize) = (0.9, 64);
