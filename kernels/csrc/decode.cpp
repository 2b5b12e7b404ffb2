// Attention of one new token a row over a cache whose prompts are shared, for generation:
// no gradient.
//
//   out[r] = Σ_s softmax_s(scale · R q[r] · k[s]) · v[s],   s over the keys of the row's
//   prompt, the row's own past, and the row's token, which enters the cache here.
//
// Shapes: qkv [rows, columns, dim] f32 or bf16; cosine, sine [rows, dim / 2] f32;
// prompt keys [prompts, kv_heads, dim, seq] and values [prompts, kv_heads, seq, dim]; own
// keys and values [kv_heads, rows, room, dim]; out [rows, heads · dim].
#include "shim.h"

#include "rows/decode.h"

#include <ATen/ops/empty.h>

namespace prefab {
namespace {

/// `table`: the seven numbers of `rows::Columns`, then prompt, length, first row and rows of
/// each share.
at::Tensor decode(const at::Tensor &qkv, const at::Tensor &cosine, const at::Tensor &sine,
                  const at::Tensor *const *caches, int64_t written, double scale,
                  const int64_t *table, int64_t shares) {
  const auto &prompt_keys = *caches[0], &prompt_values = *caches[1];
  const auto &own_keys = *caches[2], &own_values = *caches[3];
  const rows::Columns columns{table[0], table[1], table[2], table[3],
                              table[4], table[5], table[6]};
  const int64_t *share = table + 7;
  const auto rows = qkv.size(0), dim = qkv.size(2), kv_heads = own_keys.size(0);
  const auto seq = prompt_keys.size(3), room = own_keys.size(2);
  const bool bf16 = is_bf16(qkv, "qkv");
  for (const at::Tensor *tensor : {&qkv, &cosine, &sine, &prompt_keys, &prompt_values, &own_keys,
                                   &own_values})
    TORCH_CHECK(tensor->is_contiguous(), "decode takes tensors without gaps");
  for (int cache = 0; cache < 4; ++cache)
    TORCH_CHECK(caches[cache]->scalar_type() == qkv.scalar_type(), "caches are of qkv's kind");
  TORCH_CHECK(qkv.size(1) == columns.columns && dim % 16 == 0 && seq % 16 == 0 && room % 16 == 0 &&
                  written < room,
              "decode of ", qkv.sizes(), " at ", written, " of ", room, " over ", seq);
  TORCH_CHECK(cosine.numel() == rows * dim / 2 && sine.numel() == cosine.numel(),
              "angles are [rows, dim / 2]");
  TORCH_CHECK(own_keys.sizes() == at::IntArrayRef({kv_heads, rows, room, dim}) &&
                  own_values.sizes() == own_keys.sizes(),
              "own caches are [kv_heads, rows, room, dim]");
  TORCH_CHECK(prompt_keys.sizes() == at::IntArrayRef({prompt_keys.size(0), kv_heads, dim, seq}) &&
                  prompt_values.sizes() ==
                      at::IntArrayRef({prompt_keys.size(0), kv_heads, seq, dim}),
              "prompt caches are [prompts, kv_heads, dim, seq] and [prompts, kv_heads, seq, dim]");
  auto out = at::empty({rows, kv_heads * columns.each * dim}, qkv.options());
  const rows::Decode a{qkv.const_data_ptr(),
                       bf16,
                       columns,
                       dim,
                       kv_heads,
                       static_cast<float>(scale),
                       cosine.const_data_ptr<float>(),
                       sine.const_data_ptr<float>(),
                       prompt_keys.const_data_ptr(),
                       prompt_values.const_data_ptr(),
                       own_keys.mutable_data_ptr(),
                       own_values.mutable_data_ptr(),
                       rows,
                       seq,
                       room,
                       written,
                       out.mutable_data_ptr()};
  const auto task = [&](int64_t i) {
    const int64_t *at = share + i / kv_heads * 4;
    return rows::Share{at[0], at[1], at[2], at[3], i % kv_heads};
  };
  each_task(
      shares * kv_heads, [&](int64_t i) { return rows::decode_scratch(a, task(i)); },
      [&](int64_t i, float *scratch) { rows::decode(a, task(i), scratch); });
  return out;
}

} // namespace
} // namespace prefab

/// `caches`: prompt keys, prompt values, own keys, own values. `table` is described at
/// decode; `shares` is how many it holds.
PREFAB_API int prefab_decode(at::Tensor **out, const at::Tensor *qkv, const at::Tensor *cosine,
                             const at::Tensor *sine, const at::Tensor *const *caches,
                             int64_t written, double scale, const int64_t *table,
                             int64_t shares) {
  return prefab::guarded([&] {
    *out = prefab::give(
        prefab::decode(*qkv, *cosine, *sine, caches, written, scale, table, shares));
  });
}
