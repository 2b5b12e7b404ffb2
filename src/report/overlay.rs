//! Numbers of the paper, drawn beside our own.
//!
//! `overlay = "figure_3"` names a table of results/paper/ with the columns `algorithm`, `prompt`,
//! `value` (per cent), `n` and `source`. A table beside the results wins over one in results/paper/,
//! and that over the built-in copy.

use super::table::read_csv;
use crate::error::Context;
use crate::spec::lists::{PAPER_COLUMNS, PAPER_TABLES};
use crate::statistics::{Interval, wilson};
use crate::{Error, Result};
use std::path::Path;

/// Tables that the binary carries; `spec::lists` has their names.
const BUILT_IN: &[(&str, &str)] = &[("figure_3", include_str!("../../results/paper/figure_3.csv"))];

/// One number of another's.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// As the paper calls it.
    pub algorithm: String,
    /// `direct` or `cot`.
    pub prompt: String,
    /// A fraction.
    pub value: f64,
    /// The binomial 95 % interval that `n` implies.
    pub interval: (f64, f64),
    /// Test questions.
    pub n: u64,
    /// Where it stands.
    pub source: String,
}

/// A table by name.
///
/// # Errors
///
/// If there is no such table or it lacks a column.
pub fn load(results_dir: &Path, name: &str) -> Result<Vec<Published>> {
    // A spec's charts have underscores, its file names hyphens; both are meant.
    let name = &name.replace('-', "_");
    let beside = results_dir.parent().unwrap_or(results_dir);
    let files = [beside, Path::new("results")].map(|dir| dir.join(format!("paper/{name}.csv")));
    let (header, rows) = if let Some(file) = files.iter().find(|file| file.exists()) {
        read_csv(file)?
    } else {
        let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) else {
            let known = PAPER_TABLES;
            return Err(Error::spec(format!("no table `{name}` in results/paper"))
                .hint(super::select::nearest(name, known)));
        };
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().expect("built in").iter().map(str::to_owned).collect();
        (header, reader.records().collect::<Result<_, _>>().expect("built in"))
    };
    let at = |column: &str| {
        header.iter().position(|name| name == column).ok_or_else(|| {
            Error::spec(format!("results/paper/{name}.csv has no column `{column}`"))
                .hint("an overlay has the columns `algorithm`, `prompt`, `value`, `n` and `source`")
        })
    };
    let [algorithm, prompt, value, n, source] = PAPER_COLUMNS.map(at);
    let (algorithm, prompt, value, n, source) = (algorithm?, prompt?, value?, n?, source?);
    rows.iter()
        .map(|row| {
            let number = |at: usize| {
                row[at].parse::<f64>().with_context(|| format!("reading `{}` of {name}", &row[at]))
            };
            let (share, trials) = (number(value)? / 100.0, number(n)?);
            let Interval { low, high } = wilson(share * trials, trials).ok_or_else(|| {
                Error::spec(format!("results/paper/{name}.csv has a row of no questions"))
            })?;
            Ok(Published {
                algorithm: row[algorithm].into(),
                prompt: row[prompt].into(),
                value: share,
                interval: (low, high),
                n: trials as u64,
                source: row[source].into(),
            })
        })
        .collect()
}

/// Whether a variant's name and the paper's mean the same: case, spaces, hyphens and underscores
/// aside, `+` kept.
pub fn same(ours: &str, theirs: &str) -> bool {
    let bare = |name: &str| -> String {
        let kept = name.chars().filter(|c| c.is_alphanumeric() || *c == '+');
        kept.flat_map(char::to_lowercase).collect()
    };
    bare(ours) == bare(theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_figure_has_every_row_twice() {
        let table = load(Path::new("results/none"), "figure_3").unwrap();
        // The base, eleven algorithms, SFT, five "+" and MPO, each with two prompts.
        assert_eq!(table.len(), 36);
        let mpo = table.iter().find(|row| row.algorithm == "MPO" && row.prompt == "cot").unwrap();
        assert!((mpo.value - 0.791).abs() < 1e-12 && mpo.n == 2318);
        // 1.96 √(0.791 · 0.209 / 2318) = 0.01655: its test size implies about two points.
        let (low, high) = mpo.interval;
        assert!((high - low - 2.0 * 0.01655).abs() < 1e-4, "{low} {high}");
    }

    #[test]
    fn a_spec_knows_every_table_that_the_binary_carries() {
        let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, PAPER_TABLES);
    }

    #[test]
    fn names_match_across_spellings() {
        assert!(same("robust_dpo", "RobustDPO") && same("TR-DPO", "tr_dpo"));
        assert!(!same("DPO", "DPO+"));
    }

    #[test]
    fn an_unknown_table_gets_a_hint() {
        let error = load(Path::new("results/none"), "figure_4").unwrap_err();
        assert_eq!(error.hint_text(), Some("did you mean `figure_3`?"));
    }
}
