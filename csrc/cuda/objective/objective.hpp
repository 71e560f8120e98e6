// log-mean-exp of rows, columns and segments, and the mean log-sigmoid, each with its gradient: what reference.py defines, on
// arrays in the device's memory.
//
// The sums are cut into pieces of fixed sizes, which are combined by a fixed tree: the result depends on the values and the
// length alone, never on the device, the blocks that run at once, the address, or the neighbours.
#pragma once

#include "runtime.hpp"

namespace dualwalk::cuda {

// Along the middle axis of f (n_outer, n, n_inner); weights and gradient of the same shape, or null; value (n_outer, n_inner).
template <class T>
struct LogMeanExp {
  const T *f, *weights;
  T *value, *gradient;
  std::size_t n_outer, n, n_inner;
};
template <class T>
void log_mean_exp(const LogMeanExp<T>& job, Workspace& memory, cudaStream_t stream);

// Of segments f[offsets[k]] ... f[offsets[k + 1] - 1] of n values. The host does not know the offsets: where they do not go
// from 0 to n, values are left as they are; a segment that is empty gives NaN.
template <class T>
struct LogMeanExpSegments {
  const T *f, *weights;
  const std::int64_t* offsets;  // (count + 1,)
  T *value, *gradient;
  std::size_t count, n;
};
template <class T>
void log_mean_exp_segments(const LogMeanExpSegments<T>& job, Workspace& memory, cudaStream_t stream);

// value[0] = mean of log sigmoid(sign f_i), gradient (or null) its derivatives; sign is 1 or -1.
template <class T>
struct MeanLogSigmoid {
  const T* f;
  double* value;
  T* gradient;
  std::size_t n;
  int sign;
};
template <class T>
void mean_log_sigmoid(const MeanLogSigmoid<T>& job, Workspace& memory, cudaStream_t stream);

}  // namespace dualwalk::cuda
