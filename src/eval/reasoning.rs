//! `reasoning`: questions with a known answer, by task and over all.

use super::benchmark::{ASKED, Extraction, SCORE as RIGHT, TOKENS, UNPARSABLE, accuracy};
use super::{Asked, Benchmark, Card, Counted, Counts, Metric, Value, flag};
use crate::answer::matching::is_open;
use crate::data::record::Question;

/// See the module.
pub struct Reasoning;

const METRICS: &[Metric] = &accuracy(Value::Share(RIGHT, ASKED));

impl Benchmark for Reasoning {
    fn card(&self) -> &Card {
        &Card {
            name: "reasoning",
            about: "accuracy of final answers by task, and the share of answers in which none can \
                    be read",
            source: "Wang et al. 2024, arXiv:2411.10442, Figure 3 (accuracy) and supplement 10 \
                     (unparsable answers)",
            asks: "reasoning",
            needs: "questions with a known answer",
            extraction: Extraction::LABELLED,
        }
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn selects(&self, question: &Question) -> bool {
        !is_open(question)
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
