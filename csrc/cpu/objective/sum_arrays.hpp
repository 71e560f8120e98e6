// Many ExpSums side by side, a vector of each of their parts: combined, and turned into values, without a call for each.
#pragma once

#include <algorithm>
#include <cmath>

#include "dualwalk/logmeanexp.hpp"
#include "simd/simd.hpp"

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
    for (; i + L <= n; i += L) from(i).vector_of_values(out + i);
    if (i == n) return;
    double memory[4 * L], result[L];  // the last ones through a copy: a value must not depend on its place
    const SumArrays last = over(memory, L);
    for (std::size_t j = 0; j < L; ++j) last.set(j, i + j < n ? get(i + j) : ExpSum{0, 1, 0, 1});
    last.vector_of_values(result);
    std::copy(result, result + (n - i), out + i);
  }

 private:
  DUALWALK_FN void vector_of_values(double* out) const {
    constexpr std::size_t L = LANES<double>;
    const F64 w = load<F64>(weight), s = load<F64>(steps), r = load<F64>(rest);
    const F64 mean = (s + r) / w, excess = (r + (s - w)) / w, log = logarithm(mean);
    const F64 better = log + (excess - (mean - 1.0)) / mean;  // log1p(excess)
    const auto near_one = (mean > 0.5) & (mean < 2.0);
    store(out, load<F64>(base) + (near_one ? better : log));
    constexpr double least = 1e-300, most = 1e300;  // logarithm is for normal numbers
    if (any_lane((U64)~((mean > least) & (mean < most))))
      for (std::size_t j = 0; j < L; ++j)
        if (!(mean[j] > least && mean[j] < most)) out[j] = value_of(get(j));
  }
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
