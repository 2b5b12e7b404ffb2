//! Prefab (PREFerence ABlations): preference-optimization experiments for
//! multimodal language models, declared in TOML.
//!
//! A spec is read ([`spec`]), expanded into a graph of stages ([`plan`]), and
//! worked off by child processes ([`run`]) into artifacts that are addressed by
//! content key ([`store`]). Each stage is a pure function of its settings and
//! the artifacts it reads:
//!
//! ```text
//! corpus ─ base ─ features ─ candidates ─ pairs ─ reference ─ policy ─ answers ─ scores ─ report
//! ```
//!
//! | stage | module that does it |
//! |---|---|
//! | corpus | [`tasks`] (generated questions), [`data`] (questions on disk) |
//! | base, policy, reference | [`train`], on [`model`], [`loss`] and [`kernel`] |
//! | features | [`model`] |
//! | candidates, answers | [`sample`] |
//! | pairs | [`pairs`] |
//! | scores | [`eval`], on [`answer`] and [`statistics`] |
//! | whatever a server answers or judges | [`server`] |
//! | report | [`report`], which reads files only |
//!
//! Arrows point one way: `cli → run → plan → spec`; `loss` touches no file,
//! `plan` touches no tensor.

pub mod answer;
pub mod data;
pub mod error;
pub mod eval;
pub mod kernel;
pub mod loss;
pub mod model;
pub mod pairs;
pub mod plan;
pub mod report;
pub mod run;
pub mod sample;
pub mod server;
pub mod spec;
pub mod stage;
pub mod statistics;
pub mod store;
pub mod tasks;
pub mod train;

pub mod cli;

pub use error::{Error, Result};
