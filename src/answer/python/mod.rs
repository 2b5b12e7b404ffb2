//! Python's text and numbers, as far as published scorers lean on them.
//!
//! The evaluators that people compare with are Python programs, so "white
//! space", "number" and "rounded" mean what they mean there. [`text`] and
//! [`number`] are the built-in functions, [`value`] their results with Python's
//! `==`, `str` and `repr`, and [`eval`] the small part of Python's expressions that
//! two scorers run on text: here it is read, never executed.

pub mod eval;
pub mod number;
pub mod operator;
pub mod text;
pub mod value;

pub use value::Py;

/// The class of an exception that a Python function would have raised: `ValueError`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Exception(pub &'static str);

/// What a Python function gives, or the exception that it raises.
pub type PyResult<T> = std::result::Result<T, Exception>;
