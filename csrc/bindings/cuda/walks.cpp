// The walks' jobs, a file a dual: walks_mlp.cpp and its neighbours.
#include "walks.hpp"

#include "module.hpp"

namespace dualwalk::cuda {

void bind_walks(py::module_& m) {
  bind_walk_mlp(m);
  bind_walk_local(m);
  bind_walk_mixture(m);
}

}  // namespace dualwalk::cuda
