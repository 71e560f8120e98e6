// log-mean-exp and the mean log-sigmoid: one pass over memory in chunks of a fixed size, combined by a fixed tree.
#pragma once

#include <cmath>

#include "dualwalk/activation.hpp"
#include "kernels.hpp"
#include "simd.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr std::size_t CHUNK = 4096;  // elements: a chunk stays in L1 between its maximum and its sum
constexpr std::size_t GROUP = 16;    // partial sums kept side by side, whatever the vector width: the same bits on every level
constexpr std::size_t PROMOTE = 8;   // so many single-precision terms are added before they go into the double sum

template <class T>
constexpr std::size_t VECTORS = GROUP * sizeof(T) / VECTOR_BYTES;  // vectors in a group

// Sixteen double accumulators, as one vector array.
struct DoubleSum {
  F64 lane[GROUP * 8 / VECTOR_BYTES] = {};

  DUALWALK_FN void add(const F64* v) {
    for (std::size_t i = 0; i < GROUP * 8 / VECTOR_BYTES; ++i) lane[i] += v[i];
  }
  DUALWALK_FN void add(const F32* v) {
    for (std::size_t i = 0; i < VECTORS<float>; ++i) {
      HalfF32 half[2];
      std::memcpy(half, &v[i], sizeof(half));
      lane[2 * i] += __builtin_convertvector(half[0], F64);
      lane[2 * i + 1] += __builtin_convertvector(half[1], F64);
    }
  }
  double total() const {
    double sum[GROUP];
    std::memcpy(sum, lane, sizeof(sum));
    for (std::size_t width = GROUP / 2; width > 0; width /= 2)
      for (std::size_t i = 0; i < width; ++i) sum[i] += sum[i + width];
    return sum[0];
  }
};

// Applies term(vector offset, vectors) to whole groups and returns the sum of what it leaves; `n` is a multiple of GROUP.
template <class T, class Term>
DUALWALK_FN double sum_groups(std::size_t n, Term term) {
  using V = Vector<T>;
  DoubleSum sum;
  for (std::size_t i = 0; i < n;) {
    V partial[VECTORS<T>] = {};
    const std::size_t end = sizeof(T) == 8 ? i + GROUP : smaller(n, i + PROMOTE * GROUP);
    for (; i < end; i += GROUP)
      for (std::size_t v = 0; v < VECTORS<T>; ++v) partial[v] += term(i + v * LANES<T>);
    sum.add(partial);
  }
  return sum.total();
}

template <class T>
double largest(const T* f, const T* weights, std::size_t n) {
  using V = Vector<T>;
  const V none = splat<V>(T(-INFINITY));
  V best[VECTORS<T>];
  for (V& v : best) v = none;
  for (std::size_t i = 0; i < n; i += GROUP)
    for (std::size_t v = 0; v < VECTORS<T>; ++v) {
      V x = load<V>(f + i + v * LANES<T>);
      if (weights) x = load<V>(weights + i + v * LANES<T>) > T{0} ? x : none;
      best[v] = best[v] < x ? x : best[v];
    }
  T lane[GROUP], peak = T(-INFINITY);
  std::memcpy(lane, best, sizeof(lane));
  for (T x : lane) peak = larger(peak, x);
  return peak;
}

// The terms w_i exp(f_i - peak) of one group; entries without weight count nothing, whatever their value.
template <class T>
DUALWALK_FN Vector<T> weighted_term(const T* f, const T* weights, Vector<T> peak, std::size_t i) {
  using V = Vector<T>;
  const V grown = exponential_of_negative(load<V>(f + i) - peak);
  if (!weights) return grown;
  const V w = load<V>(weights + i);
  return w > T{0} ? grown * w : V{};
}

// One chunk; `f` and `weights` hold whole groups (the caller pads the last with -inf and 0).
template <class T>
PeakSum chunk_state(const T* f, const T* weights, std::size_t n, std::size_t n_real) {
  using V = Vector<T>;
  const double peak = largest(f, weights, n);
  const double weight =
      weights ? sum_groups<T>(n, [&](std::size_t i) { return load<V>(weights + i); }) : static_cast<double>(n_real);
  if (peak == INFINITY) {  // only the infinite entries matter
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double w = weights ? weights[i] : 1.0;
      if (w > 0 && !(f[i] < T(INFINITY))) sum += f[i] == T(INFINITY) ? w : NAN;
    }
    return {peak, sum, weight};
  }
  const V base = splat<V>(static_cast<T>(peak == -INFINITY ? 0.0 : peak));
  const auto term = [&](std::size_t i) {
    __builtin_prefetch(f + i + CHUNK);  // the next chunk comes in while this one is summed
    return weighted_term(f, weights, base, i);
  };
  return {peak, sum_groups<T>(n, term), weight};
}

template <class T>
class LogMeanExpRows {
 public:
  explicit LogMeanExpRows(const LogMeanExp<T>& job) : job_(job), chunks_((job.n + CHUNK - 1) / CHUNK) {}

  bool run() {
    const Scratch states(sizeof(PeakSum) * chunks_ * job_.n_rows);
    if (!states) return false;
    PeakSum* const state = states.as<PeakSum>();
    auto first = [&](std::size_t task, int) { state[task] = measure(task / chunks_, task % chunks_); };
    run_parallel(chunks_ * job_.n_rows, job_.n_threads, first);
    for (std::size_t row = 0; row < job_.n_rows; ++row) {
      PeakSum* const s = state + row * chunks_;
      for (std::size_t width = chunks_; width > 1; width = (width + 1) / 2)
        for (std::size_t i = 0; i < width / 2; ++i) s[i] = combine(s[i], s[i + (width + 1) / 2], [](double x) { return std::exp(x); });
      job_.value[row] = s[0].peak + std::log(s[0].sum / s[0].weight);
      if (std::isnan(s[0].sum)) job_.value[row] = NAN;
    }
    if (!job_.gradient) return true;
    auto second = [&](std::size_t task, int) { differentiate(task / chunks_, task % chunks_, state[task / chunks_ * chunks_]); };
    run_parallel(chunks_ * job_.n_rows, job_.n_threads, second);
    return true;
  }

 private:
  // A chunk's last, incomplete group goes through a padded copy.
  PeakSum measure(std::size_t row, std::size_t chunk) const {
    const std::size_t at = row * job_.n + chunk * CHUNK, n = smaller(CHUNK, job_.n - chunk * CHUNK), whole = n / GROUP * GROUP;
    const T* const f = job_.f + at;
    const T* const w = job_.weights ? job_.weights + at : nullptr;
    const auto exp = [](double x) { return std::exp(x); };
    if (whole == n) return chunk_state(f, w, n, n);
    T tail_f[GROUP], tail_w[GROUP];
    for (std::size_t i = 0; i < GROUP; ++i) {
      tail_f[i] = whole + i < n ? f[whole + i] : T(-INFINITY);
      tail_w[i] = w && whole + i < n ? w[whole + i] : T{0};
    }
    const PeakSum tail = chunk_state<T>(tail_f, w ? tail_w : nullptr, GROUP, n - whole);
    return whole ? combine(chunk_state(f, w, whole, whole), tail, exp) : tail;
  }

  void differentiate(std::size_t row, std::size_t chunk, const PeakSum& total) const {
    using V = Vector<T>;
    const std::size_t at = row * job_.n + chunk * CHUNK, n = smaller(CHUNK, job_.n - chunk * CHUNK);
    const T* const f = job_.f + at;
    const T* const w = job_.weights ? job_.weights + at : nullptr;
    T* const out = job_.gradient + at;
    const T scale = static_cast<T>(1.0 / total.sum);
    if (std::isinf(total.peak) || !std::isfinite(scale)) {  // one by one: infinities, NaN, sums too small to invert
      for (std::size_t i = 0; i < n; ++i) {
        const double weight = w ? w[i] : 1.0, away = f[i] == total.peak ? 0.0 : f[i] - total.peak;
        out[i] = std::isnan(total.sum)                   ? T(NAN)
                 : weight > 0 && total.peak > -INFINITY ? static_cast<T>(weight * std::exp(away) / total.sum)
                                                         : T{0};
      }
      return;
    }
    const V peak = splat<V>(static_cast<T>(total.peak));
    std::size_t i = 0;
    for (; i + LANES<T> <= n; i += LANES<T>) store(out + i, weighted_term(f, w, peak, i) * scale);
    for (; i < n; ++i) {
      const T weight = w ? w[i] : T{1};
      out[i] = weight > 0 ? exponential_of_negative(f[i] - static_cast<T>(total.peak)) * weight * scale : T{0};
    }
  }

  const LogMeanExp<T>& job_;
  std::size_t chunks_;
};

template <class T>
bool log_mean_exp(const LogMeanExp<T>& job) {
  return LogMeanExpRows<T>(job).run();
}

template <class T>
bool log_sigmoid_mean(LogSigmoid<T>& job) {
  using V = Vector<T>;
  const std::size_t chunks = (job.n + CHUNK - 1) / CHUNK;
  const Scratch sums(sizeof(double) * chunks);
  if (!sums) return false;
  double* const sum = sums.as<double>();
  const T sign = static_cast<T>(job.sign), scale = sign / static_cast<T>(job.n);
  auto body = [&](std::size_t chunk, int) {
    const std::size_t at = chunk * CHUNK, n = smaller(CHUNK, job.n - at), whole = n / GROUP * GROUP;
    const T* const f = job.f + at;
    sum[chunk] = sum_groups<T>(whole, [&](std::size_t i) {
      V slope;
      const V value = log_sigmoid<V>(load<V>(f + i) * sign, slope);
      if (job.gradient) store(job.gradient + at + i, slope * scale);
      return value;
    });
    for (std::size_t i = whole; i < n; ++i) {
      T slope;
      sum[chunk] += log_sigmoid(f[i] * sign, slope);
      if (job.gradient) job.gradient[at + i] = slope * scale;
    }
  };
  run_parallel(chunks, job.n_threads, body);
  for (std::size_t width = chunks; width > 1; width = (width + 1) / 2)
    for (std::size_t i = 0; i < width / 2; ++i) sum[i] += sum[i + (width + 1) / 2];
  job.value = sum[0] / static_cast<double>(job.n);
  return true;
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
