// Prim's maximum spanning tree of a full graph: the order in which columns come, and what each leans on.
#pragma once

#include "runtime.hpp"

namespace dualwalk::cuda {

// order[0] = *first, and step k takes the column of largest weight to one that was taken: order[k], and parent[k - 1], the place
// in the order of that one. Equal weights: the column of smallest number, and the parent that came first. `weight` (d, d) is
// symmetric; what is no number counts as 0. order (d,), parent (d - 1,).
template <class T>
void spanning_tree(const T* weight, std::size_t d, const std::int64_t* first, std::int64_t* order, std::int64_t* parent,
                   Workspace& workspace, cudaStream_t stream);

}  // namespace dualwalk::cuda
