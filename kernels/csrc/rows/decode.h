// Attention of one new token a row; see decode.cpp.
#pragma once

#include "attention.h"

namespace prefab::rows {

struct Decode {
  const void *qkv; // [rows, columns, dim]
  bool bf16;       // of qkv, the caches and out
  Columns columns;
  int64_t dim, kv_heads; // dim is a multiple of 16
  float scale;
  const float *cosine, *sine;                 // [rows, dim / 2]
  const void *prompt_keys;                    // [prompts, kv_heads, dim, seq]
  const void *prompt_values;                  // [prompts, kv_heads, seq, dim]
  void *own_keys, *own_values;                // [kv_heads, rows, room, dim]
  int64_t rows, seq, room, written;           // seq and room are multiples of 16; written < room
  void *out;                                  // [rows, kv_heads · each, dim]
};

/// One unit of work: a prompt's rows and one key-value head. `length` is the prompt's.
struct Share {
  int64_t prompt, length, first, rows, kv;
};

/// Floats of scratch that a share needs.
int64_t decode_scratch(const Decode &, const Share &);
/// Writes each row's key and value to its cache and attends.
void decode(const Decode &, const Share &, float *scratch);

} // namespace prefab::rows
