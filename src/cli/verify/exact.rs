//! Comparisons of things that are equal or not: hashes, texts, token ids.

use super::{Ledger, Tolerance};

/// No difference at all.
pub const EXACT: Tolerance = Tolerance { absolute: 0.0, relative: 0.0 };

impl Ledger {
    /// Notes whether two things are equal: a difference of 0 or 1.
    pub fn same<T: PartialEq + ?Sized>(
        &mut self,
        quantity: &str,
        at: &str,
        got: &T,
        recorded: &T,
    ) -> bool {
        let is_same = got == recorded;
        self.compare(quantity, at, f64::from(!is_same), 0.0, EXACT);
        is_same
    }
}
