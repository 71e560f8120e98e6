// What every kernel here needs beyond the language: shared memory, barriers wider than a block, and one way to launch. For .cu
// files only.
#pragma once

#include "dualwalk/config.hpp"
#include "runtime.hpp"

namespace dualwalk::cuda {

// ---- in kernels

// All shared memory is dynamic: `shared<T>(bytes)` is the block's memory from that byte on.
template <class T>
__device__ __forceinline__ T* shared(std::size_t bytes = 0) {
#if defined(DUALWALK_CUDA_ON_HOST)
  return reinterpret_cast<T*>(cuda_host::here().shared + bytes);
#else
  extern __shared__ __align__(128) unsigned char block_memory[];
  return reinterpret_cast<T*>(block_memory + bytes);
#endif
}

// Lets other warps run while this one waits for memory to change.
__device__ __forceinline__ void relax() { __nanosleep(32); }

// What another block wrote, past the caches of this multiprocessor.
__device__ __forceinline__ unsigned load_acquire(const unsigned* at) {
#if defined(DUALWALK_CUDA_ON_HOST)
  return *static_cast<const volatile unsigned*>(at);
#else
  unsigned value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(at) : "memory");
  return value;
#endif
}

// All threads of `n_blocks` blocks, which must run at once (a cooperative launch); `arrived` starts at 0 and only grows.
__device__ __forceinline__ void grid_barrier(unsigned* arrived, unsigned n_blocks) {
  __syncthreads();
  if (threadIdx.x == 0 && threadIdx.y == 0 && threadIdx.z == 0) {
    __threadfence();
    const unsigned wanted = (atomicAdd(arrived, 1u) / n_blocks + 1) * n_blocks;
    while (static_cast<int>(load_acquire(arrived) - wanted) < 0) relax();
    __threadfence();
  }
  __syncthreads();
}

// All threads of a cluster; what they wrote to each other's shared memory is seen after it.
__device__ __forceinline__ void cluster_barrier() {
#if defined(DUALWALK_CUDA_ON_HOST)
  cuda_host::cluster_barrier();
#elif __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;" ::: "memory");
#else
  __syncthreads();  // clusters are of one block there
#endif
}

// The place in the shared memory of block `rank` of the cluster that `own` has in this block's.
template <class T>
__device__ __forceinline__ T* of_block(T* own, unsigned rank) {
#if defined(DUALWALK_CUDA_ON_HOST)
  return reinterpret_cast<T*>(cuda_host::shared_of(rank) + (reinterpret_cast<unsigned char*>(own) - cuda_host::here().shared));
#elif __CUDA_ARCH__ >= 900
  std::uint64_t there;
  asm("mapa.u64 %0, %1, %2;" : "=l"(there) : "l"(reinterpret_cast<std::uint64_t>(own)), "r"(rank));
  return reinterpret_cast<T*>(there);
#else
  return own;
#endif
}

__device__ __forceinline__ unsigned cluster_rank() {
#if defined(DUALWALK_CUDA_ON_HOST)
  return cuda_host::here().block % cuda_host::here().cluster_size;
#elif __CUDA_ARCH__ >= 900
  unsigned rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
#else
  return 0;
#endif
}

// ---- launches, on the host

struct Shape {
  dim3 grid, block;
  std::size_t shared = 0;   // bytes a block
  unsigned cluster = 1;     // blocks along x that share their memory (capability 9.0)
  bool together = false;    // all blocks run at once, for grid_barrier
};

// kernel<<<shape>>>(arguments) on a stream; an Error with the job's name where it could not start.
template <class... Parameters, class... Arguments>
void launch(const char* job, void (*kernel)(Parameters...), const Shape& shape, cudaStream_t stream, Arguments&&... arguments) {
#if defined(DUALWALK_CUDA_ON_HOST)
  (void)stream;
  const dim3 &g = shape.grid, &b = shape.block;
  check(job, cuda_host::launch({{g.x, g.y, g.z}, {b.x, b.y, b.z}, shape.shared, shape.cluster, shape.together},
                               [&] { kernel(static_cast<Parameters>(arguments)...); }));
#else
  if (shape.shared > 48 * 1024)
    check(job, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shape.shared)));
  cudaLaunchConfig_t config{};
  cudaLaunchAttribute attribute[2];
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared;
  config.stream = stream;
  config.attrs = attribute;
  if (shape.cluster > 1) {
    attribute[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
    attribute[config.numAttrs].val.clusterDim.x = shape.cluster;
    attribute[config.numAttrs].val.clusterDim.y = attribute[config.numAttrs].val.clusterDim.z = 1;
    ++config.numAttrs;
  }
  if (shape.together) {
    attribute[config.numAttrs].id = cudaLaunchAttributeCooperative;
    attribute[config.numAttrs].val.cooperative = 1;
    ++config.numAttrs;
  }
  check(job, cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...));
  check(job, cudaPeekAtLastError());
#endif
}

// The most blocks of a kernel that run at once, for grids that stay and for grid_barrier.
template <class... Parameters>
unsigned resident_blocks(const char* job, void (*kernel)(Parameters...), const Device& device, unsigned threads, std::size_t shared) {
  int blocks = 0;
#if !defined(DUALWALK_CUDA_ON_HOST)
  if (shared > 48 * 1024)
    check(job, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)));
#endif
  check(job, cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, static_cast<int>(threads), shared));
  if (blocks == 0) throw Error(job, cudaErrorInvalidConfiguration);
  return static_cast<unsigned>(blocks) * static_cast<unsigned>(device.multiprocessors);
}

}  // namespace dualwalk::cuda
