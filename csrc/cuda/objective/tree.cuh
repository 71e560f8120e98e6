// From the sums of runs to that of a whole: the upper part of the one tree that every long sum is added by.
#pragma once

#include "objective/shares.cuh"

namespace dualwalk::cuda {

constexpr int GROUP = 512;  // states that a warp combines

// The combined state of up to GROUP states, `stride` apart, told to all lanes of a warp.
__device__ __forceinline__ ExpSum combine_group(const ExpSum* states, std::size_t n, std::size_t stride) {
  ExpSum sum = nothing();
#pragma unroll 4
  for (std::size_t i = threadIdx.x & 31; i < n; i += 32) sum = combined(sum, states[i * stride]);
  return combine_lanes(sum);
}

// What a run is part of gets its value, and the shares for the gradient unless null. One lane calls it.
template <class T>
__device__ __forceinline__ void finish(const ExpSum& sum, bool weighted, T* value, Shares* shares) {
  *value = static_cast<T>(value_of(sum));
  if (shares) *shares = shares_of<T>(sum, weighted);
}

// Launches blocks for n items, as many as run at once or fewer; the kernel's loops take the rest.
struct Items {
  std::size_t n;
  unsigned a_block, threads = THREADS;
  std::size_t shared = 0;  // bytes a block
};
template <class... Parameters, class... Arguments>
void launch_over(const char* job, void (*kernel)(Parameters...), const Items& items, cudaStream_t stream,
                 Arguments... arguments) {
  const std::size_t blocks = (items.n + items.a_block - 1) / items.a_block;
  const std::size_t most = resident_blocks(job, kernel, Device::current(job), items.threads, items.shared);
  const unsigned grid = static_cast<unsigned>(blocks < most ? blocks : most);
  launch(job, kernel, {grid, items.threads, items.shared}, stream, arguments...);
}

__device__ __forceinline__ std::size_t first_warp() { return (std::size_t{blockIdx.x} * blockDim.x + threadIdx.x) / 32; }
__device__ __forceinline__ std::size_t all_warps() { return std::size_t{gridDim.x} * blockDim.x / 32; }
__device__ __forceinline__ bool first_lane() { return (threadIdx.x & 31) == 0; }

constexpr unsigned WARPS = THREADS / 32;

}  // namespace dualwalk::cuda
