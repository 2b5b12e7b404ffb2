// Whose loops a tensor gets: the processor's, or a card's.
#pragma once

#include "rows/card.h"

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>

namespace prefab {

/// A card's kernels on the stream and device of a tensor; false where the tensor is the
/// processor's and the row loops serve it.
class OnCard {
public:
  OnCard() = default;
  explicit OnCard(const at::Tensor &tensor);
  explicit operator bool() const { return kernels_ != nullptr; }
  const Card *operator->() const { return kernels_; }
  void *stream() const { return stream_; }

private:
  const Card *kernels_ = nullptr;
  void *stream_ = nullptr;
  c10::OptionalDeviceGuard guard_;
};

} // namespace prefab
