// Sum of squares, for the gradient norm.
#include "number.h"
#include "rows.h"

namespace prefab::rows {

template <class T> PREFAB_INLINE double squares(const T *x, int64_t n) {
  double total = 0;
  // f32 within a short run, f64 across runs: as exact as f64, as fast as f32.
  for (int64_t i = 0; i < n; i += 1024) {
    const int64_t end = i + 1024 < n ? i + 1024 : n;
    float part = 0;
#pragma omp simd reduction(+ : part)
    for (int64_t j = i; j < end; ++j) {
      const float value = load(x, j);
      part += value * value;
    }
    total += part;
  }
  return total;
}

PREFAB_CLONES double squares_f32(const float *x, int64_t n) { return squares(x, n); }
PREFAB_CLONES double squares_bf16(const bf16 *x, int64_t n) { return squares(x, n); }

double sum_squares(const void *x, bool is_bf16, int64_t n) {
  return is_bf16 ? squares_bf16(static_cast<const bf16 *>(x), n)
                 : squares_f32(static_cast<const float *>(x), n);
}

} // namespace prefab::rows
