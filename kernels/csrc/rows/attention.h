// Attention of one group and one key-value head; see attention.cpp.
#pragma once

#include <cstdint>

namespace prefab::rows {

/// A run of rows of a group. All of them look at the keys of the first `shared` rows
/// of the group; and at the run's own keys: `causal`, up to themselves, else all.
struct Segment {
  int64_t start, length; // in rows of the group
  int64_t shared;        // 0, or the length of the prompt
  bool causal;
};

/// What stands in which column of qkv [tokens, columns, dim].
struct Columns {
  int64_t columns, each; // each: query heads a key-value head
  int64_t query_step, query_first, key_first, value_first, step;
  int64_t query(int64_t kv, int64_t i) const { return query_first + kv * query_step + i; }
  int64_t key(int64_t kv) const { return key_first + kv * step; }
  int64_t value(int64_t kv) const { return value_first + kv * step; }
};

struct Attention {
  const void *qkv; // [tokens, columns, dim]
  bool bf16;
  Columns columns;
  int64_t dim, heads;
  float scale;
  const float *cosine, *sine; // [tokens, dim / 2], or null: no rotation
  void *out;                  // [tokens, heads, dim]; read by the gradient
  float *normalizer;          // [tokens, heads]: log of the softmax's denominator
  const void *dout;           // [tokens, heads, dim]
  void *dqkv;                 // [tokens, columns, dim]
};

/// One unit of work. `first` is the group's first token.
struct Task {
  int64_t first, rows, kv;
  const Segment *segments;
  int64_t count;
};

/// Floats of scratch that a task needs.
int64_t attention_scratch(const Attention &, const Task &, bool backward);
void attention_forward(const Attention &, const Task &, float *scratch);
void attention_backward(const Attention &, const Task &, float *scratch);

} // namespace prefab::rows
