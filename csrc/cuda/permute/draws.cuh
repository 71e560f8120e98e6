// Draws of many rows at once for the kernels of permute_marginals: the integers of draw_integer. For .cu files only.
#pragma once

#include "device.hpp"
#include "permute/permute.hpp"

namespace dualwalk::cuda {

constexpr const char* JOB = "permute_marginals";

constexpr unsigned WARP = 32;

template <unsigned N>
struct Draws {
  std::uint32_t at[4 * N];
};

// Draws of rows row + i * apart + k, i < N and k < 4, below bound + step * (i * apart + k); row and apart are multiples of 4, so
// that a counter gives four rows. N counters are under way at once: one alone leaves the multiplier idle half of the time.
// `doubtful` (bound / 2^32 of all draws): a word may have to be rejected, and settle_rows must say.
template <unsigned N>
__device__ __forceinline__ Draws<N> try_rows(const Stream& stream, std::uint64_t row, std::uint32_t apart, std::uint32_t bound,
                                             std::uint32_t step, bool& doubtful) {
  Draws<N> draws;
  Words words[N];
#pragma unroll
  for (unsigned i = 0; i < N; ++i)
    words[i] = philox({{static_cast<std::uint32_t>((row + i * apart) >> 2), stream.block, stream.copy, stream.operation}}, stream.seed);
  doubtful = false;
#pragma unroll
  for (unsigned i = 0; i < 4 * N; ++i) {
    const std::uint32_t own = bound + step * (i / 4 * apart + i % 4);
    const std::uint64_t product = wide_product(words[i / 4].word[i % 4], own);
    draws.at[i] = static_cast<std::uint32_t>(product >> 32);
    doubtful |= static_cast<std::uint32_t>(product) < own;
  }
  return draws;
}

// The same, surely and slowly.
template <unsigned N>
__device__ __forceinline__ Draws<N> settle_rows(const Stream& stream, std::uint64_t row, std::uint32_t apart, std::uint32_t bound,
                                                std::uint32_t step) {
  Draws<N> draws{};
#pragma unroll 1
  for (unsigned i = 0; i < 4 * N; ++i) {
    const std::uint32_t k = i / 4 * apart + i % 4, draw = draw_integer(stream, row + k, bound + step * k);
#pragma unroll
    for (unsigned j = 0; j < 4 * N; ++j) draws.at[j] = j == i ? draw : draws.at[j];
  }
  return draws;
}

template <unsigned N>
__device__ __forceinline__ Draws<N> draw_rows(const Stream& stream, std::uint64_t row, std::uint32_t apart, std::uint32_t bound,
                                              std::uint32_t step) {
  bool doubtful;
  const Draws<N> draws = try_rows<N>(stream, row, apart, bound, step, doubtful);
  return doubtful ? settle_rows<N>(stream, row, apart, bound, step) : draws;
}

__device__ __forceinline__ Stream stream_of(const Permutation& job, std::size_t copy, std::size_t column) {
  return {job.seed, job.operation, static_cast<std::uint32_t>(copy), static_cast<std::uint32_t>(job.block[column])};
}

}  // namespace dualwalk::cuda
