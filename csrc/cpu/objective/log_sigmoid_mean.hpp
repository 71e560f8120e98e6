// The mean log-sigmoid and its gradient: one pass over memory in chunks of a fixed size, combined by a fixed tree.
//
// log sigmoid(z) = min(z, 0) - log(1 + t) with t = exp(-|z|). A logarithm takes as long as the rest, so eight of 1 + t are
// multiplied first: what the product is above 1 is kept, so that small t keep their digits.
#pragma once

#include <cmath>

#include "dualwalk/activation.hpp"
#include "objective/exp_sums.hpp"
#include "kernels.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr std::size_t SIGMOID_CHUNK = 1 << 14;  // elements
constexpr std::size_t FACTORS = 8;              // their product is at most 2^8
constexpr double WORK_A_SIGMOID = 10;           // multiply-adds that take as long

// The sum of log sigmoid over FACTORS * SIDE vectors or less, what is left out being zeros of `n`; slopes go to `slope`.
template <class T>
class LogSigmoidSum {
  using V = Vector<T>;

 public:
  static constexpr std::size_t ROW = SIDE * LANES<T>;

  LogSigmoidSum(T sign, T scale) : sign_(splat<V>(sign)), scale_(splat<V>(scale)) {}

  // ROW elements; `slope` may be null.
  DUALWALK_FN void add(const T* f, T* slope) {
    V z[SIDE], t[SIDE];
    for (std::size_t k = 0; k < SIDE; ++k) {
      __builtin_prefetch(f + k * LANES<T> + 2048);
      z[k] = load<V>(f + k * LANES<T>) * sign_;
      t[k] = -magnitude(z[k]);
    }
    exponentials_of_negative(t);
    for (std::size_t k = 0; k < SIDE; ++k) t[k] = z[k] == z[k] ? t[k] : z[k];
    for (std::size_t k = 0; k < SIDE; ++k) below_[k] += z[k] < T{0} ? z[k] : V{};
    for (std::size_t k = 0; k < SIDE; ++k) over_[k] = over_[k] * t[k] + (over_[k] + t[k]);
    if (slope)
      for (std::size_t k = 0; k < SIDE; ++k)
        store(slope + k * LANES<T>, (z[k] < T{0} ? scale_ : t[k] * scale_) / (t[k] + T{1}));
    if (++rows_ == FACTORS) flush();
  }
  double total() {
    flush();
    double sum[ROW];
    std::memcpy(sum, sum_, sizeof(sum));
    for (std::size_t width = ROW / 2; width > 0; width /= 2)
      for (std::size_t i = 0; i < width; ++i) sum[i] += sum[i + width];
    return sum[0];
  }

 private:
  DUALWALK_FN void flush() {
    for (std::size_t k = 0; k < SIDE; ++k) {
      const V u = over_[k] + T{1};
      add_to(sum_ + k * LANES<T>, below_[k] - (logarithm(u) + (over_[k] - (u - T{1})) / u));
      below_[k] = over_[k] = V{};
    }
    rows_ = 0;
  }

  V sign_, scale_, below_[SIDE] = {}, over_[SIDE] = {};
  alignas(VECTOR_BYTES) double sum_[ROW] = {};
  std::size_t rows_ = 0;
};

template <class T>
bool log_sigmoid_mean(LogSigmoid<T>& job) {
  constexpr std::size_t ROW = LogSigmoidSum<T>::ROW;
  const std::size_t chunks = (job.n + SIGMOID_CHUNK - 1) / SIGMOID_CHUNK;
  const Scratch sums(sizeof(double) * chunks);
  if (!sums) return false;
  double* const sum = sums.as<double>();
  const T sign = static_cast<T>(job.sign), scale = static_cast<T>(job.sign / static_cast<double>(job.n));
  auto body = [&](std::size_t chunk, int) {
    const std::size_t at = chunk * SIGMOID_CHUNK, n = smaller(SIGMOID_CHUNK, job.n - at), whole = n / ROW * ROW;
    const T* const f = job.f + at;
    T* const slope = job.gradient ? job.gradient + at : nullptr;
    LogSigmoidSum<T> terms(sign, scale);
    for (std::size_t i = 0; i < whole; i += ROW) terms.add(f + i, slope ? slope + i : nullptr);
    if (whole < n) {  // a copy padded with what counts nothing
      T padded[ROW], slopes[ROW];
      for (T& z : padded) z = sign * T(INFINITY);
      std::memcpy(padded, f + whole, (n - whole) * sizeof(T));
      terms.add(padded, slopes);
      if (slope) std::memcpy(slope + whole, slopes, (n - whole) * sizeof(T));
    }
    sum[chunk] = terms.total();
  };
  run_parallel(chunks, threads_for(WORK_A_SIGMOID * static_cast<double>(job.n), job.n_threads), body);
  for (std::size_t width = chunks; width > 1; width = (width + 1) / 2)
    for (std::size_t i = 0; i < width / 2; ++i) sum[i] += sum[i + (width + 1) / 2];
  job.value = sum[0] / static_cast<double>(job.n);
  return true;
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
