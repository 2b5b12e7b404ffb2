// CPU autocast, which tch switches on CUDA only. Prefab's own code casts explicitly;
// the plain step that tests/bench measures it against casts as PyTorch users do.
#include "shim.h"

#include <ATen/autocast_mode.h>

/// bf16 autocast on the CPU for this thread, on or off.
PREFAB_API int prefab_autocast(int on) {
  return prefab::guarded([&] {
    if (on) {
      at::autocast::increment_nesting();
    } else if (at::autocast::decrement_nesting() == 0) {
      at::autocast::clear_cache();
    }
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::set_autocast_cache_enabled(true);
    at::autocast::set_autocast_enabled(at::kCPU, on != 0);
  });
}
