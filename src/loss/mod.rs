//! Preference losses: what the trainer minimises.
//!
//! One formula serves every algorithm,
//! `L = w_p · L_p[algorithm] + w_q · L_q + w_g · L_g`: [`Mix`] holds it,
//! [`ALGORITHMS`] lists the preference terms, [`quality`] and [`generation`]
//! are the other two. All are pure functions of [`StepLogps`]; gradients are
//! autograd's; state (the running shift [`Shift`], a moving reference) belongs
//! to the trainer. Nothing here touches a file.
//!
//! **To add a loss:** write `src/loss/<name>.rs` with one `pub const` row and
//! its formula, then add one line to the `algorithms!` list below. The spec
//! parser, the JSON schema, `prefab show losses` and the law tests read it.

mod algorithm;
pub mod generation;
mod mix;
pub mod quality;
mod shift;

pub use algorithm::{Algorithm, Beta, Knobs, StepLogps, Weights};
pub use mix::{Mix, ReferenceSync, Terms};
pub use orpo::log_odds;
pub use shift::Shift;

/// Declares the modules, the list and the names of it.
macro_rules! algorithms {
    ($($module:ident::$ROW:ident,)+) => {
        $(mod $module;)+

        /// Every algorithm, in documentation order.
        pub const ALGORITHMS: &[Algorithm] = &[$($module::$ROW),+];

        /// Their names in a spec.
        pub const NAMES: &[&str] = &[$($module::$ROW.name),+];
    };
}

algorithms! {
    dpo::DPO,
    rso::RSO,
    ipo::IPO,
    cdpo::CDPO,
    robust_dpo::ROBUST_DPO,
    bco::BCO,
    sppo::SPPO,
    aot::AOT,
    tr_dpo::TR_DPO,
    orpo::ORPO,
    sft::SFT,
    mpo::MPO,
    exo::EXO,
    nca::NCA,
    apo_zero::APO_ZERO,
    apo_down::APO_DOWN,
    discopop::DISCOPOP,
    ln_dpo::LN_DPO,
}

/// The algorithm of that name.
pub fn find(name: &str) -> Option<&'static Algorithm> {
    ALGORITHMS.iter().find(|algorithm| algorithm.name == name)
}
