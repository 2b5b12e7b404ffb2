// Loops over rows of f32 or bf16 numbers, arithmetic in f32. No libtorch here:
// these files are compiled with -ffast-math and once for each instruction set.
//
// Rows begin to end of a block; `bf16` flags say which of the two number types a
// `void *` holds.
#pragma once

#include <cstdint>

namespace prefab::rows {

// -- norm.cpp ------------------------------------------------------------------
struct Norm {
  int64_t width;
  float epsilon;
  bool centered;       // layer norm; else RMS norm
  const float *gain;   // [width]
  const float *bias;   // [width] or null
  bool in_bf16, out_bf16;
};
/// out = norm(x); keeps each row's mean (layer norm only) and 1/deviation.
void norm_forward(const Norm &, const void *x, void *out, float *mean, float *inverse,
                  int64_t begin, int64_t end);
/// sum = x + scale * delta (f32), out = norm(sum).
void add_norm_forward(const Norm &, const float *x, const void *delta, bool delta_bf16,
                      const float *scale, float *sum, void *out, float *mean, float *inverse,
                      int64_t begin, int64_t end);
/// dx = d norm(x) (+ carried); dgain and dbias [width] are added to.
void norm_backward(const Norm &, const void *x, const void *dout, const float *mean,
                   const float *inverse, const float *carried, void *dx, float *dgain,
                   float *dbias, int64_t begin, int64_t end);
/// ddelta = scale * dsum, dscale += sum over rows of dsum * delta.
void scale_backward(int64_t width, const float *dsum, const void *delta, bool bf16,
                    const float *scale, void *ddelta, float *dscale, int64_t begin, int64_t end);

// -- swiglu.cpp ----------------------------------------------------------------
/// out = silu(gate) * up; a row of x is gate, then up, `width` each.
void swiglu_forward(int64_t width, bool bf16, const void *x, void *out, int64_t begin,
                    int64_t end);
void swiglu_backward(int64_t width, bool bf16, const void *x, const void *dout, void *dx,
                     int64_t begin, int64_t end);

// -- gelu.cpp ------------------------------------------------------------------
/// out = x * Phi(x), over `n` numbers.
void gelu_forward(bool bf16, const void *x, void *out, int64_t n);
void gelu_backward(bool bf16, const void *x, const void *dout, void *dx, int64_t n);

// -- rope.cpp ------------------------------------------------------------------
struct Rope {
  int64_t heads, dim;       // dim is even; halves are rotated against each other
  const float *cosine, *sine; // [tokens, dim / 2]
  float direction;          // +1 forward, -1 backward
  bool bf16;
};
void rope(const Rope &, const void *x, int64_t token_stride, void *out, int64_t begin,
          int64_t end);

// -- logp.cpp ------------------------------------------------------------------
/// Running maximum, sum of exp and target's logit over one tile of logits.
void logp_tile(const void *logits, bool bf16, int64_t width, int64_t offset,
               const int64_t *targets, float *maximum, float *sum, float *target, int64_t begin,
               int64_t end);
/// logits <- (onehot - softmax) * dlogp, in place.
void logp_tile_backward(void *logits, bool bf16, int64_t width, int64_t offset,
                        const int64_t *targets, const float *normalizer, const float *dlogp,
                        int64_t begin, int64_t end);

// -- sums.cpp ------------------------------------------------------------------
/// Sum of squares of `n` numbers.
double sum_squares(const void *x, bool bf16, int64_t n);

} // namespace prefab::rows
