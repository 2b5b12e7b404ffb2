//! Low-rank adapters (LoRA): a frozen matrix W learns through `W + scale · B·A`.
//!
//! The base weights are held once. With B = 0, as an adapter begins, the model is the base
//! to the bit, so the cached reference holds for it; what is written to a file has the
//! product added.

use super::parameters;
use super::pass::Pass;
use super::vlm::Vlm;
use crate::spec::model::{Lora, Module, Target};
use crate::{Error, Result};
use tch::{Kind, Tensor};

/// The two matrices beside one stored matrix.
#[derive(Debug)]
pub(crate) struct Adapter {
    /// Names its dropout.
    place: String,
    /// `[rank, in]` f32.
    a: Tensor,
    /// `[out, rank]` f32.
    b: Tensor,
    scale: f64,
    dropout: f64,
}

impl Adapter {
    pub(super) fn new(name: &str, a: Tensor, b: Tensor, scale: f64, dropout: f64) -> Self {
        Self { place: name.to_owned(), a, b, scale, dropout }
    }

    /// Names of A and B beside a matrix of that name (without `.weight`), as in PEFT.
    pub(super) fn names(name: &str) -> [String; 2] {
        ["lora_A", "lora_B"].map(|part| format!("{name}.{part}.weight"))
    }

    /// `scale · dropout(x) · Aᵀ · Bᵀ`.
    ///
    /// # Shapes
    ///
    /// `[rows, in]` → `[rows, out]` of the pass's kind.
    pub(super) fn forward(&self, x: &Tensor, pass: Pass) -> Tensor {
        let mut x = x.to_kind(pass.kind);
        if let Some(noise) = pass.noise.filter(|_| self.dropout > 0.0) {
            noise.seed(&self.place);
            x = x.dropout(self.dropout, true);
        }
        let none = None::<&Tensor>;
        let (a, b) = (self.a.to_kind(pass.kind), self.b.to_kind(pass.kind));
        x.linear(&a, none).linear(&b, none) * self.scale
    }

    /// `W + scale · B·A` in f32.
    pub(super) fn merged(&self, weight: &Tensor) -> Tensor {
        weight.to_kind(Kind::Float) + self.b.matmul(&self.a) * self.scale
    }
}

impl Lora {
    /// What the product of the two matrices is multiplied by.
    pub(super) fn scale(&self) -> f64 {
        self.alpha.map_or(2.0, |alpha| alpha.get() / self.rank.get() as f64)
    }
}

/// Whether a tensor has an adapter beside it.
pub(super) fn is_adapted(name: &str, lora: &Lora, modules: &[Module]) -> bool {
    let module = parameters::module_of(name);
    let target = name.strip_suffix(".weight").and_then(target_of);
    module != Module::Projector
        && modules.contains(&module)
        && target.is_some_and(|target| lora.targets.contains(&target))
}

/// The projection that a stored matrix belongs to: its name without `.weight`.
fn target_of(name: &str) -> Option<Target> {
    let last = name.rsplit('.').next()?;
    Some(match last {
        "wqkv" | "q_proj" | "k_proj" | "v_proj" | "qkv_proj" | "qkv" => Target::Qkv,
        "wo" | "o_proj" | "proj" => Target::Out,
        "w1" | "w3" | "gate_proj" | "up_proj" | "gate_up_proj" | "fc1" => Target::Up,
        "w2" | "down_proj" | "fc2" => Target::Down,
        _ => return None,
    })
}

impl Vlm {
    /// The same weights with adapters beside the chosen projections of the tower and the
    /// decoder, where those train. What trains then is the adapters and, if it is among
    /// `modules`, the projector.
    ///
    /// A begins as Kaiming's uniform distribution does, by seed and name; B is 0.
    ///
    /// # Errors
    ///
    /// If no matrix of the modules is chosen.
    ///
    /// # Source
    ///
    /// Hu et al. 2021, arXiv:2106.09685, section 4.1.
    pub fn with_lora(mut self, lora: &Lora, modules: &[Module], seed: u64) -> Result<Self> {
        let mut adapters = Vec::new();
        for (name, weight) in &self.parameters {
            if !is_adapted(name, lora, modules) {
                continue;
            }
            let (out, fan_in) = weight.size2().expect("a projection is a matrix");
            let [a, b] = Adapter::names(name.trim_end_matches(".weight"));
            let bound = 1.0 / (fan_in as f64).sqrt();
            let rank = lora.rank.get() as i64;
            let begin = parameters::uniform(seed, &a, bound, (rank * fan_in) as usize);
            let begin = Tensor::from_slice(&begin).view([rank, fan_in]).to_device(self.device);
            adapters.push((a, begin));
            adapters.push((b, Tensor::zeros([out, rank], (Kind::Float, self.device))));
        }
        if adapters.is_empty() {
            return Err(Error::spec(
                "`model.lora` chooses no matrix of the modules in `model.train`",
            )
            .hint("`model.lora.targets` names projections of the vision tower and the decoder"));
        }
        self.set_trainable(&[]);
        self.adapters = adapters;
        self.lora = Some(lora.clone());
        let model = self.reassembled();
        for (name, tensor) in model.parameters() {
            let trains = match Self::module_of(name) {
                Module::Projector => modules.contains(&Module::Projector),
                _ => is_adapter(name),
            };
            let _ = tensor.set_requires_grad(trains);
        }
        Ok(model)
    }

    /// Whether it trains through adapters.
    pub fn has_adapters(&self) -> bool {
        self.lora.is_some()
    }

    /// The same base weights, not copied, beside adapters of its own that begin as copies.
    /// Projector weights are copied too: they train in full.
    pub fn with_own_adapters(&self) -> Self {
        let _no_grad = tch::no_grad_guard();
        let own = |(name, tensor): &(String, Tensor)| {
            let trains = tensor.requires_grad();
            let tensor = if trains { tensor.detach().copy() } else { tensor.shallow_clone() };
            (name.clone(), tensor)
        };
        let mut model = self.shared();
        model.parameters = self.parameters.iter().map(own).collect();
        model.adapters = self.adapters.iter().map(own).collect();
        model.reassembled()
    }

    /// A parameter as a file holds it: adapters added, in f32 where there are any.
    pub(super) fn merged(&self, name: &str, weight: &Tensor) -> Tensor {
        let weight = self.masters.get(name).unwrap_or(weight);
        let Some(lora) = &self.lora else { return weight.detach() };
        let names = Adapter::names(name.strip_suffix(".weight").unwrap_or(name));
        let find = |name: &String| {
            let found = self.adapters.iter().find(|(known, _)| known == name);
            found.map(|(_, tensor)| tensor.detach())
        };
        match (find(&names[0]), find(&names[1])) {
            (Some(a), Some(b)) => {
                Adapter::new(name, a, b, lora.scale(), 0.0).merged(&weight.detach())
            }
            _ => weight.detach(),
        }
    }
}

/// Whether a tensor is one of an adapter's.
pub(super) fn is_adapter(name: &str) -> bool {
    name.ends_with(".lora_A.weight") || name.ends_with(".lora_B.weight")
}
