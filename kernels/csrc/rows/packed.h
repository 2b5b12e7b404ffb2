// Rows times a packed matrix; see packed.cpp.
#pragma once

#include <cstdint>

namespace prefab::rows {

/// Columns of a panel.
constexpr int64_t kPanel = 64;

struct PackedProduct {
  const float *x;      // [rows, in]
  const float *panels; // [⌈out / kPanel⌉, in, kPanel]
  const float *bias;   // [out] or null
  int64_t in, out;
  float *y; // [rows, out]
};

/// Rows `begin` to `end` of one panel's columns; `scratch` holds as many rows of kPanel floats.
void packed_product(const PackedProduct &, int64_t panel, int64_t begin, int64_t end,
                    float *scratch);

} // namespace prefab::rows
