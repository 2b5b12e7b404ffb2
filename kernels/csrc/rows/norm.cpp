// RMS norm and layer norm, alone or behind a residual sum.
#include "number.h"
#include "rows.h"

#include <cmath>

namespace prefab::rows {

template <class I, class O>
PREFAB_INLINE void normalize(const Norm &n, const I *x, O *out, float *mean, float *inverse) {
  float m = 0;
  if (n.centered) {
#pragma omp simd reduction(+ : m)
    for (int64_t i = 0; i < n.width; ++i)
      m += load(x, i);
    m /= n.width;
    *mean = m;
  }
  float variance = 0;
#pragma omp simd reduction(+ : variance)
  for (int64_t i = 0; i < n.width; ++i) {
    const float c = load(x, i) - m;
    variance += c * c;
  }
  const float r = 1.0f / sqrtf(variance / n.width + n.epsilon);
  *inverse = r;
  if (n.bias) {
#pragma omp simd
    for (int64_t i = 0; i < n.width; ++i)
      store(out, i, (load(x, i) - m) * r * n.gain[i] + n.bias[i]);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n.width; ++i)
      store(out, i, (load(x, i) - m) * r * n.gain[i]);
  }
}

template <class I, class O>
PREFAB_INLINE void forward(const Norm &n, const I *x, O *out, float *mean, float *inverse,
                           int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r)
    normalize(n, x + r * n.width, out + r * n.width, mean ? mean + r : nullptr, inverse + r);
}

template <class D, class O>
PREFAB_INLINE void add_forward(const Norm &n, const float *x, const D *delta, const float *scale,
                               float *sum, O *out, float *mean, float *inverse, int64_t begin,
                               int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const int64_t at = r * n.width;
    if (scale) {
#pragma omp simd
      for (int64_t i = 0; i < n.width; ++i)
        sum[at + i] = x[at + i] + scale[i] * load(delta + at, i);
    } else {
#pragma omp simd
      for (int64_t i = 0; i < n.width; ++i)
        sum[at + i] = x[at + i] + load(delta + at, i);
    }
    normalize(n, sum + at, out + at, mean ? mean + r : nullptr, inverse + r);
  }
}

template <class I, class O>
PREFAB_INLINE void backward(const Norm &n, const I *x, const O *dout, const float *mean,
                            const float *inverse, const float *carried, I *dx, float *dgain,
                            float *dbias, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const int64_t at = r * n.width;
    const float m = n.centered ? mean[r] : 0.0f, v = inverse[r];
    float along = 0, total = 0; // sums of g·x̂ and of g, where g = dout·gain
#pragma omp simd reduction(+ : along, total)
    for (int64_t i = 0; i < n.width; ++i) {
      const float d = load(dout + at, i), h = (load(x + at, i) - m) * v;
      dgain[i] += d * h;
      along += d * n.gain[i] * h;
      total += d * n.gain[i];
    }
    if (dbias) {
#pragma omp simd
      for (int64_t i = 0; i < n.width; ++i)
        dbias[i] += load(dout + at, i);
    }
    along /= n.width;
    total = n.centered ? total / n.width : 0.0f;
    if (carried) {
#pragma omp simd
      for (int64_t i = 0; i < n.width; ++i) {
        const float h = (load(x + at, i) - m) * v;
        store(dx + at, i,
              carried[at + i] + v * (load(dout + at, i) * n.gain[i] - total - h * along));
      }
    } else {
#pragma omp simd
      for (int64_t i = 0; i < n.width; ++i) {
        const float h = (load(x + at, i) - m) * v;
        store(dx + at, i, v * (load(dout + at, i) * n.gain[i] - total - h * along));
      }
    }
  }
}

#define INSTANCE(I, O, suffix)                                                                     \
  PREFAB_CLONES void norm_##suffix(const Norm &n, const I *x, O *o, float *m, float *v, int64_t b, \
                                   int64_t e) {                                                    \
    forward(n, x, o, m, v, b, e);                                                                  \
  }                                                                                                \
  PREFAB_CLONES void add_norm_##suffix(const Norm &n, const float *x, const I *d, const float *c,  \
                                       float *s, O *o, float *m, float *v, int64_t b, int64_t e) { \
    add_forward(n, x, d, c, s, o, m, v, b, e);                                                     \
  }                                                                                                \
  PREFAB_CLONES void norm_grad_##suffix(const Norm &n, const I *x, const O *d, const float *m,     \
                                        const float *v, const float *c, I *dx, float *dg,          \
                                        float *db, int64_t b, int64_t e) {                         \
    backward(n, x, d, m, v, c, dx, dg, db, b, e);                                                  \
  }
INSTANCE(float, float, ff)
INSTANCE(float, bf16, fb)
INSTANCE(bf16, float, bf)
INSTANCE(bf16, bf16, bb)

template <class D>
PREFAB_INLINE void scale_grad(int64_t width, const float *dsum, const D *delta, const float *scale,
                              D *ddelta, float *dscale, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const int64_t at = r * width;
    if (scale) {
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) {
        dscale[i] += dsum[at + i] * load(delta + at, i);
        store(ddelta + at, i, dsum[at + i] * scale[i]);
      }
    } else {
#pragma omp simd
      for (int64_t i = 0; i < width; ++i)
        store(ddelta + at, i, dsum[at + i]);
    }
  }
}

PREFAB_CLONES void scale_grad_f32(int64_t w, const float *s, const float *d, const float *c,
                                  float *dd, float *dc, int64_t b, int64_t e) {
  scale_grad(w, s, d, c, dd, dc, b, e);
}
PREFAB_CLONES void scale_grad_bf16(int64_t w, const float *s, const bf16 *d, const float *c,
                                   bf16 *dd, float *dc, int64_t b, int64_t e) {
  scale_grad(w, s, d, c, dd, dc, b, e);
}

void norm_forward(const Norm &n, const void *x, void *out, float *m, float *v, int64_t b,
                  int64_t e) {
  if (n.in_bf16 && n.out_bf16)
    norm_bb(n, (const bf16 *)x, (bf16 *)out, m, v, b, e);
  else if (n.in_bf16)
    norm_bf(n, (const bf16 *)x, (float *)out, m, v, b, e);
  else if (n.out_bf16)
    norm_fb(n, (const float *)x, (bf16 *)out, m, v, b, e);
  else
    norm_ff(n, (const float *)x, (float *)out, m, v, b, e);
}

void add_norm_forward(const Norm &n, const float *x, const void *delta, bool delta_bf16,
                      const float *scale, float *sum, void *out, float *m, float *v, int64_t b,
                      int64_t e) {
  if (delta_bf16 && n.out_bf16)
    add_norm_bb(n, x, (const bf16 *)delta, scale, sum, (bf16 *)out, m, v, b, e);
  else if (delta_bf16)
    add_norm_bf(n, x, (const bf16 *)delta, scale, sum, (float *)out, m, v, b, e);
  else if (n.out_bf16)
    add_norm_fb(n, x, (const float *)delta, scale, sum, (bf16 *)out, m, v, b, e);
  else
    add_norm_ff(n, x, (const float *)delta, scale, sum, (float *)out, m, v, b, e);
}

void norm_backward(const Norm &n, const void *x, const void *dout, const float *m, const float *v,
                   const float *carried, void *dx, float *dgain, float *dbias, int64_t b,
                   int64_t e) {
  if (n.in_bf16 && n.out_bf16)
    norm_grad_bb(n, (const bf16 *)x, (const bf16 *)dout, m, v, carried, (bf16 *)dx, dgain, dbias,
                 b, e);
  else if (n.in_bf16)
    norm_grad_bf(n, (const bf16 *)x, (const float *)dout, m, v, carried, (bf16 *)dx, dgain, dbias,
                 b, e);
  else if (n.out_bf16)
    norm_grad_fb(n, (const float *)x, (const bf16 *)dout, m, v, carried, (float *)dx, dgain, dbias,
                 b, e);
  else
    norm_grad_ff(n, (const float *)x, (const float *)dout, m, v, carried, (float *)dx, dgain,
                 dbias, b, e);
}

void scale_backward(int64_t width, const float *dsum, const void *delta, bool is_bf16,
                    const float *scale, void *ddelta, float *dscale, int64_t b, int64_t e) {
  if (is_bf16)
    scale_grad_bf16(width, dsum, (const bf16 *)delta, scale, (bf16 *)ddelta, dscale, b, e);
  else
    scale_grad_f32(width, dsum, (const float *)delta, scale, (float *)ddelta, dscale, b, e);
}

} // namespace prefab::rows
