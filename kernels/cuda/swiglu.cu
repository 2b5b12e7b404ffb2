// SwiGLU: a thread a number of the result.
#include "grid.cuh"

namespace prefab::PREFAB_SPACE {

ON_CARD float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

template <class T> ON_GRID forward(int64_t width, const T *x, T *out, int64_t numbers) {
  const int64_t at = block() * kThreads + thread();
  if (at >= numbers)
    return;
  const T *row = x + at / width * 2 * width;
  const float gate = load(row, at % width), up = load(row, width + at % width);
  store(out, at, gate * sigmoid(gate) * up);
}

template <class T>
ON_GRID backward(int64_t width, const T *x, const T *dout, T *dx, int64_t numbers) {
  const int64_t at = block() * kThreads + thread();
  if (at >= numbers)
    return;
  const int64_t first = at / width * 2 * width, column = at % width;
  const float gate = load(x + first, column), up = load(x + first, width + column);
  const float d = load(dout, at), s = sigmoid(gate);
  store(dx + first, column, d * up * s * (1.0f + gate * (1.0f - s)));
  store(dx + first, width + column, d * gate * s);
}

void swiglu_forward(int64_t width, bool is_bf16, const void *x, void *out, int64_t tokens,
                    void *stream) {
  with_type(is_bf16, [&](auto number) {
    using T = decltype(number);
    launch(forward<T>, covering(tokens * width), stream, width, (const T *)x, (T *)out,
           tokens * width);
  });
}

void swiglu_backward(int64_t width, bool is_bf16, const void *x, const void *dout, void *dx,
                     int64_t tokens, void *stream) {
  with_type(is_bf16, [&](auto number) {
    using T = decltype(number);
    launch(backward<T>, covering(tokens * width), stream, width, (const T *)x, (const T *)dout,
           (T *)dx, tokens * width);
  });
}

} // namespace prefab::PREFAB_SPACE
