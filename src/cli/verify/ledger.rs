//! What was compared, how far apart it was, and what was allowed.

use crate::cli::say;
use crate::error::Kind;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// How far a value may lie from the recorded one: `|x − y| ≤ absolute + relative · |y|`.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// In the quantity's own unit.
    pub absolute: f64,
    /// A share of the recorded value.
    pub relative: f64,
}

#[derive(Debug, Default)]
struct Row {
    values: usize,
    /// Largest difference, as a multiple of what was allowed.
    worst: f64,
    difference: f64,
    at: String,
}

/// A tally of comparisons by quantity; in the end, pass or fail.
#[derive(Debug, Default)]
pub struct Ledger {
    rows: BTreeMap<String, Row>,
    unknown: Vec<String>,
}

impl Ledger {
    /// Compares one value; a `NaN` on either side alone is as far off as can be.
    pub fn compare(
        &mut self,
        quantity: &str,
        at: &str,
        got: f64,
        recorded: f64,
        allowed: Tolerance,
    ) {
        let same = got == recorded || (got.is_nan() && recorded.is_nan());
        let difference = if same { 0.0 } else { (got - recorded).abs() };
        let limit = allowed.absolute + allowed.relative * recorded.abs();
        let ratio = match difference {
            0.0 => 0.0,
            difference if difference.is_nan() || limit.is_nan() => f64::INFINITY,
            difference => difference / limit,
        };
        let row = self.rows.entry(quantity.to_owned()).or_default();
        row.values += 1;
        if ratio > row.worst || row.values == 1 {
            (row.worst, row.difference, row.at) = (ratio, difference, at.to_owned());
        }
    }

    /// Compares two lists of the same length, value by value.
    pub fn compare_all(
        &mut self,
        quantity: &str,
        at: &str,
        got: &[f64],
        recorded: &[f64],
        allowed: Tolerance,
    ) {
        if got.len() == recorded.len() {
            for (got, recorded) in got.iter().zip(recorded) {
                self.compare(quantity, at, *got, *recorded, allowed);
            }
        } else {
            self.compare(quantity, at, f64::NAN, recorded.len() as f64, allowed);
        }
    }

    /// Notes a recorded name that nothing here recomputes.
    pub fn unknown(&mut self, name: impl Into<String>) {
        self.unknown.push(name.into());
    }

    /// Prints a line a quantity.
    ///
    /// # Errors
    ///
    /// If a tolerance was exceeded, a name was unknown, or nothing was compared.
    pub fn close(self, file: &str) -> Result<()> {
        let mut table = format!(
            "{:<34} {:>8} {:>12} {:>10}  worst at\n",
            "quantity", "values", "difference", "of limit"
        );
        for (quantity, row) in &self.rows {
            let mark = if row.worst > 1.0 { "  EXCEEDED" } else { "" };
            table += &format!(
                "{quantity:<34} {:>8} {:>12.3e} {:>10.3}  {}{mark}\n",
                row.values, row.difference, row.worst, row.at
            );
        }
        say(&table);
        let values: usize = self.rows.values().map(|row| row.values).sum();
        let exceeded = self.rows.values().filter(|row| row.worst > 1.0).count();
        let failure = |message: String, hint: &str| {
            Err(Error::new(message).kind(Kind::Verification).hint(hint.to_owned()))
        };
        if values == 0 {
            return failure(
                format!("nothing in `{file}` was checked"),
                "is it a file of recorded values? tests/record/ makes such files",
            );
        }
        if !self.unknown.is_empty() {
            return failure(
                format!(
                    "`{file}` records what nothing here recomputes: {}",
                    self.unknown.join(", ")
                ),
                "the names that are known stand in tests/record/README.md",
            );
        }
        if exceeded > 0 {
            return failure(
                format!("{exceeded} of {} quantities exceed their tolerance", self.rows.len()),
                "the table above says where each is worst",
            );
        }
        say(&format!("{values} values agree within their tolerances\n"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIGHT: Tolerance = Tolerance { absolute: 0.0, relative: 1e-9 };

    #[test]
    fn an_empty_ledger_does_not_pass() {
        assert!(Ledger::default().close("x.json").is_err());
    }

    #[test]
    fn a_value_off_by_more_than_its_share_fails() {
        let mut ledger = Ledger::default();
        ledger.compare("loss", "case 0", 1.0 + 2e-9, 1.0, TIGHT);
        assert!(ledger.close("x.json").is_err());
    }

    #[test]
    fn nan_against_a_number_fails() {
        let mut ledger = Ledger::default();
        ledger.compare("loss", "case 0", f64::NAN, 1.0, TIGHT);
        assert!(ledger.close("x.json").is_err());
    }

    #[test]
    fn an_unknown_name_fails_although_the_rest_agrees() {
        let mut ledger = Ledger::default();
        ledger.compare("loss", "case 0", 1.0, 1.0, TIGHT);
        ledger.unknown("kto");
        assert!(ledger.close("x.json").is_err());
    }

    #[test]
    fn equal_values_pass() {
        let mut ledger = Ledger::default();
        ledger.compare_all("loss", "case 0", &[1.0, f64::INFINITY], &[1.0, f64::INFINITY], TIGHT);
        assert!(ledger.close("x.json").is_ok());
    }
}
