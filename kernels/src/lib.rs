//! Raw faces of Prefab's C++ kernels. The safe ones are in `prefab::kernel`.
