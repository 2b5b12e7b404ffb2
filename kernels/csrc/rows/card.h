// The row loops for a card, as rows.h has them for the processor: whole tensors at a time, on a
// stream. Their sources are cuda/*.cu; no libtorch here either.
#pragma once

#include "rows.h"

namespace prefab {

/// In the order of cuda/table.cu.
struct Card {
  void (*norm_forward)(const rows::Norm &, const void *x, void *out, float *mean, float *inverse,
                       int64_t tokens, void *stream);
  void (*add_norm_forward)(const rows::Norm &, const float *x, const void *delta, bool delta_bf16,
                           const float *scale, float *sum, void *out, float *mean, float *inverse,
                           int64_t tokens, void *stream);
  /// dgain and dbias are [blocks, width]: sums of `block` rows each.
  void (*norm_backward)(const rows::Norm &, const void *x, const void *dout, const float *mean,
                        const float *inverse, const float *carried, void *dx, float *dgain,
                        float *dbias, int64_t block, int64_t tokens, void *stream);
  void (*scale_backward)(int64_t width, const float *dsum, const void *delta, bool bf16,
                         const float *scale, void *ddelta, float *dscale, int64_t block,
                         int64_t tokens, void *stream);
  void (*swiglu_forward)(int64_t width, bool bf16, const void *x, void *out, int64_t tokens,
                         void *stream);
  void (*swiglu_backward)(int64_t width, bool bf16, const void *x, const void *dout, void *dx,
                          int64_t tokens, void *stream);
  void (*rope)(const rows::Rope &, const void *x, int64_t token_stride, void *out, int64_t tokens,
               void *stream);
  void (*logp_tile)(const void *logits, bool bf16, int64_t width, int64_t offset,
                    const int64_t *targets, float *maximum, float *sum, float *target,
                    int64_t tokens, void *stream);
  void (*logp_tile_backward)(void *logits, bool bf16, int64_t width, int64_t offset,
                             const int64_t *targets, const float *normalizer, const float *dlogp,
                             int64_t tokens, void *stream);
};

/// Compiled by nvcc, with the cargo feature `cuda` only.
namespace card {
extern const Card kernels;
}
/// The same sources on the processor, a thread a block: for tests.
namespace emulated {
extern const Card kernels;
}

} // namespace prefab
