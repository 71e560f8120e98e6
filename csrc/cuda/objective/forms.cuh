// The forms of log-mean-exp, each in a file of its own, and the sizes that they have in common.
#pragma once

#include "objective/objective.hpp"
#include "objective/tree.cuh"

namespace dualwalk::cuda {

template <class T>
void log_mean_exp_rows(const LogMeanExp<T>& job, Workspace& memory, cudaStream_t stream);  // n_inner = 1
template <class T>
void log_mean_exp_columns(const LogMeanExp<T>& job, Workspace& memory, cudaStream_t stream);

// The lanes that share a stretch of at most a chunk: as few as read it in one batch of floats.
DUALWALK_FN int width_for(std::size_t n) {
  int width = 1;
  while (width < 32 && n > static_cast<std::size_t>(BATCH<float> * width)) width *= 2;
  return width;
}

__device__ __forceinline__ int size_of_run(std::size_t n, std::size_t from) {
  return static_cast<int>(n - from < RUN ? n - from : RUN);
}

}  // namespace dualwalk::cuda
