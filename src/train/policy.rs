//! The policy stage: from a starting model, pairs and their cached reference to
//! trained weights and steps.csv.

use super::batch::{Pairs, ReferenceTable};
use super::checkpoint::Checkpoints;
use super::moving::MovingReference;
use super::optimizer::{AdamW, Settings};
use super::order::Order;
use super::reference::{FINGERPRINT, fingerprint};
use super::step::{self, Run};
use super::validation::Validation;
use crate::data::tokenizer::Tokenizer;
use crate::error::Context;
use crate::loss::Mix;
use crate::model::companions::{copy_files, is_companion};
use crate::model::{Storage, Tower, Vlm};
use crate::spec::eval::Eval;
use crate::spec::loss::Loss;
use crate::spec::model::{Model, Module};
use crate::spec::number::Fraction;
use crate::spec::train::{Gradients, Train};
use crate::stage::StageContext;
use crate::{Error, Result};
use std::path::Path;
use tch::Device;

/// Trains a policy: reads `model`, `corpus`, `pairs`, `reference` and `features`,
/// writes a Hub-style directory and steps.csv.
///
/// A killed run goes on from its last checkpoint in the work folder, to the
/// same bytes on one device.
///
/// # Errors
///
/// What a guard stops for, a damaged input, or what the disk says.
pub fn run(
    loss: &Loss,
    train: &Train,
    model: &Model,
    eval: &Eval,
    ctx: &StageContext,
) -> Result<()> {
    let start = ctx.input("model");
    let tokenizer = Tokenizer::load(start)?;
    let policy = load(start, train, model, ctx.device)?;
    let tower = match model.train.contains(&Module::Vision) {
        true => Tower::Trains,
        false => Tower::Frozen,
    };
    let pairs = Pairs::open(ctx, &policy.config, &tokenizer, tower, train.max_tokens)?;
    let table =
        ReferenceTable::read(&ctx.input("reference").join("reference.csv"), &pairs.lengths)?;
    let validation = Validation::open(eval, tower, &policy, &tokenizer, ctx)?;
    step::check_keep(train, validation.is_some())?;

    let mix = Mix::new(loss)?;
    let starts_at_reference = starts_at_reference(ctx)?;
    let order = Order::new("policy order", train.seed, pairs.len(), train.pairs_per_step);
    let steps = order.steps(train.epochs.get());
    let moving = match mix.sync {
        Some(_) if !starts_at_reference => {
            return Err(Error::new("tr_dpo moves the model that the reference was computed under, and that is not the start")
                .hint("let the reference be the model of the same round"));
        }
        Some(sync) if sync.every >= steps => {
            return Err(Error::spec(format!(
                "`loss.tr_dpo.every` is {}, the run has {steps} steps: the reference would never move before the end",
                sync.every
            ))
            .hint("lower `loss.tr_dpo.every`, or train longer"));
        }
        sync => sync.map(|sync| MovingReference::new(sync, start.to_owned(), &policy)),
    };
    tracing::info!("{}: {} pairs, {steps} steps", mix.describe(), pairs.len());

    let record = Run {
        mix,
        train,
        model: &policy,
        pairs: &pairs,
        table,
        moving,
        order,
        steps,
        optimizer: AdamW::with_masters(&policy.parameters(), Settings::of(train), |name| {
            policy.master(name)
        }),
        validation,
        checkpoints: Checkpoints::new(&ctx.work, "policy"),
        progress: &ctx.progress,
        starts_at_reference,
        drop_path: (tower == Tower::Trains)
            .then(|| train.drop_path.map_or(policy.config.vision.drop_path, Fraction::get))
            .filter(|share| *share > 0.0),
        has_dropout: model.lora.as_ref().is_some_and(|lora| lora.dropout.get() > 0.0),
    }
    .run()?;

    record.write(&ctx.out.join("steps.csv"))?;
    policy.save(&ctx.out)?;
    copy_files(start, &ctx.out, is_companion)
}

/// The starting model with what trains of it: masters in fp32, or adapters beside matrices
/// that stay as they are in their file.
fn load(start: &Path, train: &Train, model: &Model, device: Device) -> Result<Vlm> {
    let policy = match &model.lora {
        None => {
            let policy = Vlm::load(start, device)?;
            policy.set_trainable(&model.train);
            match train.gradients {
                Gradients::Fp32 => policy,
                Gradients::Bf16 => policy.with_bf16_gradients(),
            }
        }
        Some(lora) => {
            let base = Vlm::load_as(start, device, Storage::AsStored)?;
            base.with_lora(lora, &model.train, train.seed)?
        }
    };
    policy.set_recompute(train.gradient_checkpointing);
    Ok(policy)
}

/// Whether the reference was computed under the very weights that the policy starts from.
fn starts_at_reference(ctx: &StageContext) -> Result<bool> {
    let path = ctx.input("reference").join(FINGERPRINT);
    let recorded =
        std::fs::read_to_string(&path).with_context(|| format!("reading `{}`", path.display()))?;
    Ok(recorded.trim() == fingerprint(ctx.input("model"))?)
}
