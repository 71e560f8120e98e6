// One batch of walks, as every kernel of this room takes it; the reference's `walk` is the definition. Kernels get it by value.
#pragma once

#include "runtime.hpp"

namespace dualwalk::cuda {

// C = factor^T factor + diag(diagonal), for steps along C g and noise of covariance C; one for all walks, or one each.
template <class T>
struct Preconditioner {
  const T* factor = nullptr;    // (n_neighborhoods, n_factors, n_features); null where there is no preconditioner
  const T* diagonal = nullptr;  // (n_neighborhoods, n_features), or null for zeros
  std::size_t n_factors = 0;
  bool one_for_all = false;     // one neighbourhood
};

// x (n_walks, n_features) is walked in place; no pointer but x, f, steps and reached must be set. All on the device.
template <class T>
struct Walk {
  T* x;
  T* trajectory;        // (n_walks, n_steps + 1, n_features), or null
  double* f;            // (n_walks,) at the end
  std::int64_t* steps;  // (n_walks,) taken
  bool* reached;        // (n_walks,)
  const T* target;      // (n_walks,), or null
  const T* low;         // (n_features,), or null
  const T* high;
  std::size_t n_walks, n_features, n_steps;  // walks and steps below 2^32 - 1: noise is addressed by 32-bit words
  T step_size, noise_scale, tolerance;
  std::uint64_t seed;
  Preconditioner<T> shape;
};

}  // namespace dualwalk::cuda
