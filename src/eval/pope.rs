//! `pope`: is this object there? Yes/no questions about objects, whose absent
//! objects were drawn at random, by popularity, or because they go together
//! with what is there.
//!
//! Every split asks about present objects too. Those of generated questions are
//! dealt out to the three splits in turn, so that each split stays near balance.

use super::metric::yes_no::yes_or_no;
use super::{Asked, Benchmark, Better, Counted, Counts, Metric, Value, flag, ratio};
use crate::data::record::Question;
use std::collections::BTreeMap;

/// See the module.
pub struct Pope;

/// How absent objects are drawn, in the paper's order.
pub const SPLITS: [&str; 3] = ["random", "popular", "adversarial"];

const RIGHT: usize = 0;
const ASKED: usize = 1;
const SAID_YES: usize = 2;
const IS_THERE: usize = 3;
const YES_AND_THERE: usize = 4;
const UNPARSABLE: usize = 5;

impl Benchmark for Pope {
    fn name(&self) -> &'static str {
        "pope"
    }

    fn about(&self) -> &'static str {
        "existence of objects, yes or no, in three splits by how absent objects are drawn"
    }

    fn source(&self) -> &'static str {
        "Li et al. 2023, arXiv:2305.10355. An answer that is neither yes nor no is wrong, and is no \
         yes; the published script counts it as yes"
    }

    fn metrics(&self) -> &'static [Metric] {
        &[
            Metric {
                name: "accuracy",
                about: "share of right answers",
                better: Better::Higher,
                value: Value::Share(RIGHT, ASKED),
            },
            Metric {
                name: "precision",
                about: "share of present objects among those said to be there",
                better: Better::Higher,
                value: Value::Ratio(YES_AND_THERE, SAID_YES),
            },
            Metric {
                name: "recall",
                about: "share of those said to be there among present objects",
                better: Better::Higher,
                value: Value::Ratio(YES_AND_THERE, IS_THERE),
            },
            Metric {
                name: "f1",
                about: "harmonic mean of precision and recall",
                better: Better::Higher,
                value: Value::Of(|sums| {
                    ratio(2.0 * sums[YES_AND_THERE], sums[SAID_YES] + sums[IS_THERE])
                }),
            },
            Metric {
                name: "yes_ratio",
                about: "share of answers that say yes",
                better: Better::Neither,
                value: Value::Share(SAID_YES, ASKED),
            },
            Metric {
                name: "unparsable",
                about: "share of answers that are neither yes nor no",
                better: Better::Lower,
                value: Value::Share(UNPARSABLE, ASKED),
            },
        ]
    }

    fn selects(&self, question: &Question) -> bool {
        let is_yes_no = question.answer.as_deref().is_some_and(|answer| is_yes(answer).is_some());
        let has_split = question.generated.as_ref().is_some_and(|truth| truth.negative.is_some());
        let is_about_existence = question.task == "exists" || question.source == "pope";
        is_yes_no && (has_split || is_about_existence)
    }

    fn needs(&self) -> &'static str {
        "yes/no questions about existence: `exists` in `corpus.tasks`"
    }

    fn count(&self, asked: &[Asked<'_>]) -> Vec<Counted> {
        let splits = splits(asked);
        asked
            .iter()
            .map(|asked| {
                let said = asked.row.answer.final_answer.as_deref().and_then(yes_or_no);
                let there = asked.question.answer.as_deref().and_then(is_yes) == Some(true);
                let mut counts = Counts::default();
                counts[RIGHT] = flag(said == Some(there));
                counts[ASKED] = 1.0;
                counts[SAID_YES] = flag(said == Some(true));
                counts[IS_THERE] = flag(there);
                counts[YES_AND_THERE] = flag(said == Some(true) && there);
                counts[UNPARSABLE] = flag(said.is_none());
                let split = splits.get(asked.question.id.as_str()).copied();
                let groups = std::iter::once("all").chain(split).map(str::to_owned).collect();
                Counted { groups, counts, score: Some(counts[RIGHT]) }
            })
            .collect()
    }
}

/// Whether a known answer is yes; none where it is neither yes nor no.
fn is_yes(answer: &str) -> Option<bool> {
    match answer.trim().to_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// The split of each question that has one, by id.
fn splits<'a>(asked: &[Asked<'a>]) -> BTreeMap<&'a str, &'a str> {
    let mut splits = BTreeMap::new();
    let mut num_dealt = 0;
    for question in asked.iter().map(|asked| asked.question) {
        let Some(truth) = &question.generated else { continue };
        if splits.contains_key(question.id.as_str()) {
            continue; // the same question with the other prompt
        }
        let split = if let Some(split) = &truth.negative {
            split.as_str()
        } else {
            num_dealt += 1;
            SPLITS[(num_dealt - 1) % SPLITS.len()]
        };
        splits.insert(question.id.as_str(), split);
    }
    splits
}
