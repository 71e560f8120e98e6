// Stands where nvcc's <cuda_runtime.h> stands, so that g++ compiles csrc/cuda and a machine without a GPU runs it: the words of
// the language, the built-in functions that the kernels use, and the part of the runtime that the host code calls. Every thread
// of a block is a fiber (emulator.hpp); what memory, caches and clocks do is not imitated.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "emulator.hpp"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __restrict__ __restrict
#define __constant__ static const
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) alignas(n)
#define DUALWALK_CUDA_ON_HOST 1

struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(4) ushort2 { unsigned short x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) double2 { double x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline double2 make_double2(double x, double y) { return {x, y}; }

namespace cuda_host {
struct Index {
  unsigned x, y, z;
};
inline Index index_of(unsigned flat, const Shape& shape) {
  return {flat % shape.x, flat / shape.x % shape.y, flat / shape.x / shape.y};
}
}  // namespace cuda_host

#define threadIdx (cuda_host::index_of(cuda_host::here().thread, cuda_host::here().block_shape))
#define blockIdx (cuda_host::index_of(cuda_host::here().block, cuda_host::here().grid_shape))
#define blockDim (cuda_host::here().block_shape)
#define gridDim (cuda_host::here().grid_shape)
constexpr int warpSize = 32;

// ---- built-in functions

inline void __syncthreads() { cuda_host::block_barrier(); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { cuda_host::warp_barrier(mask); }
inline int __syncthreads_or(int value) { return cuda_host::block_vote(value != 0) != 0; }
inline int __syncthreads_and(int value) { return cuda_host::block_vote(value == 0) == 0; }
inline int __syncthreads_count(int value) { return cuda_host::block_vote(value != 0); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __nanosleep(unsigned) { cuda_host::pause(); }

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  const int own = cuda_host::lane();
  return cuda_host::exchange(mask, value, (own & ~(width - 1)) + (lane & (width - 1)));
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int other, int width = 32) {
  const int own = cuda_host::lane(), from = own ^ other;
  return cuda_host::exchange(mask, value, from / width > own / width ? own : from);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  const int own = cuda_host::lane(), from = own + static_cast<int>(by);
  return cuda_host::exchange(mask, value, from / width != own / width ? own : from);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
  const int own = cuda_host::lane(), from = own - static_cast<int>(by);
  return cuda_host::exchange(mask, value, from < (own & ~(width - 1)) ? own : from);
}
inline unsigned __ballot_sync(unsigned mask, int value) { return cuda_host::ballot(mask, value != 0); }
inline int __any_sync(unsigned mask, int value) { return cuda_host::ballot(mask, value != 0) != 0; }
inline int __all_sync(unsigned mask, int value) { return cuda_host::ballot(mask, value == 0) == 0; }
inline unsigned __activemask() { return 0xffffffffu; }

template <class T, class U>
T atomicAdd(T* at, U value) {
  const T old = *at;
  *at = static_cast<T>(old + value);
  return old;
}
template <class T, class U>
T atomicMax(T* at, U value) {
  const T old = *at;
  if (static_cast<T>(value) > old) *at = static_cast<T>(value);
  return old;
}
template <class T, class U>
T atomicMin(T* at, U value) {
  const T old = *at;
  if (static_cast<T>(value) < old) *at = static_cast<T>(value);
  return old;
}
template <class T, class U>
T atomicOr(T* at, U value) {
  const T old = *at;
  *at = old | static_cast<T>(value);
  return old;
}
template <class T, class U>
T atomicExch(T* at, U value) {
  const T old = *at;
  *at = static_cast<T>(value);
  return old;
}
template <class T, class U, class V>
T atomicCAS(T* at, U expected, V value) {
  const T old = *at;
  if (old == static_cast<T>(expected)) *at = static_cast<T>(value);
  return old;
}

template <class T>
T __ldg(const T* at) { return *at; }
template <class T>
T __ldcs(const T* at) { return *at; }
template <class T>
T __ldcg(const T* at) { return *at; }
template <class T>
void __stcs(T* at, T value) { *at = value; }
template <class T>
void __stcg(T* at, T value) { *at = value; }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(static_cast<std::uint64_t>(a) * b >> 32); }
inline unsigned __float_as_uint(float x) { unsigned u; std::memcpy(&u, &x, 4); return u; }
inline float __uint_as_float(unsigned u) { float x; std::memcpy(&x, &u, 4); return x; }
inline int __float_as_int(float x) { int u; std::memcpy(&u, &x, 4); return u; }
inline float __int_as_float(int u) { float x; std::memcpy(&x, &u, 4); return x; }
inline long long __double_as_longlong(double x) { long long u; std::memcpy(&u, &x, 8); return u; }
inline double __longlong_as_double(long long u) { double x; std::memcpy(&x, &u, 8); return x; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fadd_rn(float a, float b) { volatile float s = a + b; return s; }
inline float __fsub_rn(float a, float b) { volatile float s = a - b; return s; }
inline float __fmul_rn(float a, float b) { volatile float s = a * b; return s; }
inline double __dadd_rn(double a, double b) { volatile double s = a + b; return s; }
inline double __dsub_rn(double a, double b) { volatile double s = a - b; return s; }
inline double __dmul_rn(double a, double b) { volatile double s = a * b; return s; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float fdividef(float a, float b) { return a / b; }
using std::fmaxf;
using std::fminf;
template <class T>
T min(T a, T b) { return b < a ? b : a; }
template <class T>
T max(T a, T b) { return a < b ? b : a; }

// ---- the runtime

using cudaError_t = int;
using cudaStream_t = struct cuda_host_stream*;
enum : int {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorNoDevice = 100,
  cudaErrorCooperativeLaunchTooLarge = 720,
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3, cudaMemcpyDefault = 4 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8, cudaFuncAttributeNonPortableClusterSizeAllowed = 9 };
enum cudaDeviceAttr {
  cudaDevAttrMaxThreadsPerBlock = 1,
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrL2CacheSize = 38,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMaxSharedMemoryPerMultiprocessor = 81,
  cudaDevAttrCooperativeLaunch = 95,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
};

// The device that is imitated; a few multiprocessors, so that loops over more work than fits at once are run through.
inline const char* cudaGetErrorName(cudaError_t error) { return error == cudaSuccess ? "cudaSuccess" : error == cudaErrorInvalidConfiguration ? "cudaErrorInvalidConfiguration" : error == cudaErrorCooperativeLaunchTooLarge ? "cudaErrorCooperativeLaunchTooLarge" : "cudaErrorInvalidValue"; }
inline const char* cudaGetErrorString(cudaError_t error) { return error == cudaSuccess ? "no error" : "refused by the emulator"; }
inline cudaError_t cudaGetLastError() { const int error = cuda_host::last_error; cuda_host::last_error = 0; return error; }
inline cudaError_t cudaPeekAtLastError() { return cuda_host::last_error; }
inline cudaError_t cudaGetDevice(int* device) { *device = 0; return cudaSuccess; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* count) { *count = 1; return cudaSuccess; }
inline cudaError_t cudaDriverGetVersion(int* version) { *version = 13000; return cudaSuccess; }
inline cudaError_t cudaRuntimeGetVersion(int* version) { *version = 13000; return cudaSuccess; }
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  const auto& device = cuda_host::device();
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
    case cudaDevAttrMultiProcessorCount: *value = device.multiprocessors; break;
    case cudaDevAttrL2CacheSize: *value = 1 << 20; break;
    case cudaDevAttrComputeCapabilityMajor: *value = device.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = device.minor; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = device.shared + 1024; break;
    case cudaDevAttrCooperativeLaunch: *value = 1; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = device.shared; break;
    default: *value = 0; return cudaErrorInvalidValue;
  }
  return cudaSuccess;
}
struct cudaDeviceProp {
  char name[256];
  int major, minor, multiProcessorCount;
  std::size_t totalGlobalMem;
};
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::memset(properties, 0, sizeof(*properties));
  std::strcpy(properties->name, "emulated on the host");
  properties->major = cuda_host::device().major;
  properties->minor = cuda_host::device().minor;
  properties->multiProcessorCount = cuda_host::device().multiprocessors;
  properties->totalGlobalMem = std::size_t{1} << 34;
  return cudaSuccess;
}
template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel, cudaFuncAttribute, int) { return cudaSuccess; }
template <class Kernel>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Kernel, int threads, std::size_t shared) {
  const auto& device = cuda_host::device();
  const int by_threads = 2048 / (threads > 0 ? threads : 1), by_shared = static_cast<int>((device.shared + 1024) / (shared + 1024));
  *blocks = by_threads < by_shared ? by_threads : by_shared;
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t n, cudaMemcpyKind, cudaStream_t) { std::memcpy(to, from, n); return cudaSuccess; }
inline cudaError_t cudaMemsetAsync(void* to, int value, std::size_t n, cudaStream_t) { std::memset(to, value, n); return cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
