#include "module.hpp"

namespace dualwalk::cuda {

void bind_sampling(pybind11::module_&) {}

}  // namespace dualwalk::cuda
