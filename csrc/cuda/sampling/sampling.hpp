// What a sampled block of rows is made of: the exact walk of local duals, and columns brought to their marginals.
#pragma once

#include "runtime.hpp"

namespace dualwalk::cuda {

// out[r] = mean + decay (start - mean) + sqrt(1 - decay^2) noise in the neighbourhood of row r, whose first member is the
// start.
template <class T>
struct Relaxation {
  const T* points;                // (n_points, n_features)
  const std::int64_t* neighbors;  // (n_rows, n_members)
  T* out;                         // (n_rows, n_features)
  std::size_t n_rows, n_members, n_features;
  double decay;
  std::uint64_t seed;
};

template <class T>
void relax_local(const Relaxation<T>& job, Workspace& workspace, cudaStream_t stream);

// Rank r of a column's points takes the column's quantile at (r + place[row]) / n_rows.
template <class T>
struct Balance {
  const T* points;      // (n_rows, n_columns), fewer than 2^32 - 1 rows
  const double* place;  // (n_rows,)
  const T* table;       // (n_quantiles, n_columns), quantiles at (k + 1/2) / n_quantiles
  const bool* tied;     // (n_columns,): the nearer quantile is taken, not what lies between two
  T* values;            // (n_rows, n_columns)
  std::size_t n_rows, n_columns, n_quantiles;
};

template <class T>
void balance_columns(const Balance<T>& job, Workspace& workspace, cudaStream_t stream);

}  // namespace dualwalk::cuda
