// What every kernel's C face shares: tensors cross as pointers to at::Tensor,
// exceptions as a return code and a message for this thread.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <c10/util/BFloat16.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#define PREFAB_API extern "C" __attribute__((visibility("default")))

namespace prefab {

/// The message of the last failure on this thread.
std::string &last_error();

/// Runs `body`; an exception becomes 1 and a message.
template <class F> int guarded(F &&body) noexcept {
  try {
    body();
    return 0;
  } catch (const c10::Error &error) {
    last_error() = error.what_without_backtrace();
  } catch (const std::exception &error) {
    last_error() = error.what();
  } catch (...) {
    last_error() = "unknown C++ exception";
  }
  return 1;
}

/// A tensor that the Rust side takes over.
inline at::Tensor *give(at::Tensor tensor) { return new at::Tensor(std::move(tensor)); }

/// Rows of a block: partial sums are taken over blocks of this many rows in
/// order, so that a result never depends on the number of threads.
constexpr int64_t kBlock = 128;

inline int64_t blocks(int64_t rows) { return (rows + kBlock - 1) / kBlock; }

/// `body(block, begin, end)` for each block of rows, in parallel.
template <class F> void for_blocks(int64_t rows, F &&body) {
  at::parallel_for(0, blocks(rows), 1, [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) {
      body(b, b * kBlock, std::min(rows, (b + 1) * kBlock));
    }
  });
}

/// `run(i, scratch)` for each of `count` tasks, taken by whichever thread is free; `floats(i)`
/// says how much scratch a task needs.
template <class Floats, class Run> void each_task(int64_t count, Floats &&floats, Run &&run) {
  std::atomic<int64_t> next{0};
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) {
    std::vector<float> scratch;
    for (int64_t i; (i = next.fetch_add(1)) < count;) {
      const int64_t wanted = floats(i);
      if (static_cast<int64_t>(scratch.size()) < wanted)
        scratch.resize(wanted);
      run(i, scratch.data());
    }
  });
}

/// Whether a tensor is bf16; anything but f32 and bf16 is refused.
inline bool is_bf16(const at::Tensor &tensor, const char *name) {
  const auto kind = tensor.scalar_type();
  TORCH_CHECK(kind == at::kFloat || kind == at::kBFloat16, "`", name, "` is ", kind,
              ", but the kernel takes float and bfloat16");
  return kind == at::kBFloat16;
}

} // namespace prefab
