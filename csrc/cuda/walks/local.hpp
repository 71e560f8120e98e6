// Walks on local Gaussian duals, a whole walk in one launch.
#pragma once

#include "walks/walk.hpp"

namespace dualwalk::cuda {

// f(y) = constant + curvature . y^2 / 2 + |factor y|^2 / 2 with y = x - mean; one neighbourhood for all walks, or one each.
template <class T>
struct LocalDual {
  const T* mean;       // (n_neighborhoods, n_features)
  const T* curvature;  // (n_neighborhoods, n_features)
  const T* factor;     // (n_neighborhoods, n_factors, n_features)
  const T* constant;   // (n_neighborhoods,)
  std::size_t n_factors;
  bool one_for_all;    // one neighbourhood
};

template <class T>
void walk_local(const Walk<T>& walk, const LocalDual<T>& dual, Workspace& workspace, cudaStream_t stream);

}  // namespace dualwalk::cuda
