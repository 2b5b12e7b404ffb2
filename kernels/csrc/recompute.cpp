// A function whose inner results are thrown away after the forward pass and computed
// again in the backward pass (gradient checkpointing), as an autograd function. What it
// is made of lies on the Rust side, behind a function pointer.
//
// Keeps the input alone: of a decoder layer 1/20 of what its backward pass needs. Costs
// one more forward pass, a third of a training step.
#include "shim.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

namespace prefab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

/// Writes a new tensor to `out`; not 0 if it failed.
using Call = int (*)(void *body, const at::Tensor *x, at::Tensor **out);
using Drop = void (*)(void *body);

/// The function, owned by the graph.
struct Body : torch::CustomClassHolder {
  void *body;
  Call call;
  Drop drop;
  Body(void *body, Call call, Drop drop) : body(body), call(call), drop(drop) {}
  ~Body() override { drop(body); }

  at::Tensor operator()(const at::Tensor &x) const {
    at::Tensor *out = nullptr;
    TORCH_CHECK(call(body, &x, &out) == 0, "a layer failed");
    at::Tensor owned = std::move(*out);
    delete out;
    return owned;
  }
};

struct RecomputeFn : torch::autograd::Function<RecomputeFn> {
  /// `anchor` is an empty tensor that wants a gradient: without it a layer whose input
  /// wants none would not be part of the graph, although its weights are.
  static Variable forward(AutogradContext *ctx, Variable x, Variable,
                          c10::intrusive_ptr<Body> body) {
    ctx->save_for_backward({x});
    ctx->saved_data["wants"] = x.requires_grad();
    ctx->saved_data["body"] = c10::IValue::make_capsule(body);
    return (*body)(x);
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const bool wants = ctx->saved_data["wants"].toBool();
    auto x = ctx->get_saved_variables()[0].detach();
    x.requires_grad_(wants);
    const auto capsule = ctx->saved_data["body"].toCapsule();
    const auto &body = static_cast<const Body &>(*capsule);
    {
      at::AutoGradMode with_grad(true);
      const auto y = body(x);
      if (y.requires_grad())
        torch::autograd::backward({y}, {grads[0]});
    }
    return {wants ? x.grad() : Variable(), {}, {}};
  }
};

} // namespace
} // namespace prefab

/// Takes `body` over: `drop` is called with it once, also on failure.
PREFAB_API int prefab_recompute(at::Tensor **out, const at::Tensor *x, void *body,
                                prefab::Call call, prefab::Drop drop) {
  auto holder = c10::make_intrusive<prefab::Body>(body, call, drop);
  return prefab::guarded([&] {
    if (!at::GradMode::is_enabled()) {
      *out = prefab::give((*holder)(*x));
      return;
    }
    auto anchor = at::empty({0}, x->options().dtype(at::kFloat)).requires_grad_(true);
    *out = prefab::give(prefab::RecomputeFn::apply(*x, anchor, holder));
  });
}
