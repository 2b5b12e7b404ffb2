// A grid of blocks of threads: on a card, or on the processor with one thread a block.
//
// The second is how a machine without a card tests what these files compute: the same source,
// compiled by the C++ compiler, with a block's threads gone (sums over a block are then sums of
// one number, and barriers nothing). It proves formulas and indices, not the absence of races.
#pragma once

#include "rows/number.h"
#include "rows/rows.h"

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>

#ifdef __CUDACC__
#define ON_GRID static __global__ void
#define ON_CARD static __device__ __forceinline__
#else
#define ON_GRID static void
#define ON_CARD static inline
#endif

/// Over a row's numbers, a block's threads side by side, so that a warp reads whole lines.
#define EACH_OF_BLOCK(i, n) int64_t i = thread(); i < (n); i += kThreads

namespace prefab::PREFAB_SPACE {

using rows::bf16;
using rows::load;
using rows::store;

#ifdef __CUDACC__

constexpr int kThreads = 256;

ON_CARD int64_t block() { return blockIdx.x; }
ON_CARD int64_t thread() { return threadIdx.x; }

/// `join` over the threads of a block, the same bits for each of them and each time.
template <class F> ON_CARD float over_block(float value, F join) {
  __shared__ float warps[kThreads / 32];
  for (int step = 16; step > 0; step /= 2)
    value = join(value, __shfl_xor_sync(~0u, value, step));
  __syncthreads(); // whoever still reads the last call's numbers
  if (threadIdx.x % 32 == 0)
    warps[threadIdx.x / 32] = value;
  __syncthreads();
  value = warps[0];
  for (int warp = 1; warp < kThreads / 32; ++warp)
    value = join(value, warps[warp]);
  return value;
}

template <class... P, class... A>
void launch(void (*kernel)(P...), int64_t blocks, void *stream, A... arguments) {
  if (blocks == 0)
    return;
  kernel<<<static_cast<unsigned>(blocks), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
      arguments...);
  const auto error = cudaGetLastError();
  if (error != cudaSuccess)
    throw std::runtime_error(std::string("a kernel did not start: ") + cudaGetErrorString(error));
}

#else

constexpr int kThreads = 1;

inline thread_local int64_t current_block = 0;
ON_CARD int64_t block() { return current_block; }
ON_CARD int64_t thread() { return 0; }

template <class F> ON_CARD float over_block(float value, F) { return value; }

template <class... P, class... A>
void launch(void (*kernel)(P...), int64_t blocks, void *, A... arguments) {
  for (current_block = 0; current_block < blocks; ++current_block)
    kernel(arguments...);
}

#endif

ON_CARD float block_sum(float value) {
  return over_block(value, [](float a, float b) { return a + b; });
}
ON_CARD float block_maximum(float value) {
  return over_block(value, [](float a, float b) { return a > b ? a : b; });
}

/// Blocks of kThreads that cover `n` numbers.
inline int64_t covering(int64_t n) { return (n + kThreads - 1) / kThreads; }

/// `run(T{})`, where T is the number type.
template <class F> void with_type(bool is_bf16, F &&run) {
  is_bf16 ? run(bf16{}) : run(float{});
}

} // namespace prefab::PREFAB_SPACE
