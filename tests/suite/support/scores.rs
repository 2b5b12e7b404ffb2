//! Answers that are scored, and one score of many.

use prefab::answer::matching;
use prefab::data::record::Question;
use prefab::eval::Row;
use prefab::eval::scores::Score;
use prefab::spec::candidates::Prompt;

/// What was said to a question, directly.
pub fn row(question: &Question, text: &str) -> Row {
    row_of(question, Prompt::Direct, text)
}

/// What was said to a question that was asked so.
pub fn row_of(question: &Question, prompt: Prompt, text: &str) -> Row {
    let said = matching::Said { text: text.into(), tokens: 4, ended: true };
    Row { answer: matching::answer(question, prompt, 0, said), given_percent: 0 }
}

/// One score.
#[track_caller]
pub fn value(scores: &[Score], task: &str, metric: &str) -> f64 {
    let found = scores.iter().find(|score| score.task == task && score.metric == metric);
    found.unwrap_or_else(|| panic!("{task} has {metric} in {scores:?}")).value
}
