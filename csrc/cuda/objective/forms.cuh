// The forms of log-mean-exp, each in a file of its own, and the sizes that they have in common.
#pragma once

#include "objective/objective.hpp"
#include "objective/tree.cuh"

namespace dualwalk::cuda {

template <class T>
void log_mean_exp_rows(const LogMeanExp<T>& job, Workspace& memory, cudaStream_t stream);  // n_inner = 1
template <class T>
void log_mean_exp_columns(const LogMeanExp<T>& job, Workspace& memory, cudaStream_t stream);

// The lanes that share a stretch of at most a chunk: few enough that most of them have work.
constexpr int ONE_LANE = 16, EIGHT_LANES = 128;  // elements up to which
inline int width_for(std::size_t n) { return n <= ONE_LANE ? 1 : n <= EIGHT_LANES ? 8 : 32; }

template <class T, bool WEIGHTED>
__device__ __forceinline__ ExpSum sum_stretch(const Team& team, const T* f, const T* weights, int n) {
  return team.width == 32 ? sum_run<T, WEIGHTED>(team, f, weights, n) : sum_part<T, WEIGHTED>(team, f, weights, n);
}

__device__ __forceinline__ int size_of_run(std::size_t n, std::size_t from) { return static_cast<int>(n - from < RUN ? n - from : RUN); }

}  // namespace dualwalk::cuda
