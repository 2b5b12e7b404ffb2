// Attention of ragged groups on a card, by libtorch's flash kernels.
//
//   out[t] = Σ_s softmax_s(scale · q[t]·k[s]) · v[s]
//
// An answer sees its prompt and its own past: one call each, merged by their normalizers
// z = log Σ exp, so that no mask and no copy of the prompt's keys is made:
//
//   z = log(exp z₁ + exp z₂);   out = out₁ · exp(z₁ − z) + out₂ · exp(z₂ − z)
//
// The gradient of either call, given the merged out and z, is that call's share of the whole.
// Groups of one shape that lie together (a vision tower's images) go through one call.
//
// The processor's flash kernel stands in where there is no card: so it is tested.
//
// Shapes: q, k, v and the result [tokens, heads, dim]; on a card bf16, dim a multiple of 8.
#include "shim.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_scaled_dot_product_flash_attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_backward.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

namespace prefab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

/// `count` groups of one shape, `rows` each, from row `first` on; the run of rows that look.
struct Run {
  int64_t first, count, rows, start, length, shared;
  bool causal;
};

/// Of the table: [first row, groups, rows of each, segments], then [start, length, shared, causal]
/// of each segment, again and again.
std::vector<Run> runs_of(const std::vector<int64_t> &table) {
  std::vector<Run> runs;
  for (size_t at = 0; at < table.size();) {
    const int64_t first = table[at], count = table[at + 1], rows = table[at + 2];
    const int64_t segments = table[at + 3];
    at += 4;
    for (int64_t s = 0; s < segments; ++s, at += 4)
      runs.push_back({first, count, rows, table[at], table[at + 1], table[at + 2],
                      table[at + 3] != 0});
  }
  return runs;
}

/// Rows [start, start + length) of each group: [groups, heads, length, dim], a view.
at::Tensor part(const at::Tensor &x, const Run &run, int64_t start, int64_t length) {
  return x.narrow(0, run.first, run.count * run.rows)
      .view({run.count, run.rows, x.size(1), x.size(2)})
      .narrow(1, start, length)
      .transpose(1, 2);
}

struct Result {
  at::Tensor out, normalizer;
};

Result forward_call(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, bool causal,
                    double scale) {
  if (q.is_cuda()) {
    auto all = at::_scaled_dot_product_flash_attention(q, k, v, 0.0, causal, false, scale);
    return {std::get<0>(all), std::get<1>(all)};
  }
  auto [out, normalizer] =
      at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, causal, std::nullopt, scale);
  return {out, normalizer};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward_call(const at::Tensor &dout,
                                                             const at::Tensor &q,
                                                             const at::Tensor &k,
                                                             const at::Tensor &v, const Result &r,
                                                             bool causal, double scale) {
  if (q.is_cuda()) {
    // Without dropout the generator's state is not read.
    const auto none = at::zeros({2}, q.options().dtype(at::kLong));
    return at::_scaled_dot_product_flash_attention_backward(
        dout, q, k, v, r.out, r.normalizer, {}, {}, q.size(2), k.size(2), 0.0, causal, none, none,
        scale);
  }
  return at::_scaled_dot_product_flash_attention_for_cpu_backward(
      dout, q, k, v, r.out, r.normalizer, 0.0, causal, std::nullopt, scale);
}

struct FlashFn : torch::autograd::Function<FlashFn> {
  static Variable forward(AutogradContext *ctx, Variable q, Variable k, Variable v, double scale,
                          std::vector<int64_t> table) {
    q = q.contiguous(), k = k.contiguous(), v = v.contiguous();
    TORCH_CHECK(q.dim() == 3 && q.sizes() == k.sizes() && q.sizes() == v.sizes(),
                "flash attention of ", q.sizes(), ", ", k.sizes(), " and ", v.sizes());
    auto out = at::zeros_like(q); // tokens outside of every group read as zero
    variable_list saved{q, k, v, out};
    for (const auto &run : runs_of(table)) {
      const auto rows = part(q, run, run.start, run.length);
      auto own = forward_call(rows, part(k, run, run.start, run.length),
                              part(v, run, run.start, run.length), run.causal, scale);
      if (run.shared > 0) {
        const auto prompt = forward_call(rows, part(k, run, 0, run.shared),
                                         part(v, run, 0, run.shared), false, scale);
        const auto both = at::logaddexp(own.normalizer, prompt.normalizer);
        const auto weight = [&](const Result &r) {
          return (r.normalizer - both).exp().unsqueeze(3);
        };
        own.out = own.out * weight(own) + prompt.out * weight(prompt);
        own.normalizer = both;
      }
      part(out, run, run.start, run.length).copy_(own.out);
      saved.push_back(own.normalizer.contiguous());
    }
    ctx->save_for_backward(std::move(saved));
    ctx->saved_data["scale"] = scale;
    ctx->saved_data["table"] = std::move(table);
    return out;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2], &out = saved[3];
    const auto scale = ctx->saved_data["scale"].toDouble();
    const auto dout = grads[0].contiguous();
    auto dq = at::zeros_like(q);
    // A prompt's rows get a share from each of their answers: summed in f32.
    const auto f32 = q.options().dtype(at::kFloat);
    auto dk = at::zeros(q.sizes(), f32), dv = at::zeros(q.sizes(), f32);
    size_t index = 4;
    for (const auto &run : runs_of(ctx->saved_data["table"].toIntVector())) {
      const auto own = [&](const at::Tensor &x) { return part(x, run, run.start, run.length); };
      const Result merged{own(out), saved[index++]};
      const auto against = [&](int64_t start, int64_t length, bool causal) {
        auto [a, b, c] = backward_call(own(dout), own(q), part(k, run, start, length),
                                       part(v, run, start, length), merged, causal, scale);
        own(dq).add_(a);
        part(dk, run, start, length).add_(b);
        part(dv, run, start, length).add_(c);
      };
      against(run.start, run.length, run.causal);
      if (run.shared > 0)
        against(0, run.shared, false);
    }
    return {dq, dk.to(k.scalar_type()), dv.to(v.scalar_type()), {}, {}};
  }
};

} // namespace
} // namespace prefab

/// `table` is described at runs_of.
PREFAB_API int prefab_flash(at::Tensor **out, const at::Tensor *q, const at::Tensor *k,
                            const at::Tensor *v, double scale, const int64_t *table,
                            int64_t length) {
  return prefab::guarded([&] {
    *out = prefab::give(prefab::FlashFn::apply(*q, *k, *v, scale,
                                               std::vector<int64_t>(table, table + length)));
  });
}
