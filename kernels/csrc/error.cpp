// The message of the last failure, one a thread.
#include "shim.h"

namespace prefab {

std::string &last_error() {
  static thread_local std::string message;
  return message;
}

} // namespace prefab

PREFAB_API const char *prefab_last_error() { return prefab::last_error().c_str(); }
