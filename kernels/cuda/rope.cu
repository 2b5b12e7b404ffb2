// Rotary positions: a thread a pair of numbers.
#include "grid.cuh"

namespace prefab::PREFAB_SPACE {

template <class T>
ON_GRID turn(rows::Rope r, const T *x, int64_t token_stride, T *out, int64_t pairs) {
  const int64_t at = block() * kThreads + thread();
  if (at >= pairs)
    return;
  const int64_t half = r.dim / 2, i = at % half, head = at / half % r.heads;
  const int64_t token = at / half / r.heads;
  const float c = r.cosine[token * half + i], s = r.sine[token * half + i] * r.direction;
  const T *from = x + token * token_stride + head * r.dim;
  const float a = load(from, i), b = load(from, half + i);
  T *to = out + (token * r.heads + head) * r.dim;
  store(to, i, a * c - b * s);
  store(to, half + i, b * c + a * s);
}

void rope(const rows::Rope &r, const void *x, int64_t token_stride, void *out, int64_t tokens,
          void *stream) {
  const int64_t pairs = tokens * r.heads * (r.dim / 2);
  with_type(r.bf16, [&](auto number) {
    using T = decltype(number);
    launch(turn<T>, covering(pairs), stream, r, (const T *)x, token_stride, (T *)out, pairs);
  });
}

} // namespace prefab::PREFAB_SPACE
