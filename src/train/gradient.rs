//! One loss for the whole step, whatever the micro-batches.
//!
//! Losses that do not separate by pair (a sort, a shift, a token mean) need
//! every log-probability of the step before the first gradient. Where one
//! micro-batch holds the step, plain autograd does it. Else the step is run
//! twice: once without gradient to gather the log-probabilities, of which
//! `∂L/∂logp` is taken; once more, piece by piece, with those coefficients:
//!
//! ```text
//! ∂L/∂θ = Σ_pieces Σ_i (∂L/∂lᵢ) · ∂lᵢ/∂θ
//! ```
//!
//! So accumulation never changes a loss, and ranks that hold a piece each
//! would need no other loss code.

use crate::Result;
use crate::loss::{StepLogps, Terms};
use tch::Tensor;

/// Both answers of some pairs under a model: `[pairs]` each, nats, summed over tokens.
#[derive(Debug)]
pub struct PairLogps {
    /// Of the chosen answers.
    pub chosen: Tensor,
    /// Of the rejected answers.
    pub rejected: Tensor,
}

/// What is known of a step's pairs before the policy sees them: `[pairs]` each.
#[derive(Debug)]
pub struct Known {
    /// Under the reference, nats.
    pub reference: PairLogps,
    /// Tokens of the chosen answers.
    pub chosen_tokens: Tensor,
    /// Tokens of the rejected answers.
    pub rejected_tokens: Tensor,
}

impl Known {
    /// With the policy's log-probabilities.
    pub fn with(&self, policy: PairLogps) -> StepLogps {
        StepLogps {
            policy_chosen: policy.chosen,
            policy_rejected: policy.rejected,
            reference_chosen: self.reference.chosen.shallow_clone(),
            reference_rejected: self.reference.rejected.shallow_clone(),
            chosen_tokens: self.chosen_tokens.shallow_clone(),
            rejected_tokens: self.rejected_tokens.shallow_clone(),
        }
    }
}

/// Adds the step's gradient to the policy's parameters; returns what was measured.
///
/// `pieces` are the micro-batches: positions of the step's pairs, each once.
/// `policy` gives the log-probabilities of the pairs at some positions, in that
/// order; `loss` is a function of all pairs in the step's own order.
///
/// # Errors
///
/// Those of `policy`.
pub fn backward(
    known: &Known,
    pieces: &[Vec<usize>],
    policy: impl Fn(&[usize]) -> Result<PairLogps>,
    loss: impl FnOnce(&StepLogps) -> Terms,
) -> Result<(StepLogps, Terms)> {
    if let [all] = pieces {
        let in_step_order = inverse(all);
        let logps = known.with(reorder(&policy(all)?, &in_step_order));
        let terms = loss(&logps);
        terms.loss.backward();
        return Ok((logps, terms));
    }
    let order: Vec<usize> = pieces.concat();
    let gathered = {
        let _no_grad = tch::no_grad_guard();
        let parts: Vec<PairLogps> =
            pieces.iter().map(|piece| policy(piece)).collect::<Result<_>>()?;
        let join = |side: fn(&PairLogps) -> &Tensor| {
            Tensor::cat(&parts.iter().map(side).collect::<Vec<_>>(), 0)
        };
        let joined = PairLogps { chosen: join(|p| &p.chosen), rejected: join(|p| &p.rejected) };
        reorder(&joined, &inverse(&order))
    };
    let leaf = |logps: Tensor| logps.detach().set_requires_grad(true);
    let logps =
        known.with(PairLogps { chosen: leaf(gathered.chosen), rejected: leaf(gathered.rejected) });
    let terms = loss(&logps);
    terms.loss.backward();
    let coefficient = |logps: &Tensor| {
        let grad = logps.grad();
        // A term that does not read the rejected answers leaves no gradient there.
        if grad.defined() { grad } else { logps.zeros_like() }
    };
    let chosen = coefficient(&logps.policy_chosen);
    let rejected = coefficient(&logps.policy_rejected);
    for piece in pieces {
        let at = index(piece, chosen.device());
        let part = policy(piece)?;
        let weighted = part.chosen * chosen.index_select(0, &at)
            + part.rejected * rejected.index_select(0, &at);
        weighted.sum(weighted.kind()).backward();
    }
    Ok((logps, terms))
}

/// Cuts a step into micro-batches of like length, longest first, so that memory peaks early.
pub fn pieces(lengths: &[usize], micro_batch: usize) -> Vec<Vec<usize>> {
    if micro_batch >= lengths.len() {
        return vec![(0..lengths.len()).collect()];
    }
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&at| (std::cmp::Reverse(lengths[at]), at));
    order.chunks(micro_batch.max(1)).map(<[usize]>::to_vec).collect()
}

/// Where each position went: `inverse(order)[order[i]] = i`.
fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    for (place, &position) in order.iter().enumerate() {
        inverse[position] = place;
    }
    inverse
}

fn reorder(logps: &PairLogps, order: &[usize]) -> PairLogps {
    let at = index(order, logps.chosen.device());
    PairLogps {
        chosen: logps.chosen.index_select(0, &at),
        rejected: logps.rejected.index_select(0, &at),
    }
}

fn index(positions: &[usize], device: tch::Device) -> Tensor {
    let positions: Vec<i64> = positions.iter().map(|&at| at as i64).collect();
    Tensor::from_slice(&positions).to_device(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hold_every_pair_once_longest_first() {
        let pieces = pieces(&[3, 9, 1, 9, 5], 2);
        assert_eq!(pieces, [vec![1, 3], vec![4, 0], vec![2]]);
        assert_eq!(super::pieces(&[3, 9], 2), [vec![0, 1]]);
    }

    #[test]
    fn an_order_undone_is_the_identity() {
        let order = [2, 0, 3, 1];
        let back = inverse(&order);
        assert_eq!(back.iter().map(|&at| order[at]).collect::<Vec<_>>(), [0, 1, 2, 3]);
    }
}
