// What a process that computes on cards asks of libtorch: the same bytes each time, and f32 that
// is f32.
#include "shim.h"

#include <ATen/Context.h>

/// Sums in a fixed order wherever libtorch knows one, a warning where it does not; no TF32.
/// Fresh memory is not filled: no code here reads what it has not written.
PREFAB_API int prefab_exact() {
  return prefab::guarded([&] {
    auto &context = at::globalContext();
    context.setDeterministicAlgorithms(true, /*warn_only=*/true);
    context.setDeterministicFillUninitializedMemory(false);
    context.setAllowTF32CuBLAS(false);
    context.setAllowTF32CuDNN(false);
  });
}
