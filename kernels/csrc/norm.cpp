// RMS norm and layer norm over rows, alone or behind a residual sum, as autograd
// functions: f32 arithmetic, f32 or bf16 at either end.
//
//   norm      y = (x - mean) · r · gain + bias,  r = 1 / sqrt(var + ε)      (layer)
//             y = x · r · gain,                  r = 1 / sqrt(mean(x²) + ε) (RMS)
//   add_norm  s = x + scale · delta;  y = norm(s);  returns (s, y)
//
// Against plain tch (two Zen 5 cores, 5,632 × 256, forward and backward): RMS norm
// 2.7 times as fast in bf16, 2.2 in f32; layer norm 2.8 and 2.9; behind a residual sum
// 1.9 and 1.5; behind a scaled one 3.0 and 1.9.
//
// Shapes: x, delta, y [tokens, width]; gain, bias, scale [width].
#include "card.h"
#include "shim.h"

#include "rows/rows.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

namespace prefab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;
/// An argument that may be absent: autograd refuses undefined tensors as arguments.
using Maybe = std::optional<at::Tensor>;

at::ScalarType out_kind(bool bf16) { return bf16 ? at::kBFloat16 : at::kFloat; }

const float *floats(const at::Tensor &t) { return t.defined() ? t.const_data_ptr<float>() : nullptr; }
float *floats_mut(const at::Tensor &t) { return t.defined() ? t.mutable_data_ptr<float>() : nullptr; }

rows::Norm describe(const at::Tensor &x, const at::Tensor &gain, const at::Tensor &bias,
                    double epsilon, bool centered, bool in_bf16, bool out_bf16) {
  TORCH_CHECK(x.dim() == 2 && gain.numel() == x.size(1), "norm of ", x.sizes(), " with gain ",
              gain.sizes());
  TORCH_CHECK(gain.scalar_type() == at::kFloat, "a norm's gain is float");
  return {x.size(1),         static_cast<float>(epsilon), centered, floats(gain), floats(bias),
          in_bf16, out_bf16};
}

/// Sums [blocks, width] partial sums in order.
at::Tensor total(const at::Tensor &parts) { return parts.sum(0); }

struct Saved {
  at::Tensor x, gain, bias, mean, inverse;
};

struct Gradients {
  at::Tensor dx, dgain, dbias;
};

/// The gradient both functions share; `carried` is what flows along the residual.
Gradients norm_gradients(const Saved &s, double epsilon, bool centered, bool out_bf16,
                         at::Tensor dout, const at::Tensor &carried) {
  dout = dout.to(out_kind(out_bf16)).contiguous();
  auto n = describe(s.x, s.gain, s.bias, epsilon, centered,
                    s.x.scalar_type() == at::kBFloat16, out_bf16);
  const auto tokens = s.x.size(0), width = s.x.size(1);
  const auto f32 = s.gain.options();
  auto dx = at::empty_like(s.x);
  auto dgain = at::zeros({blocks(tokens), width}, f32);
  auto dbias = s.bias.defined() ? at::zeros({blocks(tokens), width}, f32) : at::Tensor();
  const void *x = s.x.const_data_ptr(), *d = dout.const_data_ptr();
  void *to = dx.mutable_data_ptr();
  float *pg = floats_mut(dgain), *pb = floats_mut(dbias);
  const float *mean = floats(s.mean), *inverse = floats(s.inverse), *c = floats(carried);
  if (const OnCard card(s.x); card)
    card->norm_backward(n, x, d, mean, inverse, c, to, pg, pb, kBlock, tokens, card.stream());
  else
    for_blocks(tokens, [&](int64_t b, int64_t begin, int64_t end) {
      rows::norm_backward(n, x, d, mean, inverse, c, to, pg + b * width,
                          pb ? pb + b * width : nullptr, begin, end);
    });
  return {dx, total(dgain), dbias.defined() ? total(dbias) : at::Tensor()};
}

struct NormFn : torch::autograd::Function<NormFn> {
  static Variable forward(AutogradContext *ctx, Variable x, Variable gain, Maybe maybe_bias,
                          double epsilon, bool centered, bool out_bf16) {
    const auto bias = maybe_bias.value_or(at::Tensor());
    x = x.contiguous();
    const auto n = describe(x, gain, bias, epsilon, centered, is_bf16(x, "x"), out_bf16);
    const auto tokens = x.size(0);
    auto out = at::empty(x.sizes(), x.options().dtype(out_kind(out_bf16)));
    auto mean = centered ? at::empty({tokens}, gain.options()) : at::Tensor();
    auto inverse = at::empty({tokens}, gain.options());
    const void *from = x.const_data_ptr();
    void *to = out.mutable_data_ptr();
    float *m = floats_mut(mean), *v = floats_mut(inverse);
    if (const OnCard card(x); card)
      card->norm_forward(n, from, to, m, v, tokens, card.stream());
    else
      for_blocks(tokens, [&](int64_t, int64_t begin, int64_t end) {
        rows::norm_forward(n, from, to, m, v, begin, end);
      });
    ctx->save_for_backward({x, gain, bias, mean, inverse});
    ctx->saved_data["epsilon"] = epsilon;
    ctx->saved_data["centered"] = centered;
    ctx->saved_data["out_bf16"] = out_bf16;
    return out;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    auto g = norm_gradients({saved[0], saved[1], saved[2], saved[3], saved[4]},
                            ctx->saved_data["epsilon"].toDouble(),
                            ctx->saved_data["centered"].toBool(),
                            ctx->saved_data["out_bf16"].toBool(), grads[0], {});
    return {g.dx, g.dgain, g.dbias, {}, {}, {}};
  }
};

struct AddNormFn : torch::autograd::Function<AddNormFn> {
  static variable_list forward(AutogradContext *ctx, Variable x, Variable delta,
                               Maybe maybe_scale, Variable gain, Maybe maybe_bias, double epsilon,
                               bool centered, bool out_bf16) {
    const auto scale = maybe_scale.value_or(at::Tensor());
    const auto bias = maybe_bias.value_or(at::Tensor());
    x = x.contiguous();
    delta = delta.contiguous();
    TORCH_CHECK(x.scalar_type() == at::kFloat && x.sizes() == delta.sizes(),
                "add_norm takes a float residual [tokens, width] and a delta of its shape, not ",
                x.scalar_type(), " ", x.sizes(), " and ", delta.sizes());
    const bool delta_bf16 = is_bf16(delta, "delta");
    const auto n = describe(x, gain, bias, epsilon, centered, false, out_bf16);
    const auto tokens = x.size(0);
    auto sum = at::empty_like(x);
    auto out = at::empty(x.sizes(), x.options().dtype(out_kind(out_bf16)));
    auto mean = centered ? at::empty({tokens}, gain.options()) : at::Tensor();
    auto inverse = at::empty({tokens}, gain.options());
    const float *from = floats(x), *c = floats(scale);
    const void *d = delta.const_data_ptr();
    void *to = out.mutable_data_ptr();
    float *s = floats_mut(sum), *m = floats_mut(mean), *v = floats_mut(inverse);
    if (const OnCard card(x); card)
      card->add_norm_forward(n, from, d, delta_bf16, c, s, to, m, v, tokens, card.stream());
    else
      for_blocks(tokens, [&](int64_t, int64_t begin, int64_t end) {
        rows::add_norm_forward(n, from, d, delta_bf16, c, s, to, m, v, begin, end);
      });
    // Without a scale the gradient needs delta's number type only.
    ctx->save_for_backward({sum, gain, bias, mean, inverse, scale,
                            scale.defined() ? delta : at::Tensor()});
    ctx->saved_data["delta_bf16"] = delta_bf16;
    ctx->saved_data["epsilon"] = epsilon;
    ctx->saved_data["centered"] = centered;
    ctx->saved_data["out_bf16"] = out_bf16;
    ctx->set_materialize_grads(false);
    return {sum, out};
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &scale = saved[5], &delta = saved[6];
    const bool delta_bf16 = ctx->saved_data["delta_bf16"].toBool();
    auto carried = grads[0].defined() ? grads[0].contiguous() : at::Tensor();
    Gradients g;
    if (grads[1].defined()) {
      g = norm_gradients({saved[0], saved[1], saved[2], saved[3], saved[4]},
                         ctx->saved_data["epsilon"].toDouble(),
                         ctx->saved_data["centered"].toBool(),
                         ctx->saved_data["out_bf16"].toBool(), grads[1], carried);
    } else {
      g.dx = carried;
    }
    if (!g.dx.defined())
      return {{}, {}, {}, {}, {}, {}, {}, {}};
    at::Tensor ddelta = g.dx, dscale;
    if (scale.defined() || delta_bf16) {
      const auto tokens = g.dx.size(0), width = g.dx.size(1);
      ddelta = at::empty(g.dx.sizes(), g.dx.options().dtype(out_kind(delta_bf16)));
      auto parts = scale.defined() ? at::zeros({blocks(tokens), width}, scale.options()) : scale;
      const float *s = floats(g.dx), *c = floats(scale);
      const void *d = delta.defined() ? delta.const_data_ptr() : nullptr;
      void *to = ddelta.mutable_data_ptr();
      float *p = floats_mut(parts);
      if (const OnCard card(g.dx); card)
        card->scale_backward(width, s, d, delta_bf16, c, to, p, kBlock, tokens, card.stream());
      else
        for_blocks(tokens, [&](int64_t b, int64_t begin, int64_t end) {
          rows::scale_backward(width, s, d, delta_bf16, c, to, p ? p + b * width : nullptr, begin,
                               end);
        });
      if (scale.defined())
        dscale = total(parts);
    }
    return {g.dx, ddelta, dscale, g.dgain, g.dbias, {}, {}, {}};
  }
};

Maybe optional(const at::Tensor *tensor) { return tensor ? Maybe(*tensor) : std::nullopt; }

} // namespace
} // namespace prefab

/// `bias` may be null. `centered` picks layer norm.
PREFAB_API int prefab_norm(at::Tensor **out, const at::Tensor *x, const at::Tensor *gain,
                           const at::Tensor *bias, double epsilon, int centered, int out_bf16) {
  return prefab::guarded([&] {
    *out = prefab::give(prefab::NormFn::apply(*x, *gain, prefab::optional(bias), epsilon,
                                              centered != 0, out_bf16 != 0));
  });
}

/// `scale` and `bias` may be null.
PREFAB_API int prefab_add_norm(at::Tensor **sum, at::Tensor **out, const at::Tensor *x,
                               const at::Tensor *delta, const at::Tensor *scale,
                               const at::Tensor *gain, const at::Tensor *bias, double epsilon,
                               int centered, int out_bf16) {
  return prefab::guarded([&] {
    auto both = prefab::AddNormFn::apply(*x, *delta, prefab::optional(scale), *gain,
                                         prefab::optional(bias), epsilon, centered != 0,
                                         out_bf16 != 0);
    *sum = prefab::give(both[0]);
    *out = prefab::give(both[1]);
  });
}
