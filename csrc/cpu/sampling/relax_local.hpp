// The exact walk of local Gaussian duals: every new row is a weighted sum of its neighbourhood's rows, start and noise alike.
#pragma once

#include <cmath>

#include "kernels.hpp"
#include "simd/noise.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

// out[0 .. n_vectors lanes) = sum_k weight[k] points[index[k], j ..), the sums kept in registers.
template <std::size_t n_vectors, class T>
DUALWALK_FN void weighted_vectors(const Relaxation<T>& job, const std::int64_t* index, const T* weight, std::size_t j, T* out) {
  using V = Vector<T>;
  V sum[n_vectors] = {};
  for (std::size_t k = 0; k < job.n_members; ++k) {
    const T* const row = job.points + static_cast<std::size_t>(index[k]) * job.n_features + j;
#pragma GCC unroll 8
    for (std::size_t v = 0; v < n_vectors; ++v) sum[v] += weight[k] * load<V>(row + v * LANES<T>);
  }
#pragma GCC unroll 8
  for (std::size_t v = 0; v < n_vectors; ++v) store(out + j + v * LANES<T>, sum[v]);
}

template <class T>
void weighted_row(const Relaxation<T>& job, const std::int64_t* index, const T* weight, T* out) {
  constexpr std::size_t lanes = LANES<T>;
  const std::size_t d = job.n_features;
  std::size_t j = 0;
  for (; j + 8 * lanes <= d; j += 8 * lanes) weighted_vectors<8>(job, index, weight, j, out);
  if (j + 4 * lanes <= d) weighted_vectors<4>(job, index, weight, j, out), j += 4 * lanes;
  if (j + 2 * lanes <= d) weighted_vectors<2>(job, index, weight, j, out), j += 2 * lanes;
  if (j + lanes <= d) weighted_vectors<1>(job, index, weight, j, out), j += lanes;
  if (j < d && d >= lanes) return weighted_vectors<1>(job, index, weight, d - lanes, out);  // overlaps what is done already
  for (; j < d; ++j) {
    T sum{};
    for (std::size_t k = 0; k < job.n_members; ++k) sum += weight[k] * job.points[static_cast<std::size_t>(index[k]) * d + j];
    out[j] = sum;
  }
}

constexpr std::size_t POINT_WORK = 4;  // multiply-adds that take as long as one with a number from the second cache

template <class T>
bool relax_local(const Relaxation<T>& job) {
  constexpr std::size_t rows_a_task = 32;
  const std::size_t n = job.n_members, room = (noise_length(n) + 15) / 16 * 16;
  const double work = static_cast<double>(job.n_rows) * static_cast<double>(n * (POINT_WORK * job.n_features + NORMAL_WORK));
  const int n_threads = threads_for(work, job.n_threads);
  const Scratch rooms(room * sizeof(T) * n_threads);
  if (!rooms) return false;
  const double a = job.decay, noise_scale = std::sqrt((1.0 - a * a) / static_cast<double>(n > 1 ? n - 1 : 1));
  auto body = [&](std::size_t task, int worker) {
    T* const weight = rooms.template as<T>() + room * worker;
    for (std::size_t r = task * rows_a_task; r < smaller((task + 1) * rows_a_task, job.n_rows); ++r) {
      noise(job.seed, static_cast<std::uint32_t>(r), 0, n, weight);
      double mean = 0.0;
      for (std::size_t k = 0; k < n; ++k) mean += weight[k];
      mean /= static_cast<double>(n);
      for (std::size_t k = 0; k < n; ++k) weight[k] = static_cast<T>(noise_scale * (weight[k] - mean) + (1.0 - a) / static_cast<double>(n));
      weight[0] += static_cast<T>(a);
      weighted_row(job, job.neighbors + r * n, weight, job.out + r * job.n_features);
    }
  };
  return run_parallel((job.n_rows + rows_a_task - 1) / rows_a_task, n_threads, body, job.poll, job.poll_context);
}

// out[r, :] are the normals of (walk first + r, step 0).
template <class T>
bool draw_normals(std::uint64_t seed, std::size_t first, std::size_t n_rows, std::size_t n_columns, T* out) {
  const Scratch room(noise_length(n_columns) * sizeof(T));
  if (!room) return false;
  for (std::size_t r = 0; r < n_rows; ++r) {
    noise(seed, static_cast<std::uint32_t>(first + r), 0, n_columns, room.template as<T>());
    std::memcpy(out + r * n_columns, room.template as<T>(), n_columns * sizeof(T));
  }
  return true;
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
