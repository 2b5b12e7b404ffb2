//! Settings that came after the first artifacts were made.
//!
//! They enter a key only where they are set away from their default, so that no older
//! artifact is lost; and a plan that was frozen before them reads as if it had said the
//! default. **To add one:** a line below, and `#[serde(default = "super::later::NAME")]` at
//! its field.

use super::embedded;
use super::eval;
use super::number::{Fraction, Positive};
use super::pairs::{Consistency, DivideAndConquer, DropoutNtp, Judge, Kinds, Source};
use super::server::Server;
use crate::tasks::Domain;
use std::collections::BTreeMap;

/// Declares the list of dotted names and a function a line that gives the default.
macro_rules! later {
    ($($name:ident: $($segment:ident).+ => $Type:ty;)+) => {
        /// Their paths, by segments.
        pub const LATER: &[&[&str]] = &[$(&[$(stringify!($segment)),+]),+];

        $(pub(super) fn $name() -> $Type {
            embedded().$($segment).+.clone()
        })+
    };
}

later! {
    taught_forms: base.multimodal => Fraction;
    stop: candidates.stop => Vec<String>;
    multimodal: candidates.multimodal => Fraction;
    candidates_server: candidates.server => Server;
    pair_sources: pairs.sources => Vec<Source>;
    exclude_domains: pairs.correctness.exclude_domains => Vec<Domain>;
    max_right: pairs.correctness.max_right => Fraction;
    consistency: pairs.correctness.consistency => Consistency;
    dropout_ntp: pairs.dropout_ntp => DropoutNtp;
    draws: pairs.dropout_ntp.draws => usize;
    apart: pairs.dropout_ntp.apart => bool;
    divide_and_conquer: pairs.divide_and_conquer => DivideAndConquer;
    judge: pairs.judge => Judge;
    max_train_tokens: train.max_tokens => usize;
    counts: pairs.counts => Kinds<usize>;
    weights: pairs.weights => Kinds<Positive>;
    eval_files: eval.files => BTreeMap<String, String>;
    eval_server: eval.server => Server;
    eval_judge: eval.judge => eval::Judge;
}
