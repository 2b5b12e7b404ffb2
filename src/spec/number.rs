//! Numbers that cannot be wrong: range checks done while the spec is parsed,
//! so that an error points at the offending character of the TOML file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares a newtype over `f64` with a range.
macro_rules! ranged {
    ($(#[$doc:meta])* $Name:ident, $range:literal, |$value:ident| $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
        #[serde(try_from = "f64", into = "f64")]
        #[schemars(with = "f64")]
        pub struct $Name(f64);

        impl $Name {
            /// The number itself.
            pub const fn get(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $Name {
            type Error = String;

            fn try_from($value: f64) -> Result<Self, String> {
                if $value.is_finite() && $check {
                    Ok(Self($value))
                } else {
                    Err(format!(concat!("must be ", $range, ", got {}"), $value))
                }
            }
        }

        impl From<$Name> for f64 {
            fn from(number: $Name) -> f64 {
                number.0
            }
        }
    };
}

ranged! {
    /// A finite number above zero.
    Positive, "above 0", |value| value > 0.0
}
ranged! {
    /// A finite number, zero or above.
    NonNegative, "0 or above", |value| value >= 0.0
}
ranged! {
    /// A share, in `[0, 1]`.
    Fraction, "from 0 to 1", |value| (0.0..=1.0).contains(&value)
}
ranged! {
    /// A share of flipped labels, in `[0, 0.5)`: at one half, labels say nothing.
    FlipRate, "in [0, 0.5)", |value| (0.0..0.5).contains(&value)
}
