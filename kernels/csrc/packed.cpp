// x · Wᵀ + bias where W was packed once and is used often, by few rows at a time: no
// gradient.
//
// Shapes: x [rows, in]; panels [⌈out / 64⌉, in, 64], W's rows as columns, zeros behind the
// last; bias [out] or null; y [rows, out]; all f32.
#include "shim.h"

#include "rows/packed.h"

#include <ATen/ops/empty.h>

namespace prefab {
namespace {

at::Tensor packed(const at::Tensor &x, const at::Tensor &panels, const at::Tensor *bias,
                  int64_t out) {
  const auto rows = x.size(0), in = x.size(1), count = panels.size(0);
  TORCH_CHECK(panels.sizes() == at::IntArrayRef({count, in, rows::kPanel}) &&
                  (out + rows::kPanel - 1) / rows::kPanel == count,
              "panels of ", panels.sizes(), " for ", in, " inputs and ", out, " outputs");
  TORCH_CHECK(!bias || bias->numel() == out, "a bias of ", bias->sizes());
  for (const at::Tensor *tensor : {&x, &panels, bias})
    TORCH_CHECK(!tensor || tensor->is_contiguous() && tensor->scalar_type() == at::kFloat,
                "a packed product takes f32 without gaps");
  auto y = at::empty({rows, out}, x.options());
  const rows::PackedProduct a{x.const_data_ptr<float>(), panels.const_data_ptr<float>(),
                              bias ? bias->const_data_ptr<float>() : nullptr, in, out,
                              y.mutable_data_ptr<float>()};
  each_task(
      count * blocks(rows), [](int64_t) { return kBlock * rows::kPanel; },
      [&](int64_t i, float *scratch) {
        const int64_t begin = i % blocks(rows) * kBlock;
        rows::packed_product(a, i / blocks(rows), begin, std::min(rows, begin + kBlock), scratch);
      });
  return y;
}

} // namespace
} // namespace prefab

PREFAB_API int prefab_packed(at::Tensor **y, const at::Tensor *x, const at::Tensor *panels,
                             const at::Tensor *bias, int64_t out) {
  return prefab::guarded([&] { *y = prefab::give(prefab::packed(*x, *panels, bias, out)); });
}
