//! What each kind of pair is like and cost: kinds.csv, a row a kind and task.
//!
//! | column | meaning |
//! |---|---|
//! | `pairs` | pairs that are kept |
//! | `questions` | questions that they are about |
//! | `chosen_tokens`, `rejected_tokens` | mean lengths, the end token included |
//! | `chosen_words`, `rejected_words` | the same in words |
//! | `rejected_shorter`, `rejected_longer` | shares of pairs, by words |
//! | `with_both` | share of the task's questions with a right and a wrong answer |
//! | `tokens_a_pair` | tokens that were written for a pair: every sampled answer of the questions asked, all continuations, lists of claims, a judge's word a claim; over the pairs made before any cap on the whole set |
//!
//! The paper gives 571.2 tokens a pair for dropout next-token prediction and 992.7 for
//! RLAIF-V's divide and conquer (section 3.1).

use super::mix::Slot;
use super::stats::Stats;
use super::{Built, Kind};
use crate::Result;
use crate::error::Context;
use crate::spec::pairs::Source;
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// Columns of kinds.csv.
const COLUMNS: [&str; 12] = [
    "kind",
    "task",
    "pairs",
    "questions",
    "chosen_tokens",
    "rejected_tokens",
    "chosen_words",
    "rejected_words",
    "rejected_shorter",
    "rejected_longer",
    "with_both",
    "tokens_a_pair",
];

/// How many pairs each source made, before any are dropped from the whole set.
pub fn made(slots: &[Slot]) -> BTreeMap<Source, usize> {
    let mut made = BTreeMap::new();
    for slot in slots {
        *made.entry(slot.kind.source()).or_default() += 1;
    }
    made
}

/// Sums over the pairs of a kind and task.
#[derive(Default)]
struct Sums {
    pairs: f64,
    /// Hashes of what they are about.
    questions: HashSet<u64>,
    /// Chosen and rejected tokens of those pairs whose tokens are known.
    tokens: (f64, f64, f64),
    words: (f64, f64),
    shorter: f64,
    longer: f64,
}

impl Sums {
    fn add(&mut self, built: &Built) {
        let words = |text: &str| text.split_whitespace().count() as f64;
        let (chosen, rejected) = (words(&built.pair.chosen), words(&built.pair.rejected));
        self.pairs += 1.0;
        let mut hasher = DefaultHasher::new();
        (&built.pair.image.0, &built.pair.question).hash(&mut hasher);
        self.questions.insert(hasher.finish());
        self.words = (self.words.0 + chosen, self.words.1 + rejected);
        self.shorter += f64::from(u8::from(rejected < chosen));
        self.longer += f64::from(u8::from(rejected > chosen));
        if let Some((chosen, rejected)) = built.tokens {
            let (c, r, count) = self.tokens;
            self.tokens = (c + chosen as f64, r + rejected as f64, count + 1.0);
        }
    }
}

/// What is known of the pairs so far, by kind and task; `all` of a kind comes first.
#[derive(Default)]
pub struct Table(BTreeMap<(Kind, bool, String), Sums>);

impl Table {
    /// Counts a pair.
    pub fn add(&mut self, built: &Built) {
        self.0.entry((built.kind, false, "all".to_owned())).or_default().add(built);
        self.0.entry((built.kind, true, built.task.clone())).or_default().add(built);
    }

    /// Writes kinds.csv: for each kind `all` first, then tasks by name.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn write(&self, path: &Path, made: &BTreeMap<Source, usize>, stats: &Stats) -> Result<()> {
        let doing = || format!("writing `{}`", path.display());
        let mut csv = csv::Writer::from_path(path).with_context(doing)?;
        csv.write_record(COLUMNS).with_context(doing)?;
        for ((kind, of_task, task), sums) in &self.0 {
            // What was not measured is empty.
            let mean = |sum: f64, count: f64| match count > 0.0 {
                true => (sum / count).to_string(),
                false => String::new(),
            };
            let source = kind.source();
            let verdicts = stats.with_both(task).filter(|_| source == Source::Correctness);
            let spent = Some(stats.spent(source) as f64).filter(|spent| !*of_task && *spent > 0.0);
            let (chosen, rejected, known) = sums.tokens;
            csv.write_record([
                kind.name().to_owned(),
                task.clone(),
                sums.pairs.to_string(),
                sums.questions.len().to_string(),
                mean(chosen, known),
                mean(rejected, known),
                mean(sums.words.0, sums.pairs),
                mean(sums.words.1, sums.pairs),
                mean(sums.shorter, sums.pairs),
                mean(sums.longer, sums.pairs),
                verdicts.map_or(String::new(), |share| share.to_string()),
                spent.map_or(String::new(), |spent| mean(spent, made[&source] as f64)),
            ])
            .with_context(doing)?;
        }
        csv.flush().with_context(doing)
    }
}
