//! Safe faces of the C++ kernels in `kernels/`, each beside the plain tch code it
//! must equal.
//!
//! A face takes and returns tch tensors, takes part in autograd, and falls back to
//! the plain code where nothing was built for its tensors' device or number type. The
//! plain function is public: tests compare values and gradients with it, and benchmarks
//! time it.
//!
//! To add a kernel: the loops in `kernels/csrc/rows/` (no libtorch, `-ffast-math`), where
//! a card gains by it too in `kernels/cuda/` with a line in its `table.cu`,
//! the autograd function in `kernels/csrc/NAME.cpp`, its declaration in
//! `kernels/src/lib.rs`, the face, the plain code and the test of equality here in
//! `NAME.rs`, and a line in `tests/bench/kernels.rs`. A kernel that wins nothing there
//! is deleted.
//!
//! | kernel | does | on a card |
//! |---|---|---|
//! | [`attention`] | attention of ragged groups that share prompts | libtorch's flash kernels (bf16) |
//! | [`decode`] | attention of one new token a row over a cache with shared prompts | plain |
//! | [`adamw`] | AdamW over all parameters, with state that can be saved | libtorch's fused one |
//! | [`clip`] | the norm of all gradients | ATen, one number fetched |
//! | [`linear_logp`] | head → log-probability of a target, without all logits | `cuda/logp.cu` |
//! | [`packed`] | rows times a matrix that was packed for it once | a library's product |
//! | [`norm`] | RMS norm and layer norm, alone or behind a residual sum | `cuda/norm.cu` |
//! | [`swiglu`] | silu(gate) · up | `cuda/swiglu.cu` |
//! | [`gelu`] | GELU with the error function | libtorch's, one pass already |
//! | [`rope`] | rotary positions of packed tokens | `cuda/rope.cu` |
//! | [`recompute`] | gradient checkpointing: a layer computed again in the backward pass | the same |
//! | [`exact`](mod@exact) | no kernel: libtorch's switches for cards | the same bytes each time, no TF32 |
//! | [`autocast`] | no kernel: CPU autocast, for the plain step of `tests/bench` | |
//!
//! `cuda/*.cu` is compiled by nvcc with the cargo feature `cuda`, and always for the processor
//! with one thread a block, which is what the tests here compare with the plain code.

mod call;

pub mod adamw;
pub mod attention;
pub mod autocast;
pub mod clip;
pub mod decode;
pub mod exact;
pub mod gelu;
pub mod linear_logp;
pub mod norm;
pub mod packed;
pub mod recompute;
pub mod rope;
pub mod swiglu;

#[cfg(test)]
mod check;

use tch::{Device, Kind, Tensor};

/// Whether kernels for cards were built: the cargo feature `cuda`.
pub const FOR_CARDS: bool = cfg!(feature = "cuda");

/// Whether a kernel with loops for both devices can take these tensors: f32 or bf16, on the
/// processor, or on a card where kernels for cards were built.
fn supported(tensors: &[&Tensor]) -> bool {
    on_processor(tensors) || FOR_CARDS && is_float(tensors)
}

/// Whether a kernel for the processor can take these tensors: there, f32 or bf16.
fn on_processor(tensors: &[&Tensor]) -> bool {
    is_float(tensors) && tensors.iter().all(|tensor| tensor.device() == Device::Cpu)
}

/// Whether these tensors are f32 or bf16, wherever they are.
fn is_float(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|tensor| matches!(tensor.kind(), Kind::Float | Kind::BFloat16))
}
