//! (see the crate's table)
pub mod diff;
