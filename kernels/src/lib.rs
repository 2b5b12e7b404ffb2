//! Raw faces of Prefab's C++ kernels. The safe ones are in `prefab::kernel`.
//!
//! Tensors are borrowed pointers; results are pointers that the caller owns.
//! Every function returns 0, or 1 and leaves a message in [`prefab_last_error`].

use std::ffi::{c_char, c_int, c_void};
pub use torch_sys::C_tensor;

/// A borrowed tensor; null where the kernel's comment allows it.
pub type In = *const C_tensor;
/// Where an owned tensor is written.
pub type Out = *mut *mut C_tensor;

unsafe extern "C" {
    pub fn prefab_last_error() -> *const c_char;
    /// Whether this thread's tensors on the processor go through a card's kernels; for tests.
    pub fn prefab_emulate_card(on: c_int);

    pub fn prefab_norm(
        out: Out,
        x: In,
        gain: In,
        bias: In,
        epsilon: f64,
        centered: c_int,
        out_bf16: c_int,
    ) -> c_int;
    pub fn prefab_add_norm(
        sum: Out,
        out: Out,
        x: In,
        delta: In,
        scale: In,
        gain: In,
        bias: In,
        epsilon: f64,
        centered: c_int,
        out_bf16: c_int,
    ) -> c_int;
    pub fn prefab_swiglu(out: Out, gate_up: In) -> c_int;
    pub fn prefab_gelu(out: Out, x: In) -> c_int;
    pub fn prefab_rope(out: Out, x: In, cosine: In, sine: In) -> c_int;
    /// `table` is described at `Layout` in `csrc/attention.cpp`.
    pub fn prefab_attention(
        out: Out,
        qkv: In,
        cosine: In,
        sine: In,
        kv_heads: i64,
        scale: f64,
        table: *const i64,
        length: i64,
    ) -> c_int;
    /// `table` is described at `runs_of` in `csrc/flash.cpp`.
    pub fn prefab_flash(
        out: Out,
        q: In,
        k: In,
        v: In,
        scale: f64,
        table: *const i64,
        length: i64,
    ) -> c_int;
    pub fn prefab_packed(y: Out, x: In, panels: In, bias: In, out: i64) -> c_int;
    /// `caches` and `table` are described in `csrc/decode.cpp`.
    pub fn prefab_decode(
        out: Out,
        qkv: In,
        cosine: In,
        sine: In,
        caches: *const In,
        written: i64,
        scale: f64,
        table: *const i64,
        shares: i64,
    ) -> c_int;
    /// `portable` takes ATen's operations in place of the loops for the device.
    pub fn prefab_linear_logp(
        out: Out,
        hidden: In,
        weight: In,
        targets: In,
        portable: c_int,
    ) -> c_int;
    pub fn prefab_autocast(on: c_int) -> c_int;
    pub fn prefab_exact() -> c_int;
    /// Takes `body` over and gives it to `drop` once. `call` writes a new tensor to `out`
    /// and returns 0, or 1 on failure.
    pub fn prefab_recompute(
        out: Out,
        x: In,
        body: *mut c_void,
        call: unsafe extern "C" fn(body: *mut c_void, x: In, out: Out) -> c_int,
        drop: unsafe extern "C" fn(body: *mut c_void),
    ) -> c_int;
    pub fn prefab_gradient_norm(out: *mut f64, gradients: *const In, count: i64) -> c_int;
    pub fn prefab_adamw(
        parameters: *const In,
        gradients: *const In,
        means: *const In,
        squares: *const In,
        steps: *const In,
        count: i64,
        lr: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        epsilon: f64,
        divisor: f64,
    ) -> c_int;
}
