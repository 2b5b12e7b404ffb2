//! The stages and their version numbers: the one place where they are bumped.

use serde::{Deserialize, Serialize};

/// A stage of the pipeline.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the table in the crate documentation says what each makes")]
pub enum Stage {
    Corpus,
    Base,
    Features,
    Candidates,
    Pairs,
    Reference,
    Policy,
    Answers,
    Scores,
}
