//! Safe faces of the C++ kernels in `kernels/`, each beside the plain tch code it
//! must equal.
//!
//! A face takes and returns tch tensors, takes part in autograd, and falls back to
//! the plain code where its tensors are not on the CPU or are of another number
//! type; [`linear_logp`], [`adamw`] and [`clip`] have a way on cards that is made of
//! ATen's operations, and tested on the CPU. The plain function is public: tests compare values and gradients with it,
//! and benchmarks time it.
//!
//! To add a kernel: the loops in `kernels/csrc/rows/` (no libtorch, `-ffast-math`),
//! the autograd function in `kernels/csrc/NAME.cpp`, its declaration in
//! `kernels/src/lib.rs`, the face, the plain code and the test of equality here in
//! `NAME.rs`, and a line in `tests/bench/kernels.rs`. A kernel that wins nothing there
//! is deleted.
//!
//! | kernel | does |
//! |---|---|
//! | [`attention`] | attention of ragged groups that share prompts |
//! | [`decode`] | attention of one new token a row over a cache with shared prompts |
//! | [`adamw`] | AdamW over all parameters, with state that can be saved |
//! | [`clip`] | the norm of all gradients |
//! | [`linear_logp`] | head → log-probability of a target, without all logits |
//! | [`packed`] | rows times a matrix that was packed for it once |
//! | [`norm`] | RMS norm and layer norm, alone or behind a residual sum |
//! | [`swiglu`] | silu(gate) · up |
//! | [`gelu`] | GELU with the error function |
//! | [`rope`] | rotary positions of packed tokens |
//! | [`recompute`] | gradient checkpointing: a layer computed again in the backward pass |
//! | [`autocast`] | no kernel: CPU autocast, for the plain step of `tests/bench` |

mod call;

pub mod adamw;
pub mod attention;
pub mod autocast;
pub mod clip;
pub mod decode;
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

/// Whether the kernels can take these tensors: on the CPU, f32 or bf16.
fn supported(tensors: &[&Tensor]) -> bool {
    is_float(tensors) && tensors.iter().all(|tensor| tensor.device() == Device::Cpu)
}

/// Whether these tensors are f32 or bf16, wherever they are.
fn is_float(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|tensor| matches!(tensor.kind(), Kind::Float | Kind::BFloat16))
}
