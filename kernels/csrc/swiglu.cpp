// SwiGLU: silu(gate) · up as one pass, its gradient as one pass.
//
// Against plain tch (two Zen 5 cores, 5,632 × 2,048, forward and backward): 2.2 times
// as fast in bf16, 1.7 in f32.
//
// Shapes: gate_up [tokens, 2 · width], a row's gate before its up; out [tokens, width].
#include "card.h"
#include "shim.h"

#include "rows/rows.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

namespace prefab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

struct SwigluFn : torch::autograd::Function<SwigluFn> {
  static Variable forward(AutogradContext *ctx, Variable x) {
    TORCH_CHECK(x.dim() == 2 && x.size(1) % 2 == 0, "swiglu of ", x.sizes());
    x = x.contiguous();
    const bool bf16 = is_bf16(x, "gate_up");
    const auto tokens = x.size(0), width = x.size(1) / 2;
    auto out = at::empty({tokens, width}, x.options());
    const void *from = x.const_data_ptr();
    void *to = out.mutable_data_ptr();
    if (const OnCard card(x); card)
      card->swiglu_forward(width, bf16, from, to, tokens, card.stream());
    else
      for_blocks(tokens, [&](int64_t, int64_t begin, int64_t end) {
        rows::swiglu_forward(width, bf16, from, to, begin, end);
      });
    ctx->save_for_backward({x});
    return out;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto x = ctx->get_saved_variables()[0];
    const auto dout = grads[0].contiguous();
    auto dx = at::empty_like(x);
    const bool bf16 = x.scalar_type() == at::kBFloat16;
    const void *from = x.const_data_ptr(), *d = dout.const_data_ptr();
    void *to = dx.mutable_data_ptr();
    const auto tokens = x.size(0), width = x.size(1) / 2;
    if (const OnCard card(x); card)
      card->swiglu_backward(width, bf16, from, d, to, tokens, card.stream());
    else
      for_blocks(tokens, [&](int64_t, int64_t begin, int64_t end) {
        rows::swiglu_backward(width, bf16, from, d, to, begin, end);
      });
    return {dx};
  }
};

} // namespace
} // namespace prefab

PREFAB_API int prefab_swiglu(at::Tensor **out, const at::Tensor *gate_up) {
  return prefab::guarded([&] { *out = prefab::give(prefab::SwigluFn::apply(*gate_up)); });
}
