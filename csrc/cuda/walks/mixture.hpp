// Walks on a mixture dual at one time, and annealing along its path, each a whole walk in one launch.
#pragma once

#include "walks/walk.hpp"

namespace dualwalk::cuda {

// f(x) = log sum_k exp(log_scale_k - z_k . precision_k z_k / 2) + pull |x|^2 / 2 + constant with z_k = V_k^T x + start_k; the
// tables hold as many times as a call needs: one for walks, n_steps + 1 for annealing.
template <class T>
struct MixtureDual {
  const T* axes;        // (n_components, n_features, n_features): V_k, an eigenvector a column
  const T* turned;      // V_k^T
  const T* starts;      // (n_times, n_components, n_features)
  const T* precisions;  // the same
  const T* log_scales;  // (n_times, n_components)
  std::size_t n_components, n_features;
  T pull, constant;
};

// One step of annealing: velocity v = speed * gradient, x' = cosine x + sine v + correction (v - v foreseen).
template <class T>
struct Turn {
  T speed, cosine, sine, correction;
};

// What annealing has; x (n_walks, n_features) is walked in place.
template <class T>
struct Anneal {
  T* x;
  T* trajectory;         // (n_walks, n_steps + 1, n_features), or null
  double* f;             // (n_walks,) at the end
  std::int64_t* steps;   // (n_walks,) taken
  bool* reached;         // (n_walks,), all false at the end
  const Turn<T>* turns;  // (n_steps,)
  std::size_t n_walks, n_features, n_steps;
  bool renoise;
  T keep, add;           // shares of x and of noise at the start
  std::uint64_t seed;
};

template <class T>
void walk_mixture(const Walk<T>& walk, const MixtureDual<T>& dual, Workspace& workspace, cudaStream_t stream);

template <class T>
void anneal_mixture(const Anneal<T>& anneal, const MixtureDual<T>& dual, Workspace& workspace, cudaStream_t stream);

}  // namespace dualwalk::cuda
