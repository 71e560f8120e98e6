// Steps along C g with noise of covariance C = factor^T factor + diag(diagonal), for a tile of walks that one block takes side
// by side. All threads of the block call, and `weight` (n_factors, n) is theirs:
//
//   project_gradient    weight = factor g
//   barrier
//   shaped_square       g . C g, from which a step's size follows
//   barrier
//   weigh               weight = size weight + noise e;  x += noise sqrt(diagonal) e'
//   barrier
//   shaped_step         what is left to add to a feature: size diagonal g + factor^T weight
//
// So the noise costs no product of its own.
#pragma once

#include "walks/sums.cuh"
#include "walks/walk.cuh"

namespace dualwalk::cuda {

// Feature j of the tile's walk m at [j feature + m walk].
template <class T>
struct Tile {
  T* at;
  unsigned feature, walk;
  __device__ __forceinline__ T& operator()(std::size_t j, unsigned m) const { return at[j * feature + m * walk]; }
};

template <class T>
struct Shaper {
  const T* factor;    // of the first neighbourhood
  const T* diagonal;  // or null
  std::size_t n_factors, n_features;
  bool one_for_all;

  __device__ __forceinline__ const T* factor_of(std::size_t number) const {
    return factor + (one_for_all ? 0 : number) * n_factors * n_features;
  }
  __device__ __forceinline__ const T* diagonal_of(std::size_t number) const {
    return diagonal + (one_for_all ? 0 : number) * n_features;
  }
};

template <class T>
__host__ __device__ Shaper<T> shaper_of(const Walk<T>& walk) {
  return {walk.shape.factor, walk.shape.diagonal, walk.shape.n_factors, walk.n_features, walk.shape.one_for_all};
}

// Walks first .. first + n. Rows of the factor are shared out among the warps, walk after walk.
template <class T>
__device__ __forceinline__ void project_gradient(const Shaper<T>& shaper, std::size_t first, unsigned n, Tile<T> gradient,
                                                 Tile<T> weight) {
  for (unsigned m = 0; m < n; ++m)
    project(shaper.factor_of(first + m), shaper.n_factors, shaper.n_features, &gradient(0, m), gradient.feature, &weight(0, m),
            weight.feature, (warp_of_block() + m) % warps_of_block(), warps_of_block());
}

// g . C g of one walk, by a whole warp: the same bits in every lane.
template <class T>
__device__ __forceinline__ T shaped_square(const Shaper<T>& shaper, std::size_t number, unsigned m, Tile<T> gradient,
                                           Tile<T> weight) {
  T sum{0};
  for (std::size_t r = lane_of_warp(); r < shaper.n_factors; r += 32) sum += weight(r, m) * weight(r, m);
  if (shaper.diagonal) {
    const T* const diagonal = shaper.diagonal_of(number);
    for (std::size_t j = lane_of_warp(); j < shaper.n_features; j += 32) sum += diagonal[j] * gradient(j, m) * gradient(j, m);
  }
  return warp_sum(sum);
}

// For one walk, by threads `thread` of `n_threads` (a block or a warp).
template <class T>
__device__ __forceinline__ void weigh(const Walk<T>& walk, const Shaper<T>& shaper, std::size_t number, unsigned m,
                                      std::size_t step, T size,
                                      Tile<T> weight, Tile<T> x, unsigned thread, unsigned n_threads) {
  if (walk.noise_scale == T{0}) {
    for (std::size_t r = thread; r < shaper.n_factors; r += n_threads) weight(r, m) *= size;
    return;
  }
  const std::size_t n_normals = shaper.n_factors + (shaper.diagonal ? shaper.n_features : 0);
  for (std::size_t group = thread; 4 * group < n_normals; group += n_threads) {
    T normal[4];
    step_noise(walk, number, step, group, normal);
#pragma unroll
    for (unsigned k = 0; k < 4; ++k) {
      const std::size_t i = 4 * group + k;
      if (i >= n_normals) break;
      const T noise = walk.noise_scale * normal[k];
      if (i < shaper.n_factors) {
        weight(i, m) = size * weight(i, m) + noise;
      } else {
        const std::size_t j = i - shaper.n_factors;
        x(j, m) += square_root(shaper.diagonal_of(number)[j]) * noise;
      }
    }
  }
}

template <class T>
__device__ __forceinline__ T shaped_step(const Shaper<T>& shaper, std::size_t number, unsigned m, std::size_t j, T size,
                                         Tile<T> gradient, Tile<T> weight) {
  T sum = shaper.diagonal ? size * shaper.diagonal_of(number)[j] * gradient(j, m) : T{0};
  const T* const column = shaper.factor_of(number) + j;
  for (std::size_t r = 0; r < shaper.n_factors; ++r) sum += weight(r, m) * column[r * shaper.n_features];
  return sum;
}

}  // namespace dualwalk::cuda
