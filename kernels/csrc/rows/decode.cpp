// Attention of one new token a row to the prompt that rows share and to the row's own
// past, itself included; f32 inside.
//
// A prompt's keys lie transposed, so that the scores of a block of its rows are a small
// matrix product, for which they are read once. What rows wrote themselves is read once a
// step whatever one does, so it lies in the order of reading, head by head, and the
// processor fetches it ahead.
#include "decode.h"

#define PREFAB_BODY "decode_body.h"
#include "levels.h"

namespace prefab::rows {

int64_t decode_scratch(const Decode &a, const Share &share) { return wide::scratch(a, share); }

void decode(const Decode &a, const Share &share, float *scratch) {
  switch (level()) {
  case 2: return wide::decode_any(a, share, scratch);
  case 1: return middle::decode_any(a, share, scratch);
  default: return narrow::decode_any(a, share, scratch);
  }
}

} // namespace prefab::rows
