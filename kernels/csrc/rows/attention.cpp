// Attention within ragged groups: small matrix products in registers, f32 inside.
//
// A task copies its head's rows out of qkv once (to f32, rotated, each segment padded
// to whole vectors), then works through blocks of query rows: scores against the
// shared keys and the segment's own, softmax, product with the values. Nothing is
// padded to a rectangle and no mask exists. The gradient recomputes probabilities
// from the saved normalizers and sums dk and dv over segments in order.
//
// The body is compiled once for each instruction set.
#include "attention.h"

#define PREFAB_BODY "attention_body.h"
#include "levels.h"

namespace prefab::rows {

int64_t attention_scratch(const Attention &a, const Task &task, bool backward) {
  const auto shape = wide::measure(a, task);
  return backward ? shape.backward : shape.forward;
}

void attention_forward(const Attention &a, const Task &task, float *scratch) {
  switch (level()) {
  case 2: return wide::forward(a, task, scratch);
  case 1: return middle::forward(a, task, scratch);
  default: return narrow::forward(a, task, scratch);
  }
}

void attention_backward(const Attention &a, const Task &task, float *scratch) {
  switch (level()) {
  case 2: return wide::backward(a, task, scratch);
  case 1: return middle::backward(a, task, scratch);
  default: return narrow::backward(a, task, scratch);
  }
}

} // namespace prefab::rows
