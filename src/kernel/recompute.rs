//! Gradient checkpointing: a part of the model whose inner results are computed again in
//! the backward pass in place of being kept.

use super::call;
use prefab_kernels as ffi;
use std::ffi::{c_int, c_void};
use std::panic::AssertUnwindSafe;
use tch::Tensor;

/// What is computed again.
type Body = Box<dyn Fn(&Tensor) -> Tensor>;

/// `body(x)`, keeping `x` alone for the backward pass, which calls `body` again. Gradients
/// are those of `body(x)` itself, to the bit, if `body` gives the same numbers each time:
/// what is random in it must be seeded in it.
///
/// Tensors that `body` holds get their gradients too. They need not be `Send`: the
/// backward pass may call `body` on another thread (CUDA has one a device), but the thread
/// that started it waits until it is done.
///
/// # Panics
///
/// If `body` does, in the forward pass and in the backward pass.
pub fn recompute(x: &Tensor, body: impl Fn(&Tensor) -> Tensor + 'static) -> Tensor {
    let body: Box<Body> = Box::new(Box::new(body));
    let [out] = call::outputs(|[out]| unsafe {
        // SAFETY: the other side owns `body` from here on and gives it back to `drop` once;
        // `x` outlives the call; `out` is written on success.
        ffi::prefab_recompute(out, call::borrow(x), Box::into_raw(body).cast(), run, drop)
    });
    out
}

unsafe extern "C" fn run(body: *mut c_void, x: ffi::In, out: ffi::Out) -> c_int {
    // SAFETY: `body` is the pointer that `recompute` made, alive until `drop`; `x` is a
    // tensor that outlives the call, whose handle is copied, not taken.
    let (body, x) = unsafe { (&*body.cast::<Body>(), Tensor::clone_from_ptr(x.cast_mut())) };
    // A panic must not cross C++.
    match std::panic::catch_unwind(AssertUnwindSafe(|| body(&x))) {
        Ok(y) => {
            let mut y = std::mem::ManuallyDrop::new(y);
            // SAFETY: `out` is a place for one pointer, whose owner is the other side now.
            unsafe { *out = y.as_mut_ptr() };
            0
        }
        Err(_) => 1,
    }
}

unsafe extern "C" fn drop(body: *mut c_void) {
    // SAFETY: called once with the pointer that `recompute` made.
    std::mem::drop(unsafe { Box::from_raw(body.cast::<Body>()) });
}
