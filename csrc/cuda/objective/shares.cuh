// The gradient of log-mean-exp: w_i exp(x_i) / sum_j w_j exp(x_j), once the sum is known.
#pragma once

#include "objective/exp_sums.cuh"

namespace dualwalk::cuda {

// exp(x - centre) / divisor is a term's share of the sum, or times its weight where there are weights.
struct alignas(16) Shares {
  double centre, divisor;  // a divisor of NaN: some value or the sum is not finite
  double base, total;
};

template <class T>
__device__ __forceinline__ Shares shares_of(const ExpSum& sum, bool weighted) {
  const double total = sum.steps + sum.rest;
  if (!(fabs(sum.base) < infinity<double>() && total > 0 && total < infinity<double>()))
    return {0, static_cast<double>(NAN), sum.base, total};
  // weights may be tiny, and without them no x is above the centre: exp stays in range
  const double centre = static_cast<T>(sum.base + log(weighted ? total / sum.weight : total));
  return {centre, total * exp(sum.base - centre), sum.base, total};
}

// What a lane makes of its elements, where everything is finite.
template <class T, bool WEIGHTED>
class FiniteShare {
 public:
  __device__ explicit FiniteShare(const Shares& of)
      : centre_(of.centre), divisor_(of.divisor), near_(static_cast<T>(of.centre)), scale_(static_cast<T>(1 / of.divisor)) {}

  __device__ T operator()(T x, T w) const {
    if constexpr (WEIGHTED) return weighted(x, w);
    else return small_exponential(x - near_) * scale_;
  }

 private:
  // Half of the exponent twice: where a weight is tiny, exp leaves the range of doubles.
  __device__ T weighted(double x, double w) const {
    const double root = small_exponential((x - centre_) * 0.5);
    return w > 0 ? static_cast<T>(root * (w / divisor_) * root) : T{0};
  }

  double centre_, divisor_;
  T near_, scale_;
};

// NaN is never hidden, +inf takes all, a sum of zeros gives none.
template <class T, bool WEIGHTED>
class OddShare {
 public:
  __device__ explicit OddShare(const Shares& of) : total_(of.total), all_(of.base == infinity<double>()) {}

  __device__ T operator()(T x, T w) const {
    if (total_ != total_) return static_cast<T>(NAN);
    const double weight = WEIGHTED ? static_cast<double>(w) : 1.0;
    return all_ && x == infinity<T>() && weight > 0 ? static_cast<T>(weight / total_) : T{0};
  }

 private:
  double total_;
  bool all_;
};

template <class T, bool WEIGHTED, class Share>
__device__ void write_each(const Team& team, const T* f, const T* weights, T* out, int n, const Share& share) {
  const bool aligned = is_aligned(f) && is_aligned(weights) && is_aligned(out);
  const int step = team.width * VECTOR<T>;
#pragma unroll 1
  for (int at = team.rank * VECTOR<T>; at < n; at += LOADS * step) {
    Batch<T, WEIGHTED> batch;
    if (at + (LOADS - 1) * step + VECTOR<T> <= n)
      batch.load(f, weights, aligned, at, step);
    else
      batch.load_part(f, weights, aligned, at, step, n);
#pragma unroll
    for (int k = 0; k < LOADS; ++k) {
      T result[VECTOR<T>];
#pragma unroll
      for (int j = 0; j < VECTOR<T>; ++j) result[j] = share(batch.x[k][j], batch.weight(k, j));
      store_part(out, aligned, at + k * step, n, result);
    }
  }
}

// The shares of the n elements of a stretch, by a team; all of it in one sum.
template <class T, bool WEIGHTED>
__device__ void write_shares(const Team& team, const T* f, const T* weights, T* out, int n, const Shares& shares) {
  if (shares.divisor == shares.divisor)
    write_each<T, WEIGHTED>(team, f, weights, out, n, FiniteShare<T, WEIGHTED>(shares));
  else
    write_each<T, WEIGHTED>(team, f, weights, out, n, OddShare<T, WEIGHTED>(shares));
}

}  // namespace dualwalk::cuda
