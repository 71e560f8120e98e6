// Many ExpSums side by side, a vector of each of their parts: combined, and turned into values, without a call for each.
#pragma once

#include <cmath>

#include "dualwalk/logmeanexp.hpp"
#include "simd.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

inline double value_of(const ExpSum& sum) {
  return log_mean(sum, [](double x) { return std::log(x); }, [](double x) { return std::log1p(x); });
}
inline ExpSum combined(const ExpSum& a, const ExpSum& b) {
  return combine(a, b, [](double x) { return std::exp(x); });
}

// `n` sums in memory.
struct SumArrays {
  double* base;
  double* steps;
  double* rest;
  double* weight;

  // Over 4 n doubles.
  static SumArrays over(double* memory, std::size_t n) { return {memory, memory + n, memory + 2 * n, memory + 3 * n}; }
  SumArrays from(std::size_t i) const { return {base + i, steps + i, rest + i, weight + i}; }
  ExpSum get(std::size_t i) const { return {base[i], steps[i], rest[i], weight[i]}; }
  void set(std::size_t i, const ExpSum& sum) const {
    base[i] = sum.base;
    steps[i] = sum.steps;
    rest[i] = sum.rest;
    weight[i] = sum.weight;
  }

  void add(const SumArrays& other, std::size_t n) const {
    for (std::size_t i = 0; i < n; ++i) {
      if (base[i] != other.base[i]) {
        set(i, combined(get(i), other.get(i)));
        continue;
      }
      steps[i] += other.steps[i];
      rest[i] += other.rest[i];
      weight[i] += other.weight[i];
    }
  }

  // As value_of, to 2 ULP where the mean is between 1/2 and 2.
  void values(std::size_t n, double* out) const {
    constexpr std::size_t L = LANES<double>;
    std::size_t i = 0;
    for (; i + L <= n; i += L) {
      const F64 w = load<F64>(weight + i), s = load<F64>(steps + i), r = load<F64>(rest + i);
      const F64 mean = (s + r) / w, over = (r + (s - w)) / w, log = logarithm(mean);
      const F64 better = log + (over - (mean - 1.0)) / mean;  // log1p(over)
      store(out + i, load<F64>(base + i) + ((mean > 0.5) & (mean < 2.0) ? better : log));
      constexpr double least = 1e-300, most = 1e300;  // logarithm is for normal numbers
      if (any_lane((U64)~((mean > least) & (mean < most))))
        for (std::size_t j = i; j < i + L; ++j) out[j] = value_of(get(j));
    }
    for (; i < n; ++i) out[i] = value_of(get(i));
  }
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
