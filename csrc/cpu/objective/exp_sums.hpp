// Sums of exponentials over a strip of columns, row by row: the inner loop of every form of log-mean-exp.
//
// What limits it: 14 vector operations for 16 floats in single precision, about 30 in double; at 3.4 operations a cycle, what a
// Zen 5 core sustains here, that is 1.1 and 2.3 times as long as reading the floats from memory on one thread. Two vectors go
// in lockstep, since one chain of 12 dependent operations would leave the units idle.
#pragma once

#include "dualwalk/logmeanexp.hpp"
#include "simd/simd.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

// NARROW: single precision throughout, eight terms added before they go into double sums; no weights, |x| <= NARROW_LIMIT.
// WIDE: double precision, |x| <= WIDE_LIMIT. SHIFTED: double precision, any x, by x - base.
enum class Arithmetic { NARROW, WIDE, SHIFTED };
constexpr double NARROW_LIMIT = 60, WIDE_LIMIT = 300;
// A NARROW mean of exponentials is off by at most 1e-7 of itself (half of that where e is spread), so its logarithm may be off
// by more than two units in the last place where it is below this: then WIDE does it again.
constexpr double NARROW_LEAST = 0.25;

constexpr std::size_t STRIP = 2 * LANES<float>;  // columns side by side: two vectors of float, four of double
constexpr std::size_t STRIP_WIDE = STRIP / LANES<double>;
constexpr std::size_t BLOCK = 8;  // rows added before they go into the sums in memory

template <class T>
constexpr std::size_t STRIP_VECTORS = STRIP / LANES<T>;

// The sums of a strip's columns, and the largest magnitude seen (as bits, so that NaN is larger than all numbers).
struct StripSums {
  alignas(VECTOR_BYTES) double steps[STRIP], rest[STRIP], weight[STRIP], base[STRIP];
  U32 top32;
  U64 top64;

  void clear() { *this = StripSums{}; }
  DUALWALK_FN void see(F32 x) {
    const U32 size = bits_as<U32>(x) & 0x7FFFFFFFu;
    top32 = size > top32 ? size : top32;
  }
  DUALWALK_FN void see(F64 x) {
    const U64 size = bits_as<U64>(x) & 0x7FFFFFFFFFFFFFFFu;
    top64 = size > top64 ? size : top64;
  }
  // The first n columns of another strip.
  void add(const StripSums& other, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      steps[i] += other.steps[i];
      rest[i] += other.rest[i];
      weight[i] += other.weight[i];
    }
    top32 = other.top32 > top32 ? other.top32 : top32;
    top64 = other.top64 > top64 ? other.top64 : top64;
  }
  // NaN is not within any limit.
  bool within(double limit) const {
    const F32 size32 = bits_as<F32>(top32);
    const F64 size64 = bits_as<F64>(top64);
    const auto far32 = ~(size32 <= static_cast<float>(limit));
    return !any_lane(bits_as<U64>(far32) | (U64)~(size64 <= limit));
  }
};

DUALWALK_FN void add_to(double* sums, F64 v) { store(sums, load<F64>(sums) + v); }
DUALWALK_FN void add_to(double* sums, F32 v) {
  F64 half[2];
  widen(v, half);
  add_to(sums, half[0]);
  add_to(sums + LANES<double>, half[1]);
}

// 2^n and e of exp(x) = 2^n (1 + e), in single precision.
DUALWALK_FN void parts_of_exponential(const F32 (&x)[2], F32 (&power)[2], F32 (&e)[2]) {
  using F = Format<float>;
  F32 shifted[2], r[2], tail[2];
  for (int k = 0; k < 2; ++k) shifted[k] = x[k] * F::log2e + F::rounder;
  for (int k = 0; k < 2; ++k) power[k] = shifted[k] - F::rounder;
  for (int k = 0; k < 2; ++k) r[k] = (x[k] - power[k] * F::ln2_high) - power[k] * F::ln2_low;
  for (int k = 0; k < 2; ++k) tail[k] = exp_tail(r[k], float{});
  for (int k = 0; k < 2; ++k) e[k] = (r[k] * r[k]) * tail[k] + r[k];
  for (int k = 0; k < 2; ++k) power[k] = bits_as<F32>((bits_as<U32>(shifted[k]) + F::bias) << F::mantissa);
}

// The same in double; `Source` says how exact it has to be.
template <class Source>
DUALWALK_FN void parts_of_exponential(const F64 (&x)[STRIP_WIDE], F64 (&power)[STRIP_WIDE], F64 (&e)[STRIP_WIDE]) {
  using F = Format<double>;
  constexpr bool exact = sizeof(Source) == 8;
  F64 shifted[STRIP_WIDE], r[STRIP_WIDE], tail[STRIP_WIDE];
  for (std::size_t k = 0; k < STRIP_WIDE; ++k) shifted[k] = x[k] * F::log2e + F::rounder;
  for (std::size_t k = 0; k < STRIP_WIDE; ++k) power[k] = shifted[k] - F::rounder;
  for (std::size_t k = 0; k < STRIP_WIDE; ++k)
    r[k] = exact ? (x[k] - power[k] * F::ln2_high) - power[k] * F::ln2_low : x[k] - power[k] * F::ln2;
  for (std::size_t k = 0; k < STRIP_WIDE; ++k) tail[k] = exact ? exp_tail(r[k], double{}) : short_exp_tail(r[k]);
  for (std::size_t k = 0; k < STRIP_WIDE; ++k) e[k] = (r[k] * r[k]) * tail[k] + r[k];
  for (std::size_t k = 0; k < STRIP_WIDE; ++k) power[k] = bits_as<F64>((bits_as<U64>(shifted[k]) + F::bias) << F::mantissa);
}

DUALWALK_FN void load_wide(const float* from, F64 (&x)[STRIP_WIDE]) {
  for (std::size_t k = 0; k < STRIP_WIDE; ++k) x[k] = load_widened(from + k * LANES<double>);
}
DUALWALK_FN void load_wide(const double* from, F64 (&x)[STRIP_WIDE]) {
  for (std::size_t k = 0; k < STRIP_WIDE; ++k) x[k] = load<F64>(from + k * LANES<double>);
}

constexpr std::size_t SIDE = 4;  // vectors in lockstep

// exponential_of_negative of vectors in lockstep; NaN does not stay NaN.
template <class V, std::size_t K>
DUALWALK_FN void exponentials_of_negative(V (&x)[K]) {
  using T = Number<V>;
  using F = Format<T>;
  V shifted[K], n[K], r[K], tail[K];
  for (std::size_t k = 0; k < K; ++k) shifted[k] = x[k] * F::log2e + F::rounder;
  for (std::size_t k = 0; k < K; ++k) n[k] = shifted[k] - F::rounder;
  for (std::size_t k = 0; k < K; ++k) r[k] = (x[k] - n[k] * F::ln2_high) - n[k] * F::ln2_low;
  for (std::size_t k = 0; k < K; ++k) tail[k] = exp_tail(r[k], T{});
  for (std::size_t k = 0; k < K; ++k) tail[k] = (r[k] * r[k]) * tail[k] + r[k] + T{1};
  for (std::size_t k = 0; k < K; ++k) {
    const V grown = bits_as<V>(bits_as<Bits<V>>(tail[k]) + (bits_as<Bits<V>>(shifted[k]) << F::mantissa));
    x[k] = x[k] < F::least_normal ? V{} : grown;
  }
}

// Adds up to BLOCK rows of one strip to its sums; row i begins at f + i * stride, its weights, unless null, likewise.
// `ahead` elements further on is what will be wanted soon, in the first cache or, `ahead_in` being 2, the second.
template <Arithmetic how, int ahead_in, class T>
DUALWALK_FN void add_block(const T* f, const T* weights, std::size_t stride, std::size_t n_rows, std::size_t ahead,
                           StripSums& sums) {
  if constexpr (how == Arithmetic::NARROW) {
    F32 steps[2] = {}, rest[2] = {};
    for (std::size_t row = 0; row < n_rows; ++row) {
      F32 x[2], power[2], e[2];
      for (std::size_t k = 0; k < 2; ++k) {
        const float* const at = f + row * stride + k * LANES<float>;
        __builtin_prefetch(at + ahead, 0, 4 - ahead_in);
        x[k] = load<F32>(at);
        sums.see(x[k]);
      }
      parts_of_exponential(x, power, e);
      for (std::size_t k = 0; k < 2; ++k) steps[k] += power[k];
      for (std::size_t k = 0; k < 2; ++k) rest[k] += power[k] * e[k];
    }
    for (std::size_t k = 0; k < 2; ++k) add_to(sums.steps + k * LANES<float>, steps[k]);
    for (std::size_t k = 0; k < 2; ++k) add_to(sums.rest + k * LANES<float>, rest[k]);
  } else {
    F64 steps[STRIP_WIDE] = {}, rest[STRIP_WIDE] = {}, total[STRIP_WIDE] = {};
    for (std::size_t row = 0; row < n_rows; ++row) {
      const T* const at = f + row * stride;
      F64 x[STRIP_WIDE], power[STRIP_WIDE], e[STRIP_WIDE], w[STRIP_WIDE];
      for (std::size_t k = 0; k < STRIP_VECTORS<T>; ++k) __builtin_prefetch(at + ahead + k * LANES<T>, 0, 4 - ahead_in);
      load_wide(at, x);
      if (how == Arithmetic::SHIFTED) {
        for (std::size_t k = 0; k < STRIP_WIDE; ++k) x[k] -= load<F64>(sums.base + k * LANES<double>);
      } else {
        for (std::size_t k = 0; k < STRIP_VECTORS<T>; ++k) sums.see(load<Vector<T>>(at + k * LANES<T>));
      }
      parts_of_exponential<T>(x, power, e);
      if (how == Arithmetic::SHIFTED)  // what is next to denormal counts nothing; NaN is left in e
        for (std::size_t k = 0; k < STRIP_WIDE; ++k) {
          const auto low = x[k] < Format<double>::least_normal;
          power[k] = low ? F64{} : power[k];
          e[k] = low ? F64{} : e[k];
        }
      if (weights) {
        load_wide(weights + row * stride, w);
        for (std::size_t k = 0; k < STRIP_WIDE; ++k) total[k] += w[k];
        for (std::size_t k = 0; k < STRIP_WIDE; ++k) power[k] *= w[k];
        if (how == Arithmetic::SHIFTED)  // what has no weight does not count, whatever it is
          for (std::size_t k = 0; k < STRIP_WIDE; ++k) {
            e[k] = w[k] > 0.0 ? e[k] : F64{};
            power[k] = w[k] > 0.0 ? power[k] : F64{};
          }
      }
      for (std::size_t k = 0; k < STRIP_WIDE; ++k) steps[k] += power[k];
      for (std::size_t k = 0; k < STRIP_WIDE; ++k) rest[k] += power[k] * e[k];
    }
    for (std::size_t k = 0; k < STRIP_WIDE; ++k) add_to(sums.steps + k * LANES<double>, steps[k]);
    for (std::size_t k = 0; k < STRIP_WIDE; ++k) add_to(sums.rest + k * LANES<double>, rest[k]);
    if (weights)
      for (std::size_t k = 0; k < STRIP_WIDE; ++k) add_to(sums.weight + k * LANES<double>, total[k]);
  }
}

// The largest value of every column that has weight, into sums.base: for SHIFTED.
template <class T>
DUALWALK_FN void add_largest(const T* f, const T* weights, std::size_t stride, std::size_t n_rows, StripSums& sums) {
  for (std::size_t row = 0; row < n_rows; ++row) {
    F64 x[STRIP_WIDE], w[STRIP_WIDE];
    load_wide(f + row * stride, x);
    if (weights) load_wide(weights + row * stride, w);
    for (std::size_t k = 0; k < STRIP_WIDE; ++k) {
      const F64 best = load<F64>(sums.base + k * LANES<double>);
      if (weights) x[k] = w[k] > 0.0 ? x[k] : best;
      store(sums.base + k * LANES<double>, best < x[k] ? x[k] : best);
    }
  }
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
