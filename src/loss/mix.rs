//! The mix of three terms, with every default resolved.

use super::algorithm::{Algorithm, Knobs, StepLogps, Weights};
use super::shift::DECAY;
use super::{Shift, generation, quality, tr_dpo};
use crate::spec::loss::{Delta, Generation, Hyper, Loss, Mode, Moving, Peer, Per, Update};
use crate::spec::number::Fraction;
use crate::{Error, Result};
use tch::Tensor;

/// `L = w_p · L_p + w_q · L_q + w_g · L_g`, resolved: no default is left.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    /// The preference algorithm.
    pub algorithm: &'static Algorithm,
    /// Effective weights.
    pub weights: Weights,
    /// What the preference term reads; the quality term takes `beta` too.
    pub knobs: Knobs,
    /// Reward shift of the quality term.
    pub delta: Delta,
    /// How the generation term averages.
    pub generation: Generation,
    /// A moving reference, for tr_dpo.
    pub sync: Option<ReferenceSync>,
}

/// When and how far a moving reference follows the policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReferenceSync {
    /// Share of the policy in the new reference.
    pub alpha: f64,
    /// Optimizer steps between two syncs.
    pub every: usize,
}

/// A step's loss and its terms; a term of weight 0 is not computed.
#[derive(Debug)]
pub struct Terms {
    /// The weighted sum: `[]`, differentiable in the policy.
    pub loss: Tensor,
    /// `L_p`, unweighted: `[]`.
    pub preference: Option<Tensor>,
    /// `L_q`, unweighted: `[]`.
    pub quality: Option<Tensor>,
    /// `L_g`, unweighted: `[]`.
    pub generation: Option<Tensor>,
}

impl Mix {
    /// Resolves a `[loss]` table.
    ///
    /// # Errors
    ///
    /// A positive `w_p` where the algorithm has no preference term, weights that
    /// are all zero, label smoothing of 0 for exo.
    pub fn new(loss: &Loss) -> Result<Self> {
        let algorithm = loss.algorithm.row();
        let weights = effective_weights(loss)?;
        let beta = loss.beta.map_or_else(
            || match loss.hyper {
                Hyper::Paper => algorithm.beta.paper,
                Hyper::Embedded => algorithm.beta.embedded,
            },
            |beta| beta.get(),
        );
        let knobs = Knobs {
            beta,
            label_smoothing: (algorithm.label_smoothing)(loss),
            average: loss.ipo.average,
            paired: loss.aot.paired,
            temperature: loss.discopop.temperature.get(),
        };
        (algorithm.check)(&knobs)?;
        Ok(Self {
            algorithm,
            weights,
            knobs,
            delta: loss.delta.unwrap_or_else(|| peer_delta(loss.as_peer)),
            generation: loss.generation.unwrap_or(match loss.as_peer {
                Some(Peer::LlamaFactory | Peer::Paper) => Generation::Answer,
                Some(Peer::Internvl | Peer::Trl) | None => Generation::Token,
            }),
            sync: algorithm.moves_reference.then(|| sync(loss)),
        })
    }

    /// The step's loss, each term a mean over the whole step.
    ///
    /// `shift` is δ for each pair: `[pairs]`, from [`Shift::advance`].
    pub fn terms(&self, logps: &StepLogps, shift: &Tensor) -> Terms {
        let kind = logps.policy_chosen.kind();
        let Weights { w_p, w_q, w_g } = self.weights;
        let preference = (w_p > 0.0).then(|| {
            let term = self.algorithm.term.expect("`new` refuses w_p without a preference term");
            term(&self.knobs, logps).mean(kind)
        });
        let quality =
            (w_q > 0.0).then(|| quality::per_pair(self.knobs.beta, shift, logps).mean(kind));
        let generation = (w_g > 0.0).then(|| generation::step(self.generation, logps));
        let loss = [(&preference, w_p), (&quality, w_q), (&generation, w_g)]
            .into_iter()
            .filter_map(|(term, weight)| Some(term.as_ref()? * weight))
            .reduce(|sum, term| sum + term)
            .expect("`new` refuses weights that are all zero");
        Terms { loss, preference, quality, generation }
    }

    /// The same with δ taken from the running state: the loss and the state after the step.
    pub fn step(
        &self,
        logps: &StepLogps,
        shift: Shift,
        micro_batch: usize,
    ) -> (Terms, Tensor, Shift) {
        let (delta, after) = shift.advance(self.delta, self.knobs.beta, micro_batch, logps);
        (self.terms(logps, &delta), delta, after)
    }

    /// `w_p · L_p + w_q · L_q` where the policy equals the reference, if it has a closed form.
    pub fn at_reference(&self) -> Option<f64> {
        let Weights { w_p, w_q, .. } = self.weights;
        let preference = if w_p > 0.0 { (self.algorithm.at_reference?)(&self.knobs) } else { 0.0 };
        let shift = match self.delta {
            Delta::Fixed(shift) => shift,
            // Rewards are 0 at the reference, and so is every mean of them.
            Delta::None | Delta::Moving(_) => 0.0,
        };
        let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        Some(w_p * preference + w_q * (softplus(shift) + softplus(-shift)))
    }

    /// The effective mix in one line: `0.8·dpo(β 0.1) + 0.2·bco(δ running) + 1·sft`.
    pub fn describe(&self) -> String {
        let Weights { w_p, w_q, w_g } = self.weights;
        let beta = self.knobs.beta;
        let name = self.algorithm.term_name.unwrap_or(self.algorithm.name);
        let mut terms = Vec::new();
        if w_p > 0.0 {
            terms.push(format!("{w_p}·{name}(β {beta}{})", self.particulars()));
        }
        if w_q > 0.0 {
            let delta = match self.delta {
                Delta::None => "none".to_owned(),
                Delta::Fixed(shift) => shift.to_string(),
                Delta::Moving(moving) => moving.describe(),
            };
            terms.push(format!("{w_q}·bco(β {beta}, δ {delta})"));
        }
        if w_g > 0.0 {
            let by = if self.generation == Generation::Token { "token" } else { "answer" };
            terms.push(format!("{w_g}·sft(per {by})"));
        }
        terms.join(" + ")
    }

    /// What of its own an algorithm is told: `, ε 0.1`.
    fn particulars(&self) -> String {
        let mut text = (self.algorithm.particulars)(&self.knobs);
        if self.knobs.label_smoothing > 0.0 {
            text += &format!(", ε {}", self.knobs.label_smoothing);
        }
        if let Some(ReferenceSync { alpha, every }) = self.sync {
            text += &format!(", α {alpha} every {every}");
        }
        text
    }
}

impl Moving {
    /// `running`, or what differs from that: `ema 0.9 after`.
    fn describe(&self) -> String {
        let mut words = match (self.mode, self.decay) {
            (Mode::Cumulative, _) => "running".to_owned(),
            (Mode::Ema, decay) => format!("ema {}", decay.map_or(DECAY, Fraction::get)),
        };
        if self.update == Update::After {
            words += " after";
        }
        if self.per == Per::MicroBatch {
            words += " per micro-batch";
        }
        words
    }
}

/// Explicit weights over the algorithm's own; LLaMA-Factory's scaled to sum 1.
fn effective_weights(loss: &Loss) -> Result<Weights> {
    let algorithm = loss.algorithm.row();
    let own = algorithm.weights;
    let mut weights = Weights {
        w_p: loss.w_p.map_or(own.w_p, |w| w.get()),
        w_q: loss.w_q.map_or(own.w_q, |w| w.get()),
        w_g: loss.w_g.map_or(own.w_g, |w| w.get()),
    };
    if weights.w_p > 0.0 && algorithm.term.is_none() {
        return Err(Error::spec(format!(
            "`loss.w_p` is {}, but {} has no preference term",
            weights.w_p, algorithm.name
        ))
        .hint(
            "leave `w_p` out, or choose an algorithm with a term of its own: `prefab show losses`",
        )
        .at("loss.w_p"));
    }
    if loss.as_peer == Some(Peer::LlamaFactory) && weights.w_p + weights.w_q > 0.0 {
        let sum = weights.w_p + weights.w_q;
        weights.w_p /= sum;
        weights.w_q /= sum;
    }
    if weights == (Weights { w_p: 0.0, w_q: 0.0, w_g: 0.0 }) {
        let set = [("loss.w_p", loss.w_p), ("loss.w_q", loss.w_q), ("loss.w_g", loss.w_g)];
        let (key, _) =
            set.into_iter().find(|(_, weight)| weight.is_some()).expect("no own are all 0");
        return Err(Error::spec("all weights of `[loss]` are 0: nothing would be learned")
            .hint("set at least one of `w_p`, `w_q`, `w_g` above 0")
            .at(key));
    }
    Ok(weights)
}

/// How each peer shifts rewards; without a peer, cumulative and per step.
fn peer_delta(peer: Option<Peer>) -> Delta {
    let Delta::Moving(running) = Delta::RUNNING else { unreachable!("running is a moving delta") };
    match peer {
        None => Delta::RUNNING,
        Some(Peer::Trl) => Delta::None,
        Some(Peer::Internvl | Peer::LlamaFactory) => {
            Delta::Moving(Moving { per: Per::MicroBatch, ..running })
        }
        Some(Peer::Paper) => Delta::Moving(Moving { update: Update::After, ..running }),
    }
}

fn sync(loss: &Loss) -> ReferenceSync {
    let (alpha, every) = match loss.hyper {
        Hyper::Paper => tr_dpo::PAPER,
        Hyper::Embedded => tr_dpo::EMBEDDED,
    };
    ReferenceSync {
        alpha: loss.tr_dpo.alpha.map_or(alpha, |alpha| alpha.get()),
        every: loss.tr_dpo.every.map_or(every, |every| every.get()),
    }
}

impl ReferenceSync {
    /// `α·policy + (1−α)·reference`, in place on the reference, without gradient.
    ///
    /// Gorbatovski et al. 2024, arXiv:2404.09656, equation 3.
    pub fn pull(self, reference: &mut Tensor, policy: &Tensor) {
        let _no_grad = tch::no_grad_guard();
        let _ = reference.g_mul_scalar_(1.0 - self.alpha);
        let _ = reference.g_add_(&(policy.detach().to_kind(reference.kind()) * self.alpha));
    }
}
