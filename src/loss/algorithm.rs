//! What a row of the list of algorithms says, and what a loss is a function of.

use crate::Result;
use crate::spec::loss::Loss;
use tch::{Kind, Tensor};

/// Log-probabilities, in nats, of both answers of every pair of a step.
///
/// Each is summed over the answer's own tokens, its end token included: prompt
/// and image positions are already left out. All tensors are `[pairs]`; losses
/// keep their dtype (fp32 in training, fp64 in `verify`).
#[derive(Debug)]
pub struct StepLogps {
    /// Under the policy; carries the gradient.
    pub policy_chosen: Tensor,
    /// Under the policy; carries the gradient.
    pub policy_rejected: Tensor,
    /// Under the reference; no gradient.
    pub reference_chosen: Tensor,
    /// Under the reference; no gradient.
    pub reference_rejected: Tensor,
    /// Tokens of the chosen answers.
    pub chosen_tokens: Tensor,
    /// Tokens of the rejected answers.
    pub rejected_tokens: Tensor,
}

impl StepLogps {
    /// `a = log π(y⁺|x) − log π_ref(y⁺|x)`: `[pairs]`, nats.
    pub fn chosen_ratio(&self) -> Tensor {
        &self.policy_chosen - &self.reference_chosen
    }

    /// `b`, the same for the rejected answers: `[pairs]`, nats.
    pub fn rejected_ratio(&self) -> Tensor {
        &self.policy_rejected - &self.reference_rejected
    }

    /// `h = a − b`: `[pairs]`, nats.
    pub fn margin(&self) -> Tensor {
        self.chosen_ratio() - self.rejected_ratio()
    }

    /// `a / |y⁺| − b / |y⁻|`: `[pairs]`, nats a token.
    pub fn mean_margin(&self) -> Tensor {
        self.chosen_ratio() / &self.chosen_tokens - self.rejected_ratio() / &self.rejected_tokens
    }
}

/// The numbers that a preference term reads, all resolved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knobs {
    /// `β`, no unit: how tightly the policy is held to the reference.
    pub beta: f64,
    /// `ε`: share of labels believed to be the wrong way round.
    pub label_smoothing: f64,
    /// ipo: mean over tokens in place of sum.
    pub average: bool,
    /// aot: sort margins in place of log-ratios.
    pub paired: bool,
    /// discopop: temperature of the modulation.
    pub temperature: f64,
}

/// Weights of the three terms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Of the preference term.
    pub w_p: f64,
    /// Of the quality term.
    pub w_q: f64,
    /// Of the generation term.
    pub w_g: f64,
}

impl Weights {
    /// Only the preference term.
    pub const PREFERENCE: Self = Self { w_p: 1.0, w_q: 0.0, w_g: 0.0 };
}

/// An algorithm's own `β`, by source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beta {
    /// What its paper uses.
    pub paper: f64,
    /// What suits the short answers of the embedded tasks.
    pub embedded: f64,
}

impl Beta {
    /// The same value for both.
    pub const fn both(beta: f64) -> Self {
        Self { paper: beta, embedded: beta }
    }
}

/// The per-pair value of a preference term: `[pairs]` in, `[pairs]` out, nats.
pub type Term = fn(&Knobs, &StepLogps) -> Tensor;

/// A row of the list: one preference algorithm.
#[derive(Debug)]
pub struct Algorithm {
    /// Its name in a spec.
    pub name: &'static str,
    /// Its name in a chart.
    pub title: &'static str,
    /// Where it is defined.
    pub source: &'static str,
    /// The preference term in one line, with `a`, `b`, `h` as in [`StepLogps`].
    pub formula: &'static str,
    /// Default weights.
    pub weights: Weights,
    /// Default `β`.
    pub beta: Beta,
    /// The preference term; none where the other two terms are all of it.
    pub term: Option<Term>,
    /// Its value where the policy equals the reference; none where that depends on the answers.
    pub at_reference: Option<fn(&Knobs) -> f64>,
    /// Whether the term mixes pairs, so that a micro-batch is not a piece of the step.
    pub mixes_pairs: bool,
    /// Whether the reference follows the policy.
    pub moves_reference: bool,
    /// What the line of a mix calls the preference term; none: the algorithm's name.
    pub term_name: Option<&'static str>,
    /// `ε` of its own table in `[loss]`; 0 without one.
    pub label_smoothing: fn(&Loss) -> f64,
    /// What it is told in its own table beside `ε`: `, τ 0.05`.
    pub particulars: fn(&Knobs) -> String,
    /// Refuses values that the formula has no meaning for.
    pub check: fn(&Knobs) -> Result<()>,
    /// Copies its own table from one `[loss]` to another.
    pub copy_table: fn(&Loss, &mut Loss),
}

impl PartialEq for Algorithm {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Algorithm {
    /// The row that most algorithms differ from in a few fields only.
    pub const PLAIN: Self = Self {
        name: "",
        title: "",
        source: "",
        formula: "",
        weights: Weights::PREFERENCE,
        beta: Beta::both(0.1),
        term: None,
        at_reference: None,
        mixes_pairs: false,
        moves_reference: false,
        term_name: None,
        label_smoothing: |_| 0.0,
        particulars: |_| String::new(),
        check: |_| Ok(()),
        copy_table: |_, _| (),
    };
}

/// `−log σ(x)`, stable at both ends: `log σ` is `min(x, 0) − log1p(exp(−|x|))`.
pub fn minus_log_sigmoid(x: &Tensor) -> Tensor {
    -x.log_sigmoid()
}

/// `log(1 − exp(x))` for `x < 0`, with finite gradients up to rounding of `x` to 0.
///
/// Mächler 2012, "Accurately computing log(1 − exp(−|a|))": two branches, split at
/// `−ln 2`. Each branch only ever sees arguments on its own side, so that the
/// unselected one adds no `NaN` to the gradient.
pub fn log1mexp(x: &Tensor) -> Tensor {
    let tiniest = if x.kind() == Kind::Double { 1e-15 } else { 1e-12 };
    let x = x.clamp_max(-tiniest);
    let split = -std::f64::consts::LN_2;
    let is_far = x.lt(split);
    let far = -x.clamp_max(split).exp();
    let near = -x.clamp_min(split).expm1();
    far.log1p().where_self(&is_far, &near.log())
}
