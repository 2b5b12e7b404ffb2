//! `prefab verify losses FILE.json`: the values, gradients and states that TRL
//! and InternVL's trainer recorded, recomputed by [`crate::loss`].

use super::case::{Case, DOUBLE, SINGLE, Variant, float, floats, list, number, values};
use super::ledger::{Ledger, Tolerance};
use super::record::{other_schema, whole};
use crate::error::Context;
use crate::loss::{self, ReferenceSync, StepLogps};
use crate::spec::loss::Delta;
use crate::{Error, Result};
use serde_json::Value;
use std::path::Path;
use tch::{Kind, Tensor};

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
    other_schema(&file).into_iter().for_each(|schema| ledger.unknown(schema));
    for (name, value) in file.as_object().into_iter().flatten() {
        if value.is_array() && !["cases", "trdpo"].contains(&name.as_str()) {
            ledger.unknown(name);
        }
    }
    for case in list(&file, "cases") {
        verify_case(case, &mut ledger).with_context(|| format!("`{name}`"))?;
    }
    for trace in list(&file, "trdpo") {
        verify_trace(trace, &mut ledger).with_context(|| format!("`{name}`"))?;
    }
    ledger.close(&name)
}

fn verify_case(case: &Value, ledger: &mut Ledger) -> Result<()> {
    let case = Case::read(case)?;
    for (key, recorded) in case.fields {
        match key.as_str() {
            "losses" => verify_losses(&case, recorded, 0.0, "", ledger)?,
            "plus_sft" => verify_losses(&case, recorded, 1.0, "+", ledger)?,
            "bco" => verify_shift(&case, recorded, ledger)?,
            "mpo" => verify_mpo(&case, recorded, Delta::Fixed(case.shift), "mpo", ledger)?,
            "mpo_trl028_metrics" => {
                let weights = case.mpo_weights()?;
                let scale = weights.w_p + weights.w_q + weights.w_g;
                verify_metrics(&case, recorded, scale, "mpo trl 0.28 metrics", ledger)?;
            }
            "trl116" => verify_trl116(&case, recorded, ledger)?,
            "orpo" => verify_orpo(&case, recorded, Kind::Double, ledger)?,
            "orpo_fp32_as_shipped" => verify_orpo(&case, recorded, Kind::Float, ledger)?,
            "sft_nll" => {
                let got = case.mix("sft", Variant::Plain).evaluate(&case, Kind::Double)?;
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

/// The recorded values of that name, of which there must be some.
fn filled<'a>(
    recorded: &'a Value,
    name: &str,
    case: &Case,
) -> Result<impl Iterator<Item = (&'a String, &'a Value)>> {
    match recorded.as_object() {
        Some(values) if !values.is_empty() => Ok(values.iter()),
        _ => Err(Error::new(format!("{}: `{name}` holds no recorded values", case.at))),
    }
}

/// `losses` (`w_g` 0) and `plus_sft` (`w_g` 1): name → value and gradients.
fn verify_losses(
    case: &Case,
    recorded: &Value,
    w_g: f64,
    plus: &str,
    ledger: &mut Ledger,
) -> Result<()> {
    for (name, recorded) in filled(recorded, "losses", case)? {
        let Some((_, ours, variant)) = NAMES.iter().find(|(golden, ..)| golden == name) else {
            ledger.unknown(format!("{name}{plus}"));
            continue;
        };
        let mut mix = case.mix(ours, *variant);
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
    let (before, after) = (case.history()?, case.moved()?);
    for (key, recorded) in filled(recorded, "bco", case)? {
        let recorded = float(recorded);
        match key.as_str() {
            "mean_before" => {
                ledger.compare("bco mean before", &case.at, before.mean, recorded, DOUBLE);
            }
            // The peer counts from 1e-24, so that it divides by no zero.
            "count_before" => {}
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
    let mut mix = case.mix("mpo", Variant::Plain);
    mix.weights = case.mpo_weights()?;
    mix.delta = delta;
    let loss = if recorded.get("loss").is_some() { "loss" } else { "mean" };
    let got = mix.evaluate(case, Kind::Double)?;
    got.compare(case, recorded, loss, name, case.tolerance, ledger);
    for (key, recorded) in filled(recorded, name, case)? {
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
    for (name, recorded) in filled(recorded, "trl116", case)? {
        let quantity = format!("trl 1.16 {name}");
        let mut mix = match name.as_str() {
            "bco_pair_no_delta" => case.mix("bco", Variant::Plain),
            "sigmoid_norm" => case.mix("ln_dpo", Variant::Plain),
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
    let mix = case.mix("orpo", Variant::Plain);
    let logps = case.logps(kind)?;
    let odds = mix.per_pair(&logps).expect("orpo has a preference term");
    let got = mix.evaluate(case, kind)?;
    // Where the peer's own fp32 gradient is NaN, ours must be a number and is not compared.
    let finite = |list: &Value| floats(list).iter().all(|value| value.is_finite());
    for (key, recorded) in filled(recorded, name, case)? {
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
    for (key, recorded) in filled(recorded, name, case)? {
        let got = match key.as_str() {
            "rewards/chosen" => mean(&chosen),
            "rewards/rejected" => mean(&rejected),
            "rewards/margins" => mean(&(&chosen - &rejected)),
            "rewards/accuracies" => accuracy(&(&chosen - &rejected), float(recorded)),
            "logps/chosen" => mean(&logps.policy_chosen),
            "logps/rejected" => mean(&logps.policy_rejected),
            "nll_loss" => case.mix("sft", Variant::Plain).evaluate(case, Kind::Double)?.loss,
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
    let within = |error: Error| error.context(at.clone());
    let sync = ReferenceSync {
        alpha: number(trace, "alpha", &at)?,
        every: whole(trace, "tau").map_err(within)?,
    };
    let steps = whole(trace, "steps").map_err(within)?;
    let (start, held) = (floats(&trace["policy0"]), floats(&trace["ref0"]));
    if sync.every == 0 || start.len() != held.len() {
        return Err(Error::new(format!(
            "{at}: `tau` is 0, or `policy0` and `ref0` differ in length"
        )));
    }
    let gain = number(trace, "policy_step_add", &at)?;
    let mut policy = Tensor::from_slice(&start);
    let mut reference = Tensor::from_slice(&held);
    let mut recorded = list(trace, "syncs").iter();
    for step in 1..=steps {
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
    for sync in recorded {
        ledger.unknown(format!("sync at step {} of {at}", sync["step"]));
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
