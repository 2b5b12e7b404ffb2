//! Training: the base model, the policies, and the reference log-probabilities
//! they are measured against.
//!
//! | stage | file |
//! |---|---|
//! | base | [`mod@base`]: vision from dense labels, then projector and decoder from answers |
//! | reference | [`mod@reference`] |
//! | policy | [`policy`]: set-up and what stays; `step`: the loop |
//!
//! Rooms around the loop: [`batch`] (pairs as tokens and pictures),
//! [`gradient`] (one loss for the whole step, whatever the micro-batches),
//! [`optimizer`], [`schedule`], [`order`], [`checkpoint`], [`guards`],
//! [`moving`] (the reference of tr_dpo), [`validation`] and [`record`] (steps.csv).
//!
//! A new column of steps.csv is one field in [`record`]; a new guard is one
//! function in [`guards`] and its call in `step`.

pub mod base;
pub mod batch;
pub mod checkpoint;
pub mod gradient;
pub mod guards;
mod lesson;
pub mod moving;
pub mod optimizer;
pub mod order;
pub mod policy;
pub mod record;
pub mod reference;
pub mod schedule;
mod step;
pub mod validation;
pub mod vision;
