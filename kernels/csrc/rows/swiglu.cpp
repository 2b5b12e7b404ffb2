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
  PREFAB_CLONES void swiglu_##suffix(int64_t width, const T *gate, int64_t gs, const T *up,        \
                                     int64_t us, T *out, int64_t begin, int64_t end) {             \
    for (int64_t r = begin; r < end; ++r)                                                          \
      forward(gate + r * gs, up + r * us, out + r * width, width);                                 \
  }                                                                                                \
  PREFAB_CLONES void swiglu_grad_##suffix(int64_t width, const T *gate, int64_t gs, const T *up,   \
                                          int64_t us, const T *dout, int64_t ds, T *dgate, T *dup, \
                                          int64_t begin, int64_t end) {                            \
    for (int64_t r = begin; r < end; ++r)                                                          \
      backward(gate + r * gs, up + r * us, dout + r * ds, dgate + r * width, dup + r * width,      \
               width);                                                                             \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)

void swiglu_forward(int64_t width, bool is_bf16, const void *gate, int64_t gs, const void *up,
                    int64_t us, void *out, int64_t begin, int64_t end) {
  if (is_bf16)
    swiglu_bf16(width, (const bf16 *)gate, gs, (const bf16 *)up, us, (bf16 *)out, begin, end);
  else
    swiglu_f32(width, (const float *)gate, gs, (const float *)up, us, (float *)out, begin, end);
}

void swiglu_backward(int64_t width, bool is_bf16, const void *gate, int64_t gs, const void *up,
                     int64_t us, const void *dout, int64_t ds, void *dgate, void *dup,
                     int64_t begin, int64_t end) {
  if (is_bf16)
    swiglu_grad_bf16(width, (const bf16 *)gate, gs, (const bf16 *)up, us, (const bf16 *)dout, ds,
                     (bf16 *)dgate, (bf16 *)dup, begin, end);
  else
    swiglu_grad_f32(width, (const float *)gate, gs, (const float *)up, us, (const float *)dout, ds,
                    (float *)dgate, (float *)dup, begin, end);
}

} // namespace prefab::rows
