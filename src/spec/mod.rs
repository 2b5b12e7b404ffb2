//! What a TOML file says: typed tables, embedded defaults, layers, sweeps and
//! variants. [`crate::plan`] says what it means.
//!
//! One file per table. [`Settings`] is one fully resolved point: no `Option`
//! stands for a default, every default is in `defaults.toml`.

pub mod base;
pub mod candidates;
pub mod corpus;
pub mod eval;
pub mod loss;
pub mod model;
pub mod number;
pub mod pairs;
pub mod train;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One fully resolved point of an experiment: what a job runs with.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What the policy starts from and which parts of it train.
    pub model: model::Model,
    /// The questions and their pictures.
    pub corpus: corpus::Corpus,
    /// How the embedded base model is taught.
    pub base: base::Base,
    /// How answers are sampled.
    pub candidates: candidates::Candidates,
    /// How preference pairs are built.
    pub pairs: pairs::Pairs,
    /// What the policy minimises; absent in a spec that ends at the base.
    pub loss: Option<loss::Loss>,
    /// How the policy is trained.
    pub train: train::Train,
    /// What is measured.
    pub eval: eval::Eval,
}
