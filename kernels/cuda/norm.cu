// RMS norm and layer norm, alone or behind a residual sum: a block a row; the sums over rows of
// the gradients of gain, bias and scale a thread a column, over blocks of rows in order.
#include "grid.cuh"

namespace prefab::PREFAB_SPACE {

using rows::Norm;

template <class I, class O>
ON_CARD void normalize(const Norm &n, const I *x, O *out, float *mean, float *inverse) {
  float m = 0;
  if (n.centered) {
    for (EACH_OF_BLOCK(i, n.width))
      m += load(x, i);
    m = block_sum(m) / n.width;
    if (thread() == 0)
      *mean = m;
  }
  float variance = 0;
  for (EACH_OF_BLOCK(i, n.width)) {
    const float c = load(x, i) - m;
    variance += c * c;
  }
  const float r = 1.0f / sqrtf(block_sum(variance) / n.width + n.epsilon);
  if (thread() == 0)
    *inverse = r;
  for (EACH_OF_BLOCK(i, n.width))
    store(out, i, (load(x, i) - m) * r * n.gain[i] + (n.bias ? n.bias[i] : 0.0f));
}

template <class I, class O>
ON_GRID forward(Norm n, const I *x, O *out, float *mean, float *inverse) {
  const int64_t row = block(), at = row * n.width;
  normalize(n, x + at, out + at, mean + row, inverse + row);
}

template <class D, class O>
ON_GRID add_forward(Norm n, const float *x, const D *delta, const float *scale, float *sum, O *out,
                    float *mean, float *inverse) {
  const int64_t row = block(), at = row * n.width;
  // A thread reads back only what it wrote: no barrier.
  for (EACH_OF_BLOCK(i, n.width))
    sum[at + i] = x[at + i] + (scale ? scale[i] : 1.0f) * load(delta + at, i);
  normalize(n, sum + at, out + at, mean + row, inverse + row);
}

template <class I, class O>
ON_GRID backward(Norm n, const I *x, const O *dout, const float *mean, const float *inverse,
                 const float *carried, I *dx) {
  const int64_t row = block(), at = row * n.width;
  const float m = n.centered ? mean[row] : 0.0f, v = inverse[row];
  float along = 0, total = 0; // sums of g·x̂ and of g, where g = dout·gain
  for (EACH_OF_BLOCK(i, n.width)) {
    const float g = load(dout + at, i) * n.gain[i];
    along += g * (load(x + at, i) - m) * v;
    total += g;
  }
  along = block_sum(along) / n.width;
  total = block_sum(total);
  total = n.centered ? total / n.width : 0.0f;
  for (EACH_OF_BLOCK(i, n.width)) {
    const float h = (load(x + at, i) - m) * v;
    const float d = v * (load(dout + at, i) * n.gain[i] - total - h * along);
    store(dx + at, i, carried ? carried[at + i] + d : d);
  }
}

/// The column of this thread and the rows of this block, of a grid of columns × blocks of rows.
struct Strip {
  int64_t part, column, begin, end;
};

ON_CARD Strip strip(int64_t width, int64_t rows_of_block, int64_t tokens) {
  const int64_t across = (width + kThreads - 1) / kThreads;
  const int64_t part = block() / across, begin = part * rows_of_block;
  const int64_t end = begin + rows_of_block < tokens ? begin + rows_of_block : tokens;
  return {part, block() % across * kThreads + thread(), begin, end};
}

template <class I, class O>
ON_GRID gain_gradient(Norm n, const I *x, const O *dout, const float *mean, const float *inverse,
                      float *dgain, float *dbias, int64_t rows_of_block, int64_t tokens) {
  const auto s = strip(n.width, rows_of_block, tokens);
  if (s.column >= n.width)
    return;
  float gain = 0, bias = 0;
  for (int64_t row = s.begin; row < s.end; ++row) {
    const float m = n.centered ? mean[row] : 0.0f;
    const float d = load(dout + row * n.width, s.column);
    gain += d * (load(x + row * n.width, s.column) - m) * inverse[row];
    bias += d;
  }
  dgain[s.part * n.width + s.column] = gain;
  if (dbias)
    dbias[s.part * n.width + s.column] = bias;
}

template <class D>
ON_GRID scale_gradient(int64_t width, const float *dsum, const D *delta, const float *scale,
                       D *ddelta, float *dscale, int64_t rows_of_block, int64_t tokens) {
  const auto s = strip(width, rows_of_block, tokens);
  if (s.column >= width)
    return;
  float total = 0;
  for (int64_t row = s.begin; row < s.end; ++row) {
    const int64_t at = row * width;
    const float d = dsum[at + s.column];
    if (scale)
      total += d * load(delta + at, s.column);
    store(ddelta + at, s.column, scale ? d * scale[s.column] : d);
  }
  if (scale)
    dscale[s.part * width + s.column] = total;
}

static int64_t strips(int64_t width, int64_t rows_of_block, int64_t tokens) {
  return covering(width) * ((tokens + rows_of_block - 1) / rows_of_block);
}

void norm_forward(const Norm &n, const void *x, void *out, float *mean, float *inverse,
                  int64_t tokens, void *stream) {
  with_type(n.in_bf16, [&](auto in) {
    with_type(n.out_bf16, [&](auto to) {
      using I = decltype(in);
      using O = decltype(to);
      launch(forward<I, O>, tokens, stream, n, (const I *)x, (O *)out, mean, inverse);
    });
  });
}

void add_norm_forward(const Norm &n, const float *x, const void *delta, bool delta_bf16,
                      const float *scale, float *sum, void *out, float *mean, float *inverse,
                      int64_t tokens, void *stream) {
  with_type(delta_bf16, [&](auto in) {
    with_type(n.out_bf16, [&](auto to) {
      using D = decltype(in);
      using O = decltype(to);
      launch(add_forward<D, O>, tokens, stream, n, x, (const D *)delta, scale, sum, (O *)out, mean,
             inverse);
    });
  });
}

void norm_backward(const Norm &n, const void *x, const void *dout, const float *mean,
                   const float *inverse, const float *carried, void *dx, float *dgain,
                   float *dbias, int64_t rows_of_block, int64_t tokens, void *stream) {
  with_type(n.in_bf16, [&](auto in) {
    with_type(n.out_bf16, [&](auto to) {
      using I = decltype(in);
      using O = decltype(to);
      launch(backward<I, O>, tokens, stream, n, (const I *)x, (const O *)dout, mean, inverse,
             carried, (I *)dx);
      launch(gain_gradient<I, O>, strips(n.width, rows_of_block, tokens), stream, n, (const I *)x,
             (const O *)dout, mean, inverse, dgain, dbias, rows_of_block, tokens);
    });
  });
}

void scale_backward(int64_t width, const float *dsum, const void *delta, bool is_bf16,
                    const float *scale, void *ddelta, float *dscale, int64_t rows_of_block,
                    int64_t tokens, void *stream) {
  with_type(is_bf16, [&](auto in) {
    using D = decltype(in);
    launch(scale_gradient<D>, strips(width, rows_of_block, tokens), stream, width, dsum,
           (const D *)delta, scale, (D *)ddelta, dscale, rows_of_block, tokens);
  });
}

} // namespace prefab::PREFAB_SPACE
