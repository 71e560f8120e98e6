// What host code here needs of the CUDA runtime: errors with the job's name, facts of the device, memory for a call.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace dualwalk::cuda {

// A call of the runtime that failed, with the job it belonged to.
struct Error : std::runtime_error {
  Error(const char* job, cudaError_t code)
      : std::runtime_error(std::string(job) + ": " + cudaGetErrorName(code) + ", " + cudaGetErrorString(code)) {}
};

inline void check(const char* job, cudaError_t code) {
  if (code != cudaSuccess) throw Error(job, code);
}

// Facts of the current device that decide shapes of launches.
struct Device {
  int multiprocessors, capability;  // 90 for 9.0
  std::size_t shared_block;         // bytes of shared memory a block may have
  std::size_t shared_multiprocessor;

  static Device current(const char* job) {
    int device = 0, major = 0, minor = 0, block = 0, multiprocessor = 0;
    Device facts{};
    check(job, cudaGetDevice(&device));
    check(job, cudaDeviceGetAttribute(&facts.multiprocessors, cudaDevAttrMultiProcessorCount, device));
    check(job, cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
    check(job, cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
    check(job, cudaDeviceGetAttribute(&block, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
    check(job, cudaDeviceGetAttribute(&multiprocessor, cudaDevAttrMaxSharedMemoryPerMultiprocessor, device));
    facts.capability = 10 * major + minor;
    facts.shared_block = static_cast<std::size_t>(block);
    facts.shared_multiprocessor = static_cast<std::size_t>(multiprocessor);
    return facts;
  }
};

// Memory for the duration of a call, ordered by the stream like the kernels that use it (CuPy's pool).
class Workspace {
 public:
  virtual ~Workspace() = default;
  virtual void* bytes(std::size_t n) = 0;  // at a multiple of 256
  template <class T>
  T* take(std::size_t n) {
    return static_cast<T*>(bytes(n * sizeof(T)));
  }
};

}  // namespace dualwalk::cuda
