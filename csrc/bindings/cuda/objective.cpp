#include "module.hpp"

namespace dualwalk::cuda {

void bind_objective(pybind11::module_&) {}

}  // namespace dualwalk::cuda
