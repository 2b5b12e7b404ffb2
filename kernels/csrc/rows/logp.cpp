// The softmax half of linear → log-probability, one tile of the vocabulary at a time.
#include "number.h"
#include "rows.h"

namespace prefab::rows {

template <class T>
PREFAB_INLINE void tile(const T *logits, int64_t width, int64_t offset, const int64_t *targets,
                        float *maximum, float *sum, float *target, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const T *row = logits + r * width;
    float top = load(row, 0);
#pragma omp simd reduction(max : top)
    for (int64_t i = 0; i < width; ++i) {
      const float v = load(row, i);
      top = v > top ? v : top;
    }
    const float now = top > maximum[r] ? top : maximum[r];
    float total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < width; ++i)
      total += exp_of(load(row, i) - now);
    // The first tile finds sum = 0 and any maximum below every logit.
    sum[r] = sum[r] * exp_of(maximum[r] - now) + total;
    maximum[r] = now;
    const int64_t column = targets[r] - offset;
    if (column >= 0 && column < width)
      target[r] = load(row, column);
  }
}

template <class T>
PREFAB_INLINE void tile_grad(T *logits, int64_t width, int64_t offset, const int64_t *targets,
                             const float *normalizer, const float *dlogp, int64_t begin,
                             int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    T *row = logits + r * width;
    const float d = dlogp[r], z = normalizer[r];
    const int64_t column = targets[r] - offset;
    const bool here = column >= 0 && column < width;
    const float chosen = here ? d * (1.0f - exp_of(load(row, column) - z)) : 0.0f;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i)
      store(row, i, -d * exp_of(load(row, i) - z));
    if (here)
      store(row, column, chosen);
  }
}

#define INSTANCE(T, suffix)                                                                        \
  PREFAB_CLONES void tile_##suffix(const T *l, int64_t w, int64_t o, const int64_t *t, float *m,   \
                                   float *s, float *x, int64_t b, int64_t e) {                     \
    tile(l, w, o, t, m, s, x, b, e);                                                               \
  }                                                                                                \
  PREFAB_CLONES void tile_grad_##suffix(T *l, int64_t w, int64_t o, const int64_t *t,              \
                                        const float *z, const float *d, int64_t b, int64_t e) {    \
    tile_grad(l, w, o, t, z, d, b, e);                                                             \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)

void logp_tile(const void *logits, bool is_bf16, int64_t width, int64_t offset,
               const int64_t *targets, float *maximum, float *sum, float *target, int64_t begin,
               int64_t end) {
  if (is_bf16)
    tile_bf16((const bf16 *)logits, width, offset, targets, maximum, sum, target, begin, end);
  else
    tile_f32((const float *)logits, width, offset, targets, maximum, sum, target, begin, end);
}

void logp_tile_backward(void *logits, bool is_bf16, int64_t width, int64_t offset,
                        const int64_t *targets, const float *normalizer, const float *dlogp,
                        int64_t begin, int64_t end) {
  if (is_bf16)
    tile_grad_bf16((bf16 *)logits, width, offset, targets, normalizer, dlogp, begin, end);
  else
    tile_grad_f32((float *)logits, width, offset, targets, normalizer, dlogp, begin, end);
}

} // namespace prefab::rows
