//! Python's arithmetic on integers and floats.

use super::value::Py;
use super::{Exception, PyResult};

/// Raised for what is no number.
pub const TYPE: Exception = Exception("TypeError");
/// Raised for a float that is too large.
pub const OVERFLOW: Exception = Exception("OverflowError");
const ZERO: Exception = Exception("ZeroDivisionError");

/// A number of either kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An integer; one beyond 128 bits raises an `OverflowError` here, which Python would not.
    Int(i128),
    /// A float.
    Float(f64),
}

impl Number {
    /// The number that a value is; truth values are 0 and 1.
    pub fn of(value: &Py) -> PyResult<Self> {
        match value {
            Py::Float(number) => Ok(Self::Float(*number)),
            other => {
                let digits = other.integer().ok_or(TYPE)?;
                digits.parse().map(Self::Int).map_err(|_| OVERFLOW)
            }
        }
    }

    /// Its nearest float.
    pub fn float(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    /// As a value.
    pub fn value(self) -> Py {
        match self {
            Self::Int(number) => Py::Int(number.to_string()),
            Self::Float(number) => Py::Float(number),
        }
    }

    /// `a - b`.
    pub fn minus(self, other: Self) -> PyResult<Self> {
        arithmetic(self, other, i128::checked_sub, |a, b| a - b)
    }
}

fn arithmetic(
    a: Number,
    b: Number,
    ints: fn(i128, i128) -> Option<i128>,
    floats: fn(f64, f64) -> f64,
) -> PyResult<Number> {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => ints(a, b).map(Number::Int).ok_or(OVERFLOW),
        (a, b) => Ok(Number::Float(floats(a.float(), b.float()))),
    }
}

/// `a + b`.
pub fn add(a: Number, b: Number) -> PyResult<Number> {
    arithmetic(a, b, i128::checked_add, |a, b| a + b)
}

/// `a * b`.
pub fn multiply(a: Number, b: Number) -> PyResult<Number> {
    arithmetic(a, b, i128::checked_mul, |a, b| a * b)
}

/// `a / b`.
pub fn divide(a: Number, b: Number) -> PyResult<Number> {
    if b.float() == 0.0 { Err(ZERO) } else { Ok(Number::Float(a.float() / b.float())) }
}

/// `a // b`.
pub fn floor_divide(a: Number, b: Number) -> PyResult<Number> {
    if b.float() == 0.0 {
        return Err(ZERO);
    }
    let whole = |a: i128, b: i128| {
        let towards_zero = a.checked_div(b)?;
        Some(towards_zero - i128::from(a % b != 0 && (a < 0) != (b < 0)))
    };
    arithmetic(a, b, whole, |a, b| (a / b).floor())
}

/// `a % b`.
pub fn modulo(a: Number, b: Number) -> PyResult<Number> {
    if b.float() == 0.0 {
        return Err(ZERO);
    }
    arithmetic(
        a,
        b,
        |a, b| {
            let rest = a.checked_rem(b)?;
            Some(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        },
        |a, b| {
            let rest = a % b;
            if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
        },
    )
}

/// `a ** b`.
pub fn power(a: Number, b: Number) -> PyResult<Number> {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) if b >= 0 => {
            let exponent = u32::try_from(b).map_err(|_| OVERFLOW)?;
            a.checked_pow(exponent).map(Number::Int).ok_or(OVERFLOW)
        }
        (a, b) if a.float() == 0.0 && b.float() < 0.0 => Err(ZERO),
        // A complex number, which no scorer compares.
        (a, b) if a.float() < 0.0 && b.float().fract() != 0.0 => Err(TYPE),
        (a, b) => match a.float().powf(b.float()) {
            result if result.is_infinite() && a.float().is_finite() => Err(OVERFLOW),
            result => Ok(Number::Float(result)),
        },
    }
}
