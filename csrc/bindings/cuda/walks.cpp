#include "module.hpp"

namespace dualwalk::cuda {

void bind_walks(pybind11::module_&) {}

}  // namespace dualwalk::cuda
