// The exact walk of local Gaussian duals: a new row is a weighted sum of its neighbourhood's rows, start and noise alike. A
// block a row: threads draw the weights, then each sums a few features over the neighbours. All but the first time a point's
// row comes from the second-level cache, whose bandwidth is the limit.
#include <cmath>

#include "device.hpp"
#include "dualwalk/normal.hpp"
#include "sampling/sampling.hpp"

namespace dualwalk::cuda {
namespace {

constexpr unsigned THREADS = 128;

// sqrt((1 - decay^2) / K), and what a member weighs without noise.
struct Scales {
  double noise, even;
};

// `near`: weights are in shared memory; else in the workspace, a part for every block.
template <class T, bool near>
__global__ void __launch_bounds__(THREADS, 1) relax_kernel(Relaxation<T> job, Scales scales, T* workspace) {
  const std::size_t n = job.n_members, d = job.n_features;
  T* const weight = near ? shared<T>() : workspace + blockIdx.x * n;
  for (std::size_t row = blockIdx.x; row < job.n_rows; row += gridDim.x) {
    __syncthreads();  // the weights of the row before have been used
    for (std::size_t group = threadIdx.x; 4 * group < n; group += THREADS) {
      T normal[4];
      four_normals(job.seed, static_cast<std::uint32_t>(row), 0, static_cast<std::uint32_t>(group), normal);
#pragma unroll
      for (unsigned k = 0; k < 4; ++k)
        if (4 * group + k < n) weight[4 * group + k] = normal[k];
    }
    __syncthreads();
    double mean = 0.0;  // by every warp alike
    for (std::size_t k = threadIdx.x % 32; k < n; k += 32) mean += static_cast<double>(weight[k]);
    for (int other = 16; other > 0; other /= 2) mean += __shfl_xor_sync(0xffffffffu, mean, other);
    mean /= static_cast<double>(n);
    __syncthreads();
    for (std::size_t k = threadIdx.x; k < n; k += THREADS) {
      const double with_noise = scales.noise * (static_cast<double>(weight[k]) - mean) + scales.even;
      weight[k] = static_cast<T>(k == 0 ? with_noise + job.decay : with_noise);
    }
    __syncthreads();
    const std::int64_t* const member = job.neighbors + row * n;
    for (std::size_t j = threadIdx.x; j < d; j += THREADS) {
      T sum{0};
#pragma unroll 4
      for (std::size_t k = 0; k < n; ++k) sum += weight[k] * job.points[static_cast<std::size_t>(member[k]) * d + j];
      job.out[row * d + j] = sum;
    }
  }
}

template <class T, bool near>
void launch_relax(const Relaxation<T>& job, const Scales& scales, const Device& device, Workspace& workspace,
                  cudaStream_t stream) {
  const std::size_t bytes = near ? job.n_members * sizeof(T) : 0;
  std::size_t most = 0x7FFFFFFF;
  if (!near) most = resident_blocks("relax_local", relax_kernel<T, near>, device, THREADS, bytes);
  const auto n_blocks = static_cast<unsigned>(job.n_rows < most ? job.n_rows : most);
  T* const weights = near ? nullptr : workspace.take<T>(n_blocks * job.n_members);
  launch("relax_local", relax_kernel<T, near>, {n_blocks, THREADS, bytes}, stream, job, scales, weights);
}

}  // namespace

template <class T>
void relax_local(const Relaxation<T>& job, Workspace& workspace, cudaStream_t stream) {
  if (job.n_rows == 0 || job.n_features == 0) return;
  const Device device = Device::current("relax_local");
  const double n = static_cast<double>(job.n_members), a = job.decay;
  const Scales scales{std::sqrt((1.0 - a * a) / (n > 1 ? n - 1 : 1.0)), (1.0 - a) / n};
  if (job.n_members * sizeof(T) <= device.shared_block)
    launch_relax<T, true>(job, scales, device, workspace, stream);
  else
    launch_relax<T, false>(job, scales, device, workspace, stream);
}

template void relax_local(const Relaxation<float>&, Workspace&, cudaStream_t);
template void relax_local(const Relaxation<double>&, Workspace&, cudaStream_t);

}  // namespace dualwalk::cuda
