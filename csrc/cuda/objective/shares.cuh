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

// As a lane uses it.
template <class T, bool WEIGHTED>
class Share {
 public:
  __device__ explicit Share(const Shares& of) : of_(of), centre_(of.centre), scale_(1 / of.divisor), plain_(of.divisor == of.divisor) {}

  __device__ T operator()(T x, T w) const {
    if (!plain_) return odd(x, w);
    if constexpr (WEIGHTED) return weighted(x, w);
    else return plain_share(x);
  }

 private:
  __device__ float plain_share(float x) const {
    constexpr float rounder = Format<float>::rounder + Format<float>::bias;
    const float d = x - centre_, shifted = __fmaf_rn(d, Format<float>::log2e, rounder), n = shifted - rounder;
    const float r = __fmaf_rn(n, 1.90465429e-9f, __fmaf_rn(n, -0.693147182f, d));
    const float e = __fmaf_rn(r * r, exp_tail(r, float{}), r);
    const float power = bits_as<float>(bits_as<std::uint32_t>(shifted) << Format<float>::mantissa);
    return d < Format<float>::least_normal ? 0.0f : __fmaf_rn(power, e, power) * scale_;
  }
  __device__ double plain_share(double x) const { return exponential_of_negative(x - centre_) * scale_; }
  // Half of the exponent twice: where a weight is tiny, exp leaves the range of doubles.
  __device__ T weighted(double x, double w) const {
    const double root = exponential_of_negative((x - of_.centre) * 0.5);
    return w > 0 ? static_cast<T>(root * (w / of_.divisor) * root) : T{0};
  }
  // NaN is never hidden, +inf takes all, a sum of zeros gives none.
  __device__ T odd(T x, T w) const {
    if (of_.total != of_.total) return static_cast<T>(NAN);
    const double weight = WEIGHTED ? static_cast<double>(w) : 1.0;
    return of_.base == infinity<double>() && x == infinity<T>() && weight > 0 ? static_cast<T>(weight / of_.total) : T{0};
  }

  const Shares& of_;
  T centre_, scale_;
  bool plain_;
};

// The shares of the n elements of a stretch, by a team; all of it in one sum.
template <class T, bool WEIGHTED>
__device__ void write_shares(const Team& team, const T* f, const T* weights, T* out, int n, const Shares& shares) {
  const bool aligned = is_aligned(f) && is_aligned(weights) && is_aligned(out);
  const int step = team.width * VECTOR<T>;
  const Share<T, WEIGHTED> share(shares);
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
      const int i = at + k * step;
      if (aligned && i + VECTOR<T> <= n) {
        store_vector(out + i, result);
      } else {
#pragma unroll
        for (int j = 0; j < VECTOR<T>; ++j)
          if (i + j < n) out[i + j] = result[j];
      }
    }
  }
}

}  // namespace dualwalk::cuda
