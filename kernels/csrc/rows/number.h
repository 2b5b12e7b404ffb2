// bf16 beside f32, an exp that vectorizes, and the list of instruction sets.
#pragma once

#include <cstdint>
#include <cstring>

/// One body for each of these; the loader picks by the machine it runs on.
#define PREFAB_CLONES                                                                              \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#ifdef __CUDACC__
#define PREFAB_INLINE static __host__ __device__ __forceinline__
#else
#define PREFAB_INLINE static inline __attribute__((always_inline))
#endif

namespace prefab::rows {

struct bf16 {
  uint16_t bits;
};

PREFAB_INLINE float load(const float *p, int64_t i) { return p[i]; }
PREFAB_INLINE float load(const bf16 *p, int64_t i) {
  const uint32_t bits = static_cast<uint32_t>(p[i].bits) << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

PREFAB_INLINE void store(float *p, int64_t i, float value) { p[i] = value; }
/// Rounds to nearest even, as libtorch does.
PREFAB_INLINE void store(bf16 *p, int64_t i, float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  bits += 0x7fffu + ((bits >> 16) & 1u);
  p[i].bits = static_cast<uint16_t>(bits >> 16);
}

#ifndef __CUDACC__ // a card has its own
/// exp to 2 units in the last place: 2^n times a polynomial of degree 6.
PREFAB_INLINE float exp_of(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  const float n = __builtin_rintf(x * 1.44269504088896341f);
  // ln 2 in two parts, so that the difference stays exact.
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float power;
  memcpy(&power, &bits, 4);
  return p * power;
}

PREFAB_INLINE float sigmoid(float x) { return 1.0f / (1.0f + exp_of(-x)); }
#endif

} // namespace prefab::rows
