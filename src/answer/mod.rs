//! What a response's answer is, and whether it is right.
//!
//! [`extract`] says which part of a response answers, [`matching`] compares that with the known
//! answer as its data set does, by [`choice`] (option letters), [`quantity`] (numbers with units),
//! [`formula`] (expressions) and [`signs`]. [`metric`] holds the published measures, each as its
//! authors or a named peer compute it; [`python`] what they take for granted of Python's text and
//! numbers. Pure functions of strings: no file, no model, no random number.

pub mod choice;
pub mod extract;
pub mod formula;
pub mod matching;
pub mod metric;
pub mod python;
pub mod quantity;
pub mod signs;
pub mod text;
mod time;
