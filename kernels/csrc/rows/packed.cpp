// Rows times a matrix that lies in panels: a panel is read in order, once for every kTall
// rows, and fits a core's cache. Each number is a sum over the inputs in their order,
// however many rows there are.
#include "packed.h"

#define PREFAB_BODY "packed_body.h"
#include "levels.h"

namespace prefab::rows {

void packed_product(const PackedProduct &a, int64_t panel, int64_t begin, int64_t end,
                    float *scratch) {
  switch (level()) {
  case 2: return wide::packed(a, panel, begin, end, scratch);
  case 1: return middle::packed(a, panel, begin, end, scratch);
  default: return narrow::packed(a, panel, begin, end, scratch);
  }
}

} // namespace prefab::rows
