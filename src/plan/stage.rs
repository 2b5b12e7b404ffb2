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
    Benchmarks,
    Answers,
    Scores,
}

impl Stage {
    /// All of them, in pipeline order.
    pub const ALL: [Self; 10] = [
        Self::Corpus,
        Self::Base,
        Self::Features,
        Self::Candidates,
        Self::Pairs,
        Self::Reference,
        Self::Policy,
        Self::Benchmarks,
        Self::Answers,
        Self::Scores,
    ];

    /// Name, version and threads. **Bump a version when its stage's meaning changes**:
    /// the same settings and inputs would give other bytes, or bytes that mean something else.
    const fn row(self) -> (&'static str, u32, usize) {
        match self {
            Self::Corpus => ("corpus", 3, 1),
            Self::Base => ("base", 2, 2),
            Self::Features => ("features", 1, 1),
            Self::Candidates => ("candidates", 3, 1),
            Self::Pairs => ("pairs", 2, 1),
            Self::Reference => ("reference", 1, 1),
            Self::Policy => ("policy", 1, 1),
            Self::Benchmarks => ("benchmarks", 3, 1),
            Self::Answers => ("answers", 3, 1),
            Self::Scores => ("scores", 3, 1),
        }
    }

    /// The word used on command lines, in keys and in CSV files.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// Enters the key.
    pub const fn version(self) -> u32 {
        self.row().1
    }

    /// Threads of the worker; they can change a sum's last bit, so they enter the key.
    pub const fn threads(self) -> usize {
        self.row().2
    }

    /// Whether it computes tensors: what can change their bits then enters the key.
    /// Scores do only where a checkpoint grades, pairs only where a source asks the model.
    pub const fn has_tensors(self) -> bool {
        !matches!(self, Self::Corpus | Self::Pairs | Self::Benchmarks | Self::Scores)
    }

    /// The stage of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
