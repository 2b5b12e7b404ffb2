// PREFAB_BODY once for each instruction set, and which of them this processor has.
// Included once by a file that is made so.
#pragma once

#include "number.h"

#include <algorithm>
#include <cmath>

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512")
namespace prefab::rows::wide {
constexpr int kLanes = 16, kTall = 6;
#include "blocks_body.h"
#include PREFAB_BODY
} // namespace prefab::rows::wide
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
namespace prefab::rows::middle {
constexpr int kLanes = 8, kTall = 3;
#include "blocks_body.h"
#include PREFAB_BODY
} // namespace prefab::rows::middle
#pragma GCC pop_options

namespace prefab::rows::narrow {
constexpr int kLanes = 4, kTall = 2;
#include "blocks_body.h"
#include PREFAB_BODY
} // namespace prefab::rows::narrow

namespace prefab::rows {

/// 2: AVX-512, 1: AVX2, 0: neither.
static int level() {
  static const bool has_wide =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  static const bool has_middle = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has_wide ? 2 : has_middle ? 1 : 0;
}

} // namespace prefab::rows
