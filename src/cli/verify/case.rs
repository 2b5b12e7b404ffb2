//! One recorded batch of `prefab verify losses`: its numbers, the mix that a
//! recorded name stands for, and that mix evaluated on it.

use super::ledger::{Ledger, Tolerance};
use crate::loss::{self, Knobs, Mix, Shift, StepLogps, Weights};
use crate::spec::loss::{Delta, Generation};
use crate::{Error, Result};
use serde_json::{Map, Value};
use tch::{Kind, Tensor};

/// fp64 against fp64.
pub const DOUBLE: Tolerance = Tolerance { absolute: 1e-12, relative: 1e-9 };
/// `log(1 − eᵐ)` close to `m = 0` loses digits of its input.
pub const NEAR_ZERO: Tolerance = Tolerance { absolute: 1e-12, relative: 1e-6 };
/// fp32 against fp32.
pub const SINGLE: Tolerance = Tolerance { absolute: 1e-7, relative: 2e-5 };

/// What the losses are computed from.
const LISTS: [&str; 6] = [
    "policy_chosen_logps",
    "policy_rejected_logps",
    "ref_chosen_logps",
    "ref_rejected_logps",
    "chosen_lens",
    "rejected_lens",
];

/// The option that separates two recorded names of one algorithm.
#[derive(Clone, Copy, PartialEq)]
pub enum Variant {
    Plain,
    Smoothed,
    Paired,
    PairedSmoothed,
    Exo,
}

/// One recorded batch.
pub struct Case<'a> {
    pub at: String,
    pub fields: &'a Map<String, Value>,
    pub beta: f64,
    pub label_smoothing: f64,
    pub temperature: f64,
    pub shift: f64,
    pub tolerance: Tolerance,
}

/// A loss and its gradients in the summed policy log-probabilities.
pub struct Evaluated {
    pub loss: f64,
    pub grad_chosen: Vec<f64>,
    pub grad_rejected: Vec<f64>,
}

impl Evaluated {
    pub fn compare(
        &self,
        case: &Case,
        recorded: &Value,
        loss: &str,
        name: &str,
        allowed: Tolerance,
        ledger: &mut Ledger,
    ) {
        ledger.compare(name, &case.at, self.loss, float(&recorded[loss]), allowed);
        let gradient = format!("{name} gradient");
        ledger.compare_all(
            &gradient,
            &case.at,
            &self.grad_chosen,
            &floats(&recorded["grad_chosen"]),
            allowed,
        );
        ledger.compare_all(
            &gradient,
            &case.at,
            &self.grad_rejected,
            &floats(&recorded["grad_rejected"]),
            allowed,
        );
    }
}

impl Mix {
    /// The mix's loss on a case, and its gradients.
    pub(super) fn evaluate(&self, case: &Case, kind: Kind) -> Result<Evaluated> {
        let mut logps = case.logps(kind)?;
        logps.policy_chosen = logps.policy_chosen.set_requires_grad(true);
        logps.policy_rejected = logps.policy_rejected.set_requires_grad(true);
        let (terms, ..) = self.step(&logps, Shift::default(), 1);
        terms.loss.backward();
        let gradient = |of: &Tensor| {
            let grad = of.grad();
            if grad.defined() { values(&grad) } else { vec![0.0; of.numel()] }
        };
        Ok(Evaluated {
            loss: terms.loss.double_value(&[]),
            grad_chosen: gradient(&logps.policy_chosen),
            grad_rejected: gradient(&logps.policy_rejected),
        })
    }

    /// The preference (or quality) term by pair; none where only the generation term is left.
    pub(super) fn per_pair(&self, logps: &StepLogps) -> Option<Vec<f64>> {
        if let Some(term) = self.algorithm.term {
            return Some(values(&term(&self.knobs, logps)));
        }
        (self.weights.w_q > 0.0).then(|| {
            let (shift, _) = Shift::default().advance(self.delta, self.knobs.beta, 1, logps);
            values(&loss::quality::per_pair(self.knobs.beta, &shift, logps))
        })
    }
}

impl<'a> Case<'a> {
    /// Reads what every case has.
    ///
    /// # Errors
    ///
    /// If something of it is missing, or a list is not as long as the batch.
    pub fn read(case: &'a Value) -> Result<Self> {
        let fields = case.as_object().ok_or_else(|| Error::new("a case is not an object"))?;
        let at = format!("case {} ({})", case["id"], case["kind"].as_str().unwrap_or("?"));
        let near_zero = case["kind"] == "near_zero";
        let mut read = Self {
            beta: number(case, "beta", &at)?,
            label_smoothing: number(case, "label_smoothing", &at)?,
            temperature: number(case, "discopop_tau", &at)?,
            shift: 0.0,
            tolerance: if near_zero { NEAR_ZERO } else { DOUBLE },
            fields,
            at,
        };
        read.check()?;
        if fields.contains_key("bco_history") {
            read.shift = read.moved()?.mean;
        }
        Ok(read)
    }

    fn check(&self) -> Result<()> {
        let at = &self.at;
        let batch = self.fields.get("batch").and_then(Value::as_u64).unwrap_or(0);
        if batch == 0 {
            return Err(Error::new(format!("{at} has no `batch` of one pair or more")));
        }
        for key in LISTS {
            let list = self.floats(key)?;
            if list.len() as u64 != batch || list.iter().any(|number| number.is_nan()) {
                return Err(Error::new(format!("{at}: `{key}` is not a list of {batch} numbers")));
            }
        }
        let positive = [("beta", self.beta), ("discopop_tau", self.temperature)];
        match positive.iter().find(|(_, number)| *number <= 0.0) {
            Some((key, number)) => {
                Err(Error::new(format!("{at}: `{key}` is {number}, not above 0")))
            }
            None => Ok(()),
        }
    }

    /// BCO's running mean of the batches before this one.
    ///
    /// # Errors
    ///
    /// If there is no `bco_history`.
    pub fn history(&self) -> Result<Shift> {
        let history = self.floats("bco_history")?;
        let mean = history.iter().sum::<f64>() / history.len().max(1) as f64;
        Ok(Shift { mean, batches: history.len() as u64 })
    }

    /// The same with this batch.
    ///
    /// # Errors
    ///
    /// As [`Self::history`].
    pub fn moved(&self) -> Result<Shift> {
        let logps = self.logps(Kind::Double)?;
        Ok(self.history()?.advance(Delta::RUNNING, self.beta, 1, &logps).1)
    }

    /// A list of numbers of the case.
    ///
    /// # Errors
    ///
    /// If it has none of that name.
    pub fn floats(&self, key: &str) -> Result<Vec<f64>> {
        let list = self.fields.get(key).map(floats);
        list.ok_or_else(|| Error::new(format!("{} has no `{key}`", self.at)))
    }

    /// The weights of its mix.
    ///
    /// # Errors
    ///
    /// If they are not three numbers.
    pub fn mpo_weights(&self) -> Result<Weights> {
        match self.floats("mpo_weights")?[..] {
            [w_p, w_q, w_g]
                if [w_p, w_q, w_g].iter().all(|w| *w >= 0.0) && w_p + w_q + w_g > 0.0 =>
            {
                Ok(Weights { w_p, w_q, w_g })
            }
            _ => Err(Error::new(format!(
                "{}: `mpo_weights` is not a list of three weights, of which one is above 0",
                self.at
            ))),
        }
    }

    /// Its log-probabilities and token counts, in that arithmetic.
    ///
    /// # Errors
    ///
    /// If one of the lists is missing.
    pub fn logps(&self, kind: Kind) -> Result<StepLogps> {
        let tensor = |key: &str| -> Result<Tensor> {
            Ok(Tensor::from_slice(&self.floats(key)?).to_kind(kind))
        };
        Ok(StepLogps {
            policy_chosen: tensor("policy_chosen_logps")?,
            policy_rejected: tensor("policy_rejected_logps")?,
            reference_chosen: tensor("ref_chosen_logps")?,
            reference_rejected: tensor("ref_rejected_logps")?,
            chosen_tokens: tensor("chosen_lens")?,
            rejected_tokens: tensor("rejected_lens")?,
        })
    }

    /// The mix that a recorded name stands for, with the case's numbers.
    pub fn mix(&self, name: &str, variant: Variant) -> Mix {
        let algorithm = loss::find(name).expect("the table of names holds names of the list");
        let label_smoothing = match variant {
            Variant::Smoothed | Variant::PairedSmoothed => self.label_smoothing,
            Variant::Exo => 1e-3,
            Variant::Plain | Variant::Paired => 0.0,
        };
        Mix {
            algorithm,
            weights: algorithm.weights,
            knobs: Knobs {
                beta: self.beta,
                label_smoothing,
                average: true,
                paired: matches!(variant, Variant::Paired | Variant::PairedSmoothed),
                temperature: self.temperature,
            },
            delta: Delta::Fixed(self.shift),
            generation: Generation::Token,
            sync: None,
        }
    }
}

/// A list, empty where there is none of that name.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A number that must be there.
pub fn number(value: &Value, key: &str, at: &str) -> Result<f64> {
    value
        .get(key)
        .and_then(Value::as_f64)
        .ok_or_else(|| Error::new(format!("{at} has no number `{key}`")))
}

/// JSON has no word for what is not finite: the files hold strings.
pub fn float(value: &Value) -> f64 {
    match value.as_str() {
        Some("inf") => f64::INFINITY,
        Some("-inf") => f64::NEG_INFINITY,
        Some(_) => f64::NAN,
        None => value.as_f64().unwrap_or(f64::NAN),
    }
}

/// A list of such numbers, or a single one.
pub fn floats(value: &Value) -> Vec<f64> {
    match value.as_array() {
        Some(list) => list.iter().map(float).collect(),
        None => vec![float(value)],
    }
}

/// The numbers of a tensor.
pub fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.detach().to_kind(Kind::Double)).expect("a one-dimensional tensor")
}
