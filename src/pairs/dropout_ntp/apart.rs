//! Continuations that part from the chosen answer: those of a model that is all but sure of it,
//! given that it says something else.
//!
//! # Formula
//!
//! With `p_t` the probability of the chosen answer's token `t` behind those before it, the kept
//! words first:
//!
//! ```text
//! P(they part at t | they part) = p_0 ⋯ p_{t-1} · (1 − p_t) / (1 − p_0 ⋯ p_n)
//! ```
//!
//! The token at `t` is then drawn with the chosen one's probability taken away, and what follows
//! freely. That is the distribution which drawing until something else comes has, without the
//! draws: exactly so for temperature 1 and all tokens.

use crate::Result;
use crate::model::Group;
use crate::pairs::local::Local;
use crate::sample::draw::Draws;
use crate::sample::{Generation, Request};
use tch::Tensor;

/// Random numbers of places; a continuation's own are those of sample 0.
const PLACES: usize = 1;

/// Lets each request part from the rest of its chosen answer: its prefix grows by what both
/// share. Gives the token that cannot come next, none where there is nothing to part from.
pub(super) fn part(
    local: &Local,
    requests: &mut [Request],
    rests: &[Vec<i64>],
    features: &Tensor,
    generation: &Generation,
) -> Result<Vec<Option<i64>>> {
    let _no_grad = tch::no_grad_guard();
    let mut without = vec![None; requests.len()];
    let some: Vec<usize> = (0..requests.len()).filter(|&at| !rests[at].is_empty()).collect();
    for some in some.chunks(generation.batch) {
        let begun = |&at: &usize| [requests[at].prompt.as_slice(), &requests[at].prefix].concat();
        let prompts: Vec<Vec<i64>> = some.iter().map(begun).collect();
        let groups = some.iter().zip(&prompts).map(|(&at, prompt)| Group {
            prompt,
            tiles: requests[at].tiles.clone(),
            answers: vec![rests[at].as_slice()],
        });
        let groups: Vec<Group<'_>> = groups.collect();
        let logps = local.model.answer_logps(&groups, features, generation.precision)?;
        let logps = logps.tokens.expect("a whole pass knows each token's");
        let logps: Vec<f32> = Vec::try_from(&logps).expect("log-probabilities are a row of f32");
        let mut after = logps.as_slice();
        for &at in some {
            let (own, others) = after.split_at(rests[at].len());
            after = others;
            let request = &mut requests[at];
            let mut random = Draws::new(generation.seed, request.stream).sample(PLACES, 0);
            if let Some(place) = place(own, random.uniform()) {
                request.prefix.extend(&rests[at][..place]);
                without[at] = Some(rests[at][place]);
            }
        }
    }
    Ok(without)
}

/// Where a continuation parts, by inverting the distribution function at a number in `[0, 1)`;
/// nowhere if each token is certain.
fn place(logps: &[f32], uniform: f32) -> Option<usize> {
    let mut reached = 1.0;
    let weights: Vec<f64> = logps
        .iter()
        .map(|&logp| {
            let logp = f64::from(logp).min(0.0);
            let parts = -logp.exp_m1() * reached;
            reached *= logp.exp();
            parts
        })
        .collect();
    let wanted = f64::from(uniform) * weights.iter().sum::<f64>();
    let mut sum = 0.0;
    let beyond = |weight: &f64| {
        sum += weight;
        sum > wanted
    };
    weights.iter().position(beyond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_continuation_parts_where_one_that_differs_would() {
        // Of two tokens with probability 0.9 and 0.6 the first is missed in 10, the second in
        // 36 of the 46 % that differ.
        let logps = [0.9f32.ln(), 0.6f32.ln()];
        let number = 10.0 / 46.0;
        assert_eq!(place(&logps, 0.0), Some(0));
        assert_eq!(place(&logps, number - 1e-4), Some(0));
        assert_eq!(place(&logps, number + 1e-4), Some(1));
        assert_eq!(place(&logps, 0.999_999), Some(1));
        // Certain tokens are never parted from.
        assert_eq!(place(&[0.0, 0.5f32.ln(), 0.0], 0.0), Some(1));
        assert_eq!(place(&[0.0, 0.5f32.ln(), 0.0], 0.999_999), Some(1));
        assert_eq!(place(&[0.0, 0.0], 0.5), None);
        assert_eq!(place(&[-f32::INFINITY, -1.0], 0.999_999), Some(0));
    }
}
