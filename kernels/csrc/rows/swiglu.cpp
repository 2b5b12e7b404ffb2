// silu(gate) * up and its gradients.
#include "number.h"
#include "rows.h"

namespace prefab::rows {

template <class T>
PREFAB_INLINE void forward(const T *gate, const T *up, T *out, int64_t width) {
#pragma omp simd
  for (int64_t i = 0; i < width; ++i) {
    const float g = load(gate, i);
    store(out, i, g * sigmoid(g) * load(up, i));
  }
}

template <class T>
PREFAB_INLINE void backward(const T *gate, const T *up, const T *dout, T *dgate, T *dup,
                            int64_t width) {
#pragma omp simd
  for (int64_t i = 0; i < width; ++i) {
    const float g = load(gate, i);
    const float s = sigmoid(g);
    const float d = load(dout, i);
    const float u = load(up, i);
    store(dup, i, d * g * s);
    store(dgate, i, d * u * s * (1.0f + g * (1.0f - s)));
  }
}

#define INSTANCE(T, suffix)                                                                        \
  PREFAB_CLONES void swiglu_##suffix(int64_t width, const T *x, T *out, int64_t begin,             \
                                     int64_t end) {                                                \
    for (int64_t r = begin; r < end; ++r)                                                          \
      forward(x + 2 * r * width, x + (2 * r + 1) * width, out + r * width, width);                 \
  }                                                                                                \
  PREFAB_CLONES void swiglu_grad_##suffix(int64_t width, const T *x, const T *dout, T *dx,         \
                                          int64_t begin, int64_t end) {                            \
    for (int64_t r = begin; r < end; ++r)                                                          \
      backward(x + 2 * r * width, x + (2 * r + 1) * width, dout + r * width, dx + 2 * r * width,   \
               dx + (2 * r + 1) * width, width);                                                   \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)

void swiglu_forward(int64_t width, bool is_bf16, const void *x, void *out, int64_t begin,
                    int64_t end) {
  if (is_bf16)
    swiglu_bf16(width, (const bf16 *)x, (bf16 *)out, begin, end);
  else
    swiglu_f32(width, (const float *)x, (float *)out, begin, end);
}

void swiglu_backward(int64_t width, bool is_bf16, const void *x, const void *dout, void *dx,
                     int64_t begin, int64_t end) {
  if (is_bf16)
    swiglu_grad_bf16(width, (const bf16 *)x, (const bf16 *)dout, (bf16 *)dx, begin, end);
  else
    swiglu_grad_f32(width, (const float *)x, (const float *)dout, (float *)dx, begin, end);
}

} // namespace prefab::rows
