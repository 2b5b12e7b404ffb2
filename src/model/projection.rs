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

/// Matrices of more numbers than this together are multiplied one by one: one product is faster
/// for small ones, and a copy of large ones takes as much memory as the model.
pub(super) const LARGE: usize = 1 << 22;

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
        let y = self.product(x, pass.kind);
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

    /// The product without adapters.
    fn product(&self, x: &Tensor, kind: Kind) -> Tensor {
        if !self.is_apart() {
            return ops::linear(x, &self.weight(), self.bias().as_ref(), kind);
        }
        let parts = self.parts.iter();
        let products: Vec<Tensor> =
            parts.map(|part| ops::linear(x, &part.weight, part.bias.as_ref(), kind)).collect();
        fused(&products, -1)
    }

    /// Whether its matrices are too large to be copied into one.
    fn is_apart(&self) -> bool {
        let numbers: usize = self.parts.iter().map(|part| part.weight.numel()).sum();
        self.parts.len() > 1 && numbers > LARGE
    }

    /// A copy without gradients, adapters added, in `kind`: one matrix, or large ones as they
    /// are, which then share their memory with these.
    pub(crate) fn prepared(&self, kind: Kind) -> Self {
        let whole = |part: &Part| match &part.adapter {
            Some(adapter) => adapter.merged(&part.weight),
            None => part.weight.shallow_clone(),
        };
        let part = |weight: Tensor, bias: Option<Tensor>| {
            let bias = bias.map(|bias| bias.detach().to_kind(kind));
            Part { weight: weight.detach().to_kind(kind), bias, adapter: None }
        };
        if self.is_apart() {
            let own = |one: &Part| part(whole(one), one.bias.as_ref().map(Tensor::shallow_clone));
            return Self { parts: self.parts.iter().map(own).collect(), packed: None };
        }
        let weights: Vec<Tensor> = self.parts.iter().map(whole).collect();
        let part = part(fused(&weights, 0), self.bias());
        match Packed::new(&part.weight, part.bias.as_ref()) {
            Some(packed) => Self { parts: vec![], packed: Some(packed) },
            None => Self { parts: vec![part], packed: None },
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn large_matrices_are_multiplied_one_by_one_and_never_copied() {
        let part = |rows: i64| Part {
            weight: Tensor::randn([rows, 1024], (Kind::Float, Device::Cpu)),
            bias: Some(Tensor::randn([rows], (Kind::Float, Device::Cpu))),
            adapter: None,
        };
        let x = Tensor::randn([3, 1024], (Kind::Float, Device::Cpu));
        for (rows, is_apart) in [(8, false), (4096, true)] {
            let whole = Projection { parts: vec![part(rows), part(rows)], packed: None };
            assert_eq!(whole.is_apart(), is_apart);
            let prepared = whole.prepared(Kind::Float);
            let first = |one: &Projection| one.parts.first().map(|part| part.weight.data_ptr());
            assert_eq!(first(&prepared) == first(&whole), is_apart);
            let fused = x.linear(&whole.weight(), whole.bias().as_ref());
            for one in [&whole, &prepared] {
                let got = one.forward(&x, Pass::plain(Kind::Float));
                assert!((got - &fused).abs().max().double_value(&[]) < 1e-3);
            }
        }
    }
}
