//! Matrices that train as bf16 copies of f32 masters: their gradients are bf16 then.

use super::parameters;
use super::vlm::Vlm;
use tch::{Kind, Tensor};

impl Vlm {
    /// The same model, with a bf16 copy in place of every matrix that requires a gradient.
    /// In bf16 products the numbers are the same: a master would be cast each time.
    pub fn with_bf16_gradients(mut self) -> Self {
        let _no_grad = tch::no_grad_guard();
        for (name, tensor) in &mut self.parameters {
            if tensor.requires_grad() && parameters::is_product(name) {
                let half = tensor.detach().to_kind(Kind::BFloat16).set_requires_grad(true);
                self.masters.insert(name.clone(), std::mem::replace(tensor, half).detach());
            }
        }
        self.reassembled()
    }

    /// The f32 numbers behind a parameter that trains in bf16.
    pub fn master(&self, name: &str) -> Option<Tensor> {
        self.masters.get(name).map(Tensor::shallow_clone)
    }

    /// What trains, as an optimizer leaves it: masters where there are some.
    pub fn trained(&self) -> Vec<(&str, &Tensor)> {
        let learning = self.parameters().into_iter().filter(|(_, tensor)| tensor.requires_grad());
        learning.map(|(name, tensor)| (name, self.masters.get(name).unwrap_or(tensor))).collect()
    }

    /// Makes the bf16 copies anew, after masters were written to.
    pub fn refresh(&self) {
        let _no_grad = tch::no_grad_guard();
        for (name, tensor) in &self.parameters {
            if let Some(master) = self.masters.get(name) {
                tensor.detach().copy_(master);
            }
        }
    }
}
