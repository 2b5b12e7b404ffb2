// Rotary position embedding over packed tokens: the two halves of a head are
// rotated against each other by an angle that belongs to the token's position.
#include "number.h"
#include "rows.h"

namespace prefab::rows {

template <class T>
PREFAB_INLINE void turn(const Rope &r, const T *x, int64_t stride, T *out, int64_t begin,
                        int64_t end) {
  const int64_t half = r.dim / 2;
  for (int64_t t = begin; t < end; ++t) {
    const float *cosine = r.cosine + t * half;
    const float *sine = r.sine + t * half;
    for (int64_t h = 0; h < r.heads; ++h) {
      const T *in = x + t * stride + h * r.dim;
      T *to = out + (t * r.heads + h) * r.dim;
#pragma omp simd
      for (int64_t i = 0; i < half; ++i) {
        const float a = load(in, i), b = load(in, half + i);
        const float c = cosine[i], s = r.direction * sine[i];
        store(to, i, a * c - b * s);
        store(to, half + i, b * c + a * s);
      }
    }
  }
}

PREFAB_CLONES void rope_f32(const Rope &r, const float *x, int64_t s, float *o, int64_t b,
                            int64_t e) {
  turn(r, x, s, o, b, e);
}
PREFAB_CLONES void rope_bf16(const Rope &r, const bf16 *x, int64_t s, bf16 *o, int64_t b,
                             int64_t e) {
  turn(r, x, s, o, b, e);
}

void rope(const Rope &r, const void *x, int64_t stride, void *out, int64_t begin, int64_t end) {
  if (r.bf16)
    rope_bf16(r, (const bf16 *)x, stride, (bf16 *)out, begin, end);
  else
    rope_f32(r, (const float *)x, stride, (float *)out, begin, end);
}

} // namespace prefab::rows
