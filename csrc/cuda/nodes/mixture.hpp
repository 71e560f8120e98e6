// All members' mixtures at one pair, a thread a pair: components in the block's rows, values at the child and over a grid of the
// node's marginal, and their slopes. backends/_reference_terms.py is the definition. For .cu files only.
#pragma once

#include "nodes/network.hpp"

namespace dualwalk::cuda {

template <class T>
constexpr T MINUS_INFINITY = -__builtin_huge_val();

// Components exp(log_weight - z^2 / 2) with z = (x - mean) precision: rows [kind * most + component].
template <class T>
struct Mixture {
  Rows<T> rows;
  unsigned most;  // components of all members

  __device__ T& log_weight(unsigned c) const { return rows[c]; }
  __device__ T& mean(unsigned c) const { return rows[most + c]; }
  __device__ T& precision(unsigned c) const { return rows[2 * most + c]; }

  // Writes a member's components, from its outputs on the base's mean and log scale.
  __device__ void add(unsigned member, const Rows<T>& outputs, T base_mean, T log_scale, T log_n_members) const {
    const T scale = exponential(log_scale);
    T share[COMPONENTS];
#pragma unroll
    for (unsigned j = 0; j < COMPONENTS; ++j) share[j] = outputs[j];
    const T total = softmax(share, QuickExp{}) + log_n_members;
#pragma unroll
    for (unsigned j = 0; j < COMPONENTS; ++j) {
      T log_sd = clip_log_sd(T(outputs[2 * COMPONENTS + j])), centre = outputs[COMPONENTS + j];
      if (j < TIED) {
        centre = base_mean + scale * centre;
        log_sd += log_scale;
      }
      const unsigned c = member * COMPONENTS + j;
      log_weight(c) = outputs[j] - total - log_sd;
      mean(c) = centre;
      precision(c) = exponential(-log_sd);
    }
  }

  __device__ __forceinline__ T score(unsigned c, T x) const {
    const T z = (x - mean(c)) * precision(c);
    return log_weight(c) - T(0.5) * z * z;
  }

  // The largest score at x, and the sum of all scores' exp relative to it.
  __device__ T largest(T x, T& total) const {
    T most_likely = score(0, x);
    for (unsigned c = 1; c < most; ++c) {
      const T here = score(c, x);
      most_likely = here > most_likely ? here : most_likely;
    }
    total = T{0};
    for (unsigned c = 0; c < most; ++c) total += QuickExp{}(score(c, x) - most_likely);
    return most_likely;
  }

  // f at x, however far x is from every component.
  __device__ T log_ratio(T x) const {
    T total;
    const T most_likely = largest(x, total);
    return most_likely + logarithm(total) + T(0.5) * x * x;
  }

  // f at every grid value, -inf where no component is within reach: four values at a time for each component that is read.
  __device__ void log_ratio_on(const T* grid, unsigned n_grid, const Rows<T>& ratio) const {
    for (unsigned first = 0; first < n_grid; first += 4) {
      T x[4], density[4] = {};
#pragma unroll
      for (unsigned k = 0; k < 4; ++k) x[k] = __ldg(grid + (first + k < n_grid ? first + k : n_grid - 1));
      for (unsigned c = 0; c < most; ++c) {
        const T centre = mean(c), narrow = precision(c), weight = log_weight(c);
#pragma unroll
        for (unsigned k = 0; k < 4; ++k) {
          const T z = (x[k] - centre) * narrow;
          density[k] += QuickExp{}(weight - T(0.5) * z * z);
        }
      }
#pragma unroll
      for (unsigned k = 0; k < 4; ++k)
        if (first + k < n_grid) ratio[first + k] = density[k] > T{0} ? logarithm(density[k]) + T(0.5) * x[k] * x[k] : MINUS_INFINITY<T>;
    }
  }

  // The slopes of one term: rows `by` [kind * most + component] take those by log share, mean and log sd, times alpha. `shift`
  // is the log of what a grid value weighs, less its density. Returns the slope by x.
  __device__ T slopes(T x, T alpha, const T* grid, unsigned n_grid, const Rows<T>& shift, const Rows<T>& by) const {
    T total, by_x = x;
    const T most_likely = largest(x, total), share = T{1} / total;
    for (unsigned c = 0; c < most; ++c) {
      const T centre = mean(c), narrow = precision(c), weight = log_weight(c);
      const T near = QuickExp{}(score(c, x) - most_likely) * share, z = (x - centre) * narrow;
      T sum{0}, first{0}, second{0};  // moments of the grid's z under this component
#pragma unroll 4
      for (unsigned g = 0; g < n_grid; ++g) {
        const T there = (__ldg(grid + g) - centre) * narrow;
        const T w = QuickExp{}(weight - T(0.5) * there * there + shift[g]);
        sum += w;
        first += w * there;
        second += w * there * there;
      }
      by_x -= near * z * narrow;
      by[c] = alpha * (near - sum);
      by[most + c] = alpha * (near * z - first) * narrow;
      by[2 * most + c] = alpha * (near * (z * z - T{1}) - (second - sum));
    }
    return alpha * by_x;
  }
};

// log mean exp of alpha f over the grid; -inf where all are.
template <class T>
__device__ T grid_level(const Rows<T>& ratio, unsigned n_grid, T alpha) {
  T largest = MINUS_INFINITY<T>, total{0};
  for (unsigned g = 0; g < n_grid; ++g) {
    const T here = alpha * ratio[g];
    largest = here > largest ? here : largest;
  }
  largest = largest > MINUS_INFINITY<T> ? largest : T{0};
#pragma unroll 4
  for (unsigned g = 0; g < n_grid; ++g) total += QuickExp{}(alpha * ratio[g] - largest);
  return total > T{0} ? largest + logarithm(total * (T{1} / static_cast<T>(n_grid))) : MINUS_INFINITY<T>;
}

}  // namespace dualwalk::cuda
