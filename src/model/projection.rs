//! One linear map: stored matrices that share their input, each with its adapter, and how
//! the parts of a model find them by name.

use super::lora::Adapter;
use super::ops;
use super::pass::Pass;
use crate::kernel::packed::Packed;
use std::collections::HashMap;
use tch::{Kind, Tensor};

/// The tensors that a model is assembled from.
pub(crate) struct Weights<'a> {
    by_name: HashMap<&'a str, &'a Tensor>,
    /// Scale and dropout of all adapters.
    lora: Option<(f64, f64)>,
}

impl<'a> Weights<'a> {
    pub(crate) fn new(
        tensors: impl Iterator<Item = (&'a str, &'a Tensor)>,
        lora: Option<(f64, f64)>,
    ) -> Self {
        Self { by_name: tensors.collect(), lora }
    }

    /// The tensor of a name.
    pub(crate) fn get(&self, name: &str) -> Tensor {
        self.by_name.get(name).unwrap_or_else(|| panic!("the list has `{name}`")).shallow_clone()
    }

    /// The map whose matrices have these names (without `.weight`).
    pub(crate) fn projection(&self, names: &[String], with_bias: bool) -> Projection {
        let part = |name: &String| Part {
            weight: self.get(&format!("{name}.weight")),
            bias: with_bias.then(|| self.get(&format!("{name}.bias"))),
            adapter: self.lora.and_then(|(scale, dropout)| {
                let [a, b] =
                    Adapter::names(name).map(|name| self.by_name.get(name.as_str()).copied());
                Some(Adapter::new(name, a?.shallow_clone(), b?.shallow_clone(), scale, dropout))
            }),
        };
        Projection { parts: names.iter().map(part).collect(), packed: None }
    }
}

/// `x · Wᵀ + bias`, where W is one stored matrix or several along the first axis.
#[derive(Debug)]
pub struct Projection {
    parts: Vec<Part>,
    /// Of one that is [`Self::prepared`], where that is faster.
    packed: Option<Packed>,
}

#[derive(Debug)]
struct Part {
    weight: Tensor,
    bias: Option<Tensor>,
    adapter: Option<Adapter>,
}

impl Projection {
    /// Products in the pass's kind.
    ///
    /// # Shapes
    ///
    /// `[rows, in]` → `[rows, out]` of the pass's kind.
    pub fn forward(&self, x: &Tensor, pass: Pass) -> Tensor {
        if let Some(packed) = &self.packed {
            return packed.forward(x);
        }
        let y = ops::linear(x, &self.weight(), self.bias().as_ref(), pass.kind);
        if self.parts.iter().all(|part| part.adapter.is_none()) {
            return y;
        }
        let added: Vec<Tensor> = self
            .parts
            .iter()
            .map(|part| match &part.adapter {
                Some(adapter) => adapter.forward(x, pass),
                None => y.new_zeros([x.size()[0], part.weight.size()[0]], (y.kind(), y.device())),
            })
            .collect();
        y + fused(&added, 1)
    }

    /// A copy without gradients: one matrix, adapters added, in `kind`.
    pub(crate) fn prepared(&self, kind: Kind) -> Self {
        let weights: Vec<Tensor> = self
            .parts
            .iter()
            .map(|part| match &part.adapter {
                Some(adapter) => adapter.merged(&part.weight),
                None => part.weight.shallow_clone(),
            })
            .collect();
        let weight = fused(&weights, 0).detach().to_kind(kind);
        let bias = self.bias().map(|bias| bias.detach().to_kind(kind));
        let packed = Packed::new(&weight, bias.as_ref());
        let parts = match packed {
            Some(_) => vec![],
            None => vec![Part { weight, bias, adapter: None }],
        };
        Self { parts, packed }
    }

    fn weight(&self) -> Tensor {
        let weights: Vec<&Tensor> = self.parts.iter().map(|part| &part.weight).collect();
        fused(&weights, 0)
    }

    fn bias(&self) -> Option<Tensor> {
        let biases: Vec<&Tensor> =
            self.parts.iter().filter_map(|part| part.bias.as_ref()).collect();
        (!biases.is_empty()).then(|| fused(&biases, 0))
    }
}

/// Several as one; one is passed on as it is.
fn fused<T: std::borrow::Borrow<Tensor>>(parts: &[T], axis: i64) -> Tensor {
    match parts {
        [one] => one.borrow().shallow_clone(),
        parts => Tensor::cat(parts, axis),
    }
}
