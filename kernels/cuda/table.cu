// The kernels by name, as csrc/card.cpp hands them out.
#include "rows/card.h"

#include <type_traits>

namespace prefab::PREFAB_SPACE {

#define EACH_KERNEL(F)                                                                             \
  F(norm_forward)                                                                                  \
  F(add_norm_forward)                                                                              \
  F(norm_backward)                                                                                 \
  F(scale_backward)                                                                                \
  F(swiglu_forward)                                                                                \
  F(swiglu_backward)                                                                               \
  F(rope)                                                                                          \
  F(logp_tile)                                                                                     \
  F(logp_tile_backward)

#define DECLARED(name) std::remove_pointer_t<decltype(Card::name)> name;
#define LISTED(name) name,

EACH_KERNEL(DECLARED)
const Card kernels{EACH_KERNEL(LISTED)};

} // namespace prefab::PREFAB_SPACE
