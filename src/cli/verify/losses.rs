//! `prefab verify losses FILE.json`: the values, gradients and states that TRL
//! and InternVL's trainer recorded, recomputed by [`crate::loss`].

use super::ledger::{Ledger, Tolerance};
use crate::error::Context;
use crate::loss::{self, Knobs, Mix, ReferenceSync, Shift, StepLogps, Weights};
use crate::spec::loss::{Delta, Generation};
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::path::Path;
use tch::{Kind, Tensor};

/// fp64 against fp64.
const DOUBLE: Tolerance = Tolerance { absolute: 1e-12, relative: 1e-9 };
/// `log(1 − eᵐ)` close to `m = 0` loses digits of its input.
const NEAR_ZERO: Tolerance = Tolerance { absolute: 1e-12, relative: 1e-6 };
/// fp32 against fp32.
const SINGLE: Tolerance = Tolerance { absolute: 1e-7, relative: 2e-5 };

/// Recorded name, ours, and the option that separates the two.
const NAMES: &[(&str, &str, Variant)] = &[
    ("dpo", "dpo", Variant::Plain),
    ("cdpo", "cdpo", Variant::Smoothed),
    ("hinge", "rso", Variant::Plain),
    ("ipo", "ipo", Variant::Plain),
    ("robust", "robust_dpo", Variant::Smoothed),
    ("bco_pair", "bco", Variant::Plain),
    ("sppo_hard", "sppo", Variant::Plain),
    ("aot", "aot", Variant::Paired),
    ("aot_ls", "aot", Variant::PairedSmoothed),
    ("aot_unpaired", "aot", Variant::Plain),
    ("exo_pair", "exo", Variant::Exo),
    ("nca_pair", "nca", Variant::Plain),
    ("apo_zero", "apo_zero", Variant::Plain),
    ("apo_down", "apo_down", Variant::Plain),
    ("discopop", "discopop", Variant::Plain),
    ("sft", "sft", Variant::Plain),
];

#[derive(Clone, Copy, PartialEq)]
enum Variant {
    Plain,
    Smoothed,
    Paired,
    PairedSmoothed,
    Exo,
}

/// Keys of a case that are its inputs, or a peer's defect that is no target.
const INPUTS: &[&str] = &[
    "id",
    "kind",
    "batch",
    "beta",
    "label_smoothing",
    "discopop_tau",
    "policy_chosen_logps",
    "policy_rejected_logps",
    "ref_chosen_logps",
    "ref_rejected_logps",
    "chosen_lens",
    "rejected_lens",
    "bco_history",
    "mpo_weights",
    "orpo_naive_trl010_or_term",
];

/// Recomputes everything in the file.
///
/// # Errors
///
/// If the file is not a record of losses, or if [`Ledger::close`] says so.
pub fn run(path: &Path) -> Result<()> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("reading `{name}`"))?;
    let file: Value = serde_json::from_str(&text).with_context(|| format!("parsing `{name}`"))?;
    let mut ledger = Ledger::default();
    for case in list(&file, "cases") {
        verify_case(case, &mut ledger).map_err(|error| error.context(format!("`{name}`")))?;
    }
    for trace in list(&file, "trdpo") {
        verify_trace(trace, &mut ledger).map_err(|error| error.context(format!("`{name}`")))?;
    }
    ledger.close(&name)
}

/// One recorded batch.
struct Case<'a> {
    at: String,
    fields: &'a Map<String, Value>,
    beta: f64,
    label_smoothing: f64,
    temperature: f64,
    shift: f64,
    tolerance: Tolerance,
}

fn verify_case(case: &Value, ledger: &mut Ledger) -> Result<()> {
    let fields = case.as_object().ok_or_else(|| Error::new("a case is not an object"))?;
    let at = format!("case {} ({})", case["id"], case["kind"].as_str().unwrap_or("?"));
    let near_zero = case["kind"] == "near_zero";
    let case = Case {
        beta: number(case, "beta", &at)?,
        label_smoothing: number(case, "label_smoothing", &at)?,
        temperature: number(case, "discopop_tau", &at)?,
        shift: case.pointer("/bco/mean_after").and_then(Value::as_f64).unwrap_or(0.0),
        tolerance: if near_zero { NEAR_ZERO } else { DOUBLE },
        fields,
        at,
    };
    for (key, recorded) in fields {
        match key.as_str() {
            "losses" => verify_losses(&case, recorded, 0.0, "", ledger)?,
            "plus_sft" => verify_losses(&case, recorded, 1.0, "+", ledger)?,
            "bco" => verify_shift(&case, recorded, ledger)?,
            "mpo" => verify_mpo(&case, recorded, Delta::Fixed(case.shift), "mpo", ledger)?,
            "mpo_trl028_metrics" => {
                let weights = mpo_weights(&case)?;
                let scale = weights.w_p + weights.w_q + weights.w_g;
                verify_metrics(&case, recorded, scale, "mpo trl 0.28 metrics", ledger)?;
            }
            "trl116" => verify_trl116(&case, recorded, ledger)?,
            "orpo" => verify_orpo(&case, recorded, Kind::Double, ledger)?,
            "orpo_fp32_as_shipped" => verify_orpo(&case, recorded, Kind::Float, ledger)?,
            "sft_nll" => {
                let got = case.mix("sft", Variant::Plain)?.evaluate(&case, Kind::Double)?;
                ledger.compare("sft_nll", &case.at, got.loss, float(recorded), case.tolerance);
            }
            "rewards_chosen" | "rewards_rejected" => {
                let logps = case.logps(Kind::Double)?;
                let ratio = if key == "rewards_chosen" {
                    logps.chosen_ratio()
                } else {
                    logps.rejected_ratio()
                };
                let got = values(&(ratio * case.beta));
                ledger.compare_all(key, &case.at, &got, &floats(recorded), case.tolerance);
            }
            key if INPUTS.contains(&key) => {}
            other => ledger.unknown(other),
        }
    }
    Ok(())
}

/// `losses` (`w_g` 0) and `plus_sft` (`w_g` 1): name → value and gradients.
fn verify_losses(
    case: &Case,
    recorded: &Value,
    w_g: f64,
    plus: &str,
    ledger: &mut Ledger,
) -> Result<()> {
    for (name, recorded) in recorded.as_object().into_iter().flatten() {
        let Some((_, ours, variant)) = NAMES.iter().find(|(golden, ..)| golden == name) else {
            ledger.unknown(format!("{name}{plus}"));
            continue;
        };
        let mut mix = case.mix(ours, *variant)?;
        mix.weights.w_g += w_g;
        let got = mix.evaluate(case, Kind::Double)?;
        let quantity = format!("{name}{plus}");
        got.compare(case, recorded, "mean", &quantity, case.tolerance, ledger);
        if let Some(recorded) = recorded.get("per_sample") {
            let per_pair = mix.per_pair(&case.logps(Kind::Double)?);
            // The token mean of a step has no per-pair value of its own: TRL repeats the mean.
            let got = per_pair.unwrap_or_else(|| vec![got.loss; floats(recorded).len()]);
            ledger.compare_all(
                &format!("{quantity} per pair"),
                &case.at,
                &got,
                &floats(recorded),
                case.tolerance,
            );
        }
    }
    Ok(())
}

fn verify_shift(case: &Case, recorded: &Value, ledger: &mut Ledger) -> Result<()> {
    let history = floats(&case.fields["bco_history"]);
    let before =
        Shift { mean: number(recorded, "mean_before", &case.at)?, batches: history.len() as u64 };
    let mean =
        if history.is_empty() { 0.0 } else { history.iter().sum::<f64>() / history.len() as f64 };
    ledger.compare("bco mean before", &case.at, mean, before.mean, DOUBLE);
    let (_, after) = before.advance(Delta::RUNNING, case.beta, 1, &case.logps(Kind::Double)?);
    for (key, recorded) in recorded.as_object().into_iter().flatten() {
        let recorded = float(recorded);
        match key.as_str() {
            "mean_before" | "count_before" => {}
            "mean_after" => {
                ledger.compare("bco mean after", &case.at, after.mean, recorded, DOUBLE)
            }
            "count_after" => {
                ledger.compare("bco count after", &case.at, after.batches as f64, recorded, DOUBLE);
            }
            "mean_after_fp32_as_shipped" => {
                ledger.compare("bco mean after, fp32", &case.at, after.mean, recorded, SINGLE);
            }
            other => ledger.unknown(format!("bco.{other}")),
        }
    }
    Ok(())
}

fn verify_mpo(
    case: &Case,
    recorded: &Value,
    delta: Delta,
    name: &str,
    ledger: &mut Ledger,
) -> Result<()> {
    let mut mix = case.mix("mpo", Variant::Plain)?;
    mix.weights = mpo_weights(case)?;
    mix.delta = delta;
    let loss = if recorded.get("loss").is_some() { "loss" } else { "mean" };
    let got = mix.evaluate(case, Kind::Double)?;
    got.compare(case, recorded, loss, name, case.tolerance, ledger);
    for (key, recorded) in recorded.as_object().into_iter().flatten() {
        match key.as_str() {
            "loss" | "mean" | "grad_chosen" | "grad_rejected" => {}
            "delta_used" => {
                ledger.compare("mpo delta", &case.at, case.shift, float(recorded), DOUBLE)
            }
            "metrics" => {
                let scale = mix.weights.w_p + mix.weights.w_q;
                verify_metrics(case, recorded, scale, "mpo metrics", ledger)?;
            }
            other => ledger.unknown(format!("{name}.{other}")),
        }
    }
    Ok(())
}

fn verify_trl116(case: &Case, recorded: &Value, ledger: &mut Ledger) -> Result<()> {
    for (name, recorded) in recorded.as_object().into_iter().flatten() {
        let quantity = format!("trl 1.16 {name}");
        let mut mix = match name.as_str() {
            "bco_pair_no_delta" => case.mix("bco", Variant::Plain)?,
            "sigmoid_norm" => case.mix("ln_dpo", Variant::Plain)?,
            "mpo_no_delta" => {
                verify_mpo(case, recorded, Delta::None, &quantity, ledger)?;
                continue;
            }
            "metrics" => {
                verify_metrics(case, recorded, 1.0, &quantity, ledger)?;
                continue;
            }
            other => {
                ledger.unknown(format!("trl116.{other}"));
                continue;
            }
        };
        mix.delta = Delta::None;
        let got = mix.evaluate(case, Kind::Double)?;
        got.compare(case, recorded, "mean", &quantity, case.tolerance, ledger);
    }
    Ok(())
}

/// ORPO's odds-ratio term, its sum with the likelihood, and the logged means.
fn verify_orpo(case: &Case, recorded: &Value, kind: Kind, ledger: &mut Ledger) -> Result<()> {
    let (name, allowed) = match kind {
        Kind::Double => ("orpo", case.tolerance),
        _ if case.tolerance.relative > DOUBLE.relative => {
            // In fp32 a mean log-probability of −1e-7 has one digit left.
            ("orpo fp32", Tolerance { absolute: 1e-4, relative: 2e-2 })
        }
        _ => ("orpo fp32", SINGLE),
    };
    let mix = case.mix("orpo", Variant::Plain)?;
    let logps = case.logps(kind)?;
    let odds = mix.per_pair(&logps).expect("orpo has a preference term");
    let got = mix.evaluate(case, kind)?;
    // Where the peer's own fp32 gradient is NaN, ours must be a number and is not compared.
    let finite = |list: &Value| floats(list).iter().all(|value| value.is_finite());
    for (key, recorded) in recorded.as_object().into_iter().flatten() {
        let quantity = format!("{name} {key}");
        let mut check =
            |got: &[f64]| ledger.compare_all(&quantity, &case.at, got, &floats(recorded), allowed);
        match key.as_str() {
            "or_term_per_sample" => check(&odds),
            "loss" => check(&[got.loss]),
            "grad_chosen" if finite(recorded) => check(&got.grad_chosen),
            "grad_rejected" if finite(recorded) => check(&got.grad_rejected),
            "grad_chosen" | "grad_rejected" => {
                let ours = [&got.grad_chosen, &got.grad_rejected];
                let finite = ours.iter().all(|grad| grad.iter().all(|value| value.is_finite()));
                ledger.compare(
                    "orpo finite where peer is NaN",
                    &case.at,
                    f64::from(finite),
                    1.0,
                    DOUBLE,
                );
            }
            "log_odds_ratio" => {
                let mean = -odds.iter().sum::<f64>() / (odds.len() as f64 * case.beta);
                check(&[mean]);
            }
            "log_odds_chosen" => {
                // A mean of differences between numbers near 16: rounding is absolute.
                let rounding = if kind == Kind::Float { 2e-5 } else { 0.0 };
                let allowed = Tolerance { absolute: allowed.absolute + rounding, ..allowed };
                let got = mean_log_odds(&logps);
                ledger.compare(&quantity, &case.at, got, float(recorded), allowed);
            }
            "rewards_chosen_mean" => {
                let mean = &logps.policy_chosen / &logps.chosen_tokens * case.beta;
                check(&[mean.mean(Kind::Double).double_value(&[])]);
            }
            other => ledger.unknown(format!("{name}.{other}")),
        }
    }
    Ok(())
}

fn mean_log_odds(logps: &StepLogps) -> f64 {
    let odds = |logps: &Tensor, tokens: &Tensor| loss::log_odds(&(logps / tokens));
    let chosen = odds(&logps.policy_chosen, &logps.chosen_tokens);
    let rejected = odds(&logps.policy_rejected, &logps.rejected_tokens);
    (chosen - rejected).mean(Kind::Double).double_value(&[])
}

/// Logged means; peers multiply the rewards by the weights in their list.
fn verify_metrics(
    case: &Case,
    recorded: &Value,
    scale: f64,
    name: &str,
    ledger: &mut Ledger,
) -> Result<()> {
    let logps = case.logps(Kind::Double)?;
    let mean = |values: &Tensor| values.mean(Kind::Double).double_value(&[]);
    let chosen = logps.chosen_ratio() * (case.beta * scale);
    let rejected = logps.rejected_ratio() * (case.beta * scale);
    for (key, recorded) in recorded.as_object().into_iter().flatten() {
        let got = match key.as_str() {
            "rewards/chosen" => mean(&chosen),
            "rewards/rejected" => mean(&rejected),
            "rewards/margins" => mean(&(&chosen - &rejected)),
            "rewards/accuracies" => accuracy(&(&chosen - &rejected), float(recorded)),
            "logps/chosen" => mean(&logps.policy_chosen),
            "logps/rejected" => mean(&logps.policy_rejected),
            "nll_loss" => case.mix("sft", Variant::Plain)?.evaluate(case, Kind::Double)?.loss,
            other => {
                ledger.unknown(format!("{name}: {other}"));
                continue;
            }
        };
        ledger.compare(name, &format!("{} {key}", case.at), got, float(recorded), case.tolerance);
    }
    Ok(())
}

/// Share of positive margins. Where a margin is a tie but for rounding, a peer that sums token
/// by token may count it either way: the share nearest to the recorded one among those.
fn accuracy(margins: &Tensor, recorded: f64) -> f64 {
    let share =
        |above: f64| margins.gt(above).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
    recorded.clamp(share(1e-9), share(-1e-9).max(share(1e-9)))
}

/// A moving reference over many steps; the policy gains a constant each step.
fn verify_trace(trace: &Value, ledger: &mut Ledger) -> Result<()> {
    let at = format!("alpha {} tau {}", trace["alpha"], trace["tau"]);
    let sync = ReferenceSync {
        alpha: number(trace, "alpha", &at)?,
        every: number(trace, "tau", &at)? as usize,
    };
    let gain = number(trace, "policy_step_add", &at)?;
    let mut policy = Tensor::from_slice(&floats(&trace["policy0"]));
    let mut reference = Tensor::from_slice(&floats(&trace["ref0"]));
    let mut recorded = list(trace, "syncs").iter();
    for step in 1..=number(trace, "steps", &at)? as usize {
        policy += gain;
        if step % sync.every == 0 {
            sync.pull(&mut reference, &policy);
            let Some(recorded) = recorded.next() else {
                ledger.unknown(format!("sync at step {step} of {at}"));
                continue;
            };
            let at = format!("{at} step {step}");
            ledger.compare(
                "tr_dpo sync step",
                &at,
                step as f64,
                number(recorded, "step", &at)?,
                DOUBLE,
            );
            ledger.compare_all(
                "tr_dpo reference",
                &at,
                &values(&reference),
                &floats(&recorded["ref"]),
                DOUBLE,
            );
        }
    }
    ledger.compare_all(
        "tr_dpo reference",
        &at,
        &values(&reference),
        &floats(&trace["ref_final"]),
        DOUBLE,
    );
    Ok(())
}

/// A loss and its gradients in the summed policy log-probabilities.
struct Evaluated {
    loss: f64,
    grad_chosen: Vec<f64>,
    grad_rejected: Vec<f64>,
}

impl Evaluated {
    fn compare(
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
    fn evaluate(&self, case: &Case, kind: Kind) -> Result<Evaluated> {
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
    fn per_pair(&self, logps: &StepLogps) -> Option<Vec<f64>> {
        if let Some(term) = self.algorithm.term {
            return Some(values(&term(&self.knobs, logps)));
        }
        (self.weights.w_q > 0.0).then(|| {
            let (shift, _) = Shift::default().advance(self.delta, self.knobs.beta, 1, logps);
            values(&loss::quality::per_pair(self.knobs.beta, &shift, logps))
        })
    }
}

impl Case<'_> {
    fn logps(&self, kind: Kind) -> Result<StepLogps> {
        let tensor = |key: &str| match self.fields.get(key) {
            Some(list) => Ok(Tensor::from_slice(&floats(list)).to_kind(kind)),
            None => Err(Error::new(format!("{} has no `{key}`", self.at))),
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

    fn mix(&self, name: &str, variant: Variant) -> Result<Mix> {
        let algorithm = loss::find(name).expect("the table of names holds names of the list");
        let label_smoothing = match variant {
            Variant::Smoothed | Variant::PairedSmoothed => self.label_smoothing,
            Variant::Exo => 1e-3,
            Variant::Plain | Variant::Paired => 0.0,
        };
        Ok(Mix {
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
        })
    }
}

fn mpo_weights(case: &Case) -> Result<Weights> {
    match floats(&case.fields["mpo_weights"])[..] {
        [w_p, w_q, w_g] => Ok(Weights { w_p, w_q, w_g }),
        _ => Err(Error::new(format!("{}: `mpo_weights` is not a list of three numbers", case.at))),
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn number(value: &Value, key: &str, at: &str) -> Result<f64> {
    value
        .get(key)
        .and_then(Value::as_f64)
        .ok_or_else(|| Error::new(format!("{at} has no number `{key}`")))
}

/// JSON has no word for what is not finite: the files hold strings.
fn float(value: &Value) -> f64 {
    match value.as_str() {
        Some("inf") => f64::INFINITY,
        Some("-inf") => f64::NEG_INFINITY,
        Some(_) => f64::NAN,
        None => value.as_f64().unwrap_or(f64::NAN),
    }
}

fn floats(value: &Value) -> Vec<f64> {
    match value.as_array() {
        Some(list) => list.iter().map(float).collect(),
        None => vec![float(value)],
    }
}

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.detach().to_kind(Kind::Double)).expect("a one-dimensional tensor")
}
