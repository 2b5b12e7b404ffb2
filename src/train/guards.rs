//! What stops a run, or warns, before it wastes the night: each guard is one
//! function that says what it saw, where, and the way out.

use super::batch::PairRow;
use crate::kernel::clip;
use crate::spec::train::Precision;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Largest difference between policy and cached reference at step 0, nats a token.
///
/// fp32 differs by summation order alone. bf16 keeps 8 bits of every
/// activation, and another batch rounds otherwise.
pub fn step_zero_limit(precision: Precision) -> f64 {
    match precision {
        Precision::Fp32 => 1e-3,
        Precision::Bf16 => 2e-2,
    }
}

/// Refuses an empty set of pairs.
///
/// # Errors
///
/// If there are none.
pub fn some(pairs: usize) -> Result<()> {
    if pairs == 0 {
        return Err(Error::new("there are no pairs to train on")
            .hint("look at stats.csv of the pairs stage: too few questions have both a right and a wrong answer"));
    }
    Ok(())
}

/// Refuses a pair that no loss is defined on, naming its row.
///
/// A rejected answer may be nothing but its end token: a sampler at temperature 1
/// does stop at once now and then, and that is one token to learn from. A chosen
/// answer may not: nobody prefers silence.
///
/// # Errors
///
/// If the pair is longer than `max_tokens`, its chosen answer holds no token but its end, its
/// rejected one no token at all, or a token is outside the model's vocabulary.
pub fn row(index: usize, row: &PairRow, vocabulary: i64, max_tokens: usize) -> Result<()> {
    let refused = |what: String| Error::new(format!("pairs.jsonl row {}: {what}", index + 1));
    for (side, answer, least) in [("chosen", &row.chosen, 2), ("rejected", &row.rejected, 1)] {
        if answer.len() < least {
            return Err(refused(format!("the {side} answer is empty: no token would be trained"))
                .hint("drop the row, or give the answer some text"));
        }
    }
    let longest = row.prompt.len() + row.chosen.len().max(row.rejected.len());
    if longest > max_tokens {
        return Err(refused(format!(
            "{longest} tokens, {} of them its prompt with {} tiles of pictures, do not fit the \
             {max_tokens} of `train.max_tokens`",
            row.prompt.len(),
            row.tiles.iter().sum::<usize>(),
        ))
        .hint("raise `train.max_tokens`, or lower `model.max_tiles`; nothing is cut off"));
    }
    let mut tokens = row.prompt.iter().chain(&row.chosen).chain(&row.rejected);
    if let Some(token) = tokens.find(|&&token| !(0..vocabulary).contains(&token)) {
        return Err(refused(format!(
            "token {token} is outside the model's vocabulary of {vocabulary}"
        ))
        .hint("the tokenizer.json beside the weights must be the model's own"));
    }
    Ok(())
}

/// Refuses a prompt with other image tokens than its tiles give, of which each has `each`, naming
/// its row: a question that spells the token out.
///
/// # Errors
///
/// If the numbers differ.
pub fn image_tokens(index: usize, row: &PairRow, image_token: i64, each: usize) -> Result<()> {
    let found = row.prompt.iter().filter(|&&token| token == image_token).count();
    let tiles = row.tiles.iter().sum::<usize>();
    if found == tiles * each {
        return Ok(());
    }
    Err(Error::new(format!(
        "pairs.jsonl row {}: {found} image tokens in its prompt, and its {tiles} tiles give {}",
        index + 1,
        tiles * each
    ))
    .hint("take `<IMG_CONTEXT>` out of its question: pictures stand at `<image>`"))
}

/// Compares the policy with the cached reference before the first step of a fresh run.
///
/// # Errors
///
/// If any answer's mean log-probability differs by more than `limit` nats a token.
pub fn step_zero(policy: &Tensor, reference: &Tensor, tokens: &Tensor, limit: f64) -> Result<()> {
    let gap = (policy - reference).abs() / tokens;
    let worst = gap.max().double_value(&[]);
    if worst.is_finite() && worst <= limit {
        return Ok(());
    }
    let row = gap.argmax(0, false).int64_value(&[]);
    Err(Error::new(format!(
        "step 0: policy and cached reference differ by {worst:.2e} nats a token (limit {limit:.0e}), \
         first at pair {row} of the step"
    ))
    .hint("the policy must start from the model that the reference was computed under, at the same precision: remove the stale reference artifact"))
}

/// Checks the loss of identical policy and reference against its closed form.
///
/// # Errors
///
/// If they differ by more than a thousandth of the value.
pub fn closed_form(found: f64, expected: f64, tolerance: f64) -> Result<()> {
    if (found - expected).abs() <= tolerance * expected.abs().max(1.0) {
        return Ok(());
    }
    // Training computes in fp32, which the formula's own value must fit.
    let hint = match (expected as f32).is_finite() && found.is_finite() {
        true => "this is a bug in the loss: `prefab verify losses` finds it",
        false => "no number of 32 bits holds the loss at this `loss.beta`: take one nearer to 1",
    };
    Err(Error::new(format!(
        "step 0: the loss is {found} where policy and reference agree, its formula says {expected}"
    ))
    .hint(hint))
}

/// Stops at the first number that is not finite.
///
/// # Errors
///
/// Naming the step and the term.
pub fn finite(step: usize, term: &str, value: f64) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Error::new(format!("step {step}: {term} is {value}")).hint(
        "lower `train.learning_rate` or `train.max_grad_norm`; the last checkpoint is before this step",
    ))
}

/// Norms of the trained matrices at the start, and how far they may fall.
#[derive(Debug)]
pub struct Norms {
    start: Vec<(String, Tensor, f64)>,
}

impl Norms {
    /// Share of its first norm below which a matrix has collapsed.
    const COLLAPSED: f64 = 0.01;

    /// Measures the trained matrices.
    pub fn of(parameters: &[(&str, &Tensor)]) -> Self {
        let start = parameters
            .iter()
            .filter(|(_, parameter)| parameter.requires_grad() && parameter.dim() > 1)
            .map(|(name, parameter)| {
                ((*name).to_owned(), parameter.shallow_clone(), norm(parameter))
            })
            .filter(|(_, _, norm)| *norm > 0.0)
            .collect();
        Self { start }
    }

    /// Stops where weights go to zero.
    ///
    /// # Errors
    ///
    /// Naming the step and the tensor.
    pub fn check(&self, step: usize) -> Result<()> {
        for (name, parameter, start) in &self.start {
            let now = norm(parameter);
            if now.is_nan() || now < Self::COLLAPSED * start {
                return Err(Error::new(format!(
                    "step {step}: the weights of `{name}` collapse: norm {now:.3e}, at the start {start:.3e}"
                ))
                .hint("lower `train.weight_decay` or `train.learning_rate`"));
            }
        }
        Ok(())
    }
}

fn norm(tensor: &Tensor) -> f64 {
    // Squares in f64 would be three copies of a large embedding.
    clip::norm(&[tensor.detach()])
}

/// Warns once when the chosen answers become less likely than under the reference.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct ChosenWatch {
    /// Exponential mean of the chosen log-ratio, nats an answer.
    mean: f64,
    warned: bool,
}

impl ChosenWatch {
    /// Chosen answers this much less likely than under the reference, nats an answer.
    const FALLEN: f64 = -2.0;

    /// Takes a step's mean log-ratio of the chosen answers; true when it is time to warn.
    pub fn observe(&mut self, chosen_ratio: f64) -> bool {
        self.mean = 0.9 * self.mean + 0.1 * chosen_ratio;
        let warn = !self.warned && self.mean < Self::FALLEN;
        self.warned |= warn;
        warn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn pair(chosen: &[i64], rejected: &[i64]) -> PairRow {
        PairRow {
            prompt: vec![1, 2],
            images: vec![],
            tiles: vec![7],
            chosen: chosen.to_vec(),
            rejected: rejected.to_vec(),
        }
    }

    #[test]
    fn an_empty_answer_and_a_foreign_token_are_named_by_row() {
        assert!(row(0, &pair(&[3, 0], &[4, 0]), 5, 9).is_ok());
        assert!(row(0, &pair(&[3, 0], &[0]), 5, 9).is_ok(), "the end alone may be rejected");
        for (bad, side) in [(pair(&[0], &[3, 0]), "chosen"), (pair(&[3, 0], &[]), "rejected")] {
            let error = row(1, &bad, 5, 9).unwrap_err().to_string();
            assert!(error.contains("row 2") && error.contains(side), "{error}");
        }
        let error = row(1, &pair(&[3, 0], &[3, 3, 0]), 5, 4).unwrap_err().to_string();
        assert!(error.contains("row 2: 5 tokens, 2 of them its prompt with 7 tiles"), "{error}");
        let error = row(1, &pair(&[9, 0], &[3, 0]), 5, 9).unwrap_err().to_string();
        assert!(error.contains("row 2") && error.contains("token 9"), "{error}");
        assert!(some(0).unwrap_err().hint_text().is_some());
        assert!(some(1).is_ok());
    }

    #[test]
    fn a_prompt_that_spells_an_image_token_out_is_named_by_row() {
        let spelt = PairRow { prompt: vec![1, 7, 7, 7], tiles: vec![1], ..pair(&[3, 0], &[0]) };
        assert!(image_tokens(0, &spelt, 7, 3).is_ok());
        let error = image_tokens(1, &spelt, 7, 2).unwrap_err().to_string();
        assert!(error.contains("row 2: 3 image tokens"), "{error}");
        assert!(error.contains("its 1 tiles give 2"), "{error}");
    }

    #[test]
    fn step_zero_allows_rounding_and_stops_a_stale_reference() {
        let reference = Tensor::from_slice(&[-20.0f32, -30.0]);
        let tokens = Tensor::from_slice(&[10.0f32, 10.0]);
        let near = &reference + 5e-3;
        assert!(step_zero(&near, &reference, &tokens, 1e-3).is_ok());
        let far = &reference + Tensor::from_slice(&[0.0f32, 0.5]);
        let error = step_zero(&far, &reference, &tokens, 1e-3).unwrap_err().to_string();
        assert!(error.contains("pair 1"), "{error}");
        let nan = &reference * f64::NAN;
        assert!(step_zero(&nan, &reference, &tokens, 1e-3).is_err());
    }

    #[test]
    fn closed_forms_are_compared_relatively() {
        assert!(closed_form(25.01, 25.0, 1e-3).is_ok());
        assert!(closed_form(0.7, 0.693, 1e-3).unwrap_err().hint_text().unwrap().contains("a bug"));
        // SPPO at β = 1e-30: (1/(2β))² is beyond 32 bits.
        let overflow = closed_form(f64::INFINITY, 2.5e59, 1e-3).unwrap_err();
        assert!(overflow.hint_text().unwrap().contains("loss.beta"));
    }

    #[test]
    fn not_finite_names_step_and_term() {
        assert!(finite(3, "loss", 1.0).is_ok());
        let error = finite(3, "loss/quality", f64::NAN).unwrap_err().to_string();
        assert_eq!(error, "step 3: loss/quality is NaN");
    }

    #[test]
    fn a_collapsed_matrix_stops_and_a_vector_may_be_zero() {
        let mut matrix = Tensor::ones([2, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let vector = Tensor::zeros([2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let norms = Norms::of(&[("matrix", &matrix), ("vector", &vector)]);
        assert!(norms.check(1).is_ok());
        {
            let _no_grad = tch::no_grad_guard();
            let _ = matrix.g_mul_scalar_(1e-3);
        }
        assert!(norms.check(2).unwrap_err().to_string().contains("`matrix`"));
    }

    #[test]
    fn a_falling_chosen_likelihood_warns_once() {
        let mut watch = ChosenWatch::default();
        let warnings = (0..100).filter(|_| watch.observe(-5.0)).count();
        assert_eq!(warnings, 1);
        let mut calm = ChosenWatch::default();
        assert!((0..100).all(|_| !calm.observe(-0.5)));
    }
}
