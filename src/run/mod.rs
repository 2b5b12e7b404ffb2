//! Who does the work: worker processes, devices, progress, signals.

pub mod stage;
