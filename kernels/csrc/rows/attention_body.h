// The body of attention.cpp. Included inside a namespace; no include guard.

/// Where a task's pieces lie in its scratch.
struct Measure {
  int64_t rows, width, forward, backward; // rows of all segments, widest scores, floats
};

static Measure measure(const Attention &a, const Task &task) {
  int64_t rows = 0, width = 0;
  for (int64_t s = 0; s < task.count; ++s) {
    const auto own = padded(task.segments[s].length);
    rows += own;
    width = std::max(width, padded(task.segments[s].shared) + own);
  }
  const int64_t dim = padded(a.dim), whole = rows * dim;
  // A vector read past the last transposed row stays inside.
  return {rows, width, 3 * whole + kRows * (width + dim) + kPad,
          9 * whole + 2 * kRows * width + 2 * kRows + kPad};
}

/// Reads or writes one head of the group's rows, with the rotation.
template <class T>
static void gather(const Attention &a, const T *from, int64_t stride, int64_t first, int64_t rows,
                   bool turned, float factor, float *to, int64_t to_row) {
  const int64_t half = a.dim / 2;
  for (int64_t r = 0; r < rows; ++r) {
    const T *row = from + r * stride;
    float *out = to + r * to_row;
    if (turned) {
      const float *cosine = a.cosine + (first + r) * half, *sine = a.sine + (first + r) * half;
#pragma omp simd
      for (int64_t i = 0; i < half; ++i) {
        const float x = load(row, i), y = load(row, half + i);
        out[i] = (x * cosine[i] - y * sine[i]) * factor;
        out[half + i] = (y * cosine[i] + x * sine[i]) * factor;
      }
    } else {
#pragma omp simd
      for (int64_t i = 0; i < a.dim; ++i)
        out[i] = load(row, i) * factor;
    }
    for (int64_t i = a.dim; i < to_row; ++i)
      out[i] = 0;
  }
  const int64_t end = padded(rows);
  for (int64_t r = rows; r < end; ++r)
    for (int64_t i = 0; i < to_row; ++i)
      to[r * to_row + i] = 0;
}

template <class T>
static void scatter(const Attention &a, const float *from, int64_t from_row, int64_t first,
                    int64_t rows, bool turned, float factor, T *to, int64_t stride) {
  const int64_t half = a.dim / 2;
  for (int64_t r = 0; r < rows; ++r) {
    const float *row = from + r * from_row;
    T *out = to + r * stride;
    if (turned) {
      const float *cosine = a.cosine + (first + r) * half, *sine = a.sine + (first + r) * half;
#pragma omp simd
      for (int64_t i = 0; i < half; ++i) {
        const float x = row[i] * factor, y = row[half + i] * factor;
        store(out, i, x * cosine[i] + y * sine[i]);
        store(out, half + i, y * cosine[i] - x * sine[i]);
      }
    } else {
#pragma omp simd
      for (int64_t i = 0; i < a.dim; ++i)
        store(out, i, row[i] * factor);
    }
  }
}

/// [rows, columns] → [columns, rows], both multiples of kPad.
static void transpose(const float *from, int64_t rows, int64_t columns, float *to) {
  for (int64_t r = 0; r < rows; r += kPad)
    for (int64_t c = 0; c < columns; ++c)
#pragma omp simd
      for (int64_t i = 0; i < kPad; ++i)
        to[c * rows + r + i] = from[(r + i) * columns + c];
}

/// One head's rows of all segments, each padded.
template <class T>
static void head_in(const Attention &a, const Task &task, const T *base, int64_t columns,
                    int64_t column, bool turned, float factor, float *to) {
  const int64_t dim = padded(a.dim), stride = columns * a.dim;
  int64_t at = 0;
  for (int64_t s = 0; s < task.count; ++s) {
    const auto &segment = task.segments[s];
    const int64_t first = task.first + segment.start;
    gather(a, base + first * stride + column * a.dim, stride, first, segment.length, turned,
           factor, to + at * dim, dim);
    at += padded(segment.length);
  }
}

template <class T>
static void head_out(const Attention &a, const Task &task, const float *from, bool turned,
                     float factor, T *base, int64_t columns, int64_t column) {
  const int64_t dim = padded(a.dim), stride = columns * a.dim;
  int64_t at = 0;
  for (int64_t s = 0; s < task.count; ++s) {
    const auto &segment = task.segments[s];
    const int64_t first = task.first + segment.start;
    scatter(a, from + at * dim, dim, first, segment.length, turned, factor,
            base + first * stride + column * a.dim, stride);
    at += padded(segment.length);
  }
}

/// Keys that a block of rows looks at: all shared ones, own up to `own`.
struct Reach {
  int64_t shared, shared_padded, own, own_padded;
};

/// Those of rows up to `end` of a segment.
static Reach reach(const Segment &s, int64_t end) {
  const int64_t own = s.causal ? end : s.length;
  return {s.shared, padded(s.shared), own, padded(own)};
}

/// Own keys that row `r` of a segment sees.
static inline int64_t sees(const Segment &s, int64_t r) { return s.causal ? r + 1 : s.length; }

static void scores(const Reach &k, int64_t rows, int64_t dim, const float *q, const float *right,
                   int64_t right_row, int64_t base, float *s, int64_t width) {
  if (k.shared)
    product(rows, k.shared_padded, dim, q, dim, 1, right, right_row, s, width, false);
  product(rows, k.own_padded, dim, q, dim, 1, right + base, right_row, s + k.shared_padded, width,
          false);
}

/// Scores → exp(score − top), zero where nothing is seen; gives top and sum.
static inline void soften(float *s, const Reach &k, int64_t seen, float &top, float &sum) {
  float t = -1e30f;
#pragma omp simd reduction(max : t)
  for (int64_t i = 0; i < k.shared; ++i)
    t = s[i] > t ? s[i] : t;
  float *own = s + k.shared_padded;
#pragma omp simd reduction(max : t)
  for (int64_t i = 0; i < seen; ++i)
    t = own[i] > t ? own[i] : t;
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < k.shared; ++i) {
    s[i] = exp_of(s[i] - t);
    total += s[i];
  }
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < seen; ++i) {
    own[i] = exp_of(own[i] - t);
    total += own[i];
  }
  for (int64_t i = k.shared; i < k.shared_padded; ++i)
    s[i] = 0;
  for (int64_t i = seen; i < k.own_padded; ++i)
    own[i] = 0;
  top = t;
  sum = total;
}

template <class T> static void forward_as(const Attention &a, const Task &task, float *scratch) {
  const auto size = measure(a, task);
  const int64_t dim = padded(a.dim), whole = size.rows * dim;
  const T *qkv = (const T *)a.qkv;
  const bool turned = a.cosine != nullptr;
  float *plain = scratch, *keys = plain + whole, *values = keys + whole;
  float *s = values + whole, *o = s + kRows * size.width;
  const auto &c = a.columns;
  head_in(a, task, qkv, c.columns, c.key(task.kv), turned, 1.0f, plain);
  transpose(plain, size.rows, dim, keys);
  head_in(a, task, qkv, c.columns, c.value(task.kv), false, 1.0f, values);
  for (int64_t i = 0; i < c.each; ++i) {
    const int64_t head = task.kv * c.each + i;
    float *q = plain;
    head_in(a, task, qkv, c.columns, c.query(task.kv, i), turned, a.scale, q);
    int64_t base = 0;
    for (int64_t g = 0; g < task.count; ++g) {
      const auto &segment = task.segments[g];
      for (int64_t begin = 0; begin < segment.length; begin += kRows) {
        const int64_t end = std::min(segment.length, begin + kRows), rows = end - begin;
        const auto k = reach(segment, end);
        scores(k, rows, dim, q + (base + begin) * dim, keys, size.rows, base, s, size.width);
        float sums[kRows];
        for (int64_t r = 0; r < rows; ++r) {
          float top;
          soften(s + r * size.width, k, sees(segment, begin + r), top, sums[r]);
          const int64_t token = task.first + segment.start + begin + r;
          a.normalizer[token * a.heads + head] = top + logf(sums[r]);
        }
        if (k.shared)
          product(rows, dim, k.shared, s, size.width, 1, values, dim, o, dim, false);
        product(rows, dim, k.own, s + k.shared_padded, size.width, 1, values + base * dim, dim, o,
                dim, k.shared != 0);
        for (int64_t r = 0; r < rows; ++r) {
          const int64_t token = task.first + segment.start + begin + r;
          T *out = (T *)a.out + (token * a.heads + head) * a.dim;
          const float factor = 1.0f / sums[r];
#pragma omp simd
          for (int64_t d = 0; d < a.dim; ++d)
            store(out, d, o[r * dim + d] * factor);
        }
      }
      base += padded(segment.length);
    }
  }
}

template <class T> static void backward_as(const Attention &a, const Task &task, float *scratch) {
  const auto size = measure(a, task);
  const int64_t dim = padded(a.dim), whole = size.rows * dim;
  const T *qkv = (const T *)a.qkv;
  T *dqkv = (T *)a.dqkv;
  const bool turned = a.cosine != nullptr;
  float *keys = scratch, *keys_t = keys + whole, *values_t = keys_t + whole;
  float *q = values_t + whole, *out = q + whole, *dout = out + whole;
  float *dq = dout + whole, *dk = dq + whole, *dv = dk + whole;
  float *s = dv + whole, *ds = s + kRows * size.width;
  const auto &c = a.columns;
  head_in(a, task, qkv, c.columns, c.value(task.kv), false, 1.0f, keys);
  transpose(keys, size.rows, dim, values_t);
  head_in(a, task, qkv, c.columns, c.key(task.kv), turned, 1.0f, keys);
  transpose(keys, size.rows, dim, keys_t);
  std::fill(dk, dk + 2 * whole, 0.0f);
  for (int64_t i = 0; i < c.each; ++i) {
    const int64_t head = task.kv * c.each + i;
    head_in(a, task, qkv, c.columns, c.query(task.kv, i), turned, a.scale, q);
    head_in(a, task, (const T *)a.out, a.heads, head, false, 1.0f, out);
    head_in(a, task, (const T *)a.dout, a.heads, head, false, 1.0f, dout);
    int64_t base = 0;
    for (int64_t g = 0; g < task.count; ++g) {
      const auto &segment = task.segments[g];
      for (int64_t begin = 0; begin < segment.length; begin += kRows) {
        const int64_t end = std::min(segment.length, begin + kRows), rows = end - begin;
        const auto k = reach(segment, end);
        const int64_t at = (base + begin) * dim, own = base * dim;
        scores(k, rows, dim, q + at, keys_t, size.rows, base, s, size.width);
        scores(k, rows, dim, dout + at, values_t, size.rows, base, ds, size.width);
        for (int64_t r = 0; r < rows; ++r) {
          const int64_t token = task.first + segment.start + begin + r;
          const float z = a.normalizer[token * a.heads + head];
          float dot = 0;
          const float *x = out + at + r * dim, *y = dout + at + r * dim;
#pragma omp simd reduction(+ : dot)
          for (int64_t d = 0; d < dim; ++d)
            dot += x[d] * y[d];
          float *p = s + r * size.width, *dp = ds + r * size.width;
          const int64_t seen = k.shared_padded + sees(segment, begin + r);
          const int64_t width = k.shared_padded + k.own_padded;
#pragma omp simd
          for (int64_t j = 0; j < seen; ++j) {
            p[j] = exp_of(p[j] - z);
            dp[j] = p[j] * (dp[j] - dot);
          }
          for (int64_t j = k.shared; j < k.shared_padded; ++j)
            p[j] = dp[j] = 0;
          for (int64_t j = seen; j < width; ++j)
            p[j] = dp[j] = 0;
        }
        const int64_t w = size.width, shift = k.shared_padded;
        if (k.shared) {
          product(rows, dim, k.shared, ds, w, 1, keys, dim, dq + at, dim, false);
          product(k.shared, dim, rows, ds, 1, w, q + at, dim, dk, dim, true);
          product(k.shared, dim, rows, s, 1, w, dout + at, dim, dv, dim, true);
        }
        product(rows, dim, k.own, ds + shift, w, 1, keys + own, dim, dq + at, dim, k.shared != 0);
        product(k.own, dim, rows, ds + shift, 1, w, q + at, dim, dk + own, dim, true);
        product(k.own, dim, rows, s + shift, 1, w, dout + at, dim, dv + own, dim, true);
      }
      base += padded(segment.length);
    }
    head_out(a, task, dq, turned, a.scale, dqkv, c.columns, c.query(task.kv, i));
  }
  head_out(a, task, dk, turned, 1.0f, dqkv, c.columns, c.key(task.kv));
  head_out(a, task, dv, false, 1.0f, dqkv, c.columns, c.value(task.kv));
}

static void forward(const Attention &a, const Task &task, float *scratch) {
  a.bf16 ? forward_as<bf16>(a, task, scratch) : forward_as<float>(a, task, scratch);
}

static void backward(const Attention &a, const Task &task, float *scratch) {
  a.bf16 ? backward_as<bf16>(a, task, scratch) : backward_as<float>(a, task, scratch);
}
