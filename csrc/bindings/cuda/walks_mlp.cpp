#include "walks.hpp"

namespace dualwalk::cuda {

void bind_walk_mlp(py::module_&) {}

}  // namespace dualwalk::cuda
