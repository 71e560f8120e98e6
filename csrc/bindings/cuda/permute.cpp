#include "module.hpp"

namespace dualwalk::cuda {

void bind_permute(pybind11::module_&) {}

}  // namespace dualwalk::cuda
