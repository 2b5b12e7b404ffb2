// GELU with the error function: x · Φ(x) as one pass, its gradient as one pass.
//
// Against libtorch's own (two Zen 5 cores, 5,632 × 1,024, forward and backward): 1.1
// times as fast in bf16, 1.8 in f32.
//
// Shapes: any, contiguous.
#include "shim.h"

#include "rows/rows.h"

#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

namespace prefab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 16384;

struct GeluFn : torch::autograd::Function<GeluFn> {
  static Variable forward(AutogradContext *ctx, Variable x) {
    x = x.contiguous();
    const bool bf16 = is_bf16(x, "x");
    auto out = at::empty_like(x);
    const auto size = x.element_size();
    const auto *from = static_cast<const char *>(x.const_data_ptr());
    auto *to = static_cast<char *>(out.mutable_data_ptr());
    at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
      rows::gelu_forward(bf16, from + begin * size, to + begin * size, end - begin);
    });
    ctx->save_for_backward({x});
    return out;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto x = ctx->get_saved_variables()[0];
    const auto dout = grads[0].contiguous();
    const bool bf16 = x.scalar_type() == at::kBFloat16;
    auto dx = at::empty_like(x);
    const auto size = x.element_size();
    const auto *from = static_cast<const char *>(x.const_data_ptr());
    const auto *d = static_cast<const char *>(dout.const_data_ptr());
    auto *to = static_cast<char *>(dx.mutable_data_ptr());
    at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
      rows::gelu_backward(bf16, from + begin * size, d + begin * size, to + begin * size,
                          end - begin);
    });
    return {dx};
  }
};

} // namespace
} // namespace prefab

PREFAB_API int prefab_gelu(at::Tensor **out, const at::Tensor *x) {
  return prefab::guarded([&] { *out = prefab::give(prefab::GeluFn::apply(*x)); });
}
