//! `shift`: the distance between what a policy was taught and what it meets.
//!
//! A policy learns to go on from true rationales and must go on from its own.
//! Given the first 0, 25, 50 and 75 % of the true rationale, how often is the
//! final answer right, and how likely is the rest of the true rationale, beside the
//! same after as many tokens of its own answer? Greedy decoding that goes on from a part
//! of its own answer writes that same answer, so accuracy after the own
//! beginning is the accuracy with nothing given, whatever the share.

use super::benchmark::Extraction;
use super::metric::ratio;
use super::{Asked, Benchmark, Card, Counted, Counts, Metric, Value, flag};
use crate::answer::matching::is_open;
use crate::data::record::Question;
use crate::spec::benchmarks::SHIFT_SHARES;
use crate::spec::candidates::Prompt;

/// See the module.
pub struct Shift;

const RIGHT: usize = 0;
const OWN_RIGHT: usize = 1;
const ASKED: usize = 2;
const AFTER_TRUE: usize = 3;
const AFTER_OWN: usize = 4;
const TOKENS: usize = 5;

impl Benchmark for Shift {
    fn card(&self) -> &Card {
        &Card {
            name: "shift",
            about: "accuracy and rationale likelihood after 0, 25, 50, 75 % of the true rationale, \
                    and of its own",
            source: "the distribution shift that Wang et al. 2024, arXiv:2411.10442, section 1, \
                     name as MPO's reason; exposure bias of Ranzato et al. 2015, arXiv:1511.06732",
            asks: "shift",
            needs: "generated questions, whose true rationale is known",
            extraction: Extraction::LABELLED,
        }
    }

    /// `own` is after its own beginning, a gap the true one's less that; `logp` is in nats a token
    /// of the true rationale's rest.
    fn metrics(&self) -> &'static [Metric] {
        &[
            Metric { name: "accuracy", value: Value::Share(RIGHT, ASKED) },
            Metric { name: "accuracy_own", value: Value::Share(OWN_RIGHT, ASKED) },
            Metric {
                name: "accuracy_gap",
                value: Value::Of(|sums| ratio(sums[RIGHT] - sums[OWN_RIGHT], sums[ASKED])),
            },
            Metric { name: "logp", value: Value::Ratio(AFTER_TRUE, TOKENS) },
            Metric { name: "logp_own", value: Value::Ratio(AFTER_OWN, TOKENS) },
            Metric {
                name: "logp_gap",
                value: Value::Of(|sums| ratio(sums[AFTER_TRUE] - sums[AFTER_OWN], sums[TOKENS])),
            },
        ]
    }

    fn selects(&self, question: &Question) -> bool {
        !is_open(question)
            && question.generated.as_ref().is_some_and(|truth| !truth.rationale.is_empty())
    }

    fn prompts(&self, _wanted: &[Prompt]) -> Vec<Prompt> {
        vec![Prompt::Cot]
    }

    fn given_percents(&self) -> &'static [u8] {
        &SHIFT_SHARES
    }

    fn needs_likelihood(&self) -> bool {
        true
    }

    fn count(&self, asked: &[Asked<'_>]) -> Vec<Counted> {
        asked
            .iter()
            .map(|asked| {
                let mut counts = Counts::default();
                counts[RIGHT] = flag(asked.row.is_right());
                counts[OWN_RIGHT] = flag(asked.own.is_right());
                counts[ASKED] = 1.0;
                if let Some(likelihood) = asked.likelihood {
                    counts[AFTER_TRUE] = likelihood.after_true;
                    counts[AFTER_OWN] = likelihood.after_own;
                    counts[TOKENS] = likelihood.tokens as f64;
                }
                // The task column holds the share given, so that charts can put it on an axis.
                Counted {
                    groups: vec![asked.row.given_percent.to_string()],
                    counts,
                    score: Some(counts[RIGHT]),
                }
            })
            .collect()
    }
}
