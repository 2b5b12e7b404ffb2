// The body of decode.cpp. Included inside a namespace; no include guard.

/// Rows a block: about kRows queries.
static int64_t block(const Decode &a) { return std::max<int64_t>(1, kRows / a.columns.each); }

/// Scores of a query: the prompt's, then its own.
static int64_t reach(const Decode &a, const Share &share) {
  return padded(share.length) + padded(a.written + 1);
}

static int64_t scratch(const Decode &a, const Share &share) {
  const int64_t queries = std::min(share.rows, block(a)) * a.columns.each;
  return queries * (2 * a.dim + reach(a, share) + 1);
}

/// One head of one token, rotated: x · factor.
template <class From, class To>
static inline void turn(const Decode &a, int64_t token, const From *x, float factor, To *to) {
  const int64_t half = a.dim / 2;
  const float *cosine = a.cosine + token * half, *sine = a.sine + token * half;
#pragma omp simd
  for (int64_t i = 0; i < half; ++i) {
    const float p = load(x, i) * factor, q = load(x, half + i) * factor;
    store(to, i, p * cosine[i] - q * sine[i]);
    store(to, half + i, q * cosine[i] + p * sine[i]);
  }
}

typedef int32_t lanes __attribute__((vector_size(4 * kLanes)));

/// Lanes of two vectors in segments of 2 · half: the first halves of each, or the second.
template <int Half> static inline __attribute__((always_inline)) vec fold(vec a, vec b) {
  lanes first, second;
  for (int l = 0; l < kLanes; ++l) {
    const int at = l / (2 * Half) * (2 * Half) + l % Half, from = l % (2 * Half) < Half ? 0 : kLanes;
    first[l] = from + at;
    second[l] = from + at + Half;
  }
  return __builtin_shuffle(a, b, first) + __builtin_shuffle(a, b, second);
}

/// Sums of the lanes of `Half · 2` vectors, each in its lane.
template <int Half> static inline __attribute__((always_inline)) vec sums_of(vec *v) {
  for (int i = 0; i < Half; ++i)
    v[i] = fold<Half>(v[i], v[i + Half]);
  if constexpr (Half > 1)
    return sums_of<Half / 2>(v);
  return v[0];
}

/// out[p] = q · k[p] for `positions` keys, rounded up to whole vectors.
template <class T>
static void dots(int64_t positions, int64_t dim, const float *q, const T *k, float *out) {
  for (int64_t p = 0; p < positions; p += kLanes, k += kLanes * dim) {
    vec sum[kLanes];
    for (int l = 0; l < kLanes; ++l)
      sum[l] = widened(q) * widened(k + l * dim);
    for (int64_t d = kLanes; d < dim; d += kLanes) {
      const vec left = widened(q + d);
      for (int l = 0; l < kLanes; ++l)
        sum[l] += left * widened(k + l * dim + d);
    }
    *(vec *)(out + p) = sums_of<kLanes / 2>(sum);
  }
}

/// Scores → exp(score − top), in whole vectors: what stands behind the prompt's `length` and
/// behind `own` counts as −∞. Gives the sum.
static inline float weigh(float *s, int64_t length, int64_t shared, int64_t own, int64_t width) {
  for (int64_t i = length; i < shared; ++i)
    s[i] = -1e30f;
  for (int64_t i = shared + own; i < width; ++i)
    s[i] = -1e30f;
  float top = -1e30f;
  for (int64_t b = 0; b < width; b += kPad)
#pragma omp simd reduction(max : top)
    for (int64_t i = 0; i < kPad; ++i)
      top = s[b + i] > top ? s[b + i] : top;
  float total = 0;
  for (int64_t b = 0; b < width; b += kPad)
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < kPad; ++i) {
      s[b + i] = exp_of(s[b + i] - top);
      total += s[b + i];
    }
  return total;
}

template <class T> static void decode_as(const Decode &a, const Share &share, float *scratch) {
  const int64_t each = a.columns.each, dim = a.dim, heads = a.kv_heads * each;
  const int64_t own = a.written + 1, width = reach(a, share), shared = padded(share.length);
  const int64_t plane = share.prompt * a.kv_heads + share.kv;
  const T *keys = (const T *)a.prompt_keys + plane * dim * a.seq;
  const T *values = (const T *)a.prompt_values + plane * a.seq * dim;
  const int64_t most = std::min(share.rows, block(a));
  float *q = scratch, *o = q + most * each * dim, *s = o + most * each * dim;
  float *sums = s + most * each * width;
  for (int64_t begin = 0; begin < share.rows; begin += most) {
    const int64_t rows = std::min(most, share.rows - begin), queries = rows * each;
    const auto own_plane = [&](int64_t r) {
      return (share.kv * a.rows + share.first + begin + r) * a.room * dim;
    };
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t token = share.first + begin + r;
      const T *from = (const T *)a.qkv + token * a.columns.columns * dim;
      T *key = (T *)a.own_keys + own_plane(r), *value = (T *)a.own_values + own_plane(r);
      for (int64_t i = 0; i < each; ++i)
        turn(a, token, from + a.columns.query(share.kv, i) * dim, a.scale,
             q + (r * each + i) * dim);
      turn(a, token, from + a.columns.key(share.kv) * dim, 1.0f, key + a.written * dim);
      memcpy(value + a.written * dim, from + a.columns.value(share.kv) * dim, dim * sizeof(T));
    }
    product(queries, shared, dim, q, dim, 1, keys, a.seq, s, width, false);
    for (int64_t r = 0; r < rows; ++r) {
      const T *past = (const T *)a.own_keys + own_plane(r);
      for (int64_t i = r * each; i < (r + 1) * each; ++i)
        dots(own, dim, q + i * dim, past, s + i * width + shared);
    }
    for (int64_t i = 0; i < queries; ++i)
      sums[i] = weigh(s + i * width, share.length, shared, own, width);
    product(queries, dim, share.length, s, width, 1, values, dim, o, dim, false);
    for (int64_t r = 0; r < rows; ++r) {
      const T *past = (const T *)a.own_values + own_plane(r);
      product(each, dim, own, s + r * each * width + shared, width, 1, past, dim,
              o + r * each * dim, dim, true);
      T *out = (T *)a.out + ((share.first + begin + r) * heads + share.kv * each) * dim;
      for (int64_t i = 0; i < each; ++i) {
        const float factor = 1.0f / sums[r * each + i];
        const float *from = o + (r * each + i) * dim;
#pragma omp simd
        for (int64_t d = 0; d < dim; ++d)
          store(out, i * dim + d, from[d] * factor);
      }
    }
  }
}

static void decode_any(const Decode &a, const Share &share, float *scratch) {
  a.bf16 ? decode_as<bf16>(a, share, scratch) : decode_as<float>(a, share, scratch);
}
