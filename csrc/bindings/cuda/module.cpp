// The module dualwalk._cuda: arrays on a CUDA device in, the kernels of csrc/cuda behind, on the caller's stream.
#include "module.hpp"

#include "array.hpp"

namespace dualwalk::cuda {
namespace {

// Why no kernel can run here, or an empty string.
std::string why_not() {
  int driver = 0, count = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) return "no CUDA driver is installed";
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code != cudaSuccess) {
    cudaGetLastError();
    return std::string("the CUDA driver finds no device it can use (") + cudaGetErrorName(code) + ")";
  }
  return count > 0 ? "" : "the CUDA driver finds no device";
}

std::string version(int number) { return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10); }

py::dict facts() {
  py::dict result;
  int runtime = 0, driver = 0, device = 0;
  check("facts", cudaRuntimeGetVersion(&runtime));
  result["runtime"] = version(runtime);
  result["architectures"] = DUALWALK_CUDA_ARCHITECTURES;
  if (!why_not().empty()) return result;
  check("facts", cudaDriverGetVersion(&driver));
  check("facts", cudaGetDevice(&device));
  cudaDeviceProp properties;
  check("facts", cudaGetDeviceProperties(&properties, device));
  result["driver"] = version(driver);
  result["device"] = std::string(properties.name);
  result["capability"] = std::to_string(properties.major) + "." + std::to_string(properties.minor);
  result["multiprocessors"] = properties.multiProcessorCount;
  result["memory"] = properties.totalGlobalMem;
  return result;
}

}  // namespace
}  // namespace dualwalk::cuda

#if !defined(DUALWALK_CUDA_MODULE)
#define DUALWALK_CUDA_MODULE _cuda
#endif

// Without the GIL, too: nothing here outlives a call.
PYBIND11_MODULE(DUALWALK_CUDA_MODULE, m, pybind11::mod_gil_not_used()) {
  using namespace dualwalk::cuda;
  m.doc() = "dualwalk's CUDA kernels; use the public functions of dualwalk with CuPy arrays.";
  m.def("why_not", &why_not);
  m.def("facts", &facts);
  bind_draws(m);
  bind_permute(m);
  bind_objective(m);
  bind_walks(m);
  bind_sampling(m);
  bind_nodes(m);
  bind_tree(m);
#if defined(DUALWALK_CUDA_ON_HOST)
  bind_controls(m);
#endif
}
