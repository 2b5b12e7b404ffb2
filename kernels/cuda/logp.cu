// Softmax of one tile of logits: a block a token, its logits read once.
#include "grid.cuh"

namespace prefab::PREFAB_SPACE {

template <class T>
ON_GRID forward(const T *logits, int64_t width, int64_t offset, const int64_t *targets,
                float *maximum, float *sum, float *target) {
  const int64_t token = block();
  const T *row = logits + token * width;
  // Each thread's own maximum and sum of exponentials, joined once at the end.
  float m = -1e30f, s = 0;
  for (EACH_OF_BLOCK(i, width)) {
    const float l = load(row, i);
    if (l > m) {
      s *= expf(m - l);
      m = l;
    }
    s += expf(l - m);
  }
  // expf of a number that is none stays none: a broken logit is seen in the result.
  const float before = maximum[token];
  float above = block_maximum(m);
  above = above > before ? above : before;
  s = block_sum(s * expf(m - above));
  if (thread() != 0)
    return;
  maximum[token] = above;
  sum[token] = sum[token] * expf(before - above) + s;
  const int64_t column = targets[token] - offset;
  if (column >= 0 && column < width)
    target[token] = load(row, column);
}

template <class T>
ON_GRID backward(T *logits, int64_t width, int64_t offset, const int64_t *targets,
                 const float *normalizer, const float *dlogp) {
  const int64_t token = block();
  const int64_t column = targets[token] - offset;
  const float z = normalizer[token], d = dlogp[token];
  for (EACH_OF_BLOCK(i, width)) {
    const float p = expf(load(logits + token * width, i) - z);
    store(logits + token * width, i, ((i == column ? 1.0f : 0.0f) - p) * d);
  }
}

void logp_tile(const void *logits, bool is_bf16, int64_t width, int64_t offset,
               const int64_t *targets, float *maximum, float *sum, float *target, int64_t tokens,
               void *stream) {
  with_type(is_bf16, [&](auto number) {
    using T = decltype(number);
    launch(forward<T>, tokens, stream, (const T *)logits, width, offset, targets, maximum, sum,
           target);
  });
}

void logp_tile_backward(void *logits, bool is_bf16, int64_t width, int64_t offset,
                        const int64_t *targets, const float *normalizer, const float *dlogp,
                        int64_t tokens, void *stream) {
  with_type(is_bf16, [&](auto number) {
    using T = decltype(number);
    launch(backward<T>, tokens, stream, (T *)logits, width, offset, targets, normalizer, dlogp);
  });
}

} // namespace prefab::PREFAB_SPACE
