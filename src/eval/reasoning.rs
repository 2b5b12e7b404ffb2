//! `reasoning`: questions with a known answer, by task and over all.

use super::matching::is_open;
use super::{Asked, Benchmark, Better, Counted, Counts, Metric, Value, flag};
use crate::data::record::Question;

/// See the module.
pub struct Reasoning;

const RIGHT: usize = 0;
const UNPARSABLE: usize = 1;
const TOKENS: usize = 2;
const ASKED: usize = 3;

impl Benchmark for Reasoning {
    fn name(&self) -> &'static str {
        "reasoning"
    }

    fn about(&self) -> &'static str {
        "accuracy of final answers by task, and the share of answers in which none can be read"
    }

    fn source(&self) -> &'static str {
        "Wang et al. 2024, arXiv:2411.10442, Figure 3 (accuracy) and supplement 10 (unparsable answers)"
    }

    fn metrics(&self) -> &'static [Metric] {
        &[
            Metric {
                name: "accuracy",
                about: "share of right final answers",
                better: Better::Higher,
                value: Value::Share(RIGHT, ASKED),
            },
            Metric {
                name: "unparsable",
                about: "share of answers without a readable final answer or without an end",
                better: Better::Lower,
                value: Value::Share(UNPARSABLE, ASKED),
            },
            Metric {
                name: "tokens",
                about: "mean length of an answer, in tokens",
                better: Better::Neither,
                value: Value::Ratio(TOKENS, ASKED),
            },
        ]
    }

    fn selects(&self, question: &Question) -> bool {
        !is_open(question)
    }

    fn needs(&self) -> &'static str {
        "questions with a known answer"
    }

    fn count(&self, asked: &[Asked<'_>]) -> Vec<Counted> {
        asked
            .iter()
            .map(|asked| {
                let mut counts = Counts::default();
                counts[RIGHT] = flag(asked.row.is_right());
                counts[UNPARSABLE] = flag(asked.row.is_unparsable());
                counts[TOKENS] = asked.row.answer.tokens as f64;
                counts[ASKED] = 1.0;
                Counted {
                    groups: vec!["all".into(), asked.question.task.clone()],
                    counts,
                    score: Some(counts[RIGHT]),
                }
            })
            .collect()
    }
}
