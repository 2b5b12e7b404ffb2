// Linear head → log-probability of a target, over tiles of the vocabulary: the
// [tokens, vocabulary] logits never exist at once.
//
//   logp[t] = h[t]·W[y[t]] − log Σ_v exp(h[t]·W[v])
//
// The gradient recomputes each tile's logits (8 instead of 6 · tokens · width ·
// vocabulary operations), writes the tile's dW once and sums dh in f32. A
// vocabulary of a single tile keeps its logits and recomputes nothing.
//
// Against plain tch (two Zen 5 cores, 5,632 × 256, forward and backward): with 512 words
// 1.3 times as fast in bf16, 1.1 in f32; with 8,192 words 1.1 and 0.8; with 92,544 words
// and width 512 1.8 and 1.7, in a ninth and a fifth of the memory. In f32 the repeated
// product costs what the memory traffic saves; memory is then what it is for.
//
// A card's tiles are wider. Where no kernels were built for it (`portable`), ATen's own
// operations take the place of the row loops.
//
// Shapes: hidden [tokens, width], weight [vocabulary, width], targets [tokens] i64,
// logp [tokens] f32. hidden and weight share f32 or bf16.
#include "card.h"
#include "shim.h"

#include "rows/rows.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/scatter_add.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

namespace prefab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

/// Columns of a tile: what a core's cache likes, and what keeps a card busy.
int64_t tile_of(bool on_card, int64_t vocabulary) {
  return std::min<int64_t>(on_card ? 16384 : 2048, vocabulary);
}

/// Which of a tile's columns the targets are, and which targets lie in it at all.
std::pair<at::Tensor, at::Tensor> within(const at::Tensor &targets, int64_t first, int64_t width) {
  const auto column = targets - first;
  return {column.clamp(0, width - 1).unsqueeze(1), (column >= 0).logical_and(column < width)};
}

/// rows::logp_tile in ATen: the running maximum and sum of exponentials, and the targets' logits.
void portable_tile(const at::Tensor &logits, const at::Tensor &targets, int64_t first,
                   at::Tensor &maximum, at::Tensor &sum, at::Tensor &target) {
  const auto l = logits.to(at::kFloat);
  const auto above = at::maximum(maximum, l.amax(1));
  sum = sum * (maximum - above).exp() + (l - above.unsqueeze(1)).exp().sum(1);
  maximum = above;
  const auto [column, is_here] = within(targets, first, l.size(1));
  target = at::where(is_here, l.gather(1, column).squeeze(1), target);
}

/// rows::logp_tile_backward in ATen: d/dlogits = (1[target] − softmax) · dlogp.
at::Tensor portable_backward(const at::Tensor &logits, const at::Tensor &targets, int64_t first,
                             const at::Tensor &normalizer, const at::Tensor &dlogp) {
  auto d = (logits.to(at::kFloat) - normalizer.unsqueeze(1)).exp_().mul_(-dlogp.unsqueeze(1));
  const auto [column, is_here] = within(targets, first, logits.size(1));
  d.scatter_add_(1, column, (dlogp * is_here).unsqueeze(1));
  return d.to(logits.scalar_type());
}

struct LinearLogpFn : torch::autograd::Function<LinearLogpFn> {
  static Variable forward(AutogradContext *ctx, Variable hidden, Variable weight, Variable targets,
                          bool portable) {
    TORCH_CHECK(hidden.dim() == 2 && weight.dim() == 2 && hidden.size(1) == weight.size(1) &&
                    targets.numel() == hidden.size(0) &&
                    hidden.scalar_type() == weight.scalar_type(),
                "linear_logp of hidden ", hidden.sizes(), ", weight ", weight.sizes(),
                " and targets ", targets.sizes());
    hidden = hidden.contiguous();
    targets = targets.contiguous();
    const bool bf16 = is_bf16(hidden, "hidden");
    const auto tokens = hidden.size(0), vocabulary = weight.size(0);
    const auto f32 = hidden.options().dtype(at::kFloat);
    auto maximum = at::full({tokens}, -1e30, f32), sum = at::zeros({tokens}, f32);
    auto target = at::full({tokens}, std::numeric_limits<float>::quiet_NaN(), f32);
    const auto *y = targets.const_data_ptr<int64_t>();
    auto *m = maximum.mutable_data_ptr<float>(), *s = sum.mutable_data_ptr<float>();
    auto *x = target.mutable_data_ptr<float>();
    const auto card = portable ? OnCard() : OnCard(hidden);
    const auto tile = tile_of(portable || card, vocabulary);
    at::Tensor logits;
    for (int64_t first = 0; first < vocabulary; first += tile) {
      const auto width = std::min(tile, vocabulary - first);
      logits = at::linear(hidden, weight.narrow(0, first, width));
      if (portable) {
        portable_tile(logits, targets, first, maximum, sum, target);
        continue;
      }
      const void *l = logits.const_data_ptr();
      if (card)
        card->logp_tile(l, bf16, width, first, y, m, s, x, tokens, card.stream());
      else
        for_blocks(tokens, [&](int64_t, int64_t begin, int64_t end) {
          rows::logp_tile(l, bf16, width, first, y, m, s, x, begin, end);
        });
    }
    auto normalizer = maximum + sum.log();
    if (vocabulary > tile)
      logits = at::Tensor();
    ctx->saved_data["portable"] = portable;
    ctx->save_for_backward({hidden, weight, targets, normalizer, logits});
    return target - normalizer;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &hidden = saved[0], &weight = saved[1], &targets = saved[2], &normalizer = saved[3];
    const auto dlogp = grads[0].contiguous();
    const bool bf16 = hidden.scalar_type() == at::kBFloat16;
    const bool portable = ctx->saved_data["portable"].toBool();
    const auto tokens = hidden.size(0), vocabulary = weight.size(0);
    const auto card = portable ? OnCard() : OnCard(hidden);
    const auto tile = tile_of(portable || card, vocabulary);
    const bool wants_hidden = ctx->needs_input_grad(0), wants_weight = ctx->needs_input_grad(1);
    at::Tensor dhidden, dweight;
    if (wants_weight)
      dweight = at::empty_like(weight);
    for (int64_t first = 0; first < vocabulary; first += tile) {
      const auto width = std::min(tile, vocabulary - first);
      const auto rows_of_weight = weight.narrow(0, first, width);
      auto logits = saved[4].defined() ? saved[4].clone() : at::linear(hidden, rows_of_weight);
      if (portable) {
        logits = portable_backward(logits, targets, first, normalizer, dlogp);
      } else {
        const auto *y = targets.const_data_ptr<int64_t>();
        const auto *z = normalizer.const_data_ptr<float>(), *d = dlogp.const_data_ptr<float>();
        void *l = logits.mutable_data_ptr();
        if (card)
          card->logp_tile_backward(l, bf16, width, first, y, z, d, tokens, card.stream());
        else
          for_blocks(tokens, [&](int64_t, int64_t begin, int64_t end) {
            rows::logp_tile_backward(l, bf16, width, first, y, z, d, begin, end);
          });
      }
      if (wants_weight) {
        auto part = dweight.narrow(0, first, width);
        at::mm_out(part, logits.t(), hidden);
      }
      if (wants_hidden) {
        auto part = at::mm(logits, rows_of_weight);
        if (first == 0)
          dhidden = vocabulary <= tile ? part : part.to(at::kFloat);
        else
          dhidden.add_(part);
      }
    }
    return {wants_hidden ? dhidden.to(hidden.scalar_type()) : dhidden, dweight, {}, {}};
  }
};

} // namespace
} // namespace prefab

PREFAB_API int prefab_linear_logp(at::Tensor **out, const at::Tensor *hidden,
                                  const at::Tensor *weight, const at::Tensor *targets,
                                  int portable) {
  return prefab::guarded([&] {
    *out = prefab::give(prefab::LinearLogpFn::apply(*hidden, *weight, *targets, portable != 0));
  });
}
