// SwiGLU: silu(gate) · up as one pass, its gradient as one pass.
//
// Shapes: gate, up, out [tokens, width]; gate and up may be two halves of one
// [tokens, 2 · width] tensor (rows with a stride).
#include "shim.h"

#include "rows/rows.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

namespace prefab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

at::Tensor rows_of(const at::Tensor &t) { return t.stride(1) == 1 ? t : t.contiguous(); }

struct SwigluFn : torch::autograd::Function<SwigluFn> {
  static Variable forward(AutogradContext *ctx, Variable gate, Variable up) {
    TORCH_CHECK(gate.dim() == 2 && gate.sizes() == up.sizes() &&
                    gate.scalar_type() == up.scalar_type(),
                "swiglu of ", gate.sizes(), " and ", up.sizes());
    gate = rows_of(gate);
    up = rows_of(up);
    const bool bf16 = is_bf16(gate, "gate");
    const auto tokens = gate.size(0), width = gate.size(1);
    auto out = at::empty({tokens, width}, gate.options());
    const void *g = gate.const_data_ptr(), *u = up.const_data_ptr();
    void *o = out.mutable_data_ptr();
    const auto gs = gate.stride(0), us = up.stride(0);
    for_blocks(tokens, [&](int64_t, int64_t begin, int64_t end) {
      rows::swiglu_forward(width, bf16, g, gs, u, us, o, begin, end);
    });
    ctx->save_for_backward({gate, up});
    return out;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &gate = saved[0], &up = saved[1];
    const auto dout = rows_of(grads[0]);
    const auto tokens = gate.size(0), width = gate.size(1);
    auto dgate = at::empty({tokens, width}, gate.options());
    auto dup = at::empty({tokens, width}, gate.options());
    const bool bf16 = gate.scalar_type() == at::kBFloat16;
    const void *g = gate.const_data_ptr(), *u = up.const_data_ptr(), *d = dout.const_data_ptr();
    void *dg = dgate.mutable_data_ptr(), *du = dup.mutable_data_ptr();
    const auto gs = gate.stride(0), us = up.stride(0), ds = dout.stride(0);
    for_blocks(tokens, [&](int64_t, int64_t begin, int64_t end) {
      rows::swiglu_backward(width, bf16, g, gs, u, us, d, ds, dg, du, begin, end);
    });
    return {dgate, dup};
  }
};

} // namespace
} // namespace prefab

PREFAB_API int prefab_swiglu(at::Tensor **out, const at::Tensor *gate, const at::Tensor *up) {
  return prefab::guarded([&] { *out = prefab::give(prefab::SwigluFn::apply(*gate, *up)); });
}
