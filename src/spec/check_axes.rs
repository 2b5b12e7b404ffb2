//! A chart's columns against what it measures: rows without a value there would not be drawn.

use super::benchmarks::{self, OF_ALL, TaskColumn};
use super::chart::Chart;
use super::draft::Draft;
use super::lists::DATA_STAGES;
use super::sweep;

/// What is wrong, and the way out.
type Wrong = (String, String);

impl Draft {
    /// Whether what a chart measures has values in the column that one of its keys names.
    pub(super) fn check_axis(
        &self,
        chart: &Chart,
        key: &str,
        column: &str,
        seeds: &[u64],
    ) -> Result<(), Wrong> {
        let (_, measured) = chart.measured();
        if column == "step" && measured.contains('.') {
            let hint = "draw `validation/direct` or `validation/cot`, which `[eval] every` \
                        measures as a policy learns";
            return Err((format!("`{measured}` is measured once, not by step"), hint.to_owned()));
        }
        // An axis of tasks leaves out what is of all of them.
        let is_task = |value: &String| column != "task" || value != "all";
        let known = self.values_of(column, measured, seeds);
        let is_empty = known.is_some_and(|all| !all.iter().any(is_task))
            || column == "task"
                && OF_ALL.contains(&measured.rsplit('.').next().unwrap_or_default());
        if is_empty && column == "round" {
            let is_score =
                measured.split_once('.').is_some_and(|(of, _)| !DATA_STAGES.contains(&of));
            return Err(match is_score {
                true => (
                    format!("`{measured}` is of the last round alone"),
                    "draw `validation/direct` or `validation/cot`, which `[eval] every` measures \
                     in each round"
                        .to_owned(),
                ),
                false => (
                    "there is one round here: it has no number".to_owned(),
                    "add `[[round]]` twice or more, or choose another column".to_owned(),
                ),
            });
        }
        if is_empty {
            return Err((
                format!("`{measured}` has no `{column}`"),
                "choose another column, or measure something else".to_owned(),
            ));
        }
        match chart {
            // What `where` leaves of swept words may be numbers.
            Chart::Lines(lines) if key == "x" => {
                let is_limited =
                    lines.rows.contains_key(column) || lines.rows.contains_key("variant");
                self.check_numbers(column, measured, is_limited)
            }
            _ => Ok(()),
        }
    }

    /// Places on a line are numbers.
    fn check_numbers(&self, column: &str, measured: &str, is_limited: bool) -> Result<(), Wrong> {
        let benchmark = measured.split('.').next().and_then(benchmarks::benchmark);
        let word = match column {
            "variant" | "job" | "prompt" | "split" => Some(format!("`{column}` holds words")),
            "task" if !benchmark.is_some_and(|row| matches!(row.column, TaskColumn::Shares(_))) => {
                Some("only the tasks of `shift` are numbers".to_owned())
            }
            "task" | "seed" | "round" | "step" => None,
            _ if is_limited => None,
            swept => self
                .swept_values(swept)
                .map(sweep::text)
                .find(|text| text.parse::<f64>().is_err())
                .map(|text| format!("`{text}`, a value of `{swept}`, is no number")),
        };
        let hint = || "draw it with `bars`".to_owned();
        word.map_or(Ok(()), |word| Err((format!("{word} to place on a line"), hint())))
    }
}
