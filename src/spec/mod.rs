//! What a TOML file says: typed tables, embedded defaults, layers, sweeps and
//! variants. [`crate::plan`] says what it means.
//!
//! One file per table; [`Settings`] is one resolved point. Every fixed default is in
//! `defaults.toml`; an `Option` is a setting whose default hangs on another (an algorithm's own
//! weights, a checkpoint's own tiles), or one that is off.
//!
//! [`load`] reads a spec in one pass that finds every mistake:
//!
//! ```text
//! text ─ source (spans) ─ layer (figment) ─ extract (serde, table by table) ─ check (rules across keys)
//! ```
//!
//! **To add a key:** a field with a doc line in its table's struct, a line in
//! `defaults.toml`, and `./just bless` for the schema. Names of tasks are one line in
//! [`lists`]; a benchmark is a row in [`benchmarks`], an algorithm one in [`crate::loss`].

pub mod base;
pub mod benchmarks;
pub mod candidates;
pub mod chart;
pub mod check;
mod check_axes;
mod check_charts;
mod check_files;
mod check_measured;
mod check_model;
mod check_pairs;
mod check_rows;
mod combination;
pub mod corpus;
mod draft;
pub mod eval;
pub mod experiment;
mod extract;
mod files;
mod finder;
pub mod later;
pub mod layer;
pub mod lists;
pub mod loss;
pub mod mistake;
pub mod model;
pub mod number;
pub mod pairs;
pub mod root;
pub mod schema;
pub mod server;
mod set;
pub mod show;
pub mod source;
pub mod sweep;
pub mod train;

pub use experiment::{Experiment, Point, Round, defaults, embedded, load, parse};

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
