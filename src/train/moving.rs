//! The moving reference of tr_dpo: the cached log-probabilities until the first
//! sync, a live fp32 model after it.

use super::batch::{PairRow, logps};
use super::checkpoint::Restored;
use super::gradient::PairLogps;
use crate::Result;
use crate::loss::ReferenceSync;
use crate::model::{Pictures, Vlm};
use crate::spec::train::Precision;
use std::path::PathBuf;
use tch::{Device, Tensor};

/// `θ_ref ← α·θ + (1 − α)·θ_ref` every so many steps.
///
/// # Source
///
/// Gorbatovski et al. 2024, arXiv:2404.09656, equation 3. TRL keeps no
/// reference in its checkpoints; here it is saved and comes back.
#[derive(Debug)]
pub struct MovingReference {
    sync: ReferenceSync,
    start: PathBuf,
    device: Device,
    /// With LoRA the start is the policy's own base beside adapters as they began.
    fresh: Option<Vlm>,
    live: Option<Vlm>,
}

impl MovingReference {
    /// A reference that still is the model in folder `start`, from which the policy has
    /// not moved yet.
    ///
    /// With LoRA it pulls A and B each by itself, which is not quite the same as pulling
    /// their product.
    pub fn new(sync: ReferenceSync, start: PathBuf, policy: &Vlm) -> Self {
        let fresh = policy.has_adapters().then(|| policy.with_own_adapters());
        Self { sync, start, device: policy.device(), fresh, live: None }
    }

    /// The model that the reference starts as.
    fn begin(&mut self) -> Result<Vlm> {
        self.fresh.take().map_or_else(|| Vlm::load(&self.start, self.device), Ok)
    }

    /// Log-probabilities under the live reference; none before the first sync.
    ///
    /// # Errors
    ///
    /// If a picture cannot be read.
    pub fn logps(
        &self,
        rows: &[&PairRow],
        micro_batch: usize,
        pictures: &Pictures,
        precision: Precision,
    ) -> Result<Option<PairLogps>> {
        let Some(live) = &self.live else { return Ok(None) };
        let _no_grad = tch::no_grad_guard();
        let parts: Vec<PairLogps> = rows
            .chunks(micro_batch.max(1))
            .map(|rows| logps(live, rows, pictures, precision))
            .collect::<Result<_>>()?;
        let chosen: Vec<&Tensor> = parts.iter().map(|part| &part.chosen).collect();
        let rejected: Vec<&Tensor> = parts.iter().map(|part| &part.rejected).collect();
        Ok(Some(PairLogps { chosen: Tensor::cat(&chosen, 0), rejected: Tensor::cat(&rejected, 0) }))
    }

    /// Pulls the reference towards the policy when `steps` updates are done and it is time.
    ///
    /// # Errors
    ///
    /// If the starting model cannot be read at the first sync.
    pub fn follow(&mut self, steps: usize, policy: &Vlm) -> Result<bool> {
        if !steps.is_multiple_of(self.sync.every) {
            return Ok(false);
        }
        let live = match self.live.take() {
            Some(live) => live,
            None => self.begin()?,
        };
        for ((_, reference), (_, policy)) in live.parameters().iter().zip(policy.parameters()) {
            if policy.requires_grad() {
                self.sync.pull(&mut reference.shallow_clone(), policy);
            }
        }
        tracing::info!("step {steps}: the reference follows the policy, α {}", self.sync.alpha);
        self.live = Some(live);
        Ok(true)
    }

    /// What a checkpoint holds: the tensors that have moved.
    pub fn state(&self, policy: &Vlm) -> Vec<(String, Tensor)> {
        let Some(live) = &self.live else { return Vec::new() };
        let pairs = live.parameters().into_iter().zip(policy.parameters());
        pairs
            .filter(|(_, (_, policy))| policy.requires_grad())
            .map(|((name, reference), _)| (format!("reference.{name}"), reference.shallow_clone()))
            .collect()
    }

    /// Takes over a checkpoint's state.
    ///
    /// # Errors
    ///
    /// If a tensor is missing, or the starting model cannot be read.
    pub fn restore<S>(&mut self, checkpoint: &Restored<S>, policy: &Vlm) -> Result<()> {
        let trained: Vec<String> = policy
            .parameters()
            .iter()
            .filter(|(_, parameter)| parameter.requires_grad())
            .map(|(name, _)| format!("reference.{name}"))
            .collect();
        if !trained.first().is_some_and(|name| checkpoint.has(name)) {
            return Ok(());
        }
        let live = self.begin()?;
        for (name, reference) in live.parameters() {
            let name = format!("reference.{name}");
            if trained.contains(&name) {
                checkpoint.copy_to(&name, reference)?;
            }
        }
        self.live = Some(live);
        Ok(())
    }
}
