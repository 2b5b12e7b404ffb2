//! The command line: one file per verb.

pub mod diff;
pub mod verify;
