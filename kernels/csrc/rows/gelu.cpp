// GELU with the error function, and its gradient.
#include "number.h"
#include "rows.h"

namespace prefab::rows {

/// Phi(x), the normal distribution function, to 1e-7: Abramowitz and Stegun 7.1.26.
/// `density` is exp(-x²/2), which the gradient needs as well.
PREFAB_INLINE float normal(float x, float &density) {
  const float z = __builtin_fabsf(x) * 0.70710678118654752f;
  density = exp_of(-0.5f * x * x);
  const float t = 1.0f / (1.0f + 0.3275911f * z);
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const float tail = 0.5f * p * t * density;
  return x < 0.0f ? tail : 1.0f - tail;
}

template <class T> PREFAB_INLINE void forward(const T *x, T *out, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    float density;
    const float v = load(x, i);
    store(out, i, v * normal(v, density));
  }
}

template <class T> PREFAB_INLINE void backward(const T *x, const T *dout, T *dx, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    float density;
    const float v = load(x, i);
    const float phi = normal(v, density);
    store(dx, i, load(dout, i) * (phi + v * 0.3989422804014327f * density));
  }
}

PREFAB_CLONES void gelu_f32(const float *x, float *o, int64_t n) { forward(x, o, n); }
PREFAB_CLONES void gelu_bf16(const bf16 *x, bf16 *o, int64_t n) { forward(x, o, n); }
PREFAB_CLONES void gelu_grad_f32(const float *x, const float *d, float *o, int64_t n) {
  backward(x, d, o, n);
}
PREFAB_CLONES void gelu_grad_bf16(const bf16 *x, const bf16 *d, bf16 *o, int64_t n) {
  backward(x, d, o, n);
}

void gelu_forward(bool is_bf16, const void *x, void *out, int64_t n) {
  if (is_bf16)
    gelu_bf16((const bf16 *)x, (bf16 *)out, n);
  else
    gelu_f32((const float *)x, (float *)out, n);
}

void gelu_backward(bool is_bf16, const void *x, const void *dout, void *dx, int64_t n) {
  if (is_bf16)
    gelu_grad_bf16((const bf16 *)x, (const bf16 *)dout, (bf16 *)dx, n);
  else
    gelu_grad_f32((const float *)x, (const float *)dout, (float *)dx, n);
}

} // namespace prefab::rows
