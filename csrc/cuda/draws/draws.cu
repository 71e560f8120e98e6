#include "draws/draws.hpp"

#include "device.hpp"
#include "dualwalk/normal.hpp"

namespace dualwalk::cuda {
namespace {

constexpr unsigned THREADS = 256;

// Blocks for n items, one a thread; loops take the rest where a grid cannot hold them.
unsigned blocks_for(std::size_t n) {
  const std::size_t blocks = (n + THREADS - 1) / THREADS;
  return static_cast<unsigned>(blocks < 0x7FFFFFFF ? blocks : 0x7FFFFFFF);
}

__device__ std::size_t first_item() { return std::size_t{blockIdx.x} * THREADS + threadIdx.x; }
__device__ std::size_t step() { return std::size_t{gridDim.x} * THREADS; }

__global__ void words_kernel(const std::uint32_t* counter, std::size_t n, std::uint64_t seed, std::uint32_t* out) {
  for (std::size_t i = first_item(); i < n; i += step()) {
    const Words words = philox({{counter[4 * i], counter[4 * i + 1], counter[4 * i + 2], counter[4 * i + 3]}}, seed);
    for (int k = 0; k < 4; ++k) out[4 * i + k] = words.word[k];
  }
}

__global__ void integers_kernel(Stream draws, const std::uint32_t* bounds, std::size_t n, std::uint32_t* out) {
  for (std::size_t i = first_item(); i < n; i += step()) out[i] = draw_integer(draws, i, bounds[i]);
}

template <class T>
__global__ void normals_kernel(std::uint64_t seed, std::size_t first, std::size_t n_rows, std::size_t n_columns, T* out) {
  const std::size_t groups = (n_columns + 3) / 4;
  for (std::size_t i = first_item(); i < n_rows * groups; i += step()) {
    const std::size_t row = i / groups, group = i % groups;
    T number[4];
    four_normals(seed, static_cast<std::uint32_t>(first + row), 0, static_cast<std::uint32_t>(group), number);
    for (std::size_t k = 0; k < 4 && 4 * group + k < n_columns; ++k) out[row * n_columns + 4 * group + k] = number[k];
  }
}

}  // namespace

void philox_words(const std::uint32_t* counter, std::size_t n, std::uint64_t seed, std::uint32_t* out, cudaStream_t stream) {
  if (n > 0) launch("philox", words_kernel, {blocks_for(n), THREADS}, stream, counter, n, seed, out);
}

void draw_integers(const Stream& draws, const std::uint32_t* bounds, std::size_t n, std::uint32_t* out, cudaStream_t stream) {
  if (n > 0) launch("draw_integers", integers_kernel, {blocks_for(n), THREADS}, stream, draws, bounds, n, out);
}

template <class T>
void draw_normals(std::uint64_t seed, std::size_t first, std::size_t n_rows, std::size_t n_columns, T* out, cudaStream_t stream) {
  const std::size_t items = n_rows * ((n_columns + 3) / 4);
  if (items > 0) launch("draw_normals", normals_kernel<T>, {blocks_for(items), THREADS}, stream, seed, first, n_rows, n_columns, out);
}

template void draw_normals(std::uint64_t, std::size_t, std::size_t, std::size_t, float*, cudaStream_t);
template void draw_normals(std::uint64_t, std::size_t, std::size_t, std::size_t, double*, cudaStream_t);

}  // namespace dualwalk::cuda
