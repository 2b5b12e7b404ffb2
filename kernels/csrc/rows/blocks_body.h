// Products of small blocks in registers, for `kLanes` floats a vector and register tiles
// of `kTall` rows by four vectors: what attention_body.h and decode_body.h have in common.
// Included inside a namespace; no include guard.

typedef float vec __attribute__((vector_size(4 * kLanes), aligned(4)));
typedef uint16_t halves __attribute__((vector_size(2 * kLanes), aligned(2)));
typedef uint32_t words __attribute__((vector_size(4 * kLanes)));

static inline __attribute__((always_inline)) vec widened(const float *p) { return *(const vec *)p; }
static inline __attribute__((always_inline)) vec widened(const bf16 *p) {
  return (vec)(__builtin_convertvector(*(const halves *)p, words) << 16);
}

/// Segments and widths are padded to this many rows or columns, whatever the vectors.
constexpr int64_t kPad = 16;
/// Query rows a block.
constexpr int64_t kRows = 48;

static inline int64_t padded(int64_t n) { return (n + kPad - 1) / kPad * kPad; }

/// C[m, n] (+)= Σ_k A(m, k) · B[k, n] on a tile of `M` rows and `N` vectors.
template <int M, int N, class T>
static inline __attribute__((always_inline)) void
tile(int64_t depth, const float *a, int64_t a_row, int64_t a_col, const T *b, int64_t b_row,
     float *c, int64_t c_row, bool add) {
  vec sum[M][N];
  for (int m = 0; m < M; ++m)
    for (int n = 0; n < N; ++n)
      sum[m][n] = add ? *(const vec *)(c + m * c_row + n * kLanes) : vec{};
  for (int64_t k = 0; k < depth; ++k) {
    vec right[N];
    for (int n = 0; n < N; ++n)
      right[n] = widened(b + k * b_row + n * kLanes);
    for (int m = 0; m < M; ++m) {
      const float left = a[m * a_row + k * a_col];
      for (int n = 0; n < N; ++n)
        sum[m][n] += left * right[n];
    }
  }
  for (int m = 0; m < M; ++m)
    for (int n = 0; n < N; ++n)
      *(vec *)(c + m * c_row + n * kLanes) = sum[m][n];
}

template <int M, class T>
static void strip(int64_t columns, int64_t depth, const float *a, int64_t a_row, int64_t a_col,
                  const T *b, int64_t b_row, float *c, int64_t c_row, bool add) {
  int64_t n = 0;
  for (; n + 4 * kLanes <= columns; n += 4 * kLanes)
    tile<M, 4>(depth, a, a_row, a_col, b + n, b_row, c + n, c_row, add);
  for (; n + 2 * kLanes <= columns; n += 2 * kLanes)
    tile<M, 2>(depth, a, a_row, a_col, b + n, b_row, c + n, c_row, add);
  for (; n < columns; n += kLanes)
    tile<M, 1>(depth, a, a_row, a_col, b + n, b_row, c + n, c_row, add);
}

/// C[rows, columns] (+)= A · B; `columns` is a multiple of kPad.
template <class T>
static void product(int64_t rows, int64_t columns, int64_t depth, const float *a, int64_t a_row,
                    int64_t a_col, const T *b, int64_t b_row, float *c, int64_t c_row,
                    bool add) {
  int64_t m = 0;
  for (; m + kTall <= rows; m += kTall)
    strip<kTall>(columns, depth, a + m * a_row, a_row, a_col, b, b_row, c + m * c_row, c_row, add);
  a += m * a_row;
  c += m * c_row;
  switch (rows - m) {
  case 5: return strip<5>(columns, depth, a, a_row, a_col, b, b_row, c, c_row, add);
  case 4: return strip<4>(columns, depth, a, a_row, a_col, b, b_row, c, c_row, add);
  case 3: return strip<3>(columns, depth, a, a_row, a_col, b, b_row, c, c_row, add);
  case 2: return strip<2>(columns, depth, a, a_row, a_col, b, b_row, c, c_row, add);
  case 1: return strip<1>(columns, depth, a, a_row, a_col, b, b_row, c, c_row, add);
  default: return;
  }
}
