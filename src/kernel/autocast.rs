//! bf16 autocast on the CPU, which tch's own switch leaves off.
//!
//! Prefab itself casts explicitly. This serves the plain step that `tests/bench`
//! measures it against.

use super::call;
use prefab_kernels as ffi;

/// Autocast is on while this lives; on this thread.
#[derive(Debug)]
pub struct Autocast(());

impl Autocast {
    /// Switches it on.
    pub fn bf16() -> Autocast {
        // SAFETY: sets thread-local switches of libtorch.
        call::check(unsafe { ffi::prefab_autocast(1) });
        Autocast(())
    }
}

impl Drop for Autocast {
    fn drop(&mut self) {
        // SAFETY: as above; undoes what `bf16` did.
        call::check(unsafe { ffi::prefab_autocast(0) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn products_are_bf16_while_it_lives() {
        let x = Tensor::ones([4, 4], (Kind::Float, Device::Cpu));
        {
            let _autocast = Autocast::bf16();
            assert_eq!(x.matmul(&x).kind(), Kind::BFloat16);
        }
        assert_eq!(x.matmul(&x).kind(), Kind::Float);
    }
}
