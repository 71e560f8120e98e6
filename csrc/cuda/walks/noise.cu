#include "walks/noise.hpp"

#include "device.hpp"
#include "dualwalk/normal.hpp"

namespace dualwalk::cuda {
namespace {

constexpr unsigned THREADS = 256;

template <class T>
__global__ void step_noise_kernel(std::uint64_t seed, std::uint32_t step, std::size_t n_walks, std::size_t n_normals, T* out) {
  const std::size_t groups = (n_normals + 3) / 4, all = std::size_t{gridDim.x} * THREADS;
  for (std::size_t i = std::size_t{blockIdx.x} * THREADS + threadIdx.x; i < n_walks * groups; i += all) {
    const std::size_t walk = i / groups, group = i % groups;
    T number[4];
    four_normals(seed, static_cast<std::uint32_t>(walk), step, static_cast<std::uint32_t>(group), number);
    for (std::size_t k = 0; k < 4 && 4 * group + k < n_normals; ++k) out[walk * n_normals + 4 * group + k] = number[k];
  }
}

}  // namespace

template <class T>
void draw_step_noise(std::uint64_t seed, std::uint32_t step, std::size_t n_walks, std::size_t n_normals, T* out,
                     cudaStream_t stream) {
  const std::size_t blocks = (n_walks * ((n_normals + 3) / 4) + THREADS - 1) / THREADS;
  if (blocks == 0) return;
  const unsigned grid = static_cast<unsigned>(blocks < 0x7FFFFFFF ? blocks : 0x7FFFFFFF);
  launch("draw_step_noise", step_noise_kernel<T>, {grid, THREADS}, stream, seed, step, n_walks, n_normals, out);
}

template void draw_step_noise(std::uint64_t, std::uint32_t, std::size_t, std::size_t, float*, cudaStream_t);
template void draw_step_noise(std::uint64_t, std::uint32_t, std::size_t, std::size_t, double*, cudaStream_t);

}  // namespace dualwalk::cuda
