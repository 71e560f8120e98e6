#include "module.hpp"

namespace dualwalk::cuda {

void bind_nodes(pybind11::module_&) {}

}  // namespace dualwalk::cuda
