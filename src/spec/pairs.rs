//! `[pairs]`: how preference pairs are built.

use super::number::{Fraction, Positive};
use super::server::Server;
use crate::tasks::Domain;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Random numbers are kept apart for so many continuations of an answer.
pub const MOST_DRAWS: usize = 1000;

/// The `[pairs]` table.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pairs {
    /// Seed of which pairs are kept, and of continued answers.
    pub seed: u64,
    /// Ready-made pairs: an MMPR meta.json, or a JSONL file by itself in MMPR's, TRL's or
    /// RLAIF-V's form. They stand alone unless `sources` lists `import` beside others. These files
    /// enter the key by their content; the pictures that they name do not, since there are millions
    /// of them: after changing one in place, name the file otherwise.
    pub import: Option<String>,
    /// At most this many pairs in all.
    pub max: Option<usize>,
    /// Where pairs come from.
    #[serde(default = "super::later::pair_sources")]
    pub sources: Vec<Source>,
    /// Right answers against wrong ones.
    pub correctness: Correctness,
    /// Dropout next-token prediction.
    #[serde(default = "super::later::dropout_ntp")]
    pub dropout_ntp: DropoutNtp,
    /// Answers scored claim by claim, as RLAIF-V does it.
    #[serde(default = "super::later::divide_and_conquer")]
    pub divide_and_conquer: DivideAndConquer,
    /// Who says yes or no, where a source asks somebody.
    #[serde(default = "super::later::judge")]
    pub judge: Judge,
    /// At most this many pairs of a kind.
    #[serde(default = "super::later::counts")]
    pub counts: Kinds<usize>,
    /// How many pairs of a kind for how many of another; kinds without a weight stay whole.
    #[serde(default = "super::later::weights")]
    pub weights: Kinds<Positive>,
}

/// Where pairs come from.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A right answer against a wrong or an unparsable one.
    Correctness,
    /// An answer against its own beginning, continued without the picture.
    DropoutNtp,
    /// An answer against one with more claims that a judge denies.
    DivideAndConquer,
    /// Ready-made pairs.
    Import,
}

impl Source {
    /// The word used in specs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Correctness => "correctness",
            Self::DropoutNtp => "dropout_ntp",
            Self::DivideAndConquer => "divide_and_conquer",
            Self::Import => "import",
        }
    }
}

/// The `[pairs.correctness]` table.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Correctness {
    /// At most this many pairs a question.
    pub max_per_question: usize,
    /// Whether unparsable answers serve as rejected ones too.
    pub format_negatives: bool,
    /// Task families left out.
    pub exclude: Vec<String>,
    /// Domains of data sets left out: rules take too many of their right answers for wrong
    /// ones. Generated questions are not meant; their answers are known exactly.
    #[serde(default = "super::later::exclude_domains")]
    pub exclude_domains: Vec<Domain>,
    /// Questions with a larger share of right answers are too easy, and left out.
    #[serde(default = "super::later::max_right")]
    pub max_right: Fraction,
    /// Who drops right answers whose rationale contradicts them.
    #[serde(default = "super::later::consistency")]
    pub consistency: Consistency,
}

/// Who drops right answers whose rationale contradicts them.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// Nobody.
    None,
    /// Rules on sums and conclusions.
    Rule,
    /// `[pairs.judge]`.
    Judge,
}

/// The `[pairs.dropout_ntp]` table.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropoutNtp {
    /// Whose answers are cut and continued.
    pub of: Chosen,
    /// At most this many answers a question; those of `correctness` and `divide_and_conquer`
    /// are as many as they are.
    pub per_question: usize,
    /// An answer is continued until that makes another text, at most this many times; an answer
    /// without one has no pair. 1 continues once, whatever comes of it, as the paper does.
    #[serde(default = "super::later::draws")]
    pub draws: usize,
    /// Whether each draw but the first is one of those that part from the chosen answer, as
    /// likely as it then is: an answer that the model is all but sure of has a pair, too.
    #[serde(default = "super::later::apart")]
    pub apart: bool,
    /// Share of the answer's words that is kept, below 1; 0 keeps none.
    pub ratio: Fraction,
    /// Whether the continuation sees the picture after all: a control.
    pub image: bool,
    /// How long the continued answer becomes.
    pub length: Length,
    /// Softmax temperature.
    pub temperature: Positive,
    /// Keep the k likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the smallest set of tokens whose probability reaches this.
    pub top_p: Fraction,
    /// Longest answer, in tokens, its beginning included: one whose beginning is as long has no
    /// pair.
    pub max_tokens: usize,
    /// Answers continued together; part of the key, since it decides batches.
    pub batch: usize,
    /// A server that continues answers in place of the model here.
    pub server: Server,
}

/// Whose answers are cut and continued.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Chosen {
    /// The first answers to open-ended questions.
    Open,
    /// The first answers to any question.
    Any,
    /// The chosen answers of correctness pairs: the same prompts and the same chosen answers.
    Correctness,
    /// The chosen answers of divide-and-conquer pairs.
    DivideAndConquer,
}

/// How long a continued answer becomes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// As long as the model likes.
    Free,
    /// As many tokens as the chosen answer: it cannot end before, and stops there.
    Match,
}

/// The `[pairs.divide_and_conquer]` table.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DivideAndConquer {
    /// Which questions.
    pub of: Asked,
    /// At most this many pairs a question.
    pub max_per_question: usize,
    /// How many more claims of the rejected answer are denied, at least.
    pub min_difference: usize,
    /// Whether pairs with a much longer rejected answer are dropped until mean lengths agree.
    pub balance: bool,
    /// Who splits a free text into claims.
    pub split: Split,
}

/// Which questions are asked about.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// Open-ended ones.
    Open,
    /// All.
    Any,
}

/// Who splits a free text into claims. Descriptions of generated scenes are always split by
/// their grammar.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Rules: a sentence is a claim.
    Rules,
    /// The judge writes the claims down.
    Judge,
}

/// The `[pairs.judge]` table: who says yes or no. By default the model that answered.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Judge {
    /// Another checkpoint: a Hub-style directory.
    pub checkpoint: Option<String>,
    /// Questions answered together; part of the key, since it decides batches.
    pub batch: usize,
    /// Longest list of claims that the judge writes, in tokens.
    pub max_tokens: usize,
    /// A server.
    pub server: Server,
}

/// A number for some kinds of pairs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Kinds{T}")]
pub struct Kinds<T> {
    /// Right against wrong answers.
    pub correctness: Option<T>,
    /// Right against unparsable answers.
    pub format: Option<T>,
    /// Dropout next-token prediction.
    pub dropout_ntp: Option<T>,
    /// Divide and conquer.
    pub divide_and_conquer: Option<T>,
    /// Ready-made pairs.
    pub imported: Option<T>,
}

impl Pairs {
    /// Whether pairs of a source are built.
    pub fn builds(&self, source: Source) -> bool {
        match source {
            Source::Import => self.import.is_some(),
            _ => !self.is_import_alone() && self.sources.contains(&source),
        }
    }

    /// Whether ready-made pairs are all there is.
    pub fn is_import_alone(&self) -> bool {
        self.import.is_some() && !self.sources.contains(&Source::Import)
            || self.sources == [Source::Import]
    }

    /// Whether a source must be worked out, be it for its own pairs or for its chosen answers.
    pub fn needs(&self, source: Source) -> bool {
        let chosen = match self.dropout_ntp.of {
            Chosen::Correctness => Some(Source::Correctness),
            Chosen::DivideAndConquer => Some(Source::DivideAndConquer),
            Chosen::Open | Chosen::Any => None,
        };
        self.builds(source) || self.builds(Source::DropoutNtp) && chosen == Some(source)
    }

    /// Whether somebody is asked for a yes or no.
    pub fn asks_judge(&self) -> bool {
        let consistency = self.correctness.consistency == Consistency::Judge;
        self.needs(Source::DivideAndConquer) || self.needs(Source::Correctness) && consistency
    }

    /// Whether a server continues or judges.
    pub fn asks_server(&self) -> bool {
        let continues = self.builds(Source::DropoutNtp) && self.dropout_ntp.server.is_set();
        continues || self.asks_judge() && self.judge.server.is_set()
    }

    /// Whether a model here writes or judges, so that tensors are computed.
    pub fn needs_model(&self) -> bool {
        let continues = self.builds(Source::DropoutNtp) && !self.dropout_ntp.server.is_set();
        continues || self.asks_judge() && !self.judge.server.is_set()
    }
}
