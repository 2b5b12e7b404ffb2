//! The way across: pointers out, owned tensors in, a C++ exception as a panic.
//!
//! A failing kernel is a bug (a wrong shape, an unknown number type), so it panics
//! with the C++ message, as tch's own methods do.

use prefab_kernels::C_tensor;
use std::ffi::{CStr, c_int};
use tch::Tensor;

/// A borrowed pointer for a kernel's argument.
pub(super) fn borrow(tensor: &Tensor) -> *const C_tensor {
    tensor.as_ptr()
}

/// The same for an argument that may be absent.
pub(super) fn borrow_or_null(tensor: Option<&Tensor>) -> *const C_tensor {
    tensor.map_or(std::ptr::null(), borrow)
}

/// The pointers of a list, in order.
pub(super) fn borrow_all<T: std::borrow::Borrow<Tensor>>(tensors: &[T]) -> Vec<*const C_tensor> {
    tensors.iter().map(|tensor| borrow(tensor.borrow())).collect()
}

/// Calls a kernel that gives `N` tensors.
pub(super) fn outputs<const N: usize>(
    kernel: impl FnOnce([*mut *mut C_tensor; N]) -> c_int,
) -> [Tensor; N] {
    let mut given = [std::ptr::null_mut(); N];
    check(kernel(given.each_mut().map(std::ptr::from_mut)));
    // SAFETY: the kernel returned 0, so each pointer is a new tensor that is ours.
    given.map(|pointer| unsafe { Tensor::from_ptr(pointer) })
}

/// Panics with the kernel's message where it failed.
pub(super) fn check(code: c_int) {
    if code != 0 {
        // SAFETY: the message is this thread's and stays until its next failure.
        let message = unsafe { CStr::from_ptr(prefab_kernels::prefab_last_error()) };
        let message = message.to_string_lossy();
        panic!("kernel failed: {}", message.lines().next().unwrap_or("no message"));
    }
}
