#include "card.h"
#include "shim.h"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace prefab {
namespace {

thread_local bool emulates = false;

} // namespace

OnCard::OnCard(const at::Tensor &tensor) {
  if (!tensor.is_cuda()) {
    kernels_ = emulates ? &emulated::kernels : nullptr;
    return;
  }
#ifdef PREFAB_CUDA
  kernels_ = &card::kernels;
  guard_.reset_device(tensor.device());
  // Through c10's registry: nothing of libtorch's CUDA half is linked.
  const c10::impl::VirtualGuardImpl device(tensor.device().type());
  stream_ = device.getStreamNativeHandle(device.getStream(tensor.device()));
#else
  TORCH_CHECK(false, "this binary was built without kernels for CUDA");
#endif
}

} // namespace prefab

/// Whether this thread's tensors on the processor go through a card's kernels; for tests.
PREFAB_API void prefab_emulate_card(int on) { prefab::emulates = on != 0; }
