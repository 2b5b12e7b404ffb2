// The body of packed.cpp. Included inside a namespace; no include guard.

static void packed(const PackedProduct &a, int64_t panel, int64_t begin, int64_t end,
                   float *scratch) {
  const int64_t columns = std::min(kPanel, a.out - panel * kPanel);
  float *y = a.y + begin * a.out + panel * kPanel;
  // Products write whole vectors.
  const bool whole = columns == padded(columns);
  float *to = whole ? y : scratch;
  const int64_t to_row = whole ? a.out : kPanel;
  product(end - begin, padded(columns), a.in, a.x + begin * a.in, a.in, 1,
          a.panels + panel * a.in * kPanel, kPanel, to, to_row, false);
  if (whole && !a.bias)
    return;
  const float *bias = a.bias ? a.bias + panel * kPanel : nullptr;
  for (int64_t r = 0; r < end - begin; ++r)
#pragma omp simd
    for (int64_t c = 0; c < columns; ++c)
      y[r * a.out + c] = to[r * to_row + c] + (bias ? bias[c] : 0.0f);
}
