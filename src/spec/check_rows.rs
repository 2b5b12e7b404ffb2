//! The values that a chart's `where` can ask for: with a slip in one, nothing would be drawn.

use super::benchmarks::{self, TaskColumn};
use super::draft::Draft;
use super::lists::{DATA_STAGES, suggest};
use super::sweep;
use std::collections::BTreeSet;

/// What is wrong, and the way out.
type Wrong = (String, String);

impl Draft {
    /// Whether some row of what is measured has this value in this column of runs.csv.
    pub(super) fn check_row(
        &self,
        column: &str,
        value: &str,
        measured: &str,
        seeds: &[u64],
    ) -> Result<(), Wrong> {
        if column == "step" && !measured.contains('.') && value.parse::<u64>().is_err() {
            let message = format!("no row of `{measured}` has the step `{value}`");
            return Err((message, "steps are whole numbers, the first is 0".to_owned()));
        }
        let Some(mut known) = self.values_of(column, measured, seeds) else { return Ok(()) };
        let mut seen = BTreeSet::new();
        known.retain(|value| seen.insert(value.clone()));
        if known.iter().any(|known| known == value) {
            return Ok(());
        }
        if known.is_empty() {
            let message = format!("`{measured}` has no `{column}` to choose by");
            return Err((message, "take it out of `where`".to_owned()));
        }
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let message = format!("no row of `{measured}` has the {column} `{value}`");
        Err((message, suggest(value, &format!("values of `{column}`"), &known)))
    }

    /// Whether a benchmark has a task of this name.
    pub(super) fn check_task(&self, task: &str, benchmark: &str) -> Result<(), Wrong> {
        match self.tasks_of(benchmark) {
            Some(known) if !known.iter().any(|known| known == task) => {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let message = format!("`{benchmark}` has no task `{task}`");
                Err((message, suggest(task, "its tasks", &known)))
            }
            _ => Ok(()),
        }
    }

    /// All values of a column in the rows of what is measured; none where only a run can tell.
    pub(super) fn values_of(
        &self,
        column: &str,
        measured: &str,
        seeds: &[u64],
    ) -> Option<Vec<String>> {
        let benchmark = measured.split_once('.').map(|(benchmark, _)| benchmark);
        let scored = benchmark.filter(|name| !DATA_STAGES.contains(name));
        match column {
            "seed" => Some(seeds.iter().map(u64::to_string).collect()),
            "variant" if self.variants.is_empty() => None,
            "variant" => {
                let names = self.variants.iter().map(|variant| variant.name.clone());
                Some(names.chain(["base".to_owned()]).collect())
            }
            "prompt" => match scored {
                None => Some(Vec::new()),
                Some(name) => match benchmarks::benchmark(name).and_then(|row| row.prompt) {
                    Some(own) => Some(vec![own.name().to_owned()]),
                    None => self.words("eval.prompts"),
                },
            },
            "split" => match (scored, benchmark) {
                (Some(_), _) => Some([self.words("eval.split")?, vec!["test".to_owned()]].concat()),
                (None, None) if measured.starts_with("validation/") => {
                    Some(vec!["validation".to_owned()])
                }
                _ => Some(vec!["train".to_owned()]),
            },
            "task" => match benchmark {
                None => Some(Vec::new()),
                Some(benchmark) => self.tasks_of(benchmark),
            },
            "round" => {
                let own = self.variants.iter().map(|variant| variant.rounds.len());
                let most = own.chain([self.rounds.len()]).max().unwrap_or_default();
                // Scores are of the last round; what there is one of has no number.
                let several = most > 1 && scored.is_none();
                Some((1..=most).filter(|_| several).map(|round| round.to_string()).collect())
            }
            "step" if benchmark.is_some() => Some(Vec::new()),
            // Which jobs and steps there will be, the spec does not say.
            "job" | "step" => None,
            swept => Some(self.values(swept).into_iter().map(sweep::text).collect()),
        }
    }

    /// A benchmark's own tasks, and `all` where it has a row for everything; none where its
    /// questions' file tells.
    fn tasks_of(&self, benchmark: &str) -> Option<Vec<String>> {
        let row = benchmarks::benchmark(benchmark)?;
        let mut tasks: Vec<String> = match row.column {
            TaskColumn::Shares(shares) => return Some(shares.iter().map(u8::to_string).collect()),
            TaskColumn::All => Vec::new(),
            TaskColumn::Parts(parts) => parts.iter().map(|&part| part.to_owned()).collect(),
            TaskColumn::Families if self.values("corpus.files").is_empty() => {
                let mut tasks = self.words("corpus.tasks")?;
                tasks.retain(|task| row.tasks.contains(&task.as_str()));
                tasks
            }
            TaskColumn::Families | TaskColumn::OfFile => return None,
        };
        tasks.push("all".to_owned());
        Some(tasks)
    }

    /// The words that a key has in one job or another; none where one is no word.
    fn words(&self, key: &str) -> Option<Vec<String>> {
        let words = |value: &toml::Value| -> Option<Vec<String>> {
            match value {
                toml::Value::String(word) => Some(vec![word.clone()]),
                other => other.clone().try_into().ok(),
            }
        };
        let lists: Option<Vec<Vec<String>>> = self.values(key).into_iter().map(words).collect();
        lists.map(|lists| lists.concat())
    }
}
