// The gradient of log-mean-exp: w_i exp(x_i) / sum_j w_j exp(x_j), once the sum is known.
#pragma once

#include <cmath>

#include "objective/exp_sums.hpp"
#include "objective/sum_arrays.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

// Gradients that are longer go past the caches: more than the share of a last-level cache that one call can count on.
constexpr std::size_t LONG_GRADIENT_BYTES = 16 << 20;
constexpr std::size_t SHARES_AHEAD = 1024;  // elements: what is prefetched while these are made

// exp(x - centre) / divisor is a term's share of the sum, or times its weight where there are weights.
struct Shares {
  double centre, divisor;
  bool plain;  // else some value or the sum is not finite: one by one
};

template <class T>
Shares shares_of(const ExpSum& sum, bool weighted) {
  const double total = sum.steps + sum.rest;
  if (std::isinf(sum.base) || !std::isfinite(total) || !(total > 0)) return {0, 1, false};
  // weights may be tiny, and without them no x is above the centre: exp stays in range
  const double centre = static_cast<T>(sum.base + std::log(weighted ? total / sum.weight : total));
  return {centre, total * std::exp(sum.base - centre), true};
}

// The same for many sums with their values; a divisor of NaN where some value or the sum is not finite.
template <class T>
void shares_of_many(const SumArrays& sums, const double* values, bool weighted, std::size_t n, double* centres,
                    double* divisors) {
  constexpr std::size_t L = LANES<double>;
  const double log_n = weighted || n == 0 ? 0.0 : std::log(sums.weight[0]);  // without weights their sum is the same for all
  std::size_t i = 0;
  for (; i < n; ++i) centres[i] = static_cast<T>(values[i] + log_n);
  for (i = 0; i + L <= n; i += L) {
    const F64 base = load<F64>(sums.base + i), total = load<F64>(sums.steps + i) + load<F64>(sums.rest + i);
    store(divisors + i, total * exponential(base - load<F64>(centres + i)));
  }
  for (std::size_t j = 0; j < n; ++j) {
    const double total = sums.steps[j] + sums.rest[j];
    if (j >= i) divisors[j] = total * std::exp(sums.base[j] - centres[j]);
    if (std::isinf(sums.base[j]) || !std::isfinite(total) || !(total > 0)) centres[j] = 0, divisors[j] = NAN;
  }
}

// One share where something is not finite: NaN is never hidden, +inf takes all, a sum of zeros gives none.
template <class T>
T odd_share(T x, double weight, const ExpSum& sum) {
  const double total = sum.steps + sum.rest;
  if (std::isnan(total)) return T(NAN);
  return sum.base == INFINITY && x == T(INFINITY) && weight > 0 ? static_cast<T>(weight / total) : T{0};
}

template <class V, std::size_t K>
DUALWALK_FN void share(V (&x)[K], const V (&centre)[K], const V (&scale)[K]) {
  for (std::size_t k = 0; k < K; ++k) x[k] -= centre[k];  // at most 0, but for rounding
  exponentials_of_negative(x);
  for (std::size_t k = 0; k < K; ++k) x[k] *= scale[k];
}

// With weights: in double, and for doubles as the square of exp(half), since where a weight is tiny exp leaves their range.
// Vector k of `centre` and `divisor` (F64) is at k * by.
template <std::size_t K>
DUALWALK_FN void weighted_share(const float* x, const float* w, const double* centre, const double* divisor, std::size_t by,
                                F32 (&out)[K]) {
  F64 grown[2 * K];
  HalfF32 half[2 * K];
  for (std::size_t k = 0; k < 2 * K; ++k) grown[k] = load_widened(x + k * LANES<double>) - load<F64>(centre + k * by);
  exponentials_of_negative(grown);
  for (std::size_t k = 0; k < 2 * K; ++k) {
    const F64 weight = load_widened(w + k * LANES<double>);
    half[k] = narrow(weight > 0.0 ? grown[k] * (weight / load<F64>(divisor + k * by)) : F64{});
  }
  std::memcpy(out, half, sizeof(out));
}
template <std::size_t K>
DUALWALK_FN void weighted_share(const double* x, const double* w, const double* centre, const double* divisor, std::size_t by,
                                F64 (&out)[K]) {
  F64 root[K];
  for (std::size_t k = 0; k < K; ++k) root[k] = (load<F64>(x + k * LANES<double>) - load<F64>(centre + k * by)) * 0.5;
  exponentials_of_negative(root);
  for (std::size_t k = 0; k < K; ++k) {
    const F64 weight = load<F64>(w + k * LANES<double>);
    out[k] = weight > 0.0 ? root[k] * (weight / load<F64>(divisor + k * by)) * root[k] : F64{};
  }
}

// One sum, told to every lane.
template <class T>
struct OneSum {
  using V = Vector<T>;
  V centre[SIDE], scale[SIDE];
  double centres[LANES<double>], divisors[LANES<double>];

  explicit OneSum(const Shares& at) {
    for (V& v : centre) v = splat<V>(static_cast<T>(at.centre));
    for (V& v : scale) v = splat<V>(static_cast<T>(1.0 / at.divisor));
    for (double& number : centres) number = at.centre;
    for (double& number : divisors) number = at.divisor;
  }

  // A vector or less, through padded copies.
  void write_part(const T* f, const T* weights, T* out, std::size_t count) const {
    T x[LANES<T>] = {}, w[LANES<T>] = {};
    std::memcpy(x, f, count * sizeof(T));
    V v[1] = {load<V>(x)};
    if (weights) {
      std::memcpy(w, weights, count * sizeof(T));
      weighted_share(x, w, centres, divisors, 0, v);
    } else {
      const V one_centre[1] = {centre[0]}, one_scale[1] = {scale[0]};
      share(v, one_centre, one_scale);
    }
    std::memcpy(out, v, count * sizeof(T));
  }
};

// The shares of `n` elements of one sum.
template <class T>
void write_shares(const T* f, const T* weights, T* out, std::size_t n, const ExpSum& sum, bool past_caches) {
  using V = Vector<T>;
  constexpr std::size_t L = LANES<T>;
  const Shares at = shares_of<T>(sum, weights != nullptr);
  if (!at.plain) {
    for (std::size_t i = 0; i < n; ++i) out[i] = odd_share(f[i], weights ? weights[i] : 1.0, sum);
    return;
  }
  const OneSum<T> one(at);
  std::size_t i = 0;
  if (past_caches) {  // to where a vector is aligned
    const std::size_t over = reinterpret_cast<std::uintptr_t>(out) % VECTOR_BYTES / sizeof(T);
    if (over) one.write_part(f, weights, out, i = smaller(n, L - over));
  }
  for (; i + SIDE * L <= n; i += SIDE * L) {
    V v[SIDE];
    for (std::size_t k = 0; k < SIDE; ++k) {
      __builtin_prefetch(f + i + k * L + SHARES_AHEAD);
      v[k] = load<V>(f + i + k * L);
    }
    if (weights)
      weighted_share(f + i, weights + i, one.centres, one.divisors, 0, v);
    else
      share(v, one.centre, one.scale);
    for (std::size_t k = 0; k < SIDE; ++k) past_caches ? stream(out + i + k * L, v[k]) : store(out + i + k * L, v[k]);
  }
  for (; i < n; i += L) one.write_part(f + i, weights ? weights + i : nullptr, out + i, smaller(L, n - i));
  if (past_caches) stream_fence();
}

// The shares of rows of up to `MOST` columns, each of its own sum.
template <class T, std::size_t MOST>
class ColumnShares {
 public:
  // Column c has the sum c % n of those whose exponentials are divided so.
  void prepare(const double* centres, const double* divisors, std::size_t n, std::size_t n_columns) {
    for (std::size_t c = 0, from = 0; c < n_columns; ++c, from = from + 1 < n ? from + 1 : 0) {
      centres_[c] = centres[from];
      divisors_[c] = divisors[from];
    }
    for (std::size_t c = 0; c < n_columns; ++c) centre_[c] = static_cast<T>(centres_[c]);
    for (std::size_t c = 0; c < n_columns; ++c) scale_[c] = static_cast<T>(1.0 / divisors_[c]);
  }

  // `ahead` elements further on is what will be wanted soon. (Fetching what will be written was slower.)
  void write(const T* f, const T* weights, T* out, std::size_t n, std::size_t ahead) const {
    constexpr std::size_t L = LANES<T>;
    for (std::size_t i = 0; i < n; i += LINE / sizeof(T)) __builtin_prefetch(f + ahead + i);
    std::size_t c = 0;
    for (; c + SIDE * L <= n; c += SIDE * L) write_vectors<SIDE>(f + c, weights ? weights + c : nullptr, out + c, c);
    for (; c + L <= n; c += L) write_vectors<1>(f + c, weights ? weights + c : nullptr, out + c, c);
    if (c == n) return;
    if (n >= L) {  // the last ones overlap those before them
      c = n - L;
      write_vectors<1>(f + c, weights ? weights + c : nullptr, out + c, c);
      return;
    }
    T x[L] = {}, w[L] = {}, result[L];
    std::memcpy(x, f, n * sizeof(T));
    if (weights) std::memcpy(w, weights, n * sizeof(T));
    write_vectors<1>(x, weights ? w : nullptr, result, 0);
    std::memcpy(out, result, n * sizeof(T));
  }

 private:
  template <std::size_t K>
  DUALWALK_FN void write_vectors(const T* f, const T* weights, T* out, std::size_t c) const {
    using V = Vector<T>;
    constexpr std::size_t L = LANES<T>;
    V v[K], centre[K], scale[K];
    if (weights) {
      weighted_share(f, weights, centres_ + c, divisors_ + c, LANES<double>, v);
    } else {
      for (std::size_t k = 0; k < K; ++k) {
        v[k] = load<V>(f + k * L);
        centre[k] = load<V>(centre_ + c + k * L);
        scale[k] = load<V>(scale_ + c + k * L);
      }
      share(v, centre, scale);
    }
    for (std::size_t k = 0; k < K; ++k) store(out + k * L, v[k]);
  }

  // what lies behind the last column is read, never used
  double centres_[MOST + LANES<T>], divisors_[MOST + LANES<T>];
  T centre_[MOST + LANES<T>], scale_[MOST + LANES<T>];
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
