//! One function per operation, each a kernel where there is one for the device and
//! plain tch elsewhere.
//!
//! Matrix products run in the kind that their caller names (`Kind::Float` or
//! `Kind::BFloat16`); norms, softmax and log-softmax are f32 whatever that is.

use crate::kernel::{self, norm::Norm};
use tch::{Kind, Tensor};

/// `x · weightᵀ + bias` in `kind`; operands of another kind are cast.
///
/// # Shapes
///
/// x `[…, in]`, weight `[out, in]`, bias `[out]` → `[…, out]` of `kind`.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, kind: Kind) -> Tensor {
    let bias = bias.map(|bias| bias.to_kind(kind));
    x.to_kind(kind).linear(&weight.to_kind(kind), bias.as_ref())
}

/// A norm over the last axis of `x`, in f32, given back in `kind`.
///
/// # Shapes
///
/// x `[…, width]` → `[…, width]` of `kind`.
pub fn norm(x: &Tensor, norm: Norm, kind: Kind) -> Tensor {
    let shape = x.size();
    let width = *shape.last().expect("a norm has an axis to work on");
    norm.forward(&x.reshape([-1, width]), kind).reshape(shape)
}

/// Root mean square norm in f32, given back in `kind`.
///
/// # Formula
///
/// ```text
/// y = x / √(mean(x²) + eps) · weight
/// ```
///
/// # Shapes
///
/// x `[…, width]`, weight `[width]` → `[…, width]` of `kind`.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64, kind: Kind) -> Tensor {
    norm(x, rms(weight, eps), kind)
}

/// What [`rms_norm`] does, for [`Norm::add_forward`].
pub fn rms(weight: &Tensor, eps: f64) -> Norm<'_> {
    Norm { gain: weight, bias: None, centered: false, epsilon: eps }
}

/// Layer norm in f32, given back in `kind`.
///
/// # Shapes
///
/// x `[…, width]`, weight and bias `[width]` → `[…, width]` of `kind`.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64, kind: Kind) -> Tensor {
    norm(x, Norm { gain: weight, bias: Some(bias), centered: true, epsilon: eps }, kind)
}

/// The exact (erf) GELU of InternViT and of the projector.
pub fn gelu(x: &Tensor) -> Tensor {
    kernel::gelu::gelu(x)
}

/// `silu(gate) · up`.
///
/// # Shapes
///
/// gate_up `[tokens, 2·mlp]`, gate first → `[tokens, mlp]`.
pub fn swiglu(gate_up: &Tensor) -> Tensor {
    kernel::swiglu::swiglu(gate_up)
}

/// Turns each head by its position's angles (rotate-half form), in f32, given back
/// in the kind of x.
///
/// # Shapes
///
/// x `[tokens, heads, head]`, cos and sin `[tokens, head/2]` → `[tokens, heads, head]`.
pub fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Tensor {
    kernel::rope::rope(x, cos, sin)
}

/// Log-probability of each target under a softmax over `hidden · weightᵀ`.
///
/// # Formula
///
/// ```text
/// logp = z[target] − log Σ exp z,   z = weight · hidden
/// ```
///
/// # Shapes
///
/// hidden `[predictions, width]`, weight `[vocabulary, width]`, targets
/// `[predictions]` (i64) → `[predictions]` f32.
pub fn linear_logp(hidden: &Tensor, weight: &Tensor, targets: &Tensor, kind: Kind) -> Tensor {
    kernel::linear_logp::linear_logp(&hidden.to_kind(kind), &weight.to_kind(kind), targets)
}
